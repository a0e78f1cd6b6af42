"""The plain manifests are what the chart makes by default."""

import yaml

from tests.deploy.chart import Manifest, named, pods
from tests.deploy.manifests import FOLDER, plain


def test_they_are_what_the_chart_makes(default_text: str) -> None:
    made = plain(default_text)
    kept = {name: (FOLDER / name).read_text("utf-8") for name in made}
    assert kept == made, "run `make manifests`"


def test_the_folder_holds_nothing_that_is_not_used(default_text: str) -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    assert sorted(kustomization["resources"]) == sorted(plain(default_text))
    assert {path.name for path in FOLDER.iterdir()} == {*plain(default_text), "kustomization.yaml", "config.yaml"}


def test_the_settings_are_the_charts_too(default: list[Manifest], kustomized: list[Manifest]) -> None:
    for kind in ("ConfigMap", "Secret"):
        (of_chart,) = (each["data"] for each in default if each["kind"] == kind)
        (plain_one,) = (each for each in kustomized if each["kind"] == kind)
        assert {key: yaml.safe_load(text) for key, text in plain_one["data"].items()} == {
            key: yaml.safe_load(text) for key, text in of_chart.items()
        }
        for pod in pods(kustomized).values():
            assert plain_one["metadata"]["name"] in str(pod["spec"]["volumes"])


def test_the_same_resources_run_the_same_image(default: list[Manifest], kustomized: list[Manifest]) -> None:
    generated = {"ConfigMap", "Secret"}
    assert {each for each in named(kustomized) if each[0] not in generated} == {
        each for each in named(default) if each[0] not in generated
    }
    for component, pod in pods(default).items():
        images = [container["image"] for container in pod["spec"]["containers"]]
        assert images == [container["image"] for container in pods(kustomized)[component]["spec"]["containers"]]


def test_they_name_no_namespace(kustomized: list[Manifest]) -> None:
    assert not any("namespace" in each["metadata"] for each in kustomized)
