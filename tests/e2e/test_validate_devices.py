"""`hetsim validate devices` from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hetsim import cli
from hetsim.spec.profile import find_profile, load_profile
from hetsim.study.measurements import Measurement, read_measurements
from hetsim.study.validate_devices import validate_devices
from hetsim.study.workloads import work_of

ROWS = Path(__file__).parents[1] / "measurements.yaml"
DEVICE = """
title: Test board
class: sbc
power_scope: wall
leaves_out: nothing
fitted_on: [A]
memory:
  capacity: {value: "1 GiB", assumed: test}
  reserved: {value: "0 B", assumed: test}
power:
  idle: {value: "2 W", assumed: test}
  sleep: {value: "1 W", assumed: test}
  off: {value: "0 W", assumed: test}
compute:
  domains:
    cpu:
      kind: cpu
      cores: {value: 4, assumed: test}
      flops_per_cycle: {value: 2, assumed: test}
      points:
        columns: [frequency, power]
        rows: [["500 MHz", "1 W"], ["1 GHz", "4 W"]]
        assumed: test
"""
LAYER = '"DL4J output layer training step, in 100, out 100, seq 1, batch 1000"'
"""6e7 flops: 60 ms at 500 MHz, 30 ms at 1 GHz."""
FILE = f"""
measurements:
  - {{id: A, device: board, workload: {LAYER}, setting: "CPU 1 GHz", time_s: 0.03, power_w: 6}}
  - {{id: B, device: board, workload: {LAYER}, setting: "CPU 500 MHz", time_s: 0.05, power_w: 4,
      energy_j: 0.2}}
  - {{id: C, device: board, workload: {LAYER}, setting: "CPU 700 MHz", time_s: 0.05}}
  - {{id: D, device: unheard_of, workload: {LAYER}, time_s: 1}}
  - {{id: E, device: board, workload: "CoreMark, one core", time_s: 3, power_w: 0.8,
      setting: "CPU0 at 1 GHz; power net of base"}}
  - {{id: F, device: board, workload: "HPL (fp64), all cores", setting: "4 GFLOP/s", power_w: 5}}
  - {{id: G, device: board, workload: {LAYER}, setting: "power limit 10 W", time_s: 1}}
  - {{id: H, device: board, workload: {LAYER}, time_s: 0.06, calibration: true}}
"""


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(["validate", "devices", *arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "board.yaml").write_text(DEVICE)
    path = tmp_path / "rows.yaml"
    path.write_text(FILE)
    return path


def said(file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(str(file), "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_predictions_by_hand(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = {each["id"]: each for each in said(file, capsys)["results"]}
    at_full = results["A"]["predicted"]
    assert at_full["time_s"] == pytest.approx(0.03)
    assert at_full["power_w"] == pytest.approx(6.0)
    assert results["B"]["relative_error"] == pytest.approx(
        {"time": 0.06 / 0.05 - 1.0, "power": 3.0 / 4.0 - 1.0, "energy": 0.18 / 0.2 - 1.0}
    )
    assert results["E"]["relative_error"] == pytest.approx({"power": 1.0 / 0.8 - 1.0})
    linpack = results["F"]["predicted"]
    assert linpack["rate_flop_per_s"] == pytest.approx(2e9 / 0.6)
    assert results["F"]["relative_error"]["time"] == pytest.approx(4e9 * 0.6 / 2e9 - 1.0)


def test_calibration_is_kept_apart(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = said(file, capsys)
    assert [each["id"] for each in answer["results"] if each["calibration"]] == ["A", "H"]
    layers = {side: groups["sbc: layer"]["time"] for side, groups in answer["groups"].items()}
    assert layers["validation"] == {"rows": 1, "mape_percent": pytest.approx(20.0)}
    assert layers["calibration"] == {"rows": 2, "mape_percent": pytest.approx(25.0)}


def test_what_cannot_be_predicted_has_a_reason(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = said(file, capsys)
    reasons = {each["id"]: each["reason"] for each in answer["results"] if each["reason"]}
    assert reasons == {
        "C": "the profile has no cpu point near 700 MHz",
        "D": "no profile of unheard_of",
        "G": "the profile has no power limits",
    }
    assert (answer["rows"], answer["predicted"]) == (8, 5)


def test_tables(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(file)) == 0
    out = capsys.readouterr().out
    assert "5 of 8 rows are predicted." in out
    assert re.search(r"sbc: layer +20\.0 % \(1\) +25\.0 % \(1\) +10\.0 % \(1\)", out)
    assert "A*" in out
    assert "no profile of unheard_of" in out


def test_a_malformed_row(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(FILE.replace("time_s: 0.03", "time_s: quick"))
    assert run(str(file)) == 2
    assert "rows.yaml:3: measurements[0].time_s: expected a number" in capsys.readouterr().err


# --- the published rows ---------------------------------------------------------------------------


def test_every_published_row_is_predicted_or_explained(capsys: pytest.CaptureFixture[str]) -> None:
    results = said(ROWS, capsys)["results"]
    assert [each["id"] for each in results] == [f"V{i:02}" for i in range(1, 63)]
    for each in results:
        assert bool(each["relative_error"]) != bool(each["reason"]), each
    predicted = {each["id"] for each in results if each["relative_error"]}
    assert {"V01", "V09", "V13", "V29", "V33", "V40", "V47", "V54", "V57"} <= predicted
    assert "V39" not in predicted


def test_the_rows_are_those_of_the_measured_data(shared: Path) -> None:
    table = (shared / "measured" / "README.md").read_text()
    lines = [line for line in table.splitlines() if re.match(r"\| V\d\d \|", line)]
    ours = {row.id: row for row in read_measurements(ROWS)}
    assert len(lines) == len(ours) == 62
    for line in lines:
        name, device, workload, unit, setting, *numbers, source = [
            cell.strip() for cell in line.strip("| ").split(" | ")
        ]
        row = ours[name]
        said = (row.device, row.workload, row.unit, row.setting, row.source)
        assert said == (device, workload, unit, setting.replace('"', "'"), source)
        for number, value in zip(numbers, (row.time, row.power, row.energy), strict=True):
            if number == "-":
                assert value is None
            elif "-" in number and "e-" not in number:
                low, high = map(float, number.split("-"))
                assert value == (low + high) / 2.0
            else:
                assert value == pytest.approx(float(number), rel=1e-6)


def test_predictions_come_from_the_effort_of_simulations() -> None:
    row = next(each for each in read_measurements(ROWS) if each.id == "V29")
    path = find_profile(row.device, None)
    profile = load_profile(path)
    effort = profile.effort(work_of(row).cost, profile.highest)
    result = next(each for each in validate_devices(ROWS).results if each.row.id == "V29")
    assert isinstance(result.row, Measurement)
    assert result.prediction
    assert result.prediction.time == effort.duration
