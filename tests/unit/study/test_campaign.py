"""Campaigns: every run once, whatever happens to them, and answers in the order asked."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.errors import HetsimError, Interrupted, SpecError, Stuck
from hetsim.core.trace import Trace
from hetsim.learn.data.base import Dataset
from hetsim.spec.schema import Spec
from hetsim.spec.world import lookup
from hetsim.study import campaign as study
from hetsim.study.campaign import Variant, campaign
from hetsim.testing.world import TOPOLOGY

_FLAG = "HETSIM_TEST_DIES_UNLESS"


def told(trace: Trace) -> dict[str, Any]:
    """What the tests ask of a run."""
    return {"lr": trace.spec["method"]["lr"], **trace.summary}


def told_later(trace: Trace) -> int:
    """Another question."""
    return trace.summary["rounds"]


def told_by_survivors(trace: Trace) -> dict[str, Any]:
    """Kills the process at the second learning rate, unless it is spared."""
    if trace.spec["method"]["lr"] == 0.2 and not Path(os.environ[_FLAG]).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return told(trace)


class Plays:
    """Counts the runs of a campaign, and stops before the one numbered `last`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.last = 0, 1000
        self._simulate = study.simulate
        monkeypatch.setattr(study, "simulate", self)

    def __call__(self, *arguments: Any) -> Any:
        if self.count == self.last:
            raise KeyboardInterrupt
        self.count += 1
        return self._simulate(*arguments)


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TOPOLOGY, encoding="utf-8")
    return path


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> Plays:
    return Plays(monkeypatch)


def grid(topology: Path, *more: str) -> list[Variant]:
    return [
        Variant(topology=topology, overrides=(f"method.lr={lr}", *more), seed=seed)
        for lr in (0.1, 0.2)
        for seed in (0, 1)
    ]


def test_answers_come_in_the_order_asked(topology: Path, tmp_path: Path) -> None:
    asked = grid(topology)
    answers = campaign([*asked, asked[0]], told, work=tmp_path / "work")
    assert [(each["lr"], each["seed"]) for each in answers] == [
        (0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1), (0.1, 0),
    ]  # fmt: skip


def test_processes_change_nothing(topology: Path, tmp_path: Path) -> None:
    alone = campaign(grid(topology), told, work=tmp_path / "alone")
    assert campaign(grid(topology), told, work=tmp_path / "shared", workers=2) == alone


def test_an_interrupted_campaign_goes_on(topology: Path, tmp_path: Path, plays: Plays) -> None:
    plays.last = 2
    with pytest.raises(Interrupted, match="2 of 4 runs are kept"):
        campaign(grid(topology), told, work=tmp_path / "work")
    plays.last = 1000
    answers = campaign(grid(topology), told, work=tmp_path / "work")
    assert plays.count == 4
    assert answers == campaign(grid(topology), told, work=tmp_path / "elsewhere")


def test_equal_runs_are_played_once(topology: Path, tmp_path: Path, plays: Plays) -> None:
    alike = [Variant(topology=topology, seed=0), Variant(topology=topology, overrides=("seed=0",))]
    first, second = campaign(alike, told, work=tmp_path)
    assert first == second
    assert plays.count == 1


def test_another_question_plays_again(topology: Path, tmp_path: Path, plays: Plays) -> None:
    one = [Variant(topology=topology)]
    campaign(one, told, work=tmp_path)
    assert campaign(one, told_later, work=tmp_path) == [2]
    assert plays.count == 2


def test_it_tells_how_far_it_is(topology: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    campaign(grid(topology)[:2], told, work=tmp_path, progress=lines.append)
    campaign(grid(topology), told, work=tmp_path, progress=lines.append)
    assert lines == [
        "0 of 2 runs", "1 of 2 runs", "2 of 2 runs",
        "2 of 4 runs", "3 of 4 runs", "4 of 4 runs",
    ]  # fmt: skip


def test_a_wrong_run_is_found_before_any_is_played(
    topology: Path, tmp_path: Path, plays: Plays
) -> None:
    wrong = Variant(topology=topology, overrides=("method.lr=-1",), seed=3)
    with pytest.raises(SpecError, match=r"in the run: .* --set 'method.lr=-1' --seed 3"):
        campaign([*grid(topology), wrong], told, work=tmp_path)
    assert plays.count == 0


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_fails_is_named(topology: Path, tmp_path: Path, workers: int) -> None:
    controller = "fleet=[{profile: stm32g0b1, link: {to: switch, rate: 1 Mbit/s}}]"
    hopeless = grid(topology, controller, "task.model={name: mlp, hidden: [2000]}")
    with pytest.raises(HetsimError, match=r"no device can take part(.|\n)*in the run: .*method.lr"):
        campaign(hopeless, told, work=tmp_path, workers=workers)


@pytest.mark.slow
def test_a_worker_that_dies_costs_its_own_run(
    topology: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spared = tmp_path / "spared"
    monkeypatch.setenv(_FLAG, str(spared))
    work = tmp_path / "work"
    with pytest.raises(Stuck, match=r"a worker died(.|\n)*method.lr=0.2"):
        campaign(grid(topology), told_by_survivors, work=work, workers=2)
    kept = {path.name: path.stat().st_mtime_ns for path in (work / "runs").iterdir()}
    assert kept
    spared.touch()
    answers = campaign(grid(topology), told_by_survivors, work=work, workers=2)
    assert answers == campaign(grid(topology), told, work=tmp_path / "elsewhere")
    assert (
        kept.items()
        <= {path.name: path.stat().st_mtime_ns for path in (work / "runs").iterdir()}.items()
    )


def test_runs_of_one_task_read_their_data_once(
    topology: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that asks for other data reads it, and finds nothing of the others in its way."""
    asked: list[str] = []
    read = lookup._dataset

    def counted(spec: Spec, data: Path | None) -> Dataset:
        asked.append(str(spec.task.data.options["train"]))
        return read(spec, data)

    monkeypatch.setattr(lookup, "_dataset", counted)
    sizes = ["task.data.train=200"] * 3 + ["task.data.train=100"] * 2
    variants = [
        Variant(topology=topology, overrides=("method.lr=0.1", size), seed=seed)
        for seed, size in enumerate(sizes)
    ]
    answers = campaign(variants, seen, work=tmp_path / "work")
    assert asked == ["200", "100"] * 2, "for the names of the runs, and to play them"
    assert answers == [200] * 3 + [100] * 2


def seen(trace: Trace) -> int:
    """Samples that all clients hold together."""
    return sum(row["samples"] for row in trace.devices if row["role"] == "device")
