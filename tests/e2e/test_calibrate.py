"""`hetsim calibrate` from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from tests.unit.study.synthetic_board import LEAN, OVERLAPPING, sweep, write


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate")
    return write(sweep(OVERLAPPING, LEAN, noise=0.003), folder / "board.csv")


def hetsim(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_from_a_sweep_to_a_run_on_the_calibrated_board(measured: Path, tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    status, out, _ = hetsim(
        "calibrate", measured, "--fraction", "0.2", "--out", profile, "--base", "jetson_tx2",
        "--flops", "8.2e10", "--traffic", "3.8 GB", "--operators", "1750", "--json",
    )  # fmt: skip
    assert status == 0
    numbers = json.loads(out)
    assert numbers["profile"] == str(profile)
    assert numbers["rows_fitted"] == 34
    assert numbers["time_mape_percent"] < 1.0
    assert numbers["profile_energy_mape_percent"] < 2.0
    status, out, _ = hetsim("explain", "device", profile)
    assert status == 0
    assert "34 of 168" in " ".join(out.split())
    topology = tmp_path / "one.yaml"
    topology.write_text(Path("topologies/iot_mix.yaml").read_text().replace(
        "raspberry_pi_4b", str(profile)))  # fmt: skip
    status, out, err = hetsim("check", topology)
    assert (status, err) == (0, "")


def test_what_a_person_sees(measured: Path) -> None:
    status, out, _ = hetsim("calibrate", measured, "--design", "9")
    assert status == 0
    assert "Settings most worth measuring" in out
    assert "2.2656 GHz" in out
    assert "held out" in out
    assert "159" in out


def test_the_same_bytes_in_another_process(measured: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hetsim",
        "calibrate",
        str(measured),
        "--design",
        "10",
        "--json",
    ]
    runs = [
        subprocess.run(
            command, capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(json.loads(runs[0])["design"]) == 10


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (("emc_hz", "emc"), (), "board.csv:1: emc_hz: no such column."),
        (("2265600.0", "fast"), (), 'cpu_khz: "fast" is no number.'),
        ((), ("--fraction", "0.01"), "2 rows to fit are too few; at least 8."),
        ((), ("--fraction", "2"), "--fraction: 2.0 is no share of the rows."),
        ((), ("--design", "999"), "--design: 999 settings of 168."),
        ((), ("--design", "9", "--train", "x.csv"), "--design: contradicts --train"),
        ((), ("--train", "absent.csv"), "absent.csv: no such file."),
        ((), ("--flops", "1e9"), "--base, --flops, --traffic, --operators: without --out"),
        ((), ("--out", "p.yaml", "--traffic", "4"), "--traffic: 4 has no unit."),
    ],
)
def test_wrong_input_ends_with_2_and_a_remedy(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str], arguments: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "board.csv"
    text = measured.read_text()
    path.write_text(text.replace(*change) if change else text)
    status, out, err = hetsim("calibrate", path, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert "\n    " in err
    assert list(tmp_path.iterdir()) == [path]
