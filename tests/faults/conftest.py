"""Fixtures of the fault tests, and the table that `--fault-table` prints at the end of them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.faults.cluster_trial import TryOnCluster, tried_on_cluster
from tests.faults.stream_trial import StreamTrial
from tests.faults.table import LEGEND, Noted, Row, table
from tests.faults.trial import Trial, Try, tried
from tests.servers import Server

_PROPERTY = "fault"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", action="store_true", help="print what came of each fault")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--fault-table"):
        return
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    # A property travels with the report, from whichever process has run the test.
    rows = [
        (report.fspath, Row(**value) if report.passed else Row(**value | {"happened": "FAILED"}))
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    terminalreporter.section("faults")
    for line in table([row for _, row in sorted(rows, key=lambda found: (found[0], found[1].fault))]):
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"\n{LEGEND}")


@pytest.fixture
def noted(request: pytest.FixtureRequest) -> Noted:
    """A row of the table, to be filled in."""

    @contextmanager
    def noted(fault: str, server: str) -> Iterator[Row]:
        row = Row(fault, server)
        try:
            yield row
        finally:
            request.node.user_properties.append((_PROPERTY, asdict(row)))

    return noted


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Where the service runs."""
    directory = tmp_path / "empty"
    directory.mkdir()
    return directory


@pytest.fixture
def fault(noted: Noted, empty: Path) -> Try:
    """Try one fault: see `tried`."""
    return partial(tried, directory=empty, noted=noted)


@pytest.fixture
def cluster_fault(noted: Noted, empty: Path) -> TryOnCluster:
    """Try one fault of a cluster: see `tried_on_cluster`."""
    return partial(tried_on_cluster, directory=empty, noted=noted)


@pytest.fixture
def stream_fault(noted: Noted, empty: Path) -> Try:
    """The same where the messages come by a stream."""

    def tried_with_a_stream(fault: str, *arguments: Any, **options: Any) -> AbstractContextManager[Trial]:
        return tried(f"{fault}, stream", *arguments, kind=StreamTrial, directory=empty, noted=noted, **options)

    return tried_with_a_stream


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """A server of the same kind for this test alone."""
    with Server(server.kind) as running:
        yield running


@pytest.fixture
def store(server: Server, redis_url: str, tmp_path: Path) -> Iterator[Server]:
    """A store of its own, while messages go on coming from the shared server; what it has taken survives a SIGKILL."""
    (tmp_path / "data").mkdir()
    with Server(server.kind, data_dir=tmp_path / "data") as running:
        yield running
