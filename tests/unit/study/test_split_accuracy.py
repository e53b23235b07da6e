"""Accuracy of split training: one protocol for all, shared work done once, rows that add up."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.learn.data import cifar10
from hetsim.learn.data.base import load
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve
from hetsim.study.campaign import Variant
from hetsim.study.comparisons import split_accuracy as study
from hetsim.study.comparisons.split_accuracy import ENTRIES, account, device_joules
from hetsim.study.simulate import Settings, simulate
from hetsim.testing.world import tiny

SCALE: dict[str, Any] = {
    "seeds": [0, 1, 2], "clients": 6, "cohort": 2, "samples": 10, "rounds": 3, "every": 2,
    "test": 60, "source": 40, "epochs": 1, "workers": 1,
}  # fmt: skip


def compare(work: Path, **changes: Any) -> dict[str, Any]:
    (work / "data").mkdir()
    settings = {**SCALE, **changes}
    return study.split_accuracy(work, work=work, progress=lambda text: None, **settings)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Variant]:
    """The runs that the comparison asks for first, of which none is played."""
    variants: list[Variant] = []
    score, end = dict.fromkeys(study._SCORED, 1), dict.fromkeys((*study._ENDED, *study._GOAL), 1)

    def campaign(them: list[Variant], *_: Any, **__: Any) -> list[Any]:
        variants.extend([] if variants else them)
        return [{"scores": [{**score, "accuracy": 0.5}], "end": end} for _ in them]

    monkeypatch.setattr(study, "campaign", campaign)
    return variants


# --- what is played -------------------------------------------------------------------------------


def test_all_runs_have_one_task_and_one_training(asked: list[Variant], tmp_path: Path) -> None:
    compare(tmp_path)
    specs = [
        load_topology(each.topology, overrides=each.overrides, seed=each.seed).resolved()
        for each in asked
    ]
    assert len(specs) == 3 * len(ENTRIES)
    assert len({repr(spec["task"]) for spec in specs}) == 1
    assert specs[0]["task"]["source"]["classes"] == [5, 6, 7, 8, 9]
    training = ("epochs", "batch", "lr", "momentum", "weight_decay", "weighting")
    assert {tuple(spec["method"][name] for name in training) for spec in specs} == {
        (1, 10, 0.01, 0.9, 0.0, "uniform")
    }
    assert {spec["method"]["cut"] for spec in specs if "cut" in spec["method"]} == {2}


def test_a_variant_of_ecofed_differs_in_one_thing_from_the_default() -> None:
    usual = {"period": 2, "bits": 8, "pretraining": "device"}
    found = {entry.variant: entry for entry in ENTRIES if entry.method == "ecofed"}
    changed = {
        variant: {name: value for name in usual if (value := getattr(entry, name)) != usual[name]}
        for variant, entry in found.items()
    }
    assert changed == {
        "default": {}, "period 1": {"period": 1}, "period 4": {"period": 4},
        "period 8": {"period": 8}, "32 bits": {"bits": 32},
        "pre-training none": {"pretraining": "none"},
        "pre-training holistic": {"pretraining": "holistic"},
    }  # fmt: skip


def test_one_run_pretrains_for_all_and_dpfl_comes_last(
    asked: list[Variant], tmp_path: Path
) -> None:
    """The second process finds work that needs no parts while the first one makes them."""
    compare(tmp_path)
    known = {f"method={entry.written}": entry for entry in ENTRIES}
    first, *others = (known[each.overrides[-1]] for each in asked)
    assert first.pretraining != "none"
    assert [entry.method for entry in others[-3:]] == ["dpfl"] * 3
    parts = [entry.pretraining != "none" for entry in others[:-3]]
    assert parts == sorted(parts)
    assert parts.count(False) == 3 * 4


def test_rows_are_in_the_order_of_the_entries(asked: list[Variant], tmp_path: Path) -> None:
    rows = compare(tmp_path)["accuracy_end"]
    places = [(entry.method, entry.variant, seed) for entry in ENTRIES for seed in (0, 1, 2)]
    assert [(row["method"], row["variant"], row["seed"]) for row in rows] == places


def test_the_goal_is_what_every_method_reaches() -> None:
    """In whole percent; and a run to the goal ends at its first score there."""
    runs = [
        [{"round": number, "accuracy": accuracy} for number, accuracy in enumerate(scores, 1)]
        for scores in ((0.1, 0.297, 0.28), (0.2, 0.29, 0.6))
    ]
    assert study.goal_of(runs) == 0.29
    assert [study._rounds_to(scores, 0.29) for scores in runs] == [2, 2]


@pytest.mark.slow
def test_no_client_and_no_test_sees_a_photograph_of_the_source(
    asked: list[Variant], tmp_path: Path, shared: Path
) -> None:
    """By the hash of every picture, of CIFAR-10 as it is."""
    compare(tmp_path, source=50_000)
    one = load_topology(asked[0].topology, overrides=asked[0].overrides)
    scenario = resolve(one, shared / "data")
    dataset, origin = scenario.dataset, scenario.dataset.source
    assert origin is not None
    assert len(origin.y) == 25_000
    known = hashes(origin.x)
    assert not known & hashes(dataset.x)
    assert not known & hashes(dataset.test_x)


def hashes(pictures: np.ndarray) -> set[bytes]:
    return {hashlib.sha256(picture.tobytes()).digest() for picture in pictures}


# --- what comes of it -----------------------------------------------------------------------------


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise with classes, in place of the photographs."""
    made = load(
        "synthetic",
        (("classes", 10), ("dtype", "uint8"), ("shape", (3, 32, 32)), ("test", 60), ("train", 200)),
    )
    splits = {"train": (made.x, made.y), "test": (made.test_x, made.test_y)}
    monkeypatch.setattr(cifar10, "_split", lambda place, name, limit: splits[name])


