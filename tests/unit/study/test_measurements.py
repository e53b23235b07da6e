"""The file of measurements: what a row may hold, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetsim.core.errors import SpecError
from hetsim.study.measurements import Measurement, read_measurements


def rows(tmp_path: Path, text: str) -> list[Measurement]:
    file = tmp_path / "rows.yaml"
    file.write_text(text)
    return read_measurements(file)


def one(tmp_path: Path, *lines: str) -> Measurement:
    head = ["measurements:", "  - id: A", "    device: v100", "    workload: something"]
    [row] = rows(tmp_path, "\n".join([*head, *(f"    {line}" for line in lines)]))
    return row


def test_numbers_ranges_and_gaps(tmp_path: Path) -> None:
    row = one(tmp_path, "time_s: 420-480", 'power_w: "-"', "energy_j: [1.0, 3.0]", "source:")
    assert (row.time, row.power, row.energy, row.source) == (450.0, None, 2.0, "")


def test_a_rate_in_the_setting_or_for_the_time(tmp_path: Path) -> None:
    assert one(tmp_path, "setting: 11.774 GFLOP/s", "power_w: 7.2").rate == 11.774e9
    row = one(tmp_path, 'time_s: "62 GFLOP/s"')
    assert (row.rate, row.time) == (62e9, None)


def test_calibration_and_plain_numbers_as_text(tmp_path: Path) -> None:
    row = one(tmp_path, "unit: 5", "time_s: 1e-3", "calibration: true")
    assert (row.unit, row.time, row.calibration) == ("5", 1e-3, True)


@pytest.mark.parametrize(
    ("line", "key", "what"),
    [
        ("tiem_s: 3", "measurements[0].tiem_s", 'Did you mean "time_s"'),
        ("time_s: fast", "measurements[0].time_s", 'the text "fast"'),
        ("time_s: -3", "measurements[0].time_s", "above zero"),
        ("time_s: 0", "measurements[0].time_s", "above zero"),
        ("time_s: true", "measurements[0].time_s", "true"),
        ("time_s: [3, 1]", "measurements[0].time_s", "a list"),
        ("time_s: [1, 2, 3]", "measurements[0].time_s", "a list"),
        ("calibration: maybe", "measurements[0].calibration", "true or false"),
        ("setting: [1]", "measurements[0].setting", "expected text"),
        ("setting: nothing but words", "measurements[0]", "nothing was measured"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path: Path, line: str, key: str, what: str) -> None:
    with pytest.raises(SpecError) as caught:
        one(tmp_path, line)
    assert caught.value.key == key
    assert what in str(caught.value)
    assert ":5" in caught.value.where or key == "measurements[0]"


def test_missing_parts(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no rows"):
        rows(tmp_path, "measurements: []")
    with pytest.raises(SpecError, match=r"rows.yaml:2: measurements\[0\].device: missing"):
        rows(tmp_path, "measurements:\n  - {id: A, workload: b, time_s: 1}")
    with pytest.raises(SpecError, match='Did you mean "measurements"'):
        rows(tmp_path, "measurement:\n  - {id: A}")
    row = "  - {id: A, device: x, workload: b, time_s: 1}\n"
    with pytest.raises(SpecError, match='a second row "A"'):
        rows(tmp_path, "measurements:\n" + 2 * row)
    with pytest.raises(SpecError, match="no such file"):
        read_measurements(tmp_path / "nowhere.yaml")
