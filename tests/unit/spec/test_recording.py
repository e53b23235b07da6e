"""A recorded run in place of learning: what it tells, what it is refused for, how it is marked."""

from __future__ import annotations

import json
import shutil
from math import log
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.errors import NeedsLearning, SpecError
from hetsim.core.ref import Ref
from hetsim.report.answers import answers
from hetsim.report.page import render
from hetsim.spec.recording import Recording, read
from hetsim.spec.world import Scenario
from hetsim.study.outcome import outcome
from hetsim.study.simulate import Settings, resume, run
from hetsim.testing import play, tiny
from hetsim.testing.world import TOPOLOGY

BARE = Settings(report=False)
ROUNDS = 6


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "tiny.yaml").write_text(TOPOLOGY)
    asked = [f"stop.rounds={ROUNDS}", "report.targets=[0.5]"]
    run(folder / "tiny.yaml", out=folder / "run", overrides=asked, settings=BARE)
    return folder / "run"


def costed(recorded: Path, *overrides: str) -> Scenario:
    return tiny("cost_only=true", f"surrogate={recorded}", f"stop.rounds={ROUNDS}", *overrides)


def curve(steps: tuple[int, ...], accuracy: tuple[float, ...]) -> Recording:
    return Recording(
        name="x", seed=0, spec_hash="", method={}, task={}, data="", others={}, steps=steps,
        accuracy=accuracy, loss=tuple(1.0 - value for value in accuracy),
    )  # fmt: skip


def test_between_evaluations_and_beyond_them() -> None:
    told = curve((3, 7), (0.5, 0.9))
    assert [told.at(step, 10)[0] for step in (3, 7, 8, 1000)] == [0.5, 0.9, 0.9, 0.9]
    assert told.at(4, 10) == pytest.approx((0.6, 0.4))
    assert told.at(-1, 10) == pytest.approx((0.1, log(10)))
    assert told.at(0, 10) == pytest.approx((0.1 + 0.4 / 4, log(10) + (0.5 - log(10)) / 4))
    assert curve((0,), (0.3,)).at(0, 10) == (0.3, 0.7)


def test_the_same_topology_has_the_same_rounds_as_if_it_had_learned(recorded: Path) -> None:
    learned, told = play(tiny(f"stop.rounds={ROUNDS}")).trace, play(costed(recorded)).trace
    for key in ("accuracy", "loss", "t1_s", "energy_j", "model_version"):
        assert [row[key] for row in told.rounds] == [row[key] for row in learned.rounds]
    assert told.hash() == learned.hash()
    assert learned.summary["surrogate"] is None
    assert told.summary["model_hash"] is None


def test_it_stops_at_a_target_when_learning_would(recorded: Path) -> None:
    told = play(costed(recorded)).trace
    target = told.rounds[3]["accuracy"]
    stop = f"stop.accuracy={target}"
    learned = play(tiny(f"stop.rounds={ROUNDS}", stop)).trace
    stopped = play(costed(recorded, stop)).trace
    assert stopped.hash() == learned.hash()
    assert stopped.summary["rounds"] == learned.summary["rounds"] < ROUNDS


def test_it_is_as_good_in_columns(recorded: Path) -> None:
    """Rounds, stops, targets and notes are those of the same fleet played device by device."""
    like = (
        "governor=performance", "fleet[1].battery={charge: 50 %, model: linear}",
        "network.links[0].bandwidth=1 Gbit/s", "report.targets=[0.2, 0.5]",
        "network.links[1]={between: [lte-cell, switch], bandwidth: 1 Gbit/s, latency: 12 ms}",
    )  # fmt: skip
    accuracy = read(str(recorded), recorded).accuracy
    for stop in ((), (f"stop.accuracy={accuracy[3]}",)):
        scenario = costed(recorded, *like, *stop)
        one, other = (scenario.play(scenario.lab(), columns=way) for way in (True, False))
        assert one.played.startswith("in columns")
        for key in ("accuracy", "loss"):
            assert [row[key] for row in one.rounds] == [row[key] for row in other.rounds]
        for key in ("rounds", "accuracy", "best_accuracy", "surrogate"):
            assert one.summary[key] == other.summary[key]
        for key in ("time_to", "energy_to"):
            assert one.summary[key] == pytest.approx(other.summary[key], rel=1e-9)
        assert [note for note in one.notes if note.cause == "surrogate"]
        assert "surrogate, not learned" in render(one)
        assert one.summary["rounds"] == (ROUNDS if not stop else 4)


def test_many_differences_are_named_by_section(recorded: Path) -> None:
    other = ("method={name: fedprox, epochs: 2, batch: 5, lr: 0.2, momentum: 0.5}",
             "task.model={name: mlp, hidden: [4]}", "surrogate.despite=[method, task]")  # fmt: skip
    told = play(costed(recorded, *other)).trace.summary
    assert len(told["surrogate"]["unlike"]) > 6
    assert "unlike in method, task)" in dict(answers(told))["How good"]


def test_a_model_that_nobody_changes_gets_no_better(recorded: Path) -> None:
    told = play(costed(recorded, "pace.deadline=1 ms")).trace
    assert {row["participants"] - row["dropped"] for row in told.rounds} == {0}
    assert len({row["accuracy"] for row in told.rounds}) == 1


