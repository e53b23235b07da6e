from pathlib import Path

import pytest

from hetsim.core.errors import SpecError
from hetsim.spec.trace_file import find_trace, load_trace


def written(folder: Path, text: str) -> Path:
    path = folder / "x.csv"
    path.write_text(text)
    return path


def test_rates_become_bytes_a_second(tmp_path: Path) -> None:
    points = load_trace(written(tmp_path, "seconds,bit/s\n0,8000\n1.5,0\n\n3,16e3\n"))
    assert points.times == (0.0, 1.5, 3.0)
    assert points.rates == (1000.0, 0.0, 2000.0)


def test_the_header_names_the_unit(tmp_path: Path) -> None:
    assert load_trace(written(tmp_path, "seconds, Mbit/s\n0, 8\n")).rates == (1e6,)


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("", 1, "expected two columns"),
        ("0,12\n1,13\n", 1, "expected two columns"),
        ("seconds\n0\n", 1, "expected two columns"),
        ("seconds,florins\n0,1\n", 1, "is not a known unit"),
        ("seconds,s\n0,1\n", 1, "no unit of rate"),
        ("seconds,bit/s\n0,1\n1,fast\n", 3, "is not two numbers"),
        ("seconds,bit/s\n0,1,2\n", 2, "is not two numbers"),
        ("seconds,bit/s\n0,1\n0,2\n", 3, "does not come after"),
        ("seconds,bit/s\n2,1\n1,2\n", 3, "does not come after"),
        ("seconds,bit/s\n0,-1\n", 2, "is negative"),
        ("seconds,bit/s\n0,inf\n", 2, "is not finite"),
        ("seconds,bit/s\nnan,1\n", 2, "is not finite"),
        ("seconds,bit/s\n", 1, "there are no rows"),
        ("seconds,bit/s\n0,0\n1,0\n", 3, "never above zero"),
    ],
)
def test_a_malformed_file_is_refused_at_its_line(
    tmp_path: Path, text: str, line: int, fault: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        load_trace(path)
    head, _, remedy = str(caught.value).partition("\n")
    assert head.startswith(f"{path}:{line}: ")
    assert fault in head
    assert remedy.strip()


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read"):
        load_trace(path)


def test_it_is_looked_up_beside_the_topology_then_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, other = tmp_path / "beside", tmp_path / "other"
    for folder in (beside, other / "traces"):
        folder.mkdir(parents=True)
        written(folder, "seconds,bit/s\n0,1\n")
    monkeypatch.setenv("HETSIM_PATH", str(other))
    assert find_trace("x.csv", beside) == beside / "x.csv"
    assert find_trace("x.csv", tmp_path) == other / "traces" / "x.csv"
    with pytest.raises(SpecError, match="no trace file"):
        find_trace("y.csv", beside)
