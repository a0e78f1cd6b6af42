"""The chart: Helm takes it, Kubernetes takes what comes of it, and it is all there."""

import base64
import re
import shlex
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from entrypoints import __version__
from entrypoints.settings import Settings
from tests.deploy.chart import CHART, ELSEWHERE, FULL, Manifest, named, parsed, pods, rendered
from tests.deploy.tools import output_of, tool

_KUBERNETES = ("1.30", "1.34", "1.37")
"""The oldest that the chart is for, one between, and the newest whose schemas there are."""

_MONITORING = yaml.safe_load(Path(__file__).with_name("monitoring.schema.yaml").read_text("utf-8"))
"""The resources that an operator adds have no schema there; these are written by hand."""


def _validate(manifest: Manifest, version: str) -> None:
    if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
        jsonschema.validate(manifest, _MONITORING[manifest["kind"]])
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("values", [(), ("--values", str(FULL))], ids=["default", "full"])
def test_helm_finds_nothing_wrong(values: tuple[str, ...]) -> None:
    output_of(tool("helm"), "lint", "--strict", str(CHART), *values)


@pytest.mark.parametrize("version", _KUBERNETES)
@pytest.mark.parametrize("given", ["default", "full", "kustomized"])
def test_kubernetes_takes_every_manifest(request: pytest.FixtureRequest, given: str, version: str) -> None:
    manifests = request.getfixturevalue(given)
    assert len(manifests) >= 10
    for manifest in manifests:
        _validate(manifest, version)


def test_the_validation_is_strict(default: list[Manifest]) -> None:
    deployment = named(default)["Deployment", "kv-updater"]
    misspelt = {**deployment, "spec": {**deployment["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        _validate(misspelt, _KUBERNETES[0])


def test_what_is_turned_on_is_there(default: list[Manifest], full: list[Manifest]) -> None:
    assert {kind for kind, _ in named(default)} == {
        *("ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Secret", "Service", "ServiceAccount")
    }
    assert {kind for kind, _ in named(full)} - {kind for kind, _ in named(default)} >= {"Ingress", "ServiceMonitor"}
    without = rendered({"api.enabled": False, "networkPolicy.enabled": False, "secret.existing": "mine"})
    assert sorted(named(without)) == [
        ("ConfigMap", "kv-updater"),
        ("Deployment", "kv-updater"),
        ("PodDisruptionBudget", "kv-updater"),
        ("Service", "kv-updater"),
        ("ServiceAccount", "kv-updater"),
    ]
    assert {"name": "secret", "secret": {"secretName": "mine"}} in pods(without)["updater"]["spec"]["volumes"]


def test_the_versions_are_the_applications() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == chart["version"] == __version__


def test_secrets_and_files_of_tls_are_mounted_where_they_are_named(full: list[Manifest]) -> None:
    for component, pod in pods(full).items():
        secrets = {each["name"]: each["secret"]["secretName"] for each in pod["spec"]["volumes"] if "secret" in each}
        assert secrets == {"secret": {"api": "reader", "updater": "updates"}[component], "tls": "redis-tls"}
        (container,) = pod["spec"]["containers"]
        assert {"name": "tls", "mountPath": "/etc/kv-updater/tls", "readOnly": True} in container["volumeMounts"]


def test_a_digest_comes_before_the_tag(full: list[Manifest]) -> None:
    for pod in pods(full).values():
        (container,) = pod["spec"]["containers"]
        assert container["image"] == f"registry.example/team/kv-updater@sha256:{'0' * 64}"


def test_the_alerts_become_a_resource(full: list[Manifest]) -> None:
    manifest = named(full)["PrometheusRule", "updates"]
    assert manifest["spec"] == yaml.safe_load((CHART / "files" / "rules.yaml").read_text("utf-8"))
    _validate(manifest, _KUBERNETES[0])


def test_the_commands_of_its_page_install_it() -> None:
    page = (CHART / "README.md").read_text("utf-8").replace("\\\n", "")
    plain, sentinels = re.findall(r"^helm upgrade --install (.*)$", page, re.MULTILINE)
    urls = []
    for given in (plain, sentinels):
        manifests = list(parsed(output_of(tool("helm"), "template", *shlex.split(given))))
        (secret,) = (each for each in manifests if each["kind"] == "Secret")
        urls.append(base64.b64decode(secret["data"]["redis_url"]).decode())
    assert urls == ["redis://redis.example:6379/0", "redis+sentinel://a.example,b.example/mymaster/0"]
    Settings(redis_url=urls[1])


@pytest.mark.parametrize("base", ["https://git.example/blob/main", "https://git.example/blob/main/"])
def test_the_alerts_lead_to_a_runbook_that_can_be_read(base: str) -> None:
    manifests = rendered({**ELSEWHERE, "prometheusRule.enabled": True, "prometheusRule.runbookBase": base})
    (manifest,) = (each for each in manifests if each["kind"] == "PrometheusRule")
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text("utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["annotations"]["runbook_url"] = f"https://git.example/blob/main/{rule['annotations']['runbook_url']}"
    assert manifest["spec"] == rules


def test_the_monitor_finds_the_metrics_of_all(full: list[Manifest]) -> None:
    monitor = named(full)["ServiceMonitor", "updates"]
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    services = [each for each in full if each["kind"] == "Service"]
    (endpoint,) = monitor["spec"]["endpoints"]
    for service in services:
        assert selector <= service["metadata"]["labels"].items()
        assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert {service["spec"]["selector"]["app.kubernetes.io/component"] for service in services} == {"api", "updater"}


def test_the_ingress_leads_to_the_api_and_holds_back_no_event(full: list[Manifest]) -> None:
    ingress, service = named(full)["Ingress", "updates-api"], named(full)["Service", "updates-api"]
    for rule in ingress["spec"]["rules"]:
        (path,) = rule["http"]["paths"]
        assert path["backend"]["service"] == {"name": service["metadata"]["name"], "port": {"name": "http"}}
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ingress["spec"]["tls"][0]["hosts"]
    annotations = ingress["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    # The server says something every 20 seconds.
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > 60
