"""Pre-training, taking layers over, and published weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.learn import ops, published, source
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import Dataset
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore, Store

TRAINING: dict[str, Any] = {"epochs": 20, "batch": 32, "lr": 0.05, "momentum": 0.9,
                            "weight_decay": 5e-4, "seed": 0}  # fmt: skip
"""The defaults of `task.source`."""
GREY, COLOUR = (1, 8, 8), (3, 8, 8)


@pytest.fixture(scope="module")
def bench(digits: Dataset) -> Resident:
    """The digits with their own source apart."""
    return Resident(source.own(digits))


@pytest.fixture
def lab(bench: Resident) -> Iterator[Lab]:
    lab = Lab(Inline(), MemoryStore(), bench)
    yield lab
    lab.close()


def value(lab: Lab, ref: Any) -> Any:
    [result] = lab.settle([ref])
    return result


# --- pre-training ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlp", "small_cnn"])
def test_the_defaults_make_a_model_that_reads_digits(lab: Lab, bench: Resident, name: str) -> None:
    start = ops.initial(Architecture.of(name, GREY, 10), 1)
    model = ops.pretrain(start, bench.whole("source"), **TRAINING)
    score = value(lab, ops.evaluate(model, bench.whole("test")))
    assert score["accuracy"] > 0.88
    assert lab.executed == {"initial": 1, "pretrain": 1, "evaluate": 1}


@pytest.mark.parametrize("name", ["mlp", "small_cnn"])
def test_it_is_training_in_phases(lab: Lab, bench: Resident, name: str) -> None:
    """Bit for bit: stacked perceptrons and ordinary networks alike."""
    start = ops.initial(Architecture.of(name, GREY, 10), 1)
    shard = bench.shard(np.arange(60), "source")
    settings = {**TRAINING, "epochs": 5}
    model = ops.pretrain(start, shard, **settings)
    parts = ops.trainings(model, 60)
    assert [part.arg("steps") for part in parts] == [4, 4, 2]
    assert [part.arg("lr") for part in parts] == pytest.approx([0.05, 0.005, 0.0005])
    assert len({part.arg("seed") for part in parts}) == 3
    by_hand = start
    for part in parts:
        given = {key: part.arg(key) for key in ("batch", "lr", "momentum", "weight_decay", "seed")}
        by_hand = ops.train(by_hand, shard, steps=part.arg("steps"), **given)
    assert model_hash(value(lab, model)) == model_hash(value(lab, by_hand))
    assert model.cost.flops == pytest.approx(sum(part.cost.flops for part in parts))
    assert model.cost.memory == parts[0].cost.memory
    assert model.nbytes == start.nbytes


def test_recipes_differ_in_what_matters(bench: Resident) -> None:
    start = ops.initial(Architecture.of("mlp", GREY, 10), 1)
    shard = bench.whole("source")
    keys = {
        ops.pretrain(start, shard, **{**TRAINING, **change}).key
        for change in (
            {}, {"epochs": 21}, {"batch": 31}, {"lr": 0.06}, {"momentum": 0.8},
            {"weight_decay": 0.0}, {"seed": 1},
        )
    }  # fmt: skip
    assert len(keys) == 7
    assert ops.pretrain(start, shard, **TRAINING).key in keys
    for bad in ({"epochs": 0}, {"batch": 0}):
        with pytest.raises(ValueError, match=r"epochs|batch"):
            ops.pretrain(start, shard, **{**TRAINING, **bad})


def test_a_store_keeps_it(bench: Resident, tmp_path: Path) -> None:
    """It is looked up even where it is only needed for something else."""
    architecture = Architecture.of("mlp", GREY, 10)
    counts: list[dict[str, int]] = []
    for seed in (1, 2):
        lab = Lab(Inline(), Store(tmp_path), bench)
        model = ops.pretrain(ops.initial(architecture, 9), bench.whole("source"), **TRAINING)
        value(lab, ops.transfer(ops.initial(architecture, seed), model))
        counts.append(dict(lab.executed + lab.from_store))
        assert lab.executed["pretrain"] == (seed == 1)
        assert lab.from_store["pretrain"] == (seed == 2)
        lab.close()
    assert counts[0]["pretrain"] == counts[1]["pretrain"] == 1


# --- taking layers over ---------------------------------------------------------------------------


def taken(lab: Lab, into: Architecture, origin: Architecture, **options: Any) -> tuple[State, ...]:
    """The model made, what it starts from, what it takes layers of."""
    model, other = ops.initial(into, 1), ops.initial(origin, 2)
    [made, start, theirs] = lab.settle([ops.transfer(model, other, **options), model, other])
    return made, start, theirs


def test_all_but_the_classifier_is_taken_over(lab: Lab) -> None:
    into, origin = (Architecture.of("small_cnn", GREY, classes) for classes in (10, 3))
    made, start, theirs = taken(lab, into, origin)
    assert list(made) == list(start)
    for name, tensor in made.items():
        assert torch.equal(tensor, (start if name.startswith("fc2") else theirs)[name]), name


def test_the_first_blocks_alone_are_taken_over(lab: Lab) -> None:
    """With the running statistics of their normalisation."""
    architecture = Architecture.of("resnet8", GREY, 10)
    made, start, theirs = taken(lab, architecture, architecture, blocks=2)
    for name, tensor in made.items():
        mine = not name.startswith(("conv1", "bn1", "layer1"))
        assert torch.equal(tensor, (start if mine else theirs)[name]), name
    assert "layer1.0.bn1.running_mean" in made


def test_a_grey_picture_is_one_in_equal_channels(lab: Lab) -> None:
    """What a colour network sees of a grey picture, a grey one that took it over sees too."""
    grey, colour = (Architecture.of("resnet8", shape, 10) for shape in (GREY, COLOUR))
    chance = torch.Generator().manual_seed(3)
    pictures = torch.rand(5, 1, 8, 8, generator=chance)
    for into, origin, mine, theirs in (
        (grey, colour, pictures, pictures.expand(-1, 3, -1, -1)),
        (colour, grey, pictures.expand(-1, 3, -1, -1), pictures),
    ):
        made, _, other = taken(lab, into, origin)
        assert (made["conv1.weight"] - other["conv1.weight"].mean(1, keepdim=True)).abs().sum() > 0
        logits: list[torch.Tensor] = []
        for architecture, state, x in ((into, made, mine), (origin, other, theirs)):
            module = architecture.build().eval()
            module.load_state_dict({**state, "linear.weight": made["linear.weight"],
                                    "linear.bias": made["linear.bias"]})  # fmt: skip
            with torch.no_grad():
                logits.append(module(x))
        assert torch.allclose(logits[0], logits[1], atol=1e-5)


def test_pictures_of_another_size_suit_a_network_that_takes_any() -> None:
    large, small = Architecture.of("resnet8", (3, 32, 32), 10), Architecture.of("resnet8", GREY, 4)
    assert ops.transferred(small, large).text == '["resnet8",{},[1,8,8],4,[0,4]]'
    with pytest.raises(SpecError, match="fc1") as refusal:
        ops.transferred(
            Architecture.of("small_cnn", GREY, 4), Architecture.of("small_cnn", (1, 28, 28), 4)
        )
    assert "resnet8" in refusal.value.remedy


@pytest.mark.parametrize(
    ("name", "blocks", "what"),
    [("logistic", None, "single block"), ("logistic", 1, "1 blocks"),
     ("mlp", 2, "2 blocks"), ("mlp", 0, "2 blocks")],
)  # fmt: skip
def test_no_part_to_take_over_is_refused(name: str, blocks: int | None, what: str) -> None:
    architecture = Architecture.of(name, GREY, 10)
    with pytest.raises(SpecError, match=what) as refusal:
        ops.transferred(architecture, architecture, blocks)
    assert refusal.value.remedy


# --- published weights ----------------------------------------------------------------------------


def test_published_weights_are_those_of_the_file(data_folder: Path, bench: Resident) -> None:
    weights = published.published("resnet20", data_folder)
    lab = Lab(Inline(), MemoryStore(), bench)
    model = ops.published(weights, bench)
    state = value(lab, model)
    raw = torch.load(weights.path, map_location="cpu", weights_only=True)["state_dict"]
    counters = {name for name in state if name.endswith("num_batches_tracked")}
    known = {name: tensor for name, tensor in state.items() if name not in counters}
    assert model_hash(known) == model_hash({k.removeprefix("module."): v for k, v in raw.items()})
    assert len(counters) == 19
    assert set(state) == set(weights.architecture.build().state_dict())
    into = ops.initial(Architecture.of("resnet20", GREY, 10), 1)
    made = value(lab, ops.transfer(into, model))
    assert torch.equal(made["layer3.2.conv2.weight"], state["layer3.2.conv2.weight"])
    assert torch.equal(made["conv1.weight"], state["conv1.weight"].sum(1, keepdim=True))
    assert torch.equal(made["linear.weight"], value(lab, into)["linear.weight"])
    lab.close()


def test_every_published_file_has_its_checksum(data_folder: Path) -> None:
    for name in ("resnet20", "resnet32", "resnet44", "resnet56"):
        weights = published.published(name, data_folder)
        raw = weights.path.read_bytes()
        assert hashlib.sha256(raw).hexdigest() == weights.sha256
        assert weights.sha256[:8] in weights.path.name
        assert ops.transferred(weights.architecture, weights.architecture).decides is False


def test_other_models_have_no_published_weights(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match='model "mlp"') as refusal:
        published.published("mlp", tmp_path)
    assert "resnet20" in refusal.value.remedy


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "pretrained" / "resnet20-12fca82f.th").write_bytes(b"something else")
    with pytest.raises(SpecError, match="not the published file"):
        published.published("resnet20", tmp_path)
