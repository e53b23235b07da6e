from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hetsim.core.errors import SpecError
from hetsim.study.sweep import read_sweep

HEADER = "cpu_khz,gpu_hz,emc_hz,time_s_per_minibatch,energy_j_per_minibatch\n"
ROW = "115200,114750000,204000000,2.5,13.0\n"


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "sweep.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_clocks_are_hertz(written) -> None:
    sweep = read_sweep(written(HEADER + ROW))
    assert sweep.clocks.tolist() == [[115.2e6, 114.75e6, 204e6]]
    assert (sweep.time.tolist(), sweep.energy.tolist()) == ([2.5], [13.0])
    assert sweep.measured


def test_columns_in_any_order_others_beside_them_and_a_byte_order_mark(written) -> None:
    text = "energy_j_per_minibatch, note ,emc_hz,gpu_hz,time_s_per_minibatch,cpu_khz\n7,x,3,2,5,1\n"
    sweep = read_sweep(written("\ufeff" + text + "\n"))
    assert sweep.clocks.tolist() == [[1e3, 2.0, 3.0]]
    assert (sweep.time.tolist(), sweep.energy.tolist()) == ([5.0], [7.0])


def test_a_grid_has_no_measurements(written) -> None:
    sweep = read_sweep(written("cpu_khz,gpu_hz,emc_hz\n1,2,3\n4,5,6\n"))
    assert len(sweep) == 2
    assert not sweep.measured
    assert sweep.take(np.array([1])).clocks.tolist() == [[4e3, 5.0, 6.0]]


def test_lines_survive_empty_ones_and_a_choice(written) -> None:
    sweep = read_sweep(written(HEADER + ROW + "\n" + ROW.replace("115200", "192000")))
    assert sweep.lines.tolist() == [2, 4]
    assert sweep.take(np.array([1])).lines.tolist() == [4]


@pytest.mark.parametrize(
    ("text", "where", "key", "what"),
    [
        ("", ":1", "", "no header"),
        (HEADER, "", "", "no rows"),
        (HEADER.replace("emc_hz", "emc"), ":1", "emc_hz", 'Did you mean "emc"?'),
        (HEADER.replace("energy_j", "joules"), ":1", "energy_j_per_minibatch", "no such column"),
        (HEADER.replace("gpu_hz", "cpu_khz"), ":1", "cpu_khz", "twice"),
        (HEADER + ROW + ROW.replace("2.5", "-2.5"), ":3", "time_s_per_minibatch", "not above zero"),
        (HEADER + ROW.replace("13.0", "0"), ":2", "energy_j_per_minibatch", "not above zero"),
        (HEADER + ROW.replace("13.0", "nan"), ":2", "energy_j_per_minibatch", "not finite"),
        (HEADER + ROW.replace("204000000", "inf"), ":2", "emc_hz", "not finite"),
        (HEADER + ROW.replace("115200", "fast"), ":2", "cpu_khz", '"fast" is no number'),
        (HEADER + ROW.replace("115200", ""), ":2", "cpu_khz", "empty cell"),
        (HEADER + "1,2,3\n", ":2", "", "a row has 5 cells, this one 3"),
        (HEADER + ROW + ROW.replace("2.5", "2.6"), ":3", "", "same clocks as line 2"),
        (b"\xff\xfe\x00", "", "", "not text in UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(written, text, where, key, what) -> None:
    path = written(text)
    with pytest.raises(SpecError) as caught:
        read_sweep(path)
    assert caught.value.where == f"{path}{where}"
    assert caught.value.key == key
    assert what in caught.value.what
    assert caught.value.remedy


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        read_sweep(tmp_path / "absent.csv")
    with pytest.raises(SpecError, match="is not a file"):
        read_sweep(tmp_path)
