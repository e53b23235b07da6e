"""No file here is a copy of measured data whose owner has not allowed that.

Single figures may be cited; tables may not be shipped from sources without a licence that says so.
A value counts as copied if its digits are those of a measured one, whatever the unit's prefix: it
has at least four significant digits, and its column is no setting (one whose values repeat ten
times and more, such as a clock) and no accuracy of a model, which no trace holds. What chance would
find is subtracted twice: of n numbers of k digits, n times the share of all such numbers that are
in the source. More than thirty such values in a file are a copy.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

MOST = 30
SHORTEST = 4
REPEATED = 10
FOLDERS = ("device_profiles", "topologies", "tests", "reports")
NUMBER = re.compile(r"(?<![\w.])[-+]?(\d[\d,_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\d)")


def digits(text: str) -> str:
    """Significant digits of a number: the same for 24.18 W, 24180 mW and 2.418e1.

    >>> digits("0.02418"), digits("24,180"), digits("2.418e1")
    ('2418', '2418', '2418')
    """
    mantissa = re.split("[eE]", text)[0]
    return re.sub(r"[^\d]", "", mantissa).strip("0")


def measured(files: Iterable[Path]) -> set[str]:
    """Digits of the measured values of some tables."""
    found: set[str] = set()
    for file in files:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.reader(lines) if row]
        for column in zip(*(row for row in rows if len(row) == len(rows[0])), strict=True):
            cells = [cell for cell in column[1:] if re.fullmatch(r"[-+.\deE]+", cell)]
            if len(set(cells)) * REPEATED > len(cells) or len(cells) < REPEATED:
                found.update(digits(cell) for cell in cells)
    return {value for value in found if len(value) >= SHORTEST}


def numbers(file: Path) -> set[str]:
    """Digits of all numbers in a file."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8") as lines:
            head, *rows = [row for row in csv.reader(lines) if row] or [[]]
        ours = {place for place, name in enumerate(head) if "accuracy" in name}
        kept = [[cell for place, cell in enumerate(row) if place not in ours] for row in rows]
        text = "\n".join(" ".join(row) for row in (head, *kept))
    return {digits(match[0]) for match in NUMBER.finditer(text)}


def beyond_chance(inside: set[str], values: set[str], known: Counter[int]) -> int:
    """How many numbers of a file are values of a source, less twice what chance would find.

    Args:
        inside: numbers of the file.
        values: of the source.
        known: how many values of each length there are.
    """
    written = Counter(map(len, inside))
    hits = Counter(map(len, inside & values))
    luck = {
        length: 2 * written[length] * known[length] / (9 * 10 ** (length - 1)) for length in hits
    }
    return sum(max(count - int(luck[length]), 0) for length, count in hits.items())


def copies(
    files: Iterable[Path], sources: Mapping[str, set[str]]
) -> Iterator[tuple[Path, str, int]]:
    """Files with too many values of a source: file, source and how many."""
    known = {source: Counter(map(len, values)) for source, values in sources.items()}
    for file in files:
        inside = numbers(file)
        for source, values in sources.items():
            count = beyond_chance(inside, values, known[source])
            if count > MOST:
                yield file, source, count


def closed_sources(measured_data: Path) -> list[str]:
    """Folders of traces that may not be shipped, by the table of terms in the README."""
    table = (measured_data / "README.md").read_text(encoding="utf-8")
    closed: list[str] = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        folders = re.findall(r"`(\w+)/`", cells[0])
        if len(cells) == 5 and folders and not cells[4].startswith("yes"):
            closed += folders
    return closed


@pytest.fixture(scope="module")
def sources(shared: Path) -> dict[str, set[str]]:
    traces = shared / "measured" / "traces"
    names = closed_sources(shared / "measured")
    assert {"bofl", "pi_fl", "cellular_sigcomm21"} <= set(names)
    return {name: measured(sorted((traces / name).glob("*.csv"))) for name in names}


def test_nothing_committed_is_a_copy(repo: Path, sources: dict[str, set[str]]) -> None:
    files = [
        file for folder in FOLDERS for suffix in ("csv", "yaml", "yml")
        for file in sorted((repo / folder).rglob(f"*.{suffix}"))
    ]  # fmt: skip
    assert len(files) > 20
    found = [f"{file}: {count} values of {name}" for file, name, count in copies(files, sources)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ["bofl", "pi_fl", "cellular_sigcomm21", "hsdpa_norway"])
def test_a_real_copy_is_found(
    name: str, shared: Path, tmp_path: Path, sources: dict[str, set[str]]
) -> None:
    """Fifty lines of each table are more than enough, and thirty values are not too many."""
    assert len(sources[name]) > MOST
    folder = shared / "measured" / "traces" / name
    lines = [
        line
        for file in sorted(folder.glob("*.csv"))
        for line in file.read_text(encoding="utf-8").splitlines()[1:51]
    ]
    (tmp_path / "copy.csv").write_text("\n".join(lines), encoding="utf-8")
    [(_, found, count)] = [c for c in copies(tmp_path.glob("*"), sources) if c[1] == name]
    assert (found, count > MOST) == (name, True)
    few = sorted(sources[name])[:MOST]
    (tmp_path / "copy.csv").write_text("\n".join(few), encoding="utf-8")
    assert not [c for c in copies(tmp_path.glob("*"), sources) if c[1] == name]


@pytest.fixture
def made_up(tmp_path: Path) -> set[str]:
    """A table of forty measured times at two clocks."""
    rows = [f"{(345600, 2035200)[i % 2]},{0.104729 + i * 0.0713171:.6f}" for i in range(40)]
    file = tmp_path / "sweep.csv"
    file.write_text("\n".join(["cpu_khz,time_s", *rows]))
    return measured([file])


def test_other_units_and_formats_do_not_hide_a_copy(tmp_path: Path, made_up: set[str]) -> None:
    assert len(made_up) == 40
    values = sorted(made_up)
    for text in (
        "\n".join(f"- {value[:-3]}.{value[-3:]} ms" for value in values),
        "rows: [" + ", ".join(f'"0.{value} s"' for value in values) + "]",
        ",".join(f"{value}us" for value in values),
        "\n".join(f"{value[0]}.{value[1:]}e-3" for value in values),
    ):
        planted = tmp_path / "planted.yaml"
        planted.write_text(text)
        assert list(copies([planted], {"made up": made_up})) == [(planted, "made up", 40)]


def test_settings_and_short_numbers_are_no_values(tmp_path: Path, made_up: set[str]) -> None:
    assert not {"3456", "20352"} & made_up
    innocent = tmp_path / "innocent.yaml"
    innocent.write_text("\n".join(f"{value[:3]} MHz, x{value}, v1.{value}" for value in made_up))
    assert not list(copies([innocent], {"made up": made_up}))


def test_a_dense_table_proves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "dense.csv"
    file.write_text("\n".join(["kbps", *map(str, range(1001, 9999, 2))]))
    values = measured([file])
    assert len(values) > 4000
    innocent = tmp_path / "innocent.yaml"
    innocent.write_text("\n".join(f"{number} kB" for number in range(1002, 9999, 7)))
    assert len(numbers(innocent) & values) > MOST
    assert not list(copies([innocent], {"made up": values}))
