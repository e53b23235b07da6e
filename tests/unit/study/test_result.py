"""What a notebook asks a run: tables, joules, figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest

import hetsim as hs
from hetsim.core.errors import HetsimError, SpecError
from hetsim.report import files
from hetsim.report.drawn import Theme
from hetsim.report.frames import Account, By
from hetsim.study.simulate import Result
from hetsim.testing import tiny
from tests.unit.report.synthetic import build


@pytest.fixture(scope="module")
def run() -> Result:
    return Result(trace=build())


def test_frames_are_the_files_of_the_folder(run: Result, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("{}", encoding="utf-8")
    files.write(run.trace, tmp_path, page=False)
    for name in ("rounds", "spans", "critical", "notes", "devices"):
        there = pd.read_parquet(tmp_path / f"{name}.parquet")
        there = there.set_index("device") if name == "devices" else there
        pd.testing.assert_frame_equal(getattr(run, name), there, check_dtype=False)
    assert run.rounds["accuracy"].dtype == "float64"
    assert run.rounds["round"].dtype == "int64"


def test_frames_are_made_once(run: Result) -> None:
    assert run.rounds is run.rounds


def test_frames_of_a_run_without_rounds_have_their_columns() -> None:
    empty = Result(trace=build(devices=0, rounds=0))
    assert list(empty.rounds.columns)[:2] == ["round", "t0_s"]
    assert len(empty.spans) == 0
    assert sum(empty.energy()) == 0.0


@pytest.mark.parametrize(
    ("by", "account"),
    [
        (by, account)
        for by in get_args(By)
        for account in get_args(Account)
        if (by, account) != ("kind", "participant")
    ],
)
def test_parts_add_up_to_the_account(run: Result, by: By, account: Account) -> None:
    summary = run.summary
    whole = {"total": summary["energy_j"]["total"]} | {
        name: summary[f"{name}_j"] for name in ("active", "participant")
    }
    parts = run.energy(by=by, account=account)
    joules = parts.tolist()
    assert sum(joules) == pytest.approx(whole[account], rel=1e-12)
    assert joules == sorted(joules, reverse=True)
    assert parts.index.name == by


def test_roles_and_kinds_are_those_of_the_summary(run: Result) -> None:
    assert run.energy("role").to_dict()["server"] == pytest.approx(
        run.summary["energy_by_role_j"]["server"]
    )
    assert run.energy("kind").to_dict()["radio"] == pytest.approx(run.summary["energy_j"]["radio"])
    assert "idle" not in run.energy("kind", "active")


def test_what_is_not_there_is_refused_with_a_remedy(run: Result) -> None:
    with pytest.raises(SpecError, match='"profile"'):
        run.energy(by="colour")  # pyright: ignore[reportArgumentType]
    with pytest.raises(SpecError, match="not kept by kind"):
        run.energy(by="kind", account="participant")
    with pytest.raises(SpecError, match="cost only"):
        Result(trace=build(learned=False)).plot_accuracy()
    with pytest.raises(SpecError, match="no node did any work"):
        Result(trace=build(devices=0, rounds=0)).plot_timeline()
    with pytest.raises(SpecError, match="no theme"):
        run.plot_timeline(theme="sepia")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_those_of_the_page_in_real_colours(run: Result, theme: Theme) -> None:
    timeline, against_time, against_joules = (
        figure.to_dict()
        for figure in (
            run.plot_timeline(theme),
            run.plot_accuracy("time", theme),
            run.plot_accuracy("joules", theme),
        )
    )
    for figure in (timeline, against_time, against_joules):
        assert "'$" not in repr(figure)
    server = [y for trace in timeline["data"] for y in trace["y"] if y == "server"]
    assert len(server) == run.summary["rounds"]
    scored = run.rounds["accuracy"].dropna().tolist()
    assert list(against_time["data"][0]["y"]) == pytest.approx(scored, abs=1e-4)


def test_the_flow_of_joules_is_that_of_the_page(run: Result) -> None:
    [flow] = run.plot_joules().to_dict()["data"]
    sources = [i for i in flow["link"]["source"] if i not in flow["link"]["target"]]
    drawn = zip(flow["link"]["source"], flow["link"]["value"], strict=True)
    kilojoules = sum(value for source, value in drawn if source in sources)
    assert kilojoules == pytest.approx(run.summary["energy_j"]["total"] / 1e3, rel=1e-4)
    assert all(colour.startswith("rgba(") for colour in flow["link"]["color"])


def test_themes_differ(run: Result) -> None:
    light, dark = (
        run.plot_accuracy(theme=theme).to_dict()["data"][0]["line"] for theme in get_args(Theme)
    )
    assert light["color"] != dark["color"]


def test_it_shows_itself_in_short() -> None:
    run = Result(trace=build(name="<b>iot</b>"), folder=Path("runs/iot"))
    assert repr(run).startswith("<run <b>iot</b> in runs/iot: ")
    assert len(repr(run)) < 400
    assert "&lt;b&gt;iot" in run._repr_html_()
    assert "How many joules" in run._repr_html_()


def test_a_finished_run_is_read_with_all_that_a_notebook_asks(tmp_path: Path) -> None:
    made = hs.run(tiny("cost_only=true").spec, out=tmp_path / "run")
    found = hs.read(str(tmp_path / "run"))
    pd.testing.assert_frame_equal(found.rounds, made.rounds)
    assert repr(found) == repr(made)
    assert found.host["played"] == made.host["played"]
    (tmp_path / "run" / "host.json").unlink()
    assert hs.read(tmp_path / "run").host == {}
    with pytest.raises(HetsimError, match="no summary"):
        hs.read(tmp_path)


@pytest.mark.parametrize("overrides", ["cost_only=true", {"cost_only": True}])
def test_overrides_are_a_list(overrides: Any) -> None:
    with pytest.raises(TypeError, match="list of texts"):
        hs.run("iot_mix", overrides=overrides)


def test_accuracy_is_drawn_against_time_or_joules(run: Result) -> None:
    with pytest.raises(SpecError, match=r'no axis "money"(.|\n)*joules, time'):
        run.plot_accuracy("money")  # pyright: ignore[reportArgumentType]
