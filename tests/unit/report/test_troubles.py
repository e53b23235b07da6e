"""What the timeline says of heat, batteries and links is what the trace says."""

from __future__ import annotations

import re

import pytest

from hetsim.core.trace import Counter, Span, Trace
from hetsim.report import timeline, troubles
from hetsim.report.excerpt import excerpt
from hetsim.report.numbers import SPACE, time_scale


def test_heat_lasts_from_trip_to_trip(trace: Trace) -> None:
    trace.counters = [
        Counter(1.0, "a", "throttled", 1.0),
        Counter(2.0, "b", "throttled", 1.0),
        Counter(3.0, "a", "throttled", 0.0),
        Counter(5.0, "a", "throttled", 1.0),
        Counter(6.0, "a", "power_w", 1.0),
    ]
    assert troubles.throttled(trace, 10.0) == {"a": [(1.0, 3.0), (5.0, 10.0)], "b": [(2.0, 10.0)]}
    assert troubles.throttled(trace, 4.0) == {"a": [(1.0, 3.0)], "b": [(2.0, 4.0)]}


def test_transfers_are_counted_while_they_are_under_way(trace: Trace) -> None:
    trace.spans = [
        Span(0.0, 5.0, "a", "upload", 0.0, 8.0, "", 0, "server", alone=5.0),
        Span(0.0, 10.0, "b", "upload", 0.0, 8.0, "", 1, "server", alone=5.0),
        Span(0.0, 10.0, "b", "train", 0.0, 0.0, "", 2, alone=5.0),
    ]
    counted = troubles.transfers(trace, 10.0)
    assert counted is not None
    under_way, held_up = counted
    assert (under_way[0], under_way[-1]) == pytest.approx((2.0, 1.0))
    assert held_up == pytest.approx([1.0] * len(held_up))
    trace.spans = trace.spans[2:]
    assert troubles.transfers(trace, 10.0) is None


def test_a_bar_knows_what_held_it_up(trace: Trace) -> None:
    trace.spans = [
        Span(0.0, 4.0, "a", "upload", 0.0, 8.0, "", 0, "server", alone=1.0),
        Span(4.0, 6.0, "a", "train", 0.0, 0.0, "", 1, alone=2.0),
        Span(6.0, 9.0, "a", "forward", 0.0, 0.0, "", 2, alone=1.0, outcome="churn"),
        Span(6.0, 9.0, "b", "forward", 0.0, 0.0, "", 3, alone=1.0, held=2.0),
        Span(9.0, 12.0, "b", "train", 0.0, 0.0, "", 4, alone=1.0),
    ]
    held = {(bar.actor, bar.kind): (bar.held, bar.moves) for bar in excerpt(trace).bars}
    assert held == {
        ("a", "upload"): (3.0, True), ("a", "train"): (0.0, False),
        ("a", "forward"): (0.0, False), ("b", "forward"): (0.0, False),
        ("b", "train"): (2.0, False),
    }  # fmt: skip


def test_the_legend_names_what_is_drawn_and_nothing_else(trace: Trace) -> None:
    assert "battery empty" in timeline.figure(trace).legend.values()
    assert "throttled by heat" not in timeline.figure(trace).legend.values()
    name = trace.spans[0].actor
    trace.counters.insert(0, Counter(0.0, name, "throttled", 1.0))
    figure = timeline.figure(trace)
    assert figure.legend["hot"] == "throttled by heat"
    [drawn] = [part for part in figure.data if part["name"] == "throttled by heat"]
    assert drawn["base"] == [0.0]
    trace.notes, trace.counters = [], []
    trace.spans = [span._replace(alone=span.t1 - span.t0) for span in trace.spans]
    assert {"hot", "ink", "extra4", "target"}.isdisjoint(timeline.figure(trace).legend)


def test_a_link_is_full_from_when_to_when(trace: Trace) -> None:
    trace.counters = [
        Counter(1.0, "cell/air", "saturated", 1.0),
        Counter(2.0, "a--b", "saturated", 1.0),
        Counter(3.0, "cell/air", "saturated", 0.0),
        Counter(3.0, "cell/air", "saturated", 1.0),  # others, at the same instant
        Counter(5.0, "cell/air", "saturated", 0.0),
        Counter(6.0, "never", "saturated", 1.0),
        Counter(6.0, "never", "saturated", 0.0),
        Counter(9.0, "cell/air", "saturated", 1.0),
    ]
    found = troubles.saturated(trace, 10.0)
    assert found == {"a--b": [(2.0, 10.0)], "cell/air": [(1.0, 5.0), (9.0, 10.0)]}
    assert list(found) == ["a--b", "cell/air"]
    assert troubles.saturated(trace, 2.0) == {"cell/air": [(1.0, 2.0)]}


def test_saturated_links_are_named_with_their_times(trace: Trace) -> None:
    assert "full" not in timeline.figure(trace).legend
    assert "Full links" not in timeline.section(trace).body
    trace.counters += [
        Counter(0.5, "cell/air", "saturated", 1.0), Counter(1.5, "cell/air", "saturated", 0.0)
    ]  # fmt: skip
    figure = timeline.figure(trace)
    [bars] = [part for part in figure.data if part["name"] == "link full"]
    assert bars["y"] == ["cell/air"]
    assert figure.layout["yaxis"]["categoryarray"][-1] == "cell/air"
    table = timeline.section(trace).body.replace(SPACE, " ").split('aria-label="Full links"')[1]
    cells = re.findall("<td[^>]*>([^<]*)</td>", table.split("</table>")[0])
    assert cells == ["cell/air", "1.000", "&lt; 1 %", "1", "1.00 s", "500 ms"]


def test_many_times_are_drawn_as_few_bars(trace: Trace) -> None:
    trace.counters = [
        Counter(number / 1000.0 + part / 2000.0, f"cell-{cell}", "saturated", 1.0 - part)
        for number in range(10_000) for part in (0, 1) for cell in range(20)
    ]  # fmt: skip
    links, bars = troubles.full_links(trace, 10.0, time_scale(10.0))
    assert links == [f"cell-{cell}" for cell in sorted(range(20), key=str)][:8]
    assert len(bars["x"]) <= 8 * 800
