"""What may be wrong where TLS, or the lack of it, keeps an answer from us: one advice for the log and for `check`."""

import re
from collections.abc import Sequence

WANTED = "perhaps this port speaks TLS: then {} begins with rediss"
MISSING = "perhaps this port does not speak TLS: then {} begins with redis"
CLIENT = "perhaps the server wants a certificate: {} with ssl_certfile=FILE&ssl_keyfile=FILE"

_Rows = Sequence[tuple[re.Pattern[str], str]]
_CERTAIN: _Rows = (
    (
        re.compile("PEM lib|key values mismatch", re.IGNORECASE),
        "the certificate or its key cannot be read: ssl_certfile, ssl_keyfile",
    ),
    (
        re.compile("No such file|Permission denied|NO_CERTIFICATE"),
        "a file that {} names cannot be read: ssl_ca_certs, ssl_certfile, ssl_keyfile",
    ),
    (re.compile("expired|not yet valid"), "renew the server's certificate, or set this machine's clock right"),
    (re.compile("mismatch|not valid for"), "write a name that the certificate has into {}"),
    (re.compile("VERIFY_FAILED"), "name the authority in {}: ?ssl_ca_certs=FILE"),
    (re.compile("certificate.required", re.IGNORECASE), CLIENT),
)
# So it ends, too, where the server wants a certificate and gets none: the handshake is over by then.
_PERHAPS: _Rows = ((re.compile("handshake.failure|connection lost|Error while reading", re.IGNORECASE), CLIENT),)
_URL = "the URL"


def advice(text: str, setting: str = _URL, *, certain: bool = False) -> str:
    """What to do about a failure over TLS; empty: nobody knows. `certain`: only where the text leaves no doubt."""
    rows = _CERTAIN if certain else (*_CERTAIN, *_PERHAPS)
    return next((told.format(setting) for words, told in rows if words.search(text)), "")


def hint(told: str) -> str:
    """Behind an error."""
    return f"; {told.format(_URL)}" if told else ""


def split(text: str) -> tuple[str, str]:
    """An error, and the hint behind it: empty, if there is none."""
    hints = (hint(told) for told in (WANTED, MISSING, *(told for _, told in (*_CERTAIN, *_PERHAPS))))
    found = next((each for each in hints if text.endswith(each)), "")
    return text.removesuffix(found), found
