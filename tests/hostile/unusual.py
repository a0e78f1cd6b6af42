"""What is unusual and right, with the record, byte for byte, that RFC 8259 and our rules make of it."""

import json
from typing import NamedTuple

from tests.hostile import depth, numerals, times


class Kept(NamedTuple):
    """A payload that is accepted, and the record that is stored under `type`."""

    payload: bytes
    type: str
    record: bytes


# Texts of `values`; not a byte of them is changed.
_SHORT_VALUES = rb"""
{}
[]
[ ]
{ }
[[]]
[{},[],"",0,null,true,false]
{"":""}
{"":{"":{"":[]}}}
{"a":1,"a":2,"a":{"a":1,"a":2}}
{"type":"other","values":3,"updated":true,"valid":[]}
{"__proto__":{"x":1},"constructor":null,"__class__":"k"}
["\u0000","\u001f","\u007f","\u0080","\u009b31m","\u2028","\ufeff","\uffff"]
{"\u0000":"\u0000"}
["\"","\\","\/","\b\f\n\r\t","\\u0000","\\\"","\\\\"]
["\ud83d"]
["\uDE00"]
["\ude00\ud83d","\ud83d\ud83d\ude00","\uD83D\u0041","\\\ud83d","\ud83d\\ude00"]
{"\ud83d":{"\udc00":["\udbff"]},"\\ud83d":"\ud83d\ude00"}
["\ud7ff\ue000\ud83d\uD7FF\uE000","\u00fe\u00ff\ud800"]
["\u0022]}","\u005b","\u007d"]
["]}","[{","\"]}","{\"type\":\"k\"}","[[[[[[[[","//","/*","NaN"]
["\r\n*1\r\n$8\r\nFLUSHALL\r\n","\r\nSET pwned 1\r\n"]
["'; DROP TABLE k; --","${jndi:k}","{{7*7}}","<script>","%n%s","$(id)","]]>"]
[1.0,1e3,1E+3,1e-3,-0,-0.0,0e0,100000000000000000000,0.1000000000000000055511151231257827]
""".split(b"\n")[1:-1]
_VALUES = [
    *_SHORT_VALUES,
    b'{"a" :\r\n\t[ 1 ,\n2 ]\t, "b"\r:null }',
    '["é","東京","😀","\U0010ffff","\ufffe\uffff","\u2028\u2029"]'.encode(),
    '["\x7f\x85\x9b31m\u202egnp"]'.encode(),
    '{"ключ":"e\u0301","é":1,"e\u0301":2}'.encode(),
    *(b"[" + number + b"]" for number in [*numerals.EXTREME, *numerals.MEGABYTE]),
    *depth.DEEPEST,
    b"[" + b"{}," * 300_000 + b"{}]",
    rb'["\ud83d",' + b"{}," * 300_000 + b"{}]",
    b'["' + rb"\ud83d" * 170_000 + b'"]',
    b'["' + rb"\\" * 500_000 + rb"\ud83d" + b'"]',
    b"[" + b",".join(b'"\\u%04x"' % code for code in range(0x10000)) + b"]",
    b"{" + b",".join(b'"%d":[]' % number for number in range(60_000)) + b"}",
    b'{"' + b"k" * 1_000_000 + b'":0}',
]

# No control characters and at most 512 bytes: the name of a key.
_SHORT_TYPES = r"""
- -- --help * ? [a-z] a|b {k} {} k} # ' " "" \ \\ \n \u0000 %s {0} ${k} null true 0 1e400 NaN type __proto__ / ../../k
KEYS[1] redis.call('FLUSHALL') ';-- <script>k</script> EVALSHA update letter Letters "},{"type":"k" a:b:c k=v a,b
é e\u0301 東京 😀 ß ﬀ
"""
_TYPES = [
    *_SHORT_TYPES.split(),
    *(" ", "  k  ", "k k", "\U0010ffff", "\ufeff", "\ufffe", "\u00a0", "\u00ad", "\u200b", "\u2028", "\u202egnp"),
    *("\ue000", "\ud7ff", "e\u0301", "a" * 512, "é" * 256, "東" * 170 + "ab", "😀" * 128, '"' * 512, "\\" * 512),
    *("\u202e" * 170, "\U000e0041" * 128),
]


