"""The values of the chart: a wrong one is refused, and the README has all of them."""

import json
import re
from functools import reduce
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.chart import CHART, ELSEWHERE, notes, refusal, rendered

_SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("imag", {}),
        ("image.tags", "1"),
        ("image.digest", "sha256:1"),
        ("settings.http_prt", 1),
        ("settings.redis_url", "redis://in-the-config-map"),
        ("settings.http_port", 0),
        ("settings.http_host", "127.0.0.1"),
        ("settings.claim_after", "5min"),
        ("settings.busy_poll", "11ms"),
        ("settings.busy_poll", "1s"),
        ("settings.max_message_bytes", "1MB"),
        ("secret.redis", ""),
        ("secret.redis_url", ""),
        ("updater.replica", 1),
        ("updater.resources.limit", {}),
        ("updater.env", {"KV_UPDATER_HTTP_PORT": "9000"}),
        ("updater.env", {"KV_UPDATER_HTTP_HOST": "127.0.0.1"}),
        ("updater.env", {"KV_UPDATER_CONFIG": "/mine.yaml"}),
        ("updater.env", {"KV_UPDATER_SECRETS_DIR": "/mine"}),
        ("api.env", {}),
        ("api.service.ports", 1),
        ("ingress.host", ""),
        ("ingress.enabled", True),
        ("networkPolicy.redisPorts", []),
        ("networkPolicy.dnsPorts", []),
        ("networkPolicy.dnsPorts", ["dns"]),
        ("networkPolicy.from", [{"cidr": "10.0.0.0/8"}]),
        ("serviceMonitor.intervall", "1s"),
        ("prometheusRule.enable", True),
        ("prometheusRule.runbookBase", "git.example"),
        ("pod.runAsUser", 0),
        ("pod.nodeSelectors", {}),
        ("tls.secretName", ""),
    ],
)
def test_a_wrong_value_is_refused(path: str, value: Any) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    jsonschema.validate(values, _SCHEMA)
    *parts, last = path.split(".")
    reduce(lambda inner, part: inner[part], parts, values)[last] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, _SCHEMA)


def test_other_variables_are_taken() -> None:
    given = {"KV_UPDATER_LOG_LEVEL": "DEBUG", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    for pod in rendered({**ELSEWHERE, "updater.env": given, "api.enabled": False}):
        if pod["kind"] == "Deployment":
            (container,) = pod["spec"]["template"]["spec"]["containers"]
            assert {each["name"]: each["value"] for each in container["env"]} == given


@pytest.mark.parametrize("name", ["1st", "2-kv-updater", "my.records", "Records"])
def test_a_name_that_no_service_can_have_is_refused(name: str) -> None:
    said = refusal({**ELSEWHERE, "fullnameOverride": name})
    assert f"a Service cannot be called {name}" in said
    assert "begins with a letter" in said


@pytest.mark.parametrize(
    ("values", "closed"),
    [
        ({}, ""),
        ({"secret.redis_url": "redis+sentinel://:p%40ss@one,two/mymaster/0"}, "26379"),
        ({"secret.redis_url": "rediss+sentinel://one:26380,two/mymaster"}, "26380, 26379"),
        ({"secret.redis_url": "redis+sentinel://one/mymaster", "networkPolicy.redisPorts": [6379, 26379]}, ""),
        ({"secret.redis_url": "redis+cluster://one,two", "networkPolicy.redisPorts": [7000]}, "6379"),
        ({"secret.redis_url": "redis+cluster://one:7000,two:7001"}, "7000, 7001"),
        ({"secret.store_url": "rediss://user:pass@[2001:db8::1]:6380/0?ssl_ca_certs=/a@b:1"}, "6380"),
        ({"secret.redis_url": "redis://one:6380", "networkPolicy.enabled": False}, ""),
        ({"secret.redis_url": "redis://one:6380", "networkPolicy.egress": [{"ports": [{"port": 6380}]}]}, ""),
        ({"secret.redis_url": "redis://one:6380", "networkPolicy.egress": [{"to": []}]}, ""),
        ({"secret.redis_url": "redis://one:6380", "secret.existing": "mine"}, ""),
    ],
)
def test_the_notes_name_ports_that_the_network_policy_closes(values: dict[str, Any], closed: str) -> None:
    told = re.findall("does not let through: (.*?)\\. ", notes({**values, "api.enabled": False}))
    assert told == ([closed] if closed else [])


def test_helm_reads_the_schema() -> None:
    said = refusal({"updater.replica": 1, "settings.http_prt": 1})
    assert "'replica' not allowed" in said
    assert "'http_prt' not allowed" in said


def test_streams_without_a_channel_of_what_is_stored_are_refused_with_the_api_server() -> None:
    assert "settings.persisted_channel" in refusal({**ELSEWHERE, "settings.transport": "stream"})
    rendered({**ELSEWHERE, "settings.transport": "stream", "api.enabled": False})


def test_every_object_of_the_values_takes_only_what_it_knows() -> None:
    free_form = {
        "global",
        "requests",
        "limits",
        "podSelector",
        "namespaceSelector",
        "ipBlock",
        "affinity",
        "egress.items",
    }

    def check(part: Any, name: str) -> None:
        if isinstance(part, dict):
            if part.get("type") == "object" and name not in free_form and "tolerations" not in name:
                assert "additionalProperties" in part, name
            for key, value in part.items():
                check(value, f"{name}.{key}" if key == "items" else key)

    check(_SCHEMA, "")


def test_the_readme_has_every_value() -> None:
    readme = (CHART / "README.md").read_text("utf-8")

    def leaves(values: Any, path: str = "") -> list[str]:
        if not isinstance(values, dict) or not values or path.endswith((".requests", ".limits", ".annotations")):
            return [path]
        return [leaf for key, value in values.items() for leaf in leaves(value, f"{path}.{key}".lstrip("."))]

    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    missing = [path for path in leaves(values) if f"| `{path}` |" not in readme]
    assert not missing
