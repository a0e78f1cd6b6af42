"""The settings of the chart are those of the application, and reach it as they were written."""

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from entrypoints.settings import Settings, load_settings, options
from tests.deploy.chart import CHART, ELSEWHERE, FULL, Manifest, named, pods, rendered
from tests.deploy.tools import ROOT

_SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text("utf-8"))
_SECRETS = {"redis_url", "store_url", "http_token"}
_OF_EACH_POD = {"consumer_name"}
"""It would be the same in all of them."""


def _loaded(manifests: list[Manifest], name: str, folder: Path, environment: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """What the application makes of the ConfigMap and the Secret of this name."""
    secrets = folder / "secrets"
    secrets.mkdir()
    for key, value in named(manifests)["Secret", name]["data"].items():
        (secrets / key).write_bytes(base64.b64decode(value))
    config = folder / "config.yaml"
    config.write_text(named(manifests)["ConfigMap", name]["data"]["config.yaml"], "utf-8")
    environment.setenv("KV_UPDATER_SECRETS_DIR", str(secrets))
    return load_settings({}, config=config).settings.model_dump(by_alias=True)


def test_the_schema_has_every_setting_but_the_secrets() -> None:
    keys = {option.key for option in options()}
    assert set(_SCHEMA["properties"]["settings"]["properties"]) == keys - _SECRETS - _OF_EACH_POD
    assert set(_SCHEMA["properties"]["secret"]["properties"]) == _SECRETS | {"existing"}


def test_the_schema_takes_the_example_of_the_configuration() -> None:
    example = yaml.safe_load((ROOT / "config.example.yaml").read_text("utf-8"))
    settings = {key: value for key, value in example.items() if key not in _SECRETS | _OF_EACH_POD}
    schema = {**_SCHEMA, **_SCHEMA["properties"]["settings"]}
    jsonschema.validate({**settings, "http_host": "0.0.0.0", "http_port": 8000}, schema)


def test_by_default_only_what_a_container_needs_is_changed(
    default: list[Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = _loaded(default, "kv-updater", tmp_path, monkeypatch)
    defaults = Settings().model_dump(by_alias=True)
    assert {key: value for key, value in loaded.items() if value != defaults[key] and key not in _SECRETS} == {
        **({"http_port": 8000} if defaults["http_port"] != 8000 else {}),
        "http_host": "0.0.0.0",
        "log_format": "json",
    }
    image = yaml.safe_load((ROOT / "deploy" / "image" / "config.yaml").read_text("utf-8"))
    assert image == yaml.safe_load(named(default)["ConfigMap", "kv-updater"]["data"]["config.yaml"])


def test_every_setting_reaches_the_application_as_it_was_written(
    full: list[Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = yaml.safe_load(FULL.read_text("utf-8"))
    assert set(values["settings"]) == set(_SCHEMA["properties"]["settings"]["properties"])
    written = Settings(**values["settings"], **values["secret"]).model_dump(by_alias=True)
    assert _loaded(full, "updates", tmp_path, monkeypatch) == written


@pytest.mark.parametrize("timeout", ["500ms", "90", "1.5m", "2h", 7, 45.5])
def test_the_grace_period_is_longer_than_stopping_takes(timeout: object) -> None:
    seconds = Settings.model_validate({"shutdown_timeout": timeout}).shutdown_timeout
    for pod in pods(rendered({**ELSEWHERE, "settings.shutdown_timeout": timeout})).values():
        (container,) = pod["spec"]["containers"]
        delay = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["spec"]["terminationGracePeriodSeconds"] == math.ceil(seconds) + 20 > seconds + delay


def test_the_grace_period_fits_the_default(default: list[Manifest]) -> None:
    for pod in pods(default).values():
        assert pod["spec"]["terminationGracePeriodSeconds"] == Settings().shutdown_timeout + 20


def _checksum(manifests: list[Manifest]) -> str:
    (checksum,) = {pod["metadata"]["annotations"]["checksum/settings"] for pod in pods(manifests).values()}
    return str(checksum)


def test_a_change_of_the_settings_or_the_secret_starts_the_pods_anew(default: list[Manifest]) -> None:
    changes = [{"settings.log_level": "DEBUG"}, {"secret.http_token": "token"}]
    assert len({_checksum(default), *(_checksum(rendered(values)) for values in changes)}) == 3
    same = (_checksum(rendered({**ELSEWHERE, **values})) for values in ({}, {"updater.replicas": 3, "tls.secret": "a"}))
    assert len(set(same)) == 1


def test_the_memory_is_enough_for_all_that_the_settings_allow(default: list[Manifest]) -> None:
    (container,) = pods(default)["updater"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "2Gi"
    settings = Settings()
    most = settings.max_backlog_bytes + settings.max_pending_bytes + 600 * settings.max_pending_keys
    assert most + (256 << 20) <= 2 << 30
