"""`hetsim calibrate TARGET --from SOURCE` from the command line, on a made-up board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.cli import main
from hetsim.study.sweep import CLOCKS, MEASURED, Sweep
from tests.unit.study.boards import FORM, OTHER, swept


def write(path: Path, sweep: Sweep, *, measured: bool = True) -> Path:
    columns = [*(sweep.clocks / np.array(list(CLOCKS.values()))).T]
    header = [*CLOCKS]
    if measured:
        columns += [sweep.time, sweep.energy]
        header += MEASURED
    rows = [",".join(repr(float(each)) for each in row) for row in np.array(columns).T]
    path.write_text("\n".join([",".join(header), *rows]) + "\n")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "source.csv", swept(FORM, noise=0.01))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return write(tmp_path / "target.csv", swept(OTHER, noise=0.01))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["calibrate", *map(str, arguments)])
    return int(left.value.code or 0)


def found(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_points_errors_and_deadlines(
    source: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    eight = found(capsys, target, "--from", source, "--points", 8)
    assert eight["points"] == 8
    assert eight["rows_held_out"] == 224 - 8
    assert eight["design"][0] == {"cpu_khz": 2000000, "gpu_hz": 1300000000, "emc_hz": 1800000000}
    assert 0.0 < eight["time_mape_percent"] < 3.0
    assert 0.0 < eight["energy_mape_percent"] < 3.0
    assert eight["deadlines_met_percent"] == 100.0
    assert eight["choice"] is None
    one = found(capsys, target, "--from", source, "--points", 1)
    assert one["cv_time_mape_percent"] is None
    assert one["time_mape_percent"] > eight["time_mape_percent"]


def test_grid_then_measure_then_choose(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = swept(OTHER, noise=0.01)
    grid = write(tmp_path / "grid.csv", other, measured=False)
    asked = found(capsys, grid, "--from", source, "--points", 6)
    assert asked["time_mape_percent"] is None
    wanted = {tuple(each.values()) for each in asked["design"]}
    units = np.array(list(CLOCKS.values()))
    rows = [row for row, each in enumerate(other.clocks)
            if tuple(np.round(each / units).astype(int)) in wanted]  # fmt: skip
    assert len(rows) == 6
    few = write(tmp_path / "few.csv", other.take(np.array(rows)))
    deadline = 2.0 * float(other.time.min())
    told = found(capsys, few, "--from", source, "--deadline", f"{deadline} s")
    choice = told["choice"]
    assert isinstance(choice, dict)
    assert choice["safe"]
    assert choice["time_s"] < choice["time_bound_s"] <= deadline
    setting = [choice[column] for column in CLOCKS]
    row = np.flatnonzero((np.round(other.clocks / units) == setting).all(axis=1))
    assert other.time[row] <= deadline
    assert other.energy[row] <= 1.1 * other.energy[other.time <= deadline].min()


def test_what_a_person_reads(
    source: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(target, "--from", source, "--points", 4, "--deadline", "1 ms") == 0
    page = capsys.readouterr().out
    assert "Held out: 220 settings" in page
    assert "Settings used" in page
    assert "No setting is sure to be in time" in page
    assert "2 GHz" in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--points", "0"], "--points: 0 settings of 224"),
        (["--points", "225"], "--points: 225 settings of 224"),
        ([], "224 settings are more than a few"),
        (["--points", "8", "--deadline", "2"], "--deadline: 2 has no unit"),
        (["--points", "8", "--design", "8"], "--design: says the same as --points"),
        (["--train", "x.csv"], "--train: does not go with --from"),
        (["--points", "8", "--seed", "0"], "--seed: does not go with --from"),
    ],
)
def test_wrong_options(
    source: Path, target: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(target, "--from", source, *options) == 2
    assert said in capsys.readouterr().err


def test_wrong_files(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = swept(OTHER)
    grid = write(tmp_path / "grid.csv", other, measured=False)
    assert run(grid, "--from", source) == 2
    assert "nothing is measured there" in capsys.readouterr().err
    short = write(tmp_path / "short.csv", other.take(np.arange(9)))
    assert run(grid, "--from", short, "--points", 4) == 2
    assert "9 measured rows cannot stand for a board" in capsys.readouterr().err
    assert run(grid, "--from", tmp_path / "none.csv", "--points", 4) == 2
    assert "no such file" in capsys.readouterr().err


def test_points_without_a_source(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(target, "--points", 4) == 2
    assert "--points: goes with --from only" in capsys.readouterr().err
