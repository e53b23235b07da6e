"""What is foretold of EcoFed on two Raspberry Pi 4, and that nothing of it went into the fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.federation.price import offloaded, training
from hetsim.study import pi_lab
from hetsim.study.comparisons.edpfl import edpfl
from hetsim.study.feasible import value_of

Tables = Mapping[str, Sequence[Mapping[str, Any]]]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return edpfl(Path())


def test_an_exchange_is_the_training_of_the_whole_in_two_places() -> None:
    work = offloaded("resnet12", (3, 32, 32), 10, cut=1, samples=500, batch=20, clients=2)
    whole = training("resnet12", (3, 32, 32), 10, samples=500, batch=20, steps=25)
    assert work.whole == whole
    assert work.ahead.flops + work.server.flops + work.behind.flops == whole.flops
    assert work.forward.flops == work.ahead.flops
    assert (work.steps, work.model, work.front) == (25, 4 * 1_268_800, 4 * 64 * (27 + 2))
    assert work.sent == 25 * (20 * 16_384 * 4 + 20 * 8 + 754)
    assert work.returned == 25 * (20 * 16_384 * 4 + 484)
    assert work.quantised == 25 * (20 * 16_384 + 20 * 8 + 818)


def test_only_whole_and_split_training_of_two_models_is_fitted() -> None:
    fitted = {(run.model, run.method) for run in pi_lab.RUNS if run.fitted}
    assert fitted == {
        (model, method) for model in ("resnet12", "lenet_pi") for method in ("FL", "DPFL")
    }
    found = sorted(value for each in pi_lab.lab().measured for value in each.values)
    assert found == [26.22, 30.66, 30.74, 32.33, 57.09, 58.12]


def test_what_is_expected_is_what_profiles_say() -> None:
    for each in pi_lab.unknowns():
        assert each.low < each.expected < each.high
        assert each.why
    arithmetic, memory, operator = pi_lab.unknowns()[:3]
    assert 1.0 / arithmetic.expected == pytest.approx(0.6 * 11.774e9, rel=2e-3)
    assert 1.0 / memory.expected == pytest.approx(0.864e9)
    assert operator.expected == pytest.approx(0.171e-3, rel=2e-3)


def test_a_round_by_hand() -> None:
    """Only the channel takes time: a megabyte a second."""
    x = np.array([0.0, 0.0, 0.0, 0.0, 1e-6, 0.0, 0.0])
    seconds = {
        (run.method, run.rounds): value_of(pi_lab.round_of(run), x)
        for run in pi_lab.RUNS if run.model == "resnet12"
    }  # fmt: skip
    sent, quantised, front = 65_570_950 / 1e6, 8_216_450 / 1e6, 7_424 / 1e6
    assert seconds["FL", 10] == pytest.approx(4 * 5_075_200 / 1e6)
    assert seconds["DPFL", 10] == pytest.approx(2 * sent + 4 * front)
    assert seconds["EDPFL", 10] == pytest.approx(0.5 * 2 * quantised)
    assert seconds["EDPFL", 5] == pytest.approx(0.6 * 2 * quantised)


def test_the_closed_forms_are_what_hetsim_plays(tables: Tables) -> None:
    """Streams end later by what the last batch needs, which the forms leave out."""
    x = pi_lab.lab().likeliest()
    for run, row in zip(pi_lab.RUNS, tables["edpfl_runs"], strict=True):
        assert row["simulated_s"] == pytest.approx(value_of(pi_lab.round_of(run), x), rel=0.02)


def test_the_fitted_runs_are_reproduced(tables: Tables) -> None:
    rows = [row for row in tables["edpfl_runs"] if row["used_for"] == "fit"]
    assert len(rows) == 6
    for row in rows:
        assert row["simulated_s"] == pytest.approx(row["measured_s"], rel=pi_lab.TOLERANCE)


def test_what_is_open_is_told(tables: Tables) -> None:
    for row in tables["edpfl_fit"]:
        assert row["low"] <= row["best"] <= row["high"], row["unknown"]
    for name in ("edpfl_runs", "edpfl_rounds"):
        for row in tables[name]:
            assert row["low_s"] <= 1.02 * row["simulated_s"] <= 1.04 * row["high_s"]
    for row in tables["edpfl_ratios"]:
        assert row["low"] <= row["simulated"] <= row["high"]


def test_edpfl_is_foretold(tables: Tables) -> None:
    [run] = [row for row in tables["edpfl_runs"] if row["measured_s"] == 3.85]
    assert run["used_for"] == "prediction"
    assert run["simulated_s"] == pytest.approx(3.85, rel=0.25)
    for row in tables["edpfl_rounds"]:
        low, high = (4.0, 8.5) if row["kind"] == "update" else (0.7, 1.6)
        assert low <= row["simulated_s"] <= high
    for row in tables["edpfl_ratios"][:3]:
        assert row["simulated"] == pytest.approx(row["measured"], rel=0.2)


def test_bytes_are_those_of_the_logs(tables: Tables) -> None:
    for row in tables["edpfl_runs"]:
        if row["measured_mib"]:
            assert row["simulated_mib"] == pytest.approx(row["measured_mib"], rel=0.01)


def test_it_is_told_what_other_assumptions_would_foretell(tables: Tables) -> None:
    first, *others = tables["edpfl_alternatives"]
    [run] = [row for row in tables["edpfl_runs"] if row["measured_s"] == 3.85]
    assert first["mean_s"] == pytest.approx(run["simulated_s"], rel=0.02)
    assert max(row["mean_s"] for row in others) > 1.25 * 3.85