def _kept(type_: str, values: bytes, updated: bytes = b"null", valid: bytes = b"null") -> Kept:
    """The message in the plainest form, and its record."""
    times_of = b'"updated":%b,"valid":%b' % (updated, valid)
    name = json.dumps(type_, ensure_ascii=False).encode()
    payload = b'{"type":%b,%b,"values":%b}' % (name, times_of, values)
    return Kept(payload, type_, b'{%b,"values":%b}' % (times_of, values))


def _without_times(payload: bytes, type_: str, values: bytes) -> Kept:
    return _kept(type_, values)._replace(payload=payload)


def _escaped(text: str) -> Kept:
    """Every character of the type as an escape."""
    units = text.encode("utf-16-be").hex()
    name = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return _without_times(b'{"type":"%b","values":["\\udc00"]}' % name.encode(), text, rb'["\udc00"]')


_WHOLE = [
    _without_times(b'{"type":"whole:1","values":{}}', "whole:1", b"{}"),
    _without_times(b' \t\r\n{ "values" :\t[ ] ,\r"type"\n:"whole:2" } \r\n', "whole:2", b"[ ]"),
    _without_times(rb'{"\u0074\u0079pe":"whole:\u0033","\u0076alues":[3]}', "whole:3", b"[3]"),
    _without_times(b'{"type":"k","values":[1],"type":"whole:4","values":[2]}', "whole:4", b"[2]"),
    _without_times(b'{"type":5,"type":"whole:5","values":3,"values":{}}', "whole:5", b"{}"),
    _without_times(rb'{"type":"\ud83d","type":"whole:6","values":["\ud83d"]}', "whole:6", rb'["\ud83d"]'),
    _without_times(rb'{"Type":1,"TYPE":[],"":0,"type ":{},"type":"whole:7","values":[]}', "whole:7", b"[]"),
    _without_times(rb'{"\ud83dtype":"k","\u0000":1,"type":"whole:8","values":[],"values\u0000":1}', "whole:8", b"[]"),
    _without_times(b" " * 1_000_000 + b'{"type":"whole:9","values":[]}', "whole:9", b"[]"),
    _without_times(b'{"type":"whole:10","values":[]}'.ljust(1024 * 1024, b"\n"), "whole:10", b"[]"),
    _without_times(b"{" + b'"type":0,' * 100_000 + b'"type":"whole:11","values":[]}', "whole:11", b"[]"),
    _without_times(b"{" + rb'"\ud83d":[],' * 80_000 + b'"type":"whole:12","values":[]}', "whole:12", b"[]"),
    _without_times(b'{"x":%b0%b,"type":"whole:13","values":{}}' % (b'[{"":' * 249, b"}]" * 249), "whole:13", b"{}"),
    _kept("whole:14", b"[]", updated=rb'"\u0032023-10-01T12:00:00\u002b00:00"', valid=b"-0.0e-0"),
    _kept("whole:15", b"[]", valid=b"9" * 1_000_000),
    _kept("whole:16", b"{}", updated=b"1", valid=b'""')._replace(
        payload=b'{"updated":true,"updated":1,"valid":[],"valid":"","type":"whole:16","values":{}}'
    ),
]

KEPT = [
    *_WHOLE,
    *(_kept(f"values:{number}", values) for number, values in enumerate(_VALUES)),
    *(_kept(type_, b"[]") for type_ in _TYPES),
    *(_escaped(f"escaped:{type_}") for type_ in _TYPES if len(type_) < 100),
    *(_kept(f"number:{number}", b"{}", text, text) for number, text in enumerate(numerals.EXTREME)),
    *(_kept(f"long number:{number}", b"{}", text) for number, text in enumerate(numerals.MEGABYTE)),
    *(_kept(f"time:{number}", b"{}", text, b'"soon"') for number, text in enumerate(times.UNKNOWN)),
]
