"""JSON that is no update message: members missing, of a wrong type or repeated; types that are no name of a key."""

_TIME = '"2023-10-01T12:00:00Z"'
_SCALARS = ["null", "true", "false", "0", "-1", "1.5e3"]
_CONTAINERS = ["[]", "{}", '["k"]', '{"a":1}', "[[]]"]
_MEBIBYTE = 1024 * 1024


def _objects(text: str) -> list[bytes]:
    return [b"{" + members.encode() + b"}" for members in text.strip().split("\n")]


_MISSING = _objects(r"""
"type":"k"
"values":{}
"type":"k","updated":"2023-10-01T12:00:00Z","valid":null
"values":[],"updated":"2023-10-01T12:00:00Z"
"updated":null,"valid":null
"Type":"k","values":{}
"TYPE":"k","VALUES":{}
"type":"k","Values":{}
" type":"k","values":{}
"type ":"k","values":{}
"type\u0000":"k","values":{}
"\\type":"k","values":{}
"\ttype":"k","values":{}
"\ud83dtype":"k","values":{}
"type\udc00":"k","values":{}
"t\u0443pe":"k","values":{}
"tуpe":"k","values":{}
"ｔype":"k","values":{}
"ty\u00adpe":"k","values":{}
"\ufefftype":"k","values":{}
"":"k","values":{}
"t":"k","v":{}
"type":"k","value":{}
"type":"k","valuess":{}
"type":"k","\\u0076alues":{}
"type":"k","values\n":[]
"type":"k","x":{"values":{}}
"x":{"type":"k","values":{}}
"message":"{\"type\":\"k\",\"values\":{}}"
"0":{"type":"k","values":{}}
""")  # noqa: RUF001
_REPEATED = _objects(r"""
"type":"k","type":5,"values":{}
"type":"k","values":{},"type":null
"type":"k","values":{},"type":""
"type":"k","values":{},"type":"\u0000"
"type":"k","values":{},"\u0074ype":["k"]
"type":"k","values":{},"values":3
"type":"k","values":{},"values":"{}"
"type":"k","values":[],"\u0076alues":null
"type":"k","values":{},"updated":1,"updated":true
"type":"k","values":{},"valid":null,"valid":{}
"type":"k","type":"k","type":"k"
"values":{},"values":{}
""")

_TOP = [
    *(text.encode() for text in [*_SCALARS, *_CONTAINERS, '""', '"k"', " \t\r\n0 ", "1e400", '{"a":{"b":[]}}']),
    *(b'[{"type":"k","values":{}}]', b'["type","k","values",{}]', b'"{\\"type\\":\\"k\\",\\"values\\":{}}"'),
    *(b'[["type","k"],["values",{}]]', rb'"\ud83d"', rb'["\udc00"]', b"9" * 10_000, b'"' + b"k" * 10_000 + b'"'),
]
_WRONG = [
    *(f'{{"type":{text},"values":{{}}}}' for text in [*_SCALARS, *_CONTAINERS, "1e400", rb'["\ud83d"]'.decode()]),
    *(f'{{"type":"k","values":{text}}}' for text in [*_SCALARS, '""', '"{}"', "1e400", '"\\ud83d"', "9" * 5000]),
    *(f'{{"type":"k","values":{{}},"updated":{text}}}' for text in ["true", "false", *_CONTAINERS, f"[{_TIME}]"]),
    *(f'{{"type":"k","values":{{}},"valid":{text}}}' for text in ["true", "false", *_CONTAINERS, f'{{"at":{_TIME}}}']),
    f'{{"type":5,"values":3,"updated":[],"valid":{_TIME}}}',
    f'{{"type":[],"values":["\\ud83d"],"updated":{_TIME}}}',
    '{"type":"k","values":["\\ud83d"],"valid":true}',
]

_TOO_LONG = ["a" * 513, "é" * 256 + "a", "東" * 171, "😀" * 129, "a" * 511 + "é", "\u00a0" * 257, '"' * 513, "\\" * 513]
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_NAMES = [
    '""',
    *('"' + text.replace("\\", r"\\").replace('"', r"\"") + '"' for text in _TOO_LONG),
    *('"' + "".join(f"\\u{ord(unit):04x}" for unit in text) + '"' for text in ("a" * 513, "é" * 257, "東" * 171)),
    '"' + r"\ud83d\ude00" * 129 + '"',
    *(f'"k\\u{code:04x}"' for code in _CONTROLS),
    *(f'"{chr(code)}k"' for code in _CONTROLS if code > 0x20),
    *(r'"\b"', r'"a\tb"', r'"\r\nSET k v\r\n"', r'"k\f"', r'"k\n"', r'"\u001b[31mk"', r'"\u0000"', r'"k\u0000k"'),
]
_LARGE_NAMES = ["k" * 1_000_000, r"\u006b" * 170_000, r"\n" * 500_000, "é" * 500_000, r"\ud83d\ude00" * 80_000]

MALFORMED = [
    *_TOP,
    *_MISSING,
    *_REPEATED,
    *(text.encode() for text in _WRONG),
    *(f'{{"type":{name},"values":{{}}}}'.encode() for name in _NAMES),
    *(f'{{"type":"{name}","values":{{}}}}'.encode() for name in _LARGE_NAMES),
    b"{" + b",".join(b'"%d":0' % number for number in range(70_000)) + b"}",
    b'{"values":{}' + b',"type":"k"' * 50_000 + b',"type":0}',
    b'{"type":"k","values":[' + b"{}," * 300_000 + b'{}],"valid":[]}',
]

_LARGE = b'{"type":"k","values":["' + b"x" * _MEBIBYTE + b'"]}'
TOO_LARGE = [
    _LARGE,
    _LARGE[: _MEBIBYTE + 1],
    b" " * _MEBIBYTE + b'{"type":"k","values":{}}',
    b'{"type":"k","values":{}}' + b"\n" * _MEBIBYTE,
    b"[" * (_MEBIBYTE + 1),
    b"\xff" * (2 * _MEBIBYTE),
    b'{"a":' * 300_000,
    b"\x00" * (_MEBIBYTE + 1),
]

DEAD_LETTERS = "letters"
FORBIDDEN = [
    b'{"type":"letters","values":{}}',
    rb'{"type":"\u006cetter\u0073","values":["\ud83d"]}',
    b'{"type":"k","values":{},"type":"letters"}',
]
