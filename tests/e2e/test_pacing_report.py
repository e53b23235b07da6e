"""The pacing report: rebuilt for one sweep, and its page follows from its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.report.binder import read_table
from hetsim.report.published._pacing_targets import targets

FEEDBACK = "deadline_feedback"


@pytest.mark.slow
@pytest.mark.usefixtures("shared")
def test_a_small_one_is_made_and_drawn(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (shared / "measured" / "traces" / "bofl" / "tx2_imdb.csv").is_file():
        pytest.skip(f"{shared} has no sweep of the LSTM on the TX2")
    monkeypatch.chdir(tmp_path)
    arguments = ["report", "pacing", "--scale", "smoke", "--measured", str(shared), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    folder = tmp_path / json.loads(result.stdout)["folder"]
    assert {path.stem for path in folder.glob("*.csv")} == {"pacing", "disturbed", "idle"}
    page = (folder / "index.md").read_text(encoding="utf-8")
    assert "too small to quote" in page
    assert "**not met**" not in page
    for figure in ("joules", "disturbed", "rest"):
        assert f"({figure}.svg)" in page
        assert (folder / f"{figure}.svg").is_file()

    runs = read_table(folder / "pacing.csv")
    assert {row["seed"] for row in runs} == {4}
    for ratio in (1.1, 2):
        rows = {row["policy"]: row for row in runs if row["ratio"] == ratio}
        joules = {policy: row["joules"] for policy, row in rows.items()}
        assert joules["deadline_oracle"] <= joules["best_single"] < joules["performance"]
        assert joules["deadline_oracle"] <= joules[FEEDBACK] < joules["performance"]
        assert joules["race_to_idle"] == joules["performance"]
        regret = joules[FEEDBACK] / joules["deadline_oracle"] - 1.0
        assert rows[FEEDBACK]["regret"] == pytest.approx(regret)
        assert rows[FEEDBACK]["met"] == rows[FEEDBACK]["of"] == 20

    for row in read_table(folder / "disturbed.csv"):
        assert row["met"] <= row["of"] <= row["jobs"] == 20
        if row["policy"] == "performance":
            assert row["met"] == row["of"] == row["all_met"]

    for row in read_table(folder / "idle.csv"):
        ways = [row[f"{way}_j"] for way in ("racing", "early", "late", "feedback")]
        assert row["pacing_j"] <= min(ways) * (1 + 1e-9)
        assert row["racing_flip_w"] < 0.0


def run(**changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "sweep": "tx2_imdb", "ratio": 1.1, "seed": 4, "policy": FEEDBACK, "regret": 0.01,
        "met": 20, "of": 20,
    }  # fmt: skip
    return row | changes


def test_targets_are_missed_where_the_tables_say_so() -> None:
    kept = targets({"pacing": [run()]})
    assert [each.verdict for each in kept] == [True, True, None, None, True, None]
    missed = targets({
        "pacing": [run(regret=0.05), run(regret=0.02, met=19), run(regret=-0.001, policy="cheat")],
        "disturbed": [run(kind="job", met=8, of=10), run(kind="item", met=19)],
        "idle": [
            {"sweep": "tx2_imdb", "ratio": 2.0, "flip_w": 1.5, "flip_seen_w": 1.4, "watts": 1.0},
        ],
    })  # fmt: skip
    assert [each.verdict for each in missed] == [False, False, False, True, False, False]
    assert missed[0].worst == "5.00 % (TX2, LSTM, deadline 1.1, seed 4)"
    assert missed[1].found == "39 of 40 (97.50 %)"


def test_what_was_not_played_is_not_seen() -> None:
    assert [each.verdict for each in targets({})] == [None] * 6
