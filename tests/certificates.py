"""TLS for a server of a test: an authority, and who has a certificate of it."""

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.servers import Server


def need(found: object, what: str) -> None:
    """Skip the test without it, but not where nothing may be skipped unseen."""
    if not found and os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    if not found:
        pytest.skip(f"{what} is missing")


def make_certificates(folder: Path) -> None:
    """An authority, certificates of it for 127.0.0.1, one of them expired and one not yet valid, and for a client; and
    an authority that has signed nothing."""
    need(shutil.which("openssl"), "openssl")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "stranger"):
        _openssl(
            *("req", "-x509", *new_key, "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),  # Python 3.13 takes no authority without it
            *("-keyout", f"{name}.key", "-out", f"{name}.crt"),
            folder=folder,
        )
    (folder / "names").write_text(
        "subjectAltName=IP:127.0.0.1\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    for name, days in (("server", "2"), ("expired", "-1"), ("client", "2")):
        _openssl(
            "req", *new_key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr", folder=folder
        )
        _openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", days, "-extfile", "names", "-out", f"{name}.crt"),
            folder=folder,
        )
    _make_one_for_later(folder)


def _make_one_for_later(folder: Path) -> None:
    """Only `openssl ca` takes the day when a certificate begins to be valid, in every version."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    begins, ends = (f"{at:%Y%m%d%H%M%SZ}" for at in (tomorrow, tomorrow + timedelta(days=2)))
    (folder / "later.cnf").write_text(
        "[ca]\ndefault_ca = one\n[one]\ndatabase = issued\nnew_certs_dir = .\nserial = later.serial\n"
        "default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
    )
    (folder / "issued").touch()
    (folder / "later.serial").write_text("1000\n")
    shutil.copy(folder / "server.key", folder / "later.key")
    _openssl(
        *("ca", "-batch", "-notext", "-config", "later.cnf", "-cert", "ca.crt", "-keyfile", "ca.key"),
        *("-startdate", begins, "-enddate", ends, "-extfile", "names", "-in", "server.csr", "-out", "later.crt"),
        folder=folder,
    )


def listen_with_tls(server: Server, certificates: Path, *, clients: str, own: str = "server") -> int:
    """The port; `clients`: whether they need a certificate, yes or no; `own`: which one the server has. Only the kind
    redis has TLS."""
    for name in ("ca-cert-file ca.crt", f"cert-file {own}.crt", f"key-file {own}.key"):
        option, file = name.split()
        server.command("CONFIG", "SET", f"tls-{option}", str(certificates / file))
    # Where the bus of a cluster node would be: no other server is there.
    port = server.port + 10_000
    server.command("CONFIG", "SET", "tls-auth-clients", clients, "tls-port", port)
    return port


def _openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
