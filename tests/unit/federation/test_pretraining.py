"""Runs that start from pre-trained parts: what they share, and that nobody pays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from hetsim.core.errors import HetsimError, SpecError
from hetsim.federation.run import Run
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.store import MemoryStore, Store
from hetsim.spec.world import Scenario
from hetsim.testing import play, tiny

MLP = "task.model={name: mlp, hidden: [16]}"
QUICK = "task.source={epochs: 4}"
TUNE = ("method={name: finetune, epochs: 1, batch: 20, lr: 0.05}", MLP)


@dataclass
class Bench:
    """A world at t = 0 with a lab that learns."""

    run: Run
    lab: Lab

    def value(self, ref: Any) -> Any:
        [result] = self.lab.settle([ref])
        return result


def bench(*overrides: str, store: Store | None = None) -> Bench:
    scenario = tiny(*overrides)
    lab = Lab(Inline(), store or MemoryStore(), scenario.resident)
    return Bench(scenario.world(lab, causality=True), lab)


# --- the facade -----------------------------------------------------------------------------------


def test_the_model_has_pretrained_features_and_a_classifier_of_the_run() -> None:
    made = bench(MLP, QUICK)
    model, origin = made.run.pretrained_model(), made.run.source_model()
    start = made.run.initial_model()
    state, known, fresh = map(made.value, (model, origin, start))
    for name, tensor in state.items():
        assert torch.equal(tensor, (known if name.startswith("1.") else fresh)[name]), name
        assert not torch.equal(known[name], fresh[name])
    assert model.arg("arch") == made.run.architecture.text
    assert made.lab.executed["pretrain"] == 1


def test_the_source_may_have_other_classes() -> None:
    made = bench(MLP, "task.source={classes: [0, 1, 2], epochs: 2}")
    assert made.run.architecture.classes == 7
    assert made.value(made.run.source_model())["3.bias"].shape == (3,)
    assert made.value(made.run.pretrained_model())["3.bias"].shape == (7,)


def test_blocks_say_how_much_is_taken_over() -> None:
    made = bench("task.model={name: small_cnn, width: 4, hidden: 8}", "task.source={epochs: 1}")
    one, most = made.run.pretrained_model(1), made.run.pretrained_model()
    known, fresh = made.value(made.run.source_model()), made.value(made.run.initial_model())
    for model, taken in ((one, ["conv1"]), (most, ["conv1", "conv2", "fc1"])):
        for name, tensor in made.value(model).items():
            origin = known if name.rpartition(".")[0] in taken else fresh
            assert torch.equal(tensor, origin[name]), name
    with pytest.raises(SpecError, match="4 blocks"):
        made.run.pretrained_model(4)


def test_a_zoo_has_several_kinds_and_groups_of_classes() -> None:
    """Each member has the source's classes and is computed once."""
    made = bench(MLP, "task.source={epochs: 1, classes: [0, 1, 2, 3, 4]}")
    shape = made.run.architecture.shape
    cnn = Architecture.of("small_cnn", shape, 2, {"width": 4, "hidden": 8})
    zoo = [
        made.run.source_model(kind, group)
        for kind in (None, cnn, Architecture.of("mlp", shape, 2, {"hidden": (8, 8)}))
        for group in ((), (0, 1), (2, 3, 4))
    ]
    assert len({model.key for model in zoo}) == 9
    assert all(Architecture.parse(model.arg("arch")).classes == 5 for model in zoo)
    made.lab.settle(zoo)
    assert made.run.source_model(cnn, (0, 1)).key == zoo[4].key
    assert made.lab.executed["pretrain"] == 9
    with pytest.raises(SpecError, match="no samples of classes 7"):
        made.run.source_model(None, (1, 7))


def test_without_a_source_it_says_what_is_missing() -> None:
    run = tiny(MLP).world(CostOnlyLab())
    with pytest.raises(HetsimError, match="pretrained = True"):
        run.pretrained_model()


# --- what it costs, and who shares it -------------------------------------------------------------


def test_nobody_pays_for_it() -> None:
    """The same times and joules as from random weights: only recipes differ."""
    tuned, plain = play(tiny(*TUNE)), play(tiny("method={name: fedavg, epochs: 1, batch: 20}", MLP))
    for key in ("simulated_s", "energy_j", "active_j", "bytes_up", "bytes_down"):
        assert tuned.summary[key] == plain.summary[key], key
    assert tuned.executed["pretrain"] == 1
    assert {span.kind for span in tuned.trace.spans} == {span.kind for span in plain.trace.spans}
    assert tuned.summary["accuracy"] > plain.summary["accuracy"]
    assert tuned.summary["spec_hash"] != plain.summary["spec_hash"]


def test_it_is_computed_once_for_runs_that_share_a_store(tmp_path: Path) -> None:
    """Whatever their seed, their task's samples, their method's settings and the source's label."""
    ran: list[Lab] = []
    models: set[str] = set()
    for changes in (
        (), ("seed=1",), ("task.data.train=150",), ("method.lr=0.1",), ("stop.rounds=3",),
        ("task.source={}",),
    ):  # fmt: skip
        scenario = tiny(*TUNE, *changes)
        lab = Lab(Inline(), Store(tmp_path), scenario.resident)
        models.add(scenario.play(lab).summary["model_hash"])
        ran.append(lab)
        lab.close()
    assert [lab.executed["pretrain"] for lab in ran] == [1, 0, 0, 0, 0, 0]
    assert [lab.from_store["pretrain"] for lab in ran] == [0, 1, 1, 1, 1, 1]
    assert len(models) == 5, "the last is the first run again"
    other = tiny(*TUNE, "task.source.seed=1")
    lab = Lab(Inline(), Store(tmp_path), other.resident)
    other.play(lab)
    assert lab.executed["pretrain"] == 1
    lab.close()


def test_cost_only_trains_nothing() -> None:
    played = play(tiny(*TUNE, "cost_only=true"))
    assert played.hashes == (play(tiny(*TUNE)).summary["trace_hash"], None)


def test_the_seed_of_the_run_changes_the_classifier_alone() -> None:
    states: list[Any] = []
    for seed in (0, 1):
        scenario: Scenario = tiny(*TUNE, QUICK, seed=seed)
        lab = Lab(Inline(), MemoryStore(), scenario.resident)
        [state] = lab.settle([scenario.world(lab).pretrained_model()])
        states.append(state)
        lab.close()
    one, other = states
    assert [torch.equal(one[name], other[name]) for name in one] == [True, True, False, False]