def test_it_is_never_taken_for_learning(recorded: Path) -> None:
    longer = play(costed(recorded, f"stop.rounds={ROUNDS + 3}", "selection.cohort=2")).trace
    said = longer.summary["surrogate"]
    assert (said["recorded_rounds"], said["rounds_beyond"]) == (ROUNDS, 3)
    assert said["unlike"] == ["selection.cohort"]
    last = [row["accuracy"] for row in longer.rounds[ROUNDS - 1 :]]
    assert len(set(last)) == 1
    words = dict(answers(longer.summary))["How good"]
    assert "surrogate: recorded run tiny, seed 0, unlike in selection.cohort" in words
    assert "3 rounds beyond its end" in words
    page = render(longer)
    assert "Not learned in this run" in page
    assert "surrogate, not learned" in page
    assert [note.cause for note in longer.notes] == ["surrogate"]
    kept = outcome(longer)
    assert kept["surrogate_hash"] == said["hash"]
    assert outcome(play(tiny("cost_only=true")).trace)["surrogate_hash"] is None
    assert "Not learned" not in render(play(tiny("cost_only=true")).trace)


def test_only_the_servers_model_is_known(recorded: Path) -> None:
    scenario = costed(recorded)
    lab = scenario.lab()
    score: Ref[Any] = Ref.of("evaluate")
    lab.scoring(score, 0)
    assert lab.settle([score])[0]["samples"] == 100
    with pytest.raises(NeedsLearning, match=r"\(train\)(.|\n)*choose a method and a selection"):
        lab.settle([score, Ref.of("train")])
    with pytest.raises(SpecError, match="goes by learned values"):
        costed(recorded, "selection.name=oort")


def test_its_content_is_part_of_what_names_a_run(recorded: Path, tmp_path: Path) -> None:
    scenario = costed(recorded)
    elsewhere = tmp_path / "other name"
    shutil.copytree(recorded, elsewhere)
    assert costed(elsewhere).digest == scenario.digest
    assert tiny("cost_only=true", f"stop.rounds={ROUNDS}").digest != scenario.digest
    assert scenario.recording is not None
    changed = json.loads(scenario.recording.text)
    changed["accuracy"][-1] += 0.001
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    assert costed(tmp_path / "changed.json").digest != scenario.digest
    assert read(str(recorded), tmp_path).hash == scenario.recording.hash


def test_a_run_keeps_what_it_goes_by(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TOPOLOGY)
    shutil.copytree(recorded, tmp_path / "beside")
    asked = ["cost_only=true", "surrogate=beside", f"stop.rounds={ROUNDS}"]
    first = run(tmp_path / "tiny.yaml", out=tmp_path / "a", overrides=asked, settings=BARE)
    shutil.rmtree(tmp_path / "beside")
    (tmp_path / "a" / "summary.json").unlink()
    assert resume(tmp_path / "a", settings=BARE).summary == first.summary


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        ("method.lr=0.2", "another method: method.lr, it is 0.2 here and 0.1 there", "[method]"),
        ("method.name=fedprox", 'method.name, it is the text "fedprox" here', "[method]"),
        ("task.data.train=150", "another task: task.data.train, it is 150 here", "[task]"),
        ("cost_only=false", "this run learns", "--cost-only"),
        ("surrogate=nowhere", 'no run folder "nowhere"', "hetsim run"),
        ("surrogate.despite=[fleet]", "fleet", '"method"'),
    ],
)
def test_what_cannot_stand_in_is_refused(
    recorded: Path, change: str, what: str, remedy: str
) -> None:
    with pytest.raises(SpecError) as refusal:
        costed(recorded, change)
    assert what in str(refusal.value)
    assert remedy in str(refusal.value)
    assert refusal.value.key.startswith("surrogate")


def test_another_method_and_task_can_be_wanted(recorded: Path) -> None:
    changes = ["method.lr=0.2", "task.data.train=150"]
    with pytest.raises(SpecError, match=r"another task(.|\n)*\[method, task\]"):
        costed(recorded, *changes, "surrogate.despite=[method]")
    scenario = costed(recorded, *changes, "surrogate.despite=[method, task]")
    assert scenario.unlike == ["method.lr", "task.data.train", "task.data"]


def test_a_folder_that_holds_no_accuracy(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TOPOLOGY)
    about = tmp_path / "tiny.yaml"
    folders = {
        "it learned nothing": ["cost_only=true"],
        "it went by the recorded run tiny": [
            "cost_only=true", f"surrogate={recorded}", f"stop.rounds={ROUNDS}"
        ],
    }  # fmt: skip
    for what, asked in folders.items():
        run(about, out=tmp_path / "a", overrides=asked, settings=BARE, force=True)
        with pytest.raises(SpecError, match=what):
            costed(tmp_path / "a")
    (tmp_path / "a" / "summary.json").unlink()
    with pytest.raises(SpecError, match=r"(?s)no finished run.*--resume"):
        costed(tmp_path / "a")
    shutil.copytree(recorded, tmp_path / "b")
    (tmp_path / "b" / "rounds.parquet").write_text("nothing")
    with pytest.raises(SpecError, match="damaged"):
        costed(tmp_path / "b")
    with pytest.raises(SpecError, match="no recorded run"):
        costed(about)
