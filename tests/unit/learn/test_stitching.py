"""Parts of trained models, networks made of them, and what scoring them takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.meter import forward_cost, measure, train_cost
from hetsim.learn.models._stitch import Stitch
from hetsim.learn.numerics import model_hash
from hetsim.learn.ops.candidates import Candidate
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore, Store, decode, encode
from hetsim.spec.options import make, resolved

SHAPE, CLASSES, PHOTO = (1, 8, 8), 10, (3, 32, 32)
ZOO = ("resnet8", "plain_cnn", "separable_cnn", "wide_cnn")
PARTS = (("plain_cnn", (("width", 0.25),), 0, 2), ("resnet8", (), 1, 3))


def untrained(name: str, shape: tuple[int, ...] = SHAPE, classes: int = 7, **options: Any) -> Ref:
    return ops.initial(Architecture.of(name, shape, classes, options), 1)


def positioned(shape: tuple[int, ...] = SHAPE) -> list[tuple[Candidate, ...]]:
    models = [untrained(name, shape) for name in ZOO]
    return list(zip(*[ops.candidates(each, shape, CLASSES) for each in models], strict=True))


@pytest.fixture
def positions() -> list[tuple[Candidate, ...]]:
    return positioned()


@pytest.fixture(scope="module")
def lab(resident: Resident) -> Lab:
    return Lab(Inline(), MemoryStore(), resident)


@pytest.fixture(scope="module")
def shard(resident: Resident) -> Ref:
    return resident.shard(np.arange(60))


def value(lab: Lab, ref: Ref[Any]) -> Any:
    [found] = lab.settle([ref])
    return found


# --- parts of a model -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "positions", "ends"),
    [
        ("resnet8", 4, [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ("plain_cnn", 4, [(0, 2), (2, 4), (4, 6), (6, 8)]),
        ("separable_cnn", 3, [(0, 2), (2, 5), (5, 8)]),
        ("resnet20", 4, [(0, 2), (2, 5), (5, 7), (7, 10)]),
        ("wide_cnn", 1, [(0, 4)]),
    ],
)
def test_a_model_is_cut_into_parts_of_about_as_many_blocks(
    name: str, positions: int, ends: list[tuple[int, int]]
) -> None:
    found = ops.candidates(untrained(name, PHOTO), PHOTO, CLASSES, positions=positions)
    assert [each.part.part for each in found] == ends
    assert [each.ahead and each.ahead.span for each in found] == [
        (0, first) if first else None for first, _ in ends
    ]


def test_too_many_parts_are_refused() -> None:
    """The remedy names models for such samples that can be cut, and the number is in good order."""
    for name, positions, has, remedy in (
        ("resnet8", 5, "4 blocks", "fewer parts, 1 at least; or a deeper model: plain_cnn, res"),
        ("small_cnn", 4, "3 blocks", "deeper model: resnet8, plain_cnn, resnet20, resnet56."),
        ("mlp", 4, "1 block ", "deeper model: resnet8"),
        ("logistic", 1, "0 blocks", "deeper model: resnet8"),
        ("resnet8", 0, "4 blocks", "Choose fewer parts, 1 at least."),
    ):
        with pytest.raises(SpecError, match=f"has {has}.*not enough") as refusal:
            ops.candidates(untrained(name), SHAPE, CLASSES, positions=positions)
        assert remedy in refusal.value.remedy
    signals = untrained("mlp", (1, 64))
    with pytest.raises(SpecError, match="enough for 2 parts") as refusal:
        ops.candidates(signals, (1, 64), CLASSES, positions=2)
    assert refusal.value.remedy.endswith("deeper model: cnn1d.")


def test_a_part_that_knows_colours_sees_grey_pictures_of_another_size(lab: Lab) -> None:
    """What it gives for grey in three equal channels is what it gives for grey."""
    origin = untrained("plain_cnn", PHOTO, 5)
    grey, colour = (ops.candidates(origin, (n, 20, 20), CLASSES)[0] for n in (1, 3))
    x = torch.randn(2, 1, 20, 20, generator=torch.Generator().manual_seed(1))
    given: list[torch.Tensor] = []
    for each, seen in ((grey, x), (colour, x.expand(2, 3, 20, 20))):
        module = each.part.build().eval()
        module.load_state_dict(value(lab, each.weights))
        with torch.no_grad():
            given.append(module(seen))
    assert torch.allclose(given[0], given[1], atol=1e-5)
    [larger] = ops.candidates(untrained("small_cnn"), (1, 12, 12), CLASSES, positions=1)
    with pytest.raises(SpecError, match="pre-trained on") as refusal:
        _ = larger.weights
    assert refusal.value.remedy


# --- the model ------------------------------------------------------------------------------------


def test_its_blocks_are_its_parts_and_a_classifier() -> None:
    whole = Architecture.of("stitched", PHOTO, CLASSES, {"parts": PARTS})
    assert whole.blocks == 3
    front, head = whole.cut(2)
    assert (front.gives, head.gives) == ((32, 16, 16), (CLASSES,))
    assert Architecture.parse(whole.text) == whole
    sheet = measure(whole)
    given, wanted = 16 * 0.25, 16
    stitch = 2 * given * wanted * 32 * 32
    alone = [Architecture.of(n, PHOTO, CLASSES, dict(o)) for n, o, *_ in PARTS]
    parts = [replace(one, part=(a, b)) for one, (*_, a, b) in zip(alone, PARTS, strict=True)]
    forward = sum(measure(part).forward for part in parts)
    assert sheet.forward == forward + stitch + 2 * 32 * CLASSES


def test_its_parts_are_written_as_lists() -> None:
    from hetsim.learn.models.stitched import stitched

    listed = [["plain_cnn", [["width", 0.25]], 0, 2], ["resnet8", [], 1, 3]]
    assert resolved(stitched, {"parts": listed}) == {"parts": listed}
    module = make(stitched, {"parts": listed}, PHOTO, CLASSES)
    assert isinstance(module, torch.nn.Module)
    text = Architecture.of("stitched", PHOTO, CLASSES, {"parts": listed}).text
    assert text == Architecture.of("stitched", PHOTO, CLASSES, {"parts": PARTS}).text


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (("resnet8", (), 1, 2),),
        (("resnet8", (), 0, 5),),
        (("resnet8", (), 0, 2), ("resnet8", (), 0, 3)),
        (("resnet8", (), 0, 2), ("resnet8", (), 3, 3)),
    ],
)
def test_parts_that_make_no_network_are_refused(parts: Any) -> None:
    with pytest.raises(SpecError, match=r"at least one part|ends no later than") as refusal:
        Architecture.of("stitched", SHAPE, CLASSES, {"parts": parts}).build()
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((4, 8, 8), (6, 3, 3)), ((4, 3, 3), (6, 8, 8)), ((4, 8, 2), (6, 3, 5)), ((4, 5, 5), (6,)),
        ((4,), (6, 5, 5)), ((4,), (6,)), ((4, 9), (6, 4)), ((4, 3), (6,)),
    ],
)  # fmt: skip
def test_a_stitch_brings_activations_into_any_shape(
    given: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    stitch = Stitch(given, wanted)
    x = torch.ones(3, *given) * torch.arange(1.0, 5.0).reshape(4, *(1,) * (len(given) - 1))
    out = stitch(x)
    assert out.shape == (3, *wanted)
    expected = torch.relu(
        stitch.layer.weight.reshape(6, 4) @ torch.arange(1.0, 5.0) + stitch.layer.bias
    )
    assert torch.allclose(out.flatten(2).mean(2) if out.dim() > 2 else out, expected, atol=1e-5)
    with pytest.raises(ValueError, match="cannot be made into"):
        Stitch((4, 9), (6, 3, 3))


def test_it_can_be_trained_from_scratch(lab: Lab, shard: Ref) -> None:
    start = ops.initial(Architecture.of("stitched", SHAPE, CLASSES, {"parts": PARTS}), 0)
    update = ops.train(start, shard, epochs=15, batch=20, lr=0.05, momentum=0.9, seed=0)
    before, after = (value(lab, ops.evaluate(each, shard)) for each in (start, update))
    assert after["loss"] < before["loss"] / 2


# --- networks from parts --------------------------------------------------------------------------


def test_a_network_of_the_parts_of_one_model_needs_no_names_but_its_own(
    lab: Lab, positions: Sequence[tuple[Candidate, ...]], shard: Ref
) -> None:
    chosen = [each[1] for each in positions]
    stitches: list[Ref] = []
    for number in (1, 2, 3):
        stitches.append(ops.padded(ops.stitched(chosen[:number], stitches), chosen[number]))
    network = ops.stitched(chosen, stitches)
    x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1))
    module = ops.model_arch(network).build().eval()
    module.load_state_dict(value(lab, network))
    origin = ops.model_arch(chosen[0].model)
    front = origin.cut(origin.blocks - 1)[0].build().eval()
    front.load_state_dict(value(lab, ops.split(chosen[0].model, origin.blocks - 1)[0]))
    with torch.no_grad():
        assert torch.allclose(module(x), front(x), atol=1e-5)
    whole = ops.stitched(chosen, stitches, ops.ridge(ops.head_grams(network, shard)))
    arch = ops.model_arch(whole)
    assert (arch.decides, ops.model_arch(network).decides) == (True, False)
    assert whole.nbytes == measure(arch).state_bytes
    assert value(lab, ops.evaluate(whole, shard))["accuracy"] > 0.5
    with pytest.raises(ValueError, match="4 parts and 2 stitches"):
        ops.stitched(chosen, stitches[:2])


def test_a_padded_stitch_passes_channels_on() -> None:
    first = ops.candidates(untrained("plain_cnn"), SHAPE, CLASSES)[0]
    second = ops.candidates(untrained("wide_cnn"), SHAPE, CLASSES)[1]
    found = ops.compute(ops.padded(ops.stitched([first], []), second), (), None)  # pyright: ignore
    assert found["weight"].shape == (64, 16)
    assert torch.equal(found["weight"][:16], torch.eye(16))
    assert not found["weight"][16:].any()
    assert not found["bias"].any()


def test_a_store_takes_a_network_two_of_whose_maps_are_one(
    resident: Resident, tmp_path: Path
) -> None:
    """Two stitches of the same size that nothing is fitted to."""
    chosen = ops.candidates(untrained("plain_cnn"), SHAPE, CLASSES, positions=8)[:3]
    one = ops.padded(ops.stitched(chosen[:1], []), chosen[1])
    two = ops.padded(ops.stitched(chosen[:2], [one]), chosen[2])
    assert one.key == two.key
    network = ops.stitched(chosen, [one, two])
    lab = Lab(Inline(), Store(tmp_path), resident)
    state = value(lab, network)
    lab.close()
    memory = [tensor.untyped_storage().data_ptr() for tensor in state.values()]
    assert len(set(memory)) == len(memory)
    assert torch.equal(state["stitch1.layer.weight"], state["stitch2.layer.weight"])
    again = decode(encode(state))
    assert all(torch.equal(again[name], tensor) for name, tensor in state.items())


# --- scores ---------------------------------------------------------------------------------------


def test_modes_differ_in_what_they_score(
    lab: Lab, positions: Sequence[tuple[Candidate, ...]], shard: Ref
) -> None:
    prefix = ops.stitched([positions[0][2]], [])
    found = {
        mode: value(lab, ops.scores(prefix, positions[1], shard, mode=mode, beta=0.3, seed=1))
        for mode in ("label", "function", "mix")
    }
    label, function = found["label"]["label"], found["label"]["function"]
    for each in found.values():
        assert (each["label"], each["function"]) == (label, function)
    assert found["label"]["score"] == label
    assert found["function"]["score"] == function
    assert found["mix"]["score"] == [
        0.3 * a + 0.7 * b for a, b in zip(label, function, strict=True)
    ]
    assert function[2] == pytest.approx(1.0, abs=1e-6), "its own next part gets just this"
    assert max(function[:2] + function[3:]) < 0.99


def test_first_parts_are_scored_by_labels_in_every_mode(
    lab: Lab, positions: Sequence[tuple[Candidate, ...]], shard: Ref
) -> None:
    found = [
        value(lab, ops.scores(None, positions[0], shard, mode=mode, seed=1))
        for mode in ("label", "function", "mix")
    ]
    assert found[0] == found[1] == found[2]
    assert found[0]["score"] == found[0]["label"]
    assert (found[0]["prefix"], found[0]["function"]) == (None, [])


def test_scores_are_plain_values_that_repeat_bit_for_bit(
    lab: Lab, positions: Sequence[tuple[Candidate, ...]], shard: Ref, resident: Resident
) -> None:
    prefix = ops.stitched([positions[0][0]], [])
    found = value(lab, ops.scores(prefix, positions[1], shard, probe=30, batch=8, seed=3))
    fresh = positioned()
    again = value(
        Lab(Inline(), MemoryStore(), resident),
        ops.scores(ops.stitched([fresh[0][0]], []), fresh[1], shard, probe=30, batch=8, seed=3),
    )
    assert again == found == json.loads(json.dumps(found)) == decode(encode(found))
    assert found["samples"] == 30
    other = value(lab, ops.scores(prefix, positions[1], shard, probe=30, batch=8, seed=4))
    assert other["score"] != found["score"]
    alike = np.array(found["alike"])
    assert np.array_equal(alike, alike.T)
    assert np.allclose(alike.diagonal(), 1.0)


def test_a_part_is_like_its_own_copy(
    lab: Lab, positions: Sequence[tuple[Candidate, ...]], shard: Ref
) -> None:
    prefix = ops.stitched([positions[0][0]], [])
    twice = [positions[1][1], positions[1][1], positions[1][3]]
    found = value(lab, ops.scores(prefix, twice, shard, seed=1))
    assert found["alike"][0][1] == pytest.approx(1.0, abs=1e-9)
    assert found["alike"][0][2] < 0.95
    assert found["score"][0] == found["score"][1] != found["score"][2]


def test_a_client_of_one_label_scores_zero_and_says_why(
    lab: Lab, positions: Sequence[tuple[Candidate, ...]], resident: Resident
) -> None:
    _, labels = resident.dataset.split("train")
    prefix = ops.stitched([positions[0][0]], [])
    one = resident.shard(np.flatnonzero(labels == 3)[:12])
    for before, position in ((None, 0), (prefix, 1)):
        found = value(lab, ops.scores(before, positions[position], one, seed=1))
        assert found["score"] == [0.0] * 4
        assert found["prefix"] in (None, 0.0)
        assert "same label" in found["reason"]
    two = resident.shard(np.flatnonzero((labels == 3) | (labels == 4))[:40])
    found = value(lab, ops.scores(prefix, positions[1], two, batch=4, seed=1))
    assert found["reason"] == ""
    assert np.isfinite(found["score"]).all()
    assert max(map(abs, found["score"])) > 0.05


@pytest.mark.parametrize(
    "change",
    [
        {"candidates": []}, {"samples": 3}, {"batch": 3}, {"at_once": 0}, {"mode": "labels"},
        {"beta": 1.1}, {"mode": "function", "fit": 0}, {"probe": 3},
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(
    positions: Sequence[tuple[Candidate, ...]], resident: Resident, change: dict[str, Any]
) -> None:
    chosen = change.pop("candidates", positions[1])
    few = resident.shard(np.arange(change.pop("samples", 20)))
    prefix = ops.stitched([positions[0][0]], [])
    with pytest.raises(ValueError, match=r"candidates|mode"):
        ops.scores(prefix, chosen, few, **{"seed": 1, **change})


def test_parts_that_cannot_follow_are_refused(
    positions: Sequence[tuple[Candidate, ...]], shard: Ref
) -> None:
    prefix = ops.stitched([positions[0][0]], [])
    with pytest.raises(SpecError, match="begins after block 0"):
        ops.scores(prefix, positions[0], shard, seed=1)
    with pytest.raises(SpecError, match="begins with block 0"):
        ops.scores(None, positions[1], shard, seed=1)
    with pytest.raises(ValueError, match="needs no stitch"):
        ops.grams(prefix, positions[0][1], shard, seed=1)


# --- what it takes --------------------------------------------------------------------------------


def test_scoring_takes_forward_passes_and_what_comes_with_them(
    positions: Sequence[tuple[Candidate, ...]], resident: Resident
) -> None:
    """Network once a sample and once more to fit; parts before a candidate to fit alone."""
    shard = resident.shard(np.arange(200))
    prefix = ops.stitched([positions[0][0]], [])
    whole = ops.scores(prefix, positions[1], shard, probe=150, batch=50, fit=30, seed=1)
    forward = 180 * measure(ops.model_arch(prefix)).forward
    given = ops.model_arch(prefix).gives
    for each in positions[1]:
        assert each.ahead is not None
        forward += 30 * measure(each.ahead).forward + 150 * measure(each.part).forward
        channels, *places = each.part.takes
        forward += 150 * 2 * given[0] * channels * int(np.prod(places))
    assert forward < whole.cost.flops < 1.3 * forward
    assert (whole.cost.samples, whole.cost.steps) == (180, 4)
    padded = ops.scores(prefix, positions[1], shard, probe=150, batch=50, fit=0, seed=1)
    fewer = ops.scores(prefix, positions[1][:2], shard, probe=150, batch=50, fit=30, seed=1)
    assert padded.cost.flops < whole.cost.flops > fewer.cost.flops
    assert (padded.cost.samples, padded.cost.steps) == (150, 3)
    assert padded.cost.operators < whole.cost.operators > fewer.cost.operators
    assert padded.cost.traffic < whole.cost.traffic > fewer.cost.traffic


def test_memory_is_of_one_part_at_a_time_and_one_batch(resident: Resident) -> None:
    places = positioned(PHOTO)
    shard = Ref.of("shard", samples=300)
    prefix = ops.stitched([places[0][0]], [])
    needs = [
        ops.scores(prefix, places[1], shard, batch=batch, seed=1).cost.memory
        for batch in (4, 8, 16, 32, 64)
    ]
    assert needs == sorted(needs)
    one = ops.scores(prefix, places[1][:1], shard, batch=16, seed=1).cost.memory
    weights = sum(each.weights.nbytes for each in places[1])
    assert one < needs[2] < one + weights + 8e6
    largest = max(forward_cost(each.part, 16, 16).memory for each in places[1])
    assert needs[2] > largest + measure(ops.model_arch(prefix)).state_bytes
    training = train_cost(
        Architecture.of("resnet8", PHOTO, CLASSES), steps=1, batch=32, samples=32, momentum=True
    )
    assert needs[3] < training.memory / 2
    by_few = ops.scores(prefix, places[1], shard, batch=64, at_once=4, seed=1).cost
    by_batch = ops.scores(prefix, places[1], shard, batch=64, seed=1).cost
    assert needs[0] < by_few.memory < needs[0] + 0.5e6 < needs[1]
    assert by_few.flops == by_batch.flops
    assert (by_few.steps, by_batch.steps) == (64 + 16, 4 + 1)


def test_sums_and_maps_weigh_what_they_send(
    positions: Sequence[tuple[Candidate, ...]], resident: Resident
) -> None:
    shards = [resident.shard(np.arange(n, n + 30)) for n in (0, 30, 60)]
    prefix = ops.stitched([positions[0][0]], [])
    sums = [ops.grams(prefix, positions[1][3], each, batch=10, seed=1) for each in shards]
    d, q = 16 + 1, 64
    assert sums[0].nbytes == 8 * (d * d + d * q + 2)
    assert (sums[0].cost.samples, sums[0].cost.steps) == (30, 3)
    ahead = positions[1][3].ahead
    assert ahead is not None
    native, before = measure(ahead), measure(ops.model_arch(prefix))
    rows = 30 * int(np.prod(ahead.gives[1:]))
    assert sums[0].cost.flops == 30 * (native.forward + before.forward) + 2 * rows * (
        d * d + d * q + q
    )
    small = ops.grams(prefix, positions[1][3], shards[0], batch=4, seed=1)
    assert small.cost.memory < sums[0].cost.memory
    total = ops.summed(sums)
    assert total.nbytes == sums[0].nbytes
    assert ops.ridge(total).nbytes == 4 * d * q
    head = ops.head_grams(prefix, shards[0])
    assert head.nbytes == 8 * (17 * 17 + 17 * CLASSES + 2)
    assert head.cost.samples == 30
    assert ops.ridge(head, penalty=None).cost.flops > ops.ridge(head).cost.flops
    with pytest.raises(ValueError, match="sums of sizes"):
        ops.summed([sums[0], head])
    with pytest.raises(ValueError, match="sums of sizes"):
        ops.summed([])
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="penalty"):
            ops.ridge(total, penalty=bad)
    with pytest.raises(ValueError, match="samples 0"):
        ops.head_grams(prefix, resident.shard(np.arange(0)))


def test_nothing_is_computed_to_know_it(positions: Sequence[tuple[Candidate, ...]]) -> None:
    """A whole stitching run by costs alone, and its Refs name its values."""
    lab, shard = CostOnlyLab(), Ref.of("shard", samples=100)
    stitches: list[Ref] = []
    chosen: list[Candidate] = []
    for number, position in enumerate(positions):
        prefix = ops.stitched(chosen, stitches) if number else None
        lab.want(ops.scores(prefix, position, shard, seed=1))
        if prefix is not None:
            stitches.append(ops.ridge(ops.summed([ops.grams(prefix, position[0], shard, seed=1)])))
        chosen.append(position[number])
    one, two = (ops.stitched(chosen, stitches) for _ in range(2))
    assert one.key == two.key
    assert ops.stitched(chosen, [*stitches[:2], ops.padded(one, chosen[3])]).key != one.key


def test_dead_features_give_a_finite_map(lab: Lab) -> None:
    """Columns of zeros alone, and a single row."""
    from hetsim.learn.ops.gram import GramSums
    from hetsim.learn.ops.ridge import solved

    targets = torch.eye(3)[torch.tensor([0, 1, 1, 2])]
    for x, y in ((torch.zeros(4, 5), targets), (torch.ones(1, 5), targets[:1])):
        sums = GramSums()
        sums.add(x, y)
        for penalty in (1e-3, None):
            found = solved(sums.value(), penalty)
            assert found["weight"].isfinite().all()
            given = x @ found["weight"].T + found["bias"]
            assert torch.allclose(given.mean(0), y.mean(0), atol=1e-6)


def test_a_store_keeps_scores_and_a_network_has_one_hash(
    resident: Resident, shard: Ref, tmp_path: Path
) -> None:
    hashes: list[str] = []
    for turn in range(2):
        positions = positioned()
        lab = Lab(Inline(), Store(tmp_path), resident)
        prefix = ops.stitched([positions[0][0]], [])
        value(lab, ops.scores(prefix, positions[1], shard, seed=1))
        assert (lab.executed["scores"], lab.from_store["scores"]) == (1 - turn, turn)
        stitch = ops.ridge(ops.grams(prefix, positions[1][1], shard, seed=1))
        hashes.append(
            model_hash(value(lab, ops.stitched([positions[0][0], positions[1][1]], [stitch])))
        )
        lab.close()
    assert hashes[0] == hashes[1]
