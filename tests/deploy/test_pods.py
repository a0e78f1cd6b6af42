"""What Kubernetes is told of the pods: what they may do, whom they may reach, and how they come and go."""

from typing import Any

import pytest

from tests.deploy.chart import ELSEWHERE, Manifest, named, pods, rendered
from tests.deploy.image import environment

_KINDS = pytest.mark.parametrize("given", ["default", "full", "kustomized"])


@pytest.fixture
def manifests(request: pytest.FixtureRequest, given: str) -> list[Manifest]:
    found: list[Manifest] = request.getfixturevalue(given)
    assert set(pods(found)) == {"api", "updater"}
    return found


@_KINDS
def test_no_container_may_do_more_than_it_needs(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec)
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
            }
            assert {"requests", "limits"} <= set(container["resources"])
            assert all(mount["readOnly"] for mount in container["volumeMounts"])


@_KINDS
def test_the_settings_are_where_the_image_looks_for_them(manifests: list[Manifest]) -> None:
    of_image = environment()
    for pod in pods(manifests).values():
        (container,) = pod["spec"]["containers"]
        places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert places["config"] == of_image["KV_UPDATER_CONFIG"]
        assert places["secret"] == of_image["KV_UPDATER_SECRETS_DIR"]


@_KINDS
def test_probes_ask_the_port_that_is_served(manifests: list[Manifest]) -> None:
    for component, pod in pods(manifests).items():
        (container,) = pod["spec"]["containers"]
        assert container["args"] == [{"api": "serve", "updater": "run"}[component]]
        assert [port["name"] for port in container["ports"]] == ["http"]
        paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        assert {probe["port"] for probe in paths.values()} == {"http"}
        assert {name: probe["path"] for name, probe in paths.items()} == {
            "startup": "/livez",
            "liveness": "/livez",
            "readiness": "/readyz",
        }


@_KINDS
def test_one_comes_before_another_goes_and_they_are_spread(manifests: list[Manifest]) -> None:
    for (kind, _), manifest in named(manifests).items():
        if kind == "Deployment":
            assert manifest["spec"]["replicas"] >= 2
            assert manifest["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
            spread = manifest["spec"]["template"]["spec"]["topologySpreadConstraints"]
            assert len({each["topologyKey"] for each in spread}) == 2
            labels = manifest["spec"]["template"]["metadata"]["labels"].items()
            for each in spread:
                assert manifest["spec"]["selector"]["matchLabels"].items() <= labels
                assert each["labelSelector"]["matchLabels"] == manifest["spec"]["selector"]["matchLabels"]
        if kind == "PodDisruptionBudget":
            assert manifest["spec"]["maxUnavailable"] == 1
    budgets = {
        each["metadata"]["name"]: each["spec"]["selector"]["matchLabels"]
        for each in manifests
        if each["kind"] == "PodDisruptionBudget"
    }
    assert budgets == {
        each["metadata"]["name"]: each["spec"]["selector"]["matchLabels"]
        for each in manifests
        if each["kind"] == "Deployment"
    }


def _ports(rules: list[dict[str, Any]]) -> set[tuple[object, str]]:
    return {(port["port"], port["protocol"]) for rule in rules for port in rule["ports"]}


@pytest.mark.parametrize(
    ("given", "named"), [("default", {6379}), ("full", {6379, 26379, 4318}), ("kustomized", {6379})]
)
def test_nothing_is_reached_but_names_and_what_is_named_and_nothing_lets_in_but_http(
    manifests: list[Manifest], named: set[int]
) -> None:
    (policy,) = (each["spec"] for each in manifests if each["kind"] == "NetworkPolicy")
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert _ports(policy["ingress"]) == {("http", "TCP")}
    assert _ports(policy["egress"]) == {(53, "UDP"), (53, "TCP"), *((port, "TCP") for port in named)}
    for pod in pods(manifests).values():
        assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_names_are_asked_for_at_the_ports_that_are_given() -> None:
    manifests = rendered({**ELSEWHERE, "networkPolicy.dnsPorts": [53, 5353]})
    (rule, _) = named(manifests)["NetworkPolicy", "kv-updater"]["spec"]["egress"]
    assert _ports([rule]) == {(port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")}


def test_with_peers_given_nobody_else_is_reached_or_let_in(full: list[Manifest]) -> None:
    spec = named(full)["NetworkPolicy", "updates"]["spec"]
    assert all(rule["from"] for rule in spec["ingress"])
    assert all(rule["to"] for rule in spec["egress"])


def test_the_user_can_be_left_to_the_cluster() -> None:
    for pod in pods(rendered({**ELSEWHERE, "pod.runAsUser": None})).values():
        assert set(pod["spec"]["securityContext"]) == {"runAsNonRoot", "seccompProfile"}