@pytest.mark.usefixtures("pictures")
def test_runs_share_what_they_have_in_common(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = ("fedavg", "dpfl", "finetune")
    some = [entry for entry in ENTRIES if entry.method in chosen or entry.variant == "32 bits"]
    monkeypatch.setattr(study, "ENTRIES", some)
    pretrained: list[str] = []
    module = import_module("hetsim.learn.ops.pretrain")
    phases = module.trainings
    monkeypatch.setattr(
        module,
        "trainings",
        lambda ref, samples: pretrained.append(ref.key) or phases(ref, samples),
    )
    tables = compare(tmp_path, seeds=[0])
    assert len(pretrained) == 1

    rows = tables["accuracy"]
    assert list(rows[0]) == [
        "method", "variant", "period", "bits", "pretraining", "seed", "round", "accuracy", "t_s",
        "device_j", "energy_j", "bytes",
    ]  # fmt: skip
    assert [row["round"] for row in rows] == [2, 3] * 4
    scores = {name: [row["accuracy"] for row in rows if row["method"] == name] for name in chosen}
    assert scores["dpfl"] == scores["fedavg"] != scores["finetune"]
    for early, late in zip(rows[::2], rows[1::2], strict=True):
        assert 0.0 < early["t_s"] < late["t_s"]
        assert 0.0 < early["bytes"] <= late["bytes"]
        assert 0.0 < early["device_j"] < early["energy_j"]
    for row, end in zip(rows[1::2], tables["accuracy_end"], strict=True):
        assert (row["accuracy"], row["t_s"]) == (end["final"], end["simulated_s"])
        assert row["device_j"] == pytest.approx(end["device_j"], rel=1e-9)
        assert end["best"] >= end["final"]

    reached = tables["accuracy_goal"]
    assert [row["method"] for row in reached] == ["fedavg", "dpfl", "finetune"]
    for row in reached:
        curve = [each for each in rows if each["method"] == row["method"]]
        first = next(each for each in curve if each["accuracy"] >= row["goal"])
        assert (row["rounds"], row["simulated_s"]) == (first["round"], first["t_s"])
        assert row["device_active_j"] < row["device_participant_j"] <= row["device_j"]
        assert row["device_j"] == pytest.approx(first["device_j"], rel=1e-9)
        assert row["active_j"] < row["participant_j"] <= row["energy_j"]
        assert row["bytes"] == first["bytes"]


def test_joules_by_a_time_are_the_area_under_the_power_till_then() -> None:
    """Of boards, a phone with a battery and a Jetson; the ledger books segment by segment."""
    trace = simulate(tiny("stop.rounds=3"), Settings(), None).trace
    end = trace.summary["simulated_s"]
    times = [0.0, *np.linspace(0.0, end, 7).tolist(), end]
    drawn = list(device_joules(trace, times))
    assert drawn[:2] == [0.0, 0.0]
    assert drawn == sorted(drawn)
    booked = trace.summary["energy_by_role_j"]["device"] - trace.summary["energy_j"]["loss"]
    assert drawn[-1] == drawn[-2] == pytest.approx(booked, rel=1e-9)


def test_an_account_is_told_at_the_scored_rounds_alone() -> None:
    trace = simulate(tiny("stop.rounds=5", "report.evaluate_every=2"), Settings(), None).trace
    told = account(trace)
    assert [row["round"] for row in told["scores"]] == [2, 4, 5]
    last, summary = told["scores"][-1], trace.summary
    assert last["accuracy"] == told["end"]["final"] == summary["accuracy"]
    assert last["bytes"] == summary["bytes_up"] + summary["bytes_down"]
    assert last["energy_j"] == pytest.approx(summary["energy_j"]["total"], rel=1e-9)
