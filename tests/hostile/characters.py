"""What is no UTF-8, and strings RFC 8259 does not allow: other encodings, broken sequences, raw controls, escapes."""


def _from_hex(sequences: str) -> list[bytes]:
    return [bytes.fromhex(sequence) for sequence in sequences.split()]


_PLAIN = b'{"type":"k","values":{}}'
_BOM = b"\xef\xbb\xbf"

_UTF = [
    '{"type":"ké","values":["é😀"]}'.encode(name)
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
]
_TEXTS = {"latin-1": "é", "cp1252": "“k”", "koi8-r": "ключ", "shift-jis": "東京", "gbk": "東京", "euc-kr": "서울"}
_ENCODINGS = [
    *_UTF,
    *(b"\xfe\xff" + _UTF[2], b"\x00\x00\xfe\xff" + _UTF[5], b"\xff\xfe", b"\xfe\xff", b"+AHs-"),
    *(_PLAIN.decode().encode(name) for name in ("utf-16-le", "utf-16-be", "utf-32-be", "cp037")),
    *(_BOM, _BOM + _PLAIN, _BOM * 2 + _PLAIN, _BOM[:2] + _PLAIN, b" " + _BOM + _PLAIN),
    *(b'{"type":"k","values":["' + text.encode(name) + b'"]}' for name, text in _TEXTS.items()),
    *(b"\x1f\x8b\x08\x00" + _PLAIN, b"x\x9c" + _PLAIN),  # headers of gzip and zlib
    *_from_hex("82a474797065a16ba676616c75657380 a26474797065616b6676616c756573a0 80047d942e 0a016b"),  # binary formats
]

# No such bytes are UTF-8 (RFC 3629), wherever they stand.
_SEQUENCES = [
    *_from_hex("80 bf 8080 9f92a9 fe ff fefeffff"),  # never begun, or never used
    *_from_hex("c2 e2 e282 f0 f09f f09f98"),  # cut short
    *_from_hex("c328 e228a1 e28228 f0288cbc f0902841 c3c3a9 e282e282ac"),  # interrupted
    *_from_hex("c0af c080 c0a2 c19c c1bf e080af e09fbf f08080af f08fbfbf f880808080 fc80808080af"),  # overlong
    *_from_hex("eda080 edafbf edb080 edbfbf eda0bdedb880"),  # surrogates
    *_from_hex("f4908080 f5808080 f7bfbfbf f888808080 fdbfbfbfbfbf"),  # past U+10FFFF
]
_PLACES = [
    (b'{"type":"k', b'","values":{}}'),
    (b'{"type":"k","values":["', b'"]}'),
    (b'{"type":"k","values":{"', b'":1}}'),
    (b'{"type":"k","values":{},"updated":"', b'"}'),
    (b'{"type":"k","values":{},"x":"', b'"}'),
    (b'{"type":"k","values":{},"', b'":1}'),
]
# JSON knows four characters of whitespace; none of these.
_SPACES = [*_from_hex("00 01 0b 0c 1b5b306d 7f c285 c2a0 e19a80 e2808b e280a8 e38080"), _BOM]

_ESCAPES = rb"""
\a \v \e \0 \00 \012 \1 \8 \x41 \x \' \` \? \$ \, \] \} \N{BELL} \c[ \& \U0041 \U0001F600 \B \R \T
\u \u1 \u12 \u123 \u123g \u-123 \u+123 \u0x41 \u{41} \u{1F600} \uG000 \u.123 \u\u0041 \u005 \"\u \\\u12
\ud83d\u \ud83d\ude0 \ud83d\ude0g \ud83d\x \ud83 \uD \ude \\\ud8 \uDe0x
""".split()
_MORE_ESCAPES = [rb"\ ", rb"\u 123", rb"\u12 4", b"\\\n", b"\\\r\n", b"\\\x00", "\\u123é".encode(), "\\😀".encode()]
_ENDINGS = [b"", b"\\", b'\\"', b'\\"]}', b'\\\\\\"]}', b"\n", b"\\u00", b"\\ud83d", b"]}"]
_HALVES = rb"""
\ud83d \uDE00 \ude00\ud83d \ud83d\ud83d k\ud83dk \ud83d\\ude00 \ud83d\u0041 \uDBFF\n \\\ud83d \ud83d\ude00\ud83d
""".split()

UNDECODABLE = [
    *_ENCODINGS,
    *(before + sequence + after for sequence in _SEQUENCES for before, after in _PLACES),
    *(_PLAIN + sequence for sequence in _SEQUENCES[:10]),
    *(before + bytes([code]) + after for code in range(0x20) for before, after in _PLACES),
    *(space + _PLAIN for space in _SPACES[:-1]),
    *(_PLAIN + space for space in _SPACES),
    *(_PLAIN.replace(b",", b"," + space) for space in _SPACES),
    *(before + escape + after for escape in [*_ESCAPES, *_MORE_ESCAPES] for before, after in _PLACES),
    *(b'{"type":"k","values":["a' + ending for ending in _ENDINGS),
    # Outside of strings no escape means anything.
    *(rb'\u007b"type":"k","values":{}}', rb'{"type"\u003a"k","values":{}}', rb'{"type":\"k\","values":{}}'),
    # Half of a surrogate pair is JSON, but no name of a key.
    *(b'{"type":"' + half + b'","values":["' + half + b'"]}' for half in _HALVES),
    *(rb'{"type":"\ud83d"}', rb'{"type":"\ud83d","values":3}', rb'{"\u0074ype":"k\uDC00","values":{}}'),
    rb'{"type":"k","values":{},"type":"\ud83d"}',
]
