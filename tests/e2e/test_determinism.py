"""The same run, whatever the process did before, whoever computes, wherever the file lies."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from hetsim.core.registry import METHODS
from hetsim.learn.executors.pool import Pool
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve
from hetsim.testing import Played, Shuffled, play, tiny
from hetsim.testing.world import TOPOLOGY

EVENTFUL = (
    "task.model={name: mlp, hidden: [12, 12]}", "task.partition={name: dirichlet, alpha: 0.3}",
    "fleet[0].availability={name: random, up: 40 ms, down: 40 ms}", "pace.deadline=200 ms",
    "governor=schedutil", "stop.rounds=4",
)  # fmt: skip
"""Somebody leaves, somebody is late, clocks move: every kind of event takes part."""


def eventful(method: str = "fedavg", seed: int = 0) -> Played:
    return play(tiny(*EVENTFUL, f"method.name={method}", seed=seed))


@pytest.fixture(scope="module")
def first() -> Played:
    return eventful()


def test_the_run_is_eventful(first: Played) -> None:
    dropouts = first.summary["dropouts"]
    assert dropouts["churn"] > 0
    assert dropouts["deadline"] > 0
    assert first.summary["device_rounds"] > 0


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("width", [1, 3, 16])
def test_executors_that_finish_in_any_order(method: str, width: int) -> None:
    inline = eventful(method)
    for seed in range(3):
        shuffled = play(tiny(*EVENTFUL, f"method.name={method}"), Shuffled(seed, width))
        assert shuffled.hashes == inline.hashes
        assert shuffled.trace == inline.trace


def test_worker_processes(first: Played) -> None:
    assert play(tiny(*EVENTFUL), Pool(workers=2)).trace == first.trace


def test_what_the_process_drew_and_computed_before(first: Played) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.manual_seed(1)
        random.seed(2)
        np.random.seed(3)  # noqa: NPY002
        assert eventful().trace == first.trace
        drawn = torch.rand(1).item(), random.random(), np.random.random()  # noqa: NPY002
        undisturbed = torch.rand(1, generator=torch.Generator().manual_seed(1)).item()
        assert drawn == (undisturbed, random.Random(2).random(), np.random.RandomState(3).random())
    finally:
        torch.set_num_threads(threads)


def test_seeds(first: Played) -> None:
    other = eventful(seed=1)
    assert other.summary["spec_hash"] == first.summary["spec_hash"]
    assert other.summary["trace_hash"] != first.summary["trace_hash"]
    assert other.summary["model_hash"] != first.summary["model_hash"]
    assert eventful(seed=1).trace == other.trace


def test_place_spelling_and_order_of_keys_in_the_file(tmp_path: Path) -> None:
    content = yaml.safe_load(TOPOLOGY)
    content["method"] = {"lr": 0.1, "batch": 20, "name": "fedavg", "epochs": 1}
    content["fleet"][1]["link"]["latency"] = "0.15 s"
    content["pace"] = {"deadline": "none", "name": "sync"}
    path = tmp_path / "elsewhere" / "tiny.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(dict(reversed(content.items())), sort_keys=False))
    other, plain = play(resolve(load_topology(path))), play(tiny())
    assert other.summary == plain.summary
    assert other.trace.spans == plain.trace.spans


def test_the_resolved_spec_is_the_same_run(first: Played, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(tiny(*EVENTFUL).text())
    again = play(resolve(load_topology(path)))
    assert again.summary == first.summary
    assert again.trace == first.trace
