"""The demo: the service on a server of its own, sample publishers, and the records as a reader finds them."""

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, TextIO, cast

from pydantic import SecretStr

from entrypoints.container import Container
from entrypoints.demo_lines import show_lines
from entrypoints.logs import set_up_logs
from entrypoints.runner import Companion, run_service
from entrypoints.sample_publishers import publish_samples
from entrypoints.settings import Loaded, Settings, SettingsError
from entrypoints.standard_error import StandardError

if TYPE_CHECKING:
    from entrypoints.demo_page import DemoPage

_CHANNEL, _PREFIX = "kv-updater:demo", "demo:"


async def demo(loaded: Loaded, duration: float | None) -> int:
    """Run until a signal comes or `duration` seconds have passed; the exit code.

    Given the flag `--redis-url`, it uses that server, where the sample records then stay, on a channel and under keys
    of its own unless flags name others; else an embedded one.
    """
    settings = _settings(loaded)
    channel = settings.publishing_channel()
    set_up_logs(settings.log_level, settings.log_format, cast("TextIO", StandardError()))
    page = _page(settings)
    companions: list[Companion] = [partial(publish_samples, channel=channel), _view(page)]
    if page is not None:
        companions.append(page.serve)
    if duration is not None:
        companions.append(lambda container: container.clock().sleep(duration))
    return await run_service(Container(settings=settings), *companions)


def _settings(loaded: Loaded) -> Settings:
    # Sample records belong on nobody's server, channel or key who has not said so here and now: not by a variable or
    # a file. On an embedded server they are in nobody's way.
    changes: dict[str, object] = {"redis_url": SecretStr("embedded://"), "store_url": None}
    if loaded.origins["redis_url"] == "flag":
        changes |= {"channel": (_CHANNEL,), "key_prefix": _PREFIX}
    changes = {key: value for key, value in changes.items() if loaded.origins[key] != "flag"}
    if loaded.origins["log_level"] == "default":
        changes["log_level"] = "WARNING"
    settings = loaded.settings.model_copy(update=changes)
    if settings.redis_url.get_secret_value() == "memory://":
        raise SettingsError("redis_url: the demo needs a server; without a redis_url it starts one")
    return settings


def _page(settings: Settings) -> "DemoPage | None":
    if settings.transport == "stream" and settings.persisted_channel is None:
        return None  # nothing tells readers of changes
    try:
        from entrypoints.demo_page import DemoPage
    except ModuleNotFoundError:
        print('For a page in the browser: in the checkout, pip install ".[demo]"', file=sys.stderr)
        return None
    return DemoPage()


def _view(page: "DemoPage | None") -> Companion:
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return partial(show_lines, page=page)
    try:
        from entrypoints.demo_table import show_table
    except ModuleNotFoundError:
        print('For a live table: in the checkout, pip install ".[demo]"', file=sys.stderr)
        return partial(show_lines, page=page)
    return partial(show_table, page=page)
