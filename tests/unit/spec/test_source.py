"""What a topology says of a source: what it means, what is refused, what is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hetsim.core.errors import SpecError
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import load as load_data
from hetsim.learn.source import own
from hetsim.spec import load
from hetsim.spec.schema import json_schema, load_topology
from hetsim.spec.world import Scenario, resolve
from hetsim.study.explain import explain_topology
from tests.unit.spec.test_schema import fits

TOPOLOGY = """\
fleet:
  - {profile: board, count: 3, link: {rate: "40 Mbit/s"}}
network: wifi
server: board
task:
  data: digits
  model: {name: mlp, hidden: [32]}
  source: {}
method: fedprox
stop: {rounds: 5}
"""
SOURCE = "  source: {}\n"
TUNE = "method={name: finetune}"


@pytest.fixture
def small(topology: Path) -> Path:
    """A topology that names no source, its profile beside it."""
    path = topology.with_name("with_parts.yaml")
    path.write_text(TOPOLOGY.replace(SOURCE, ""))
    return path


def scenario(path: Path, *overrides: str, data: Path | None = None) -> Scenario:
    return resolve(load_topology(path, overrides=overrides), data)


# --- what is set aside ----------------------------------------------------------------------------


def test_a_method_that_starts_from_parts_brings_the_sets_own_source(small: Path) -> None:
    made = scenario(small, TUNE)
    origin = made.dataset.source
    assert origin is not None
    assert len(origin.y) == 300
    assert made.spec.resolved()["task"]["source"] == {
        "published": False, "epochs": 20, "batch": 32, "lr": 0.05, "momentum": 0.9,
        "weight_decay": 5e-4, "seed": 0,
    }  # fmt: skip
    assert made.hashes["source"] == origin.hash
    assert made.hashes["data"] == scenario(small).hashes["data"]
    assert scenario(small, TUNE, "task.source={}").digest == made.digest


def test_other_methods_have_none_and_their_hash_knows_of_none(small: Path) -> None:
    made = scenario(small)
    assert made.dataset.source is None
    assert "source" not in made.spec.resolved()["task"]
    assert "source" not in made.hashes
    assert made.pretraining is None


def test_a_source_that_is_named_holds_for_every_method(small: Path) -> None:
    """So that methods are compared on one task."""
    for method in (TUNE, "method={name: fedavg}"):
        made = scenario(small, method, "task.source={classes: [5, 6, 7, 8, 9]}")
        assert made.dataset.source is not None
        assert made.architecture.classes == made.dataset.classes == 5
        assert sum(map(len, made.shards)) == len(made.dataset.y) < 700
    share = scenario(small, "task.source.share=20 %").dataset
    assert share.source is not None
    assert (len(share.y), len(share.source.y)) == (960, 240)
    few = scenario(small, "task.source={share: 0.2, samples: 30}").dataset
    assert few.source is not None
    assert (len(few.y), len(few.source.y)) == (960, 30)


def test_another_data_set_has_options_of_its_own(small: Path) -> None:
    other = "task.source.data={name: synthetic, classes: 3, shape: [1, 8, 8], train: 40}"
    made = scenario(small, TUNE, other)
    assert made.dataset.source is not None
    assert (made.dataset.source.classes, len(made.dataset.source.y)) == (3, 40)
    written = made.spec.resolved()["task"]["source"]["data"]
    assert (written["name"], written["noise"]) == ("synthetic", 8.0)
    assert made.pretraining is not None
    assert made.pretraining.architecture(made.architecture).classes == 3


def test_the_hash_covers_source_and_training(small: Path) -> None:
    changes = ("", "share=0.2", "classes=[1, 2]", "samples=10", "epochs=3", "lr=0.1", "seed=1")
    digests = {
        scenario(small, TUNE, *([f"task.source.{change}"] if change else [])).digest
        for change in changes
    }
    assert len(digests) == len(changes)


def test_what_is_written_down_reads_back_the_same(small: Path) -> None:
    for source in (
        "{}", "{classes: [1, 2]}", "{share: 20 %, lr: 1}", "{data: {name: digits, train: 9}}",
        "{published: true}",
    ):  # fmt: skip
        spec = load_topology(small, overrides=[f"task.source={source}"])
        again = small.with_name("spec.yaml")
        again.write_text(load.dump(spec.resolved()))
        assert load_topology(again).resolved() == spec.resolved()
        assert load_topology(again).task.source == spec.task.source or "data" in source


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "key", "what", "remedy"),
    [
        ("{clases: [1]}", "clases", "Did you mean", "Keys here"),
        ("{classes: [1, 2], share: 0.2}", "share", "several sources", "Keep one"),
        ("{share: 0.2, data: synthetic}", "data", "several sources", "Keep one"),
        ("{classes: []}", "classes", "empty", "Fill"),
        ("{classes: 3}", "classes", "expected a list", "[first"),
        ("{classes: [a, b]}", "classes", "whole number", "number"),
        ("{share: 0}", "share", "", "%"),
        ("{data: digts}", "data.name", "Did you mean", ""),
        ("{lr: 0}", "lr", "above 0", "above 0"),
        ("{lr: fast}", "lr", "expected a number", "above 0"),
        ("{momentum: 1}", "momentum", "below 1", "below 1"),
        ("{weight_decay: -1}", "weight_decay", "at least 0", "at least 0"),
        ("{epochs: 0}", "epochs", "not between", "between"),
    ],
)
def test_refuses_what_makes_no_sense(
    small: Path, source: str, key: str, what: str, remedy: str
) -> None:
    with pytest.raises(SpecError) as refusal:
        load_topology(small, overrides=[f"task.source={source}"])
    assert refusal.value.where.startswith("--set task.source")
    assert (refusal.value.key or "").startswith("task.source." + key)
    assert what in refusal.value.what
    assert remedy in refusal.value.remedy


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("{classes: [0, 10]}", "are no classes"), ("{classes: [3]}", "leave 9"),
        ("{share: 0.0001}", "nothing or all"), ("{data: digits}", "one of the task's own"),
    ],
)  # fmt: skip
def test_refuses_what_the_data_cannot_give(small: Path, source: str, what: str) -> None:
    small.write_text(TOPOLOGY.replace(SOURCE, f"  source: {source}\n"))
    with pytest.raises(SpecError, match=what) as refusal:
        scenario(small)
    assert refusal.value.where == f"{small}:8"
    assert refusal.value.key == "task.source"
    assert refusal.value.remedy


def test_a_model_without_features_is_refused_only_if_parts_are_needed(small: Path) -> None:
    logistic = "task.model=logistic"
    with pytest.raises(SpecError, match="single block") as refusal:
        scenario(small, TUNE, logistic)
    assert refusal.value.key == "task.model"
    scenario(small, logistic, "task.source={}")


def test_published_weights_never_start_a_run_on_what_they_know(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CIFAR-10, with whatever method and model; refused before anything is fetched."""
    from hetsim.learn.data import cifar10

    few = load_data("synthetic", (("shape", (3, 32, 32)), ("test", 20), ("train", 40)))
    monkeypatch.setattr(cifar10, "_split", lambda *_: (few.x, few.y))
    text = TOPOLOGY.replace(SOURCE, "  source: {published: true}\n").replace("digits", "cifar10")
    small.write_text(text.replace("{name: mlp, hidden: [32]}", "resnet20"))
    for method in (TUNE, "method={name: fedavg}"):
        with pytest.raises(SpecError, match="trained on CIFAR-10") as refusal:
            scenario(small, method)
        assert refusal.value.where == f"{small}:8"
        assert refusal.value.key == "task.source.published"
        assert "classes:" in refusal.value.remedy


