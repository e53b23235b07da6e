"""The timeline shows what it says it shows."""

from __future__ import annotations

import pytest

from hetsim.core.trace import Span, Trace
from hetsim.report import timeline
from hetsim.report.excerpt import excerpt
from tests.unit.report.synthetic import build

_KINDS = ("train", "mean", "download", "upload")


def test_a_small_run_is_drawn_whole(trace: Trace) -> None:
    shown = excerpt(trace)
    assert shown.rounds == len(trace.rounds)
    assert shown.segments == len(shown.bars) == len(trace.spans)
    drawn = sorted((bar.t0, bar.t1, bar.actor, bar.kind, bar.cut) for bar in shown.bars)
    assert drawn == sorted((s.t0, s.t1, s.actor, s.kind, s.outcome != "done") for s in trace.spans)


def test_a_long_run_is_cut_after_whole_rounds_and_says_so() -> None:
    trace = build(devices=40, rounds=120, counters=False)
    shown = excerpt(trace)
    assert len(shown.bars) <= 4000
    assert 1 <= shown.rounds < 120
    assert shown.end == trace.rounds[shown.rounds - 1]["t1_s"]
    assert all(bar.t1 <= shown.end for bar in shown.bars)
    body = timeline.section(trace).body
    assert f"the first {shown.rounds}\u00a0rounds of 120" in body


def test_segments_that_touch_on_the_screen_become_one_bar() -> None:
    trace = build(devices=1, rounds=1, counters=False)
    trace.spans = [
        Span(0.001 * i, 0.001 * i + 0.0005, f"n{n}", "train", 0.0, 0.0, "", 9000 * n + i)
        for n in range(2)
        for i in range(9000)
    ]
    shown = excerpt(trace)
    assert len(shown.bars) <= 4000
    assert sum(bar.segments for bar in shown.bars) == shown.segments == 18_000
    assert "are one bar" in timeline.section(trace).body


def test_a_merged_bar_covers_its_segments_and_ends_like_the_last() -> None:
    trace = build(devices=1, rounds=1, counters=False)
    trace.spans = [
        Span(0.0, 2.0, "n", "train", 0.0, 0.0, "", 0, outcome="deadline"),
        Span(1.0, 3.0, "n", "train", 0.0, 0.0, "", 1),
        Span(2.0, 4.0, "n", "upload", 0.0, 1.0, "", 2, outcome="churn"),
    ]
    bars = {bar.kind: bar for bar in excerpt(trace).bars}
    assert (bars["train"].t0, bars["train"].t1, bars["train"].cut) == (0.0, 3.0, False)
    assert (bars["upload"].segments, bars["upload"].cut) == (1, True)


def test_only_the_busiest_of_many_nodes_are_drawn_and_the_page_says_so() -> None:
    trace = build(devices=1, rounds=1, counters=False)
    trace.spans = [Span(0.0, 1.0 + n, f"n{n}", "train", 0.0, 0.0, "", n) for n in range(250)]
    shown = excerpt(trace)
    assert set(shown.actors) == {f"n{n}" for n in range(50, 250)}
    assert "200 of 250\u00a0nodes, those that throttled" in timeline.section(trace).body


def test_pipelined_work_is_seen_behind_its_transfer(trace: Trace) -> None:
    bars = [part for part in timeline.figure(trace).data if "base" in part and "width" in part]
    widths = {part["name"]: set(part["width"]) for part in bars if part["name"] in _KINDS}
    assert widths == {"train": {0.72}, "mean": {0.72}, "download": {0.4}, "upload": {0.4}}
    names = [part["name"] for part in bars]
    assert max(map(names.index, ("train", "mean"))) < min(map(names.index, ("download", "upload")))


def test_the_server_comes_first(trace: Trace) -> None:
    assert excerpt(trace).actors[0] == "server"


def test_overlapping_rounds_are_marked_by_lines_not_bands(trace: Trace) -> None:
    [figure] = timeline.section(trace).figures
    assert {shape["type"] for shape in figure.layout["shapes"]} == {"rect"}
    assert "bands are rounds" in figure.title
    trace.rounds[1]["t0_s"] = 0.0
    [figure] = timeline.section(trace).figures
    assert {shape["type"] for shape in figure.layout["shapes"]} == {"line"}
    assert "lines are the ends of rounds" in figure.title


@pytest.mark.parametrize("kinds", [["train", "upload"], list("abcdefgh")])
def test_every_kind_has_a_colour(kinds: list[str]) -> None:
    assert timeline.colours(kinds).keys() == set(kinds)
