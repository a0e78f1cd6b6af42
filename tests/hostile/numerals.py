"""What other languages take for a number and RFC 8259 does not; and numbers it takes though no machine holds them."""

_FOREIGN = """
00 01 -00 -01 007 0123 00.5 0_1 1_000 1'000 1,000 ++1 +1 +0 +-1 -+1 --1 - -- + -a
. -. .1 -.1 +.1 1. -1. 0. 1.a 1..2 1.2.3 1.-1 1.+1 .e1 1.e1 0.e1
e1 E1 e -e1 1e 1E 1e+ 1E- 1e.5 1e1.5 1e1e1 1ee1 1e+-1 1e++1 1e-+1 0e 0e+ 1ex 1+e1 1.5e
0x 0x1 0X1F -0x1 0xCAFE 0b1 0B1 0o7 0O7 0q7 16#FF #FF &H1F 1h 0h
1f 1.0f 1F 1d 1L 1l 1LL 1n 10u 1U 1j 1i 1m 1_f64 1K 1kB 1% $1 1$ £1 1€
1/2 1*2 1+1 2-1 2^8 2**8 1e^2 1*10^2 1x 1:30 1:2:3 2023-10-01 12:00:00 192.168.0.1 1...2 ~1 !1 (1) <1>
NaN -NaN +NaN nan NAN Nan NaN(1) qNaN 1.#QNAN 1.#INF 1.#IND -1.#IND #NaN NaNs
Infinity -Infinity +Infinity infinity -infinity INFINITY Inf -Inf inf -inf +inf Infinit ∞ -∞
½ １ １２ ٣ ² 1² ⅷ −1 ＋1 1٫5 1，5 1．5 π ∅ 一
"""  # noqa: RUF001
_WITH_SPACE = ("1 000", "- 1", "-\n1", "1 .5", "1. 5", "1 e5", "1e 5", "1e+ 5", "0 1", "1\t2", "1\v", "1\u00a0000")

UNDECODABLE = [
    payload
    for number in (*_FOREIGN.split(), *_WITH_SPACE)
    for payload in (
        b'{"type":"k","values":[%b]}' % number.encode(),
        b'{"type":"k","values":{},"updated":%b}' % number.encode(),
        b'{"type":"k","values":{},"x":{"n":%b}}' % number.encode(),
    )
]

# Too much for a float, or for an integer of any fixed size.
_HUGE = """
1e400 -1e400 1E+999999999999 1e-999999999999 0e999999999 -0 -0.0e-0 1.0 1E5 9007199254740993 18446744073709551616
-9223372036854775809 3.4028236e38 5e-324 2.2250738585072011e-308 1.7976931348623159e308
"""
_LONGER = ["9" * 400, "-" + "9" * 4301, "0." + "9" * 5000, "1" + "0" * 999 + ".5e-1000", "1e" + "0" * 999 + "1"]
_LONGEST = ["7" * 999_999, "0." + "3" * 999_999, "1e" + "0" * 999_999 + "3", "-0." + "0" * 999_999 + "1e1000000"]

EXTREME = [number.encode() for number in (*_HUGE.split(), *_LONGER)]
MEGABYTE = [number.encode() for number in _LONGEST]