def test_published_weights_start_other_tasks(small: Path, shared: Path) -> None:
    few = "task.data={name: spoken_digits, train: 200, test: 50}"
    change = ("task.source={published: true}", "task.model=resnet20", few, TUNE)
    made = scenario(small, *change, data=shared / "data")
    assert made.dataset.source is None
    assert made.hashes["source"].startswith("12fca82f")
    text = explain_topology(made.spec, shared / "data").text
    assert any("resnet20-12fca82f.th" in line for line in text)
    with pytest.raises(SpecError, match='for model "resnet8"') as refusal:
        scenario(small, *change, "task.model=resnet8", data=shared / "data")
    assert refusal.value.key == "task.source.published"


def test_published_weights_and_a_source_for_those_that_have_none(small: Path, shared: Path) -> None:
    """Each model has what there is for it; the source is set aside as ever."""
    few = "task.data={name: spoken_digits, train: 200, test: 50}"
    change = ("task.source={share: 20 %, published: true, epochs: 1}", few, TUNE)
    made = scenario(small, *change, "task.model=resnet8", data=shared / "data")
    source = made.dataset.source
    assert source is not None
    assert made.hashes["source"] == source.hash
    assert made.weights == {}
    assert made.pretraining is not None
    shape, classes = made.dataset.shape, made.dataset.classes
    known = {
        name: made.pretraining.model(Architecture.of(name, shape, classes))
        for name in ("resnet8", "plain_cnn", "resnet20")
    }
    assert {name: model.op for name, model in known.items()} == {
        "resnet8": "pretrain", "plain_cnn": "pretrain", "resnet20": "published",
    }  # fmt: skip
    assert Architecture.parse(known["plain_cnn"].arg("arch")).shape == source.shape
    for name in known:
        candidates = ops.candidates(known[name], shape, classes)
        assert [each.weights.nbytes > 0 for each in candidates] == [True] * 4
    [line] = [text for text in explain_topology(made.spec, shared / "data").text
              if "pre-trained on" in text]  # fmt: skip
    assert "published weights" in line
    with pytest.raises(SpecError, match="know all classes"):
        made.pretraining.model(Architecture.of("resnet20", shape, classes), [1, 2])


