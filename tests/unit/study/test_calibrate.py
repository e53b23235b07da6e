from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.spec.profile import load_profile, load_profile_with_sources
from hetsim.study.calibrate import Calibration, calibrate
from hetsim.study.fitted_profile import Workload, write_profile
from tests.unit.study.synthetic_board import ADDITIVE, LEAN, OVERLAPPING, grid, sweep, write

STEP = Cost(flops=8e10, traffic=4e9, steps=1, operators=1000)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    return write(sweep(OVERLAPPING, LEAN, noise=0.002), folder / "board.csv")


@pytest.fixture(scope="module")
def found(measured: Path) -> Calibration:
    return calibrate(measured, fraction=0.25, seed=1)


def test_a_random_part_is_fitted_and_the_rest_held_out(measured: Path, found: Calibration) -> None:
    assert (found.fitted, found.held_out) == (42, 126)
    assert found.rows is not None
    assert found.rest is not None
    assert not set(found.rows.lines.tolist()) & set(found.rest.lines.tolist())
    other = calibrate(measured, fraction=0.1, seed=2)
    assert other.rows is not None
    assert set(other.rows.lines.tolist()) - set(found.rows.lines.tolist())
    numbers = found.as_json()
    assert numbers["time_mape_percent"] < 0.5
    assert numbers["energy_mape_percent"] < 1.0
    assert numbers["rows_fitted"] == 42
    assert (numbers["fraction"], numbers["seed"], numbers["chosen"]) == (0.25, 1, "random")
    assert "design" not in numbers


def test_held_out_rows_are_not_looked_at(tmp_path: Path) -> None:
    """Spoiling what is held out moves its error and nothing else."""
    rows = sweep()
    first = calibrate(write(rows, tmp_path / "first.csv"), fraction=0.3)
    assert first.rest is not None
    rows.time[first.rest.lines - 2] *= 2.0
    second = calibrate(write(rows, tmp_path / "second.csv"), fraction=0.3)
    assert first.fit is not None
    assert second.fit is not None
    assert second.fit.model.time == first.fit.model.time
    assert second.fit.final == first.fit.final
    assert second.as_json()["time_mape_percent"] == pytest.approx(50.0, abs=1.0)


def test_a_design_is_fitted_and_named(measured: Path) -> None:
    found = calibrate(measured, design=24)
    numbers = found.as_json()
    assert (found.fitted, found.held_out, numbers["fraction"]) == (24, 144, None)
    assert len({tuple(each.values()) for each in numbers["design"]}) == 24
    assert set(numbers["design"][0]) == {"cpu_khz", "gpu_hz", "emc_hz"}
    assert numbers["design_time_mape_percent"] == numbers["time_mape_percent"] < 2.0
    assert numbers["design_energy_mape_percent"] == numbers["energy_mape_percent"] < 3.0


def test_the_design_is_the_same_where_nothing_is_measured(measured: Path, tmp_path: Path) -> None:
    bare = write(sweep(), tmp_path / "grid.csv", measured=False)
    numbers = calibrate(bare, design=24).as_json()
    assert numbers["design"] == calibrate(measured, design=24).as_json()["design"]
    assert numbers["time_mape_percent"] is None
    assert "Measure these" in calibrate(bare, design=24).sheet().text[0]
    assert calibrate(measured, design=5).as_json()["rows_fitted"] == 0
    with pytest.raises(SpecError, match="clocks only"):
        calibrate(bare)


def test_rows_of_another_file_are_fitted_to_predict_a_bare_grid(tmp_path: Path) -> None:
    rows = sweep()
    bare = write(rows, tmp_path / "grid.csv", measured=False)
    whole = write(rows, tmp_path / "whole.csv")
    some = write(rows.take(np.arange(0, len(rows), 6)), tmp_path / "some.csv")
    found = calibrate(bare, train=some)
    assert (found.fitted, found.held_out, found.final) == (28, 0, None)
    assert found.as_json()["cv_time_mape_percent"] < 3.0
    against = calibrate(whole, train=some)
    assert (against.fitted, against.held_out) == (28, 140)
    assert against.as_json()["time_mape_percent"] < 1.0
    with pytest.raises(SpecError, match=r"grid.csv:1: nothing is measured there"):
        calibrate(whole, train=bare)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"fraction": 0.0}, "--fraction"),
        ({"fraction": 1.5}, "--fraction"),
        ({"fraction": float("nan")}, "--fraction"),
        ({"design": 0}, "--design"),
        ({"design": 169}, "--design"),
        ({"design": 24, "train": Path("x.csv")}, "--design"),
    ],
)
def test_options_that_make_no_sense(measured: Path, options: dict, where: str) -> None:
    with pytest.raises(SpecError) as caught:
        calibrate(measured, **options)
    assert caught.value.where == where
    assert caught.value.remedy


