"""Stitching beside training: one protocol for all, room by what boards have, rows that add up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.trace import Trace
from hetsim.sim.governors._pacing import Settings as Points
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve
from hetsim.study.campaign import Variant
from hetsim.study.comparisons import _stitch_lab as lab
from hetsim.study.comparisons import (
    stitch_deadlines,
    stitch_memory,
    stitch_published,
    stitching,
)
from hetsim.study.pacing import pace
from hetsim.study.simulate import Settings, simulate

SCALE: dict[str, Any] = {
    "alphas": [0.1, 0.5], "seeds": [0, 1], "voting": {"alphas": [100.0], "seeds": [0, 1, 2]},
    "apart": {"alphas": [0.5], "seeds": [0]},
    "longer": {"alphas": [0.5], "seeds": [0], "rounds": 9},
    "samples": 20, "rounds": 6, "every": 2, "cohort": 4, "test": 60, "source": 40, "epochs": 1,
    "workers": 1,
}  # fmt: skip
SPENT = dict.fromkeys((*stitching._SPENT, "final", "best"), 1.0)


def compare(work: Path, **changes: Any) -> dict[str, Any]:
    settings = {**SCALE, **changes}
    return stitching.stitching(work, work=work, progress=lambda text: None, **settings)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[Variant]]:
    """The runs that the comparison asks for, of which none is played; accuracy rises by round."""
    campaigns: list[list[Variant]] = []

    def campaign(them: Sequence[Variant], *_: Any, **__: Any) -> list[Any]:
        campaigns.append(list(them))
        return [{"scores": scores(each), "end": {**SPENT, "rounds": count(each)}} for each in them]

    monkeypatch.setattr(stitching, "campaign", campaign)
    return campaigns


def spec(variant: Variant) -> dict[str, Any]:
    return load_topology(
        variant.topology, overrides=variant.overrides, seed=variant.seed
    ).resolved()


def count(variant: Variant) -> int:
    return spec(variant)["stop"]["rounds"]


def scores(variant: Variant) -> list[dict[str, Any]]:
    """FedStitch has 0.2, 0.4, 0.6, 0.5; the others 0.1, 0.3, 0.5 every other round."""
    found = (
        dict(enumerate((0.2, 0.4, 0.6, 0.5), 1)) if spec(variant)["method"]["name"] == "fedstitch"
        else {2: 0.1, 4: 0.3, 6: 0.5} | ({8: 0.7} if count(variant) > 8 else {})
    )  # fmt: skip
    row = dict.fromkeys(stitching._SCORED, 1.0)
    return [{**row, "round": number, "accuracy": each} for number, each in found.items()]


# --- room -----------------------------------------------------------------------------------------


def test_who_can_train_is_who_could_train_the_reference() -> None:
    rows = list(lab.budgets())
    assert all(row["trains"] == row["trains_reference"] for row in rows)
    fitting = {
        memory: sum(row["boards"] for row in rows if row["memory"] == memory and row["trains"])
        for memory in lab.SHARES
    }
    assert fitting == {"tight": 5, "loose": 10}
    assert sum(board.count for board in lab.boards()) == 20


def test_networks_of_the_zoo_take_as_much_as_what_is_trained() -> None:
    rows = list(lab.networks())
    assert [row["model"] for row in rows] == [*lab.ZOO, lab.TRAINED]
    assert all(0.75 <= row["relative"] <= 1.25 for row in rows[:-1])
    assert all(row["forward_b"] < row["train_b"] for row in rows)
    narrow, least = rows[-1], min(board.budget("tight") for board in lab.boards())
    assert narrow["train_b"] <= least < lab.need(width=narrow["width"] + 1 / 16)


# --- what is played -------------------------------------------------------------------------------


@pytest.mark.usefixtures("asked")
def test_all_baselines_have_one_task_and_one_training(
    asked: list[list[Variant]], tmp_path: Path
) -> None:
    compare(tmp_path)
    specs = [spec(each) for each in asked[0]]
    assert len(specs) == len({repr(each) for each in specs})
    assert {tuple(each["task"]["source"]["classes"]) for each in specs} == {(5, 6, 7, 8, 9)}
    trained = [each for each in specs if each["method"]["name"] != "fedstitch"]
    assert {each["task"]["model"]["name"] for each in trained} == {lab.TRAINED}
    settings = ("epochs", "batch", "lr", "momentum", "weight_decay")
    assert {tuple(each["method"][name] for name in settings) for each in trained} == {
        (1, 32, 0.05, 0.9, 0.0)
    }
    assert {each["governor"]["name"] for each in trained} == {"performance"}
    assert {count(each) for each in asked[0]} == {6, 4, 1}


def test_an_ablation_differs_in_one_thing(asked: list[list[Variant]], tmp_path: Path) -> None:
    compare(
        tmp_path, alphas=[0.5], seeds=[0], voting={"alphas": [], "seeds": []},
    )  # fmt: skip
    stitched = [each for each in map(spec, asked[0]) if each["method"]["name"] == "fedstitch"]
    default, *others = [each for each in stitched if each["fleet"] == stitched[0]["fleet"]]
    assert default["governor"]["name"] == "deadline_feedback"
    changes = [
        {
            **{key: each[key]["name"] for key in ("governor",) if each[key] != default[key]},
            **{
                key: value for key, value in each["method"].items()
                if value != default["method"][key]
            },
        }
        for each in others
    ]  # fmt: skip
    assert changes == [
        {"governor": "performance"}, {"weights": "uniform"}, {"prune": False},
        *({"zoo": [model]} for model in lab.ZOO), {"positions": 1}, {"score": "function"},
        {"stitch": "pad"}, {"pool": "free"},
    ]  # fmt: skip
    assert [count(each) for each in asked[0]].count(1) == 1


def test_one_run_pretrains_while_others_need_nothing(
    asked: list[list[Variant]], tmp_path: Path
) -> None:
    compare(tmp_path)
    methods = [spec(each)["method"]["name"] for each in asked[0]]
    assert methods[0] == "fedstitch"
    needs = [name in ("fedstitch", "finetune") for name in methods[1:]]
    assert needs == sorted(needs)


def test_pairs_end_where_both_have_the_lower_of_their_best(
    asked: list[list[Variant]], tmp_path: Path
) -> None:
    tables = compare(tmp_path)
    rows = tables["goals"]
    assert {row["goal"] for row in rows} == {0.5}
    assert {(row["stitched_rounds"], row["other_rounds"], row["whole_rounds"]) for row in rows} == {
        (3, 6, 4)
    }
    places = [(row["method"], row["memory"]) for row in rows]
    assert len(places) == 2 * 2 * (7 * 2 + 2)  # alphas, seeds, baselines at both clocks, loose ones
    assert ("memory-blind", "blind") in places
    assert ("memory-blind", "loose") not in places
    voted = [row for row in tables["ends"] if row["alpha"] == 100.0]
    assert {(row["variant"], row["seed"]) for row in voted} == {
        (variant, seed) for variant in ("default", "uniform votes") for seed in (0, 1, 2)
    }
    assert {row["alpha"] for row in rows} == {0.1, 0.5}


def test_two_baselines_are_played_longer(asked: list[list[Variant]], tmp_path: Path) -> None:
    rows = compare(tmp_path)["longer"]
    assert [count(each) for each in asked[-1]] == [9, 9]
    places = [(row["method"], row["memory"], row["alpha"], row["seed"]) for row in rows]
    assert places == [("memory-blind", "blind", 0.5, 0), ("exclusive", "tight", 0.5, 0)]
    for row in rows:
        assert (row["usual_rounds"], row["usual_best"], row["usual_at"]) == (6, 0.5, 6)
        assert (row["longer_rounds"], row["longer_best"], row["longer_at"]) == (9, 0.7, 8)


# --- a run ----------------------------------------------------------------------------------------


def played(*overrides: str, topology: str = lab.TOPOLOGY) -> Trace:
    spec = load_topology(topology, overrides=(*overrides, "cost_only=true"))
    return simulate(resolve(spec), Settings(no_store=True), None).trace


def test_an_account_adds_up_and_names_what_was_stitched() -> None:
    trace = played(
        lab.made_up(lab.TRAINED, lab.CLASSES, 400),
        *lab.room("tight", 20),
        "selection={name: random, cohort: 4}",
        f"method={lab.fixed_outcome(lab.ZOO, 'wide_cnn')}",
    )
    end = stitching.account(trace)["end"]
    kinds = sum(end[f"device_{kind}"] for kind in stitching._KINDS)
    assert kinds == pytest.approx(end["device_j"], rel=1e-9)
    assert end["stitched"] == "wide_cnn/1, wide_cnn/2, wide_cnn/3, wide_cnn/4"
    assert 0.75 < end["relative"] < 1.25
    assert end["stitched_macs"] == end["relative"] * lab.multiplications(lab.TRAINED)
    assert end["scored"] == len(lab.ZOO) * lab.POSITIONS
    assert 0.75 * 20 * end["pool_b"] < end["bytes_down"] < 1.25 * 20 * end["pool_b"]
    assert end["excluded"] == 0
    assert end["in_time"] <= end["asked"]


def test_a_pool_is_as_large_as_its_networks() -> None:
    def pool(*zoo: str) -> float:
        trace = played(
            lab.made_up(lab.TRAINED, lab.CLASSES, 400), *lab.room("tight", 20),
            "selection={name: random, cohort: 4}", f"method={lab.fixed_outcome(zoo, zoo[0])}",
        )  # fmt: skip
        return stitching.account(trace)["end"]["pool_b"]

    assert pool(lab.TRAINED, "wide_cnn") == pool(lab.TRAINED) + pool("wide_cnn")


def test_training_has_no_stitched_network() -> None:
    trace = played(
        lab.made_up(lab.TRAINED, lab.CLASSES, 800), *lab.room("tight", 40),
        "selection={name: random, cohort: 4}", f"method={{name: fedavg, {lab.SGD}}}",
        "stop.rounds=1",
    )  # fmt: skip
    end = stitching.account(trace)["end"]
    assert (end["stitched"], end["scored"], end["pool_b"]) == (None, None, None)
    assert end["excluded"] == 15


# --- memory and totals ----------------------------------------------------------------------------


def test_peaks_are_those_of_the_networks(tmp_path: Path) -> None:
    tables = stitch_memory.stitch_memory(
        tmp_path, work=tmp_path, progress=lambda text: None, models=[lab.TRAINED], batches=[32],
        networks=[], rounds=1, workers=1,
    )  # fmt: skip
    peaks = {row["way"]: row["peak_b"] for row in tables["memory"]}
    assert peaks["full training"] == lab.need()
    assert peaks["HeteroFL, 1/2 wide"] == lab.need(width=0.5)
    assert peaks["DepthFL, 1 exit"] < peaks["DepthFL, 2 exits"] < peaks["DepthFL, 4 exits"]
    assert peaks["FedStitch"] < peaks["full training"]
    assert tables["totals"] == []


def test_totals_count_operations(tmp_path: Path) -> None:
    tables = stitch_memory.stitch_memory(
        tmp_path, work=tmp_path, progress=lambda text: None, models=[], batches=[],
        networks=["small"], rounds=1, workers=1,
    )  # fmt: skip
    ours, anew, other = tables["totals"]
    assert [row["method"] for row in tables["totals"]] == [
        "FedStitch", "FedStitch, pool sent anew", "FedAvg",
    ]  # fmt: skip
    assert anew["bytes_up"] == pytest.approx(ours["bytes_up"], rel=1e-3)  # others may be late
    for column in ("bytes_down", "simulated_s", "device_j"):
        assert anew[column] > ours[column]
    whole = lab.price.training(
        lab.TRAINED, lab.SHAPE, lab.CLASSES, samples=2500, batch=32, steps=80
    )
    assert other["flops"] == pytest.approx(whole.flops, rel=1e-9)
    assert ours["bytes_up"] < other["bytes_up"]


# --- deadlines ------------------------------------------------------------------------------------


def test_clocks_that_follow_a_deadline_draw_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stitch_deadlines, "sweep_files", lambda measured, names: [])
    tables = stitch_deadlines.stitch_deadlines(
        tmp_path, work=tmp_path, progress=lambda text: None,
        governors=["performance", "deadline_feedback"], factors=[2.0], seeds=[0], sweeps=[],
        workers=1,
    )  # fmt: skip
    fast, paced = tables["deadlines"]
    assert paced["device_active_j"] < fast["device_active_j"]
    assert paced["simulated_s"] > fast["simulated_s"]
    assert paced["asked"] == fast["asked"] > 0


def test_a_plan_is_kept_whatever_comes() -> None:
    """It is in time if the belief is true, and late by as much as the device is slower."""
    belief = Points(clocks=[(0.5,), (1.0,)], times=[2.0, 1.0], energies=[1.0, 3.0])
    job = pace(stitch_deadlines.Planned(belief), belief, 10, 15.0)
    assert (job.met, job.seconds, job.energy, job.stretches) == (True, 15.0, 5 * 3.0 + 5 * 1.0, 2)
    slow = pace(stitch_deadlines.Planned(belief), belief, 10, 15.0, [0.8] * 10)
    assert (slow.met, slow.seconds) == (False, pytest.approx(15.0 / 0.8))


# --- published networks ---------------------------------------------------------------------------


def test_published_networks_stand_together_and_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoos: list[tuple[str, ...]] = []

    def campaign(them: Sequence[Variant], *_: Any, **__: Any) -> list[float]:
        specs = [spec(each) for each in them]
        assert all(each["task"]["source"]["published"] for each in specs)
        assert {each["task"]["data"]["name"] for each in specs} == {"fashion_mnist"}
        zoos.extend(tuple(each["method"]["zoo"]) for each in specs)
        return [0.1 * number for number in range(len(specs))]

    monkeypatch.setattr(stitch_published, "campaign", campaign)
    found = stitch_published.stitch_published(
        tmp_path, work=tmp_path, progress=lambda text: None, targets=["fashion_mnist"],
        zoo=["resnet20", "resnet32"], seeds=[0], samples=10, test=20, workers=1,
    )["published"]  # fmt: skip
    assert zoos == [("resnet20", "resnet32"), ("resnet20",), ("resnet32",)]
    assert [(row["zoo"], row["accuracy"]) for row in found] == [
        ("all", 0.0), ("resnet20", 0.1), ("resnet32", 0.2),
    ]  # fmt: skip
