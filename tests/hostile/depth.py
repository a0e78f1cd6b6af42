"""Nesting, with and without an end: past 500 levels it is undecodable, whatever else it may be."""

_DEEP = 100_000
_LEVELS = 500  # the message is the first


def _nested(levels: int, opening: bytes = b"[", closing: bytes = b"]", inside: bytes = b"") -> bytes:
    return opening * levels + inside + closing * levels


def _around(opening: bytes, closing: bytes, inside: bytes) -> list[bytes]:
    """So deep, in every place of a message."""
    whole = _nested(_DEEP // len(opening), opening, closing, inside)
    return [
        whole,
        b'{"type":"k","values":' + whole + b"}",
        b'{"type":"k","values":[0,' + whole + b",{}]}",
        b'{"x":' + whole + b',"type":"k","values":{}}',
        b'{"type":"k","values":{},"x":[{"y":' + whole + b"}]}",
        b'{"type":"k","values":{},"updated":' + whole + b"}",
        b'{"type":' + whole + b',"values":{}}',
        b'{"values":' + whole + b"}",
        b"[" + whole + b"]",
    ]


UNDECODABLE = [
    *_around(b"[", b"]", b""),
    *_around(b'{"a":', b"}", b"0"),
    *_around(b'[{"":', b"}]", rb'"\ud83d"'),
    *_around(b"[[],", b",{}]", b'"]]]"'),
    # Without an end, or without a beginning.
    *(opening * _DEEP for opening in (b"[", b"{", b"]", b"}", b'{"a":', b'[{"":', b"[,", b"[[],", b'"[', b"[1")),
    *(b'{"type":"k","values":' + opening * _DEEP for opening in (b"[", b'{"type":', b'{"x":[', b"[{},")),
    b'{"type":"k","values":' + b"[" * _DEEP + b"]" * (_DEEP - 1) + b"}",
    b'{"type":"k","values":' + b"[" * _DEEP + b"]" * (_DEEP + 1) + b"}",
    b'{"type":"k","values":' + b"[" * _DEEP + b"}" * _DEEP + b"}",
    b'{"type":"k","values":' + b"[{" * _DEEP + b"]}" * _DEEP + b"}",
    b'{"type":"k","values":{}}' + b"]" * _DEEP,
    b'{"type":"k","values":[' + b"[]" * _DEEP + b"]}",
    # What the interpreter's stack would hold here, but perhaps not there.
    *(b'{"type":"k","values":' + _nested(levels) + b"}" for levels in range(_LEVELS, 1100)),
    *(b'{"type":"k","values":' + _nested(levels, b'{"a":', b"}", b"0") + b"}" for levels in range(_LEVELS, 1100, 9)),
    *(b'{"type":"k","values":' + _nested(levels, inside=rb'"\ud83d"') + b"}" for levels in range(_LEVELS, 1100, 9)),
    *(b'{"type":"k","values":{},"x":' + _nested(levels) + b"}" for levels in range(_LEVELS, 1100, 9)),
    *(b'{"x":' + _nested(levels) + b',"values":{}}' for levels in range(_LEVELS, 1100, 99)),
]

DEEPEST = [
    _nested(_LEVELS - 1),
    _nested(_LEVELS - 1, b'{"a":', b"}", b"0"),
    _nested(_LEVELS - 1, inside=rb'"\udc00]]", "[[[[", "\\"'),
    b"[" + b"[{}]," * 1000 + _nested(_LEVELS - 2) + b"]",
]
