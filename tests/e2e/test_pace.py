"""`hetsim pace` from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.study import pace_page
from tests.unit.study.synthetic_board import LEAN, OVERLAPPING, sweep, write


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pace")
    return write(sweep(OVERLAPPING, LEAN, noise=0.003), folder / "board.csv")


@pytest.fixture(scope="module", autouse=True)
def calibrated_once() -> Iterator[None]:
    """The same part of the same sweep is fitted by one test and kept for the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace_page, "read_bench", cache(pace_page.read_bench))
        yield


def hetsim(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_a_table_of_deadlines_and_policies(measured: Path) -> None:
    status, out, err = hetsim(
        "pace", measured, "--ratio", "1.2", "--ratio", "2", "--jobs", "3", "--items", "50",
        "--policy", "deadline_feedback", "--policy", "deadline_oracle", "--policy", "performance",
        "--policy", "bofl", "--json",
    )  # fmt: skip
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert (found["settings"], found["known"], found["idle_w"]) == (168, 17, 0.0)
    rows = {(row["ratio"], row["policy"]): row for row in found["rows"]}
    assert len(rows) == 8
    for ratio in (1.2, 2.0):
        feedback, oracle = rows[ratio, "deadline_feedback"], rows[ratio, "deadline_oracle"]
        assert oracle["regret_percent"] == 0.0
        assert 0.0 <= feedback["regret_percent"] < 5.0
        assert 0.0 < feedback["saving_percent"] <= oracle["saving_percent"]
        assert feedback["met"] == feedback["of"] == 3
        assert rows[ratio, "performance"]["saving_percent"] == 0.0
        assert feedback["deadline_s"] == pytest.approx(ratio * found["fastest_s"])


def test_what_a_person_sees(measured: Path) -> None:
    status, out, _ = hetsim(
        "pace", measured, "--ratio", "1.5", "--jobs", "2", "--items", "20", "--idle", "2 W"
    )
    assert status == 0
    text = " ".join(out.split())
    assert "deadline_feedback knows 17 of 168 settings" in text
    assert "best_single and deadline_oracle know all 168 settings" in text
    assert "performance and schedutil know no settings" in text
    assert "In brackets" not in text
    assert "2 W at rest" in text
    for policy in ("performance", "schedutil", "best_single", "deadline_feedback"):
        assert policy in text
    assert "2 of 2" in text


def test_who_learns_alone_is_said_to_know_nothing(measured: Path) -> None:
    options = ("--ratio", "1.5", "--jobs", "1", "--items", "20", "--policy", "bofl")
    status, out, _ = hetsim("pace", measured, *options)
    assert status == 0
    assert "bofl knows nothing, and finds out in its jobs." in " ".join(out.split())
    assert "17 of 168" not in out
    [row] = json.loads(hetsim("pace", measured, *options, "--json")[1])["rows"]
    assert row["knows"] == "nothing"


def test_what_is_saved_by_being_late_is_in_brackets(measured: Path) -> None:
    """No policy can be in time before the fastest setting is."""
    options = ("--jobs", "2", "--items", "20", "--policy", "schedutil", "--policy", "best_single")
    [late, early] = (hetsim("pace", measured, "--ratio", each, *options) for each in ("0.5", "4"))
    assert "In brackets: not all jobs were done in time" in " ".join(late[1].split())
    rows = [line for line in late[1].splitlines() if "0 of 2" in line]
    assert len(rows) == 2
    assert all(line.count("(") == line.count(" %)") == 2 for line in rows)
    assert "(" not in early[1]


def test_help_has_an_example() -> None:
    status, out, _ = hetsim("pace", "--help")
    assert status == 0
    assert "Example: hetsim pace" in " ".join(out.split())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--policy", "powersave"], "powersave has no plan for a deadline. Choose from:"),
        (["--policy", "deadline_orakle"], 'did you mean "deadline_oracle"'),
        (["--ratio", "0"], "--ratio"),
        (["--ratio", "nan"], "--ratio"),
        (["--idle", "2"], "--idle"),
        (["--idle", "2 s"], "--idle"),
        (["--fraction", "0"], "--fraction"),
        (["--fraction", "0.01"], "too few"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_wrong_input_is_refused(measured: Path, options: list[str], says: str) -> None:
    status, out, err = hetsim("pace", measured, *options)
    assert (status, out) == (2, "")
    assert says.lower() in " ".join(err.replace("│", " ").split()).lower()


def test_a_file_that_is_not_there() -> None:
    status, _, err = hetsim("pace", "nowhere.csv")
    assert status == 2
    assert "Check the path" in err