def test_a_whole_sweep_can_be_fitted_and_its_error_is_then_not_known(tmp_path: Path) -> None:
    found = calibrate(write(sweep().take(np.arange(0, 168, 7)), tmp_path / "s.csv"), fraction=1.0)
    assert (found.fitted, found.held_out, found.final) == (24, 0, None)
    assert found.as_json()["time_mape_percent"] is None
    assert found.sheet().tables[0].rows[1][2:] == ("-", "-", "-", "-")


def test_the_simulated_device_takes_what_the_profile_says_it_does(
    found: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    workload = Workload(flops=STEP.flops, traffic=STEP.traffic, operators=STEP.operators)
    written = write_profile(found, path, base="jetson_agx_xavier", workload=workload)
    profile = load_profile(path)
    assert profile.memory == load_profile(Path("device_profiles/jetson_agx_xavier.yaml")).memory
    rows = sweep(OVERLAPPING, LEAN, noise=0.002)
    time, energy = [], []
    for setting in rows.clocks.tolist():
        points = [
            [point.frequency for point in domain.points].index(clock)
            for domain, clock in zip(profile.domains, setting, strict=True)
        ]
        effort = profile.effort(STEP, points)
        time.append(effort.duration)
        energy.append(sum(effort.joules) + profile.idle * effort.duration)
    assert written.errors is not None
    assert found.rest is not None
    rest = found.rest.lines - 2
    assert np.mean(np.abs(np.array(time) / rows.time - 1.0)[rest]) * 100 == pytest.approx(
        written.errors.time, abs=2e-3
    )
    assert np.mean(np.abs(np.array(energy) / rows.energy - 1.0)[rest]) * 100 == pytest.approx(
        written.errors.energy, abs=2e-3
    )
    assert written.errors.time < 0.5
    assert written.errors.energy < 1.0


def test_every_fitted_number_says_how_well(found: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    written = write_profile(found, path)
    assert written.errors is not None
    _, sheet = load_profile_with_sources(path)
    rows = {row.key: row for row in sheet.rows}
    text = rows["power.idle"].text
    assert f"{found.fitted} of 168 settings of board.csv" in text
    assert "fraction 0.25, seed 1" in text
    assert f"time {written.errors.time:.2f} %, energy {written.errors.energy:.2f} %" in text
    assert rows["compute.domains.gpu.flops_per_cycle"].evidence == "assumed"
    assert "--flops" in rows["compute.domains.gpu.flops_per_cycle"].text
    assert rows["memory.capacity"].evidence == "assumed"


def test_an_additive_board_has_no_overlap_in_its_profile(tmp_path: Path) -> None:
    found = calibrate(write(sweep(ADDITIVE, LEAN, noise=0.002), tmp_path / "a.csv"), fraction=0.3)
    write_profile(found, tmp_path / "a.yaml")
    profile = load_profile(tmp_path / "a.yaml")
    assert (profile.timing.host, profile.timing.memory) == (1.0, 1.0)
    assert profile.timing.overhead == pytest.approx(ADDITIVE.overhead, rel=0.2)


def test_a_profile_needs_a_fit_and_a_place(found: Calibration, tmp_path: Path) -> None:
    named = calibrate(write(sweep(), tmp_path / "g.csv", measured=False), design=9)
    with pytest.raises(SpecError, match="nothing was fitted"):
        write_profile(named, tmp_path / "p.yaml")
    with pytest.raises(SpecError, match="cannot be written"):
        write_profile(found, tmp_path / "absent" / "p.yaml")
    with pytest.raises(SpecError, match='no device profile "jetson_tx"'):
        write_profile(found, tmp_path / "p.yaml", base="jetson_tx")
    assert not list(tmp_path.glob("*.yaml"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ((0.0, None, None), "--flops"),
        ((float("inf"), None, None), "--flops"),
        ((None, "4", None), "--traffic"),
        ((None, "0 GB", None), "--traffic"),
        ((None, None, -3.0), "--operators"),
    ],
)
def test_a_workload_that_cannot_be(given: tuple, where: str) -> None:
    with pytest.raises(SpecError) as caught:
        Workload.of(*given)
    assert caught.value.where == where


def test_the_grid_is_the_one_of_the_board(found: Calibration) -> None:
    assert found.grid.tolist() == grid().tolist()