def test_published_weights_alone_are_for_the_models_that_have_them(
    small: Path, shared: Path
) -> None:
    few = "task.data={name: spoken_digits, train: 200, test: 50}"
    change = ("task.source={published: true}", "task.model=resnet20", few, TUNE)
    made = scenario(small, *change, data=shared / "data")
    assert made.pretraining is not None
    with pytest.raises(SpecError, match='for model "plain_cnn"') as refusal:
        made.pretraining.model(Architecture.of("plain_cnn", (1, 32, 32), 10))
    assert "data: NAME" in refusal.value.remedy


def test_a_zoo_of_published_weights_asks_nothing_of_the_model_of_the_task(
    small: Path, shared: Path
) -> None:
    """Their files are part of what is simulated; without a zoo the hash is as it ever was."""
    few = "task.data={name: spoken_digits, train: 200, test: 50}"
    change = ("task.source={published: true}", "task.model=resnet8", few)
    digests: set[str] = set()
    for zoo in (["resnet20"], ["resnet20", "resnet32"]):
        made = scenario(
            small, *change, f"method={{name: fedstitch, zoo: [{', '.join(zoo)}]}}",
            data=shared / "data",
        )  # fmt: skip
        known = {name: digest[:8] for name, digest in made.hashes.items() if "weights" in name}
        files = {"weights resnet20": "12fca82f", "weights resnet32": "d509ac18"}
        assert known == {name: files[name] for name in files if name.split()[1] in zoo}
        assert "source" not in made.hashes
        digests.add(made.digest)
        text = explain_topology(made.spec, shared / "data").text
        assert all(any(f"{name}-" in line for line in text) for name in zoo)
    assert len(digests) == 2
    stitch = "method={name: fedstitch, zoo: [resnet20, plain_cnn]}"
    with pytest.raises(SpecError, match='for model "plain_cnn"') as refusal:
        scenario(small, *change, stitch, data=shared / "data")
    assert refusal.value.key == "task.source.published"
    mixed = "task.source={share: 20 %, published: true, epochs: 1}"
    made = scenario(small, *change, mixed, stitch, data=shared / "data")
    assert {name for name in made.hashes if "profile" not in name} == {
        "data", "source", "weights resnet20",
    }  # fmt: skip


# --- what people and editors see ------------------------------------------------------------------


def test_check_says_what_parts_know(small: Path) -> None:
    [line] = [text for text in explain_topology(load_topology(small, overrides=[TUNE])).text
              if "pre-trained" in text]  # fmt: skip
    assert line == (
        "Parts are pre-trained on 300 digits in 10 classes that the task never sees, in 20 epochs "
        "with seed 0; no device pays for it."
    )
    assert not any("pre-trained" in text for text in explain_topology(small).text)


def test_the_json_schema_knows_the_source(small: Path) -> None:
    schema = json_schema()
    section: dict[str, Any] = schema["$defs"]["Source"]
    assert all(value["description"] for value in section["properties"].values())
    good = load.read(small).data
    for source, right in (
        ({}, True), ({"classes": [1, 2], "lr": 0.5}, True), ({"data": "digits"}, True),
        ({"classes": []}, False), ({"lr": 0}, False), ({"momentum": 1}, False), ({"a": 1}, False),
    ):  # fmt: skip
        document = {**good, "task": {**good["task"], "source": source}}
        assert fits(document, schema, schema) is right, source


def test_provenance_names_both_data_sets(small: Path) -> None:
    hashes = scenario(small, TUNE).provenance()["hashes"]
    digits = load_data("digits", ())
    assert hashes["data"] == digits.hash
    assert hashes["source"] == getattr(own(digits).source, "hash", None)
