"""Counters on the page: thinned without losing a joule, chosen from every profile."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.trace import Counter, Trace
from hetsim.report import power
from tests.unit.report.synthetic import build


@given(
    st.lists(st.tuples(st.floats(0.01, 50.0), st.floats(0.0, 100.0)), min_size=1, max_size=40),
    st.integers(1, 60),
)
def test_means_keep_the_area(gaps: list[tuple[float, float]], bins: int) -> None:
    now, area = 3.0, 0.0
    steps: power.Steps = []
    for gap, value in gaps:
        steps.append((now, value))
        now, area = now + gap, area + gap * value
    values = power.means(steps, now, bins)
    assert len(values) == bins + 1
    assert math.isclose(sum(values[:-1]) * (now - 3.0) / bins, area, rel_tol=1e-9, abs_tol=1e-9)


def test_without_counters_there_is_no_section() -> None:
    assert power.section(build(counters=False)) is None


def test_every_node_of_a_small_run_can_be_chosen(trace: Trace) -> None:
    section = power.section(trace)
    assert section
    actors = {counter.actor for counter in trace.counters}
    assert all(f">{actor}</option>" in section.body for actor in actors)
    [track, *_] = section.extra["counters"]["nodes"][0]
    assert track["title"] == "power, W"
    assert "can be chosen" not in section.body


def test_units_are_those_of_the_titles() -> None:
    trace = build(devices=1, rounds=1)
    trace.counters = [
        Counter(0.0, "a", "charge_j", 7200.0), Counter(0.0, "a", "frequency_hz.cpu", 1.5e9),
        Counter(0.0, "a", "odd", 4.0), Counter(0.0, "a", "power_w", 2.0),
    ]  # fmt: skip
    section = power.section(trace)
    assert section
    [track] = section.extra["counters"]["nodes"][0]
    assert (track["title"], track["y"][0]) == ("power, W", 2.0)
    assert track["still"] == [
        "cpu clock, MHz: 1,500", "battery charge, Wh: 2.00", "odd: 4.00"
    ]  # fmt: skip
    trace.counters.append(Counter(0.5, "a", "frequency_hz.cpu", 1e9))
    section = power.section(trace)
    assert section
    _, clock = section.extra["counters"]["nodes"][0]
    assert (clock["title"], clock["y"][:2]) == ("cpu clock, MHz", [1500.0, 1000.0])


def test_what_began_late_is_not_unchanged_throughout() -> None:
    trace = build(devices=1, rounds=1)
    trace.counters = [Counter(0.0, "a", "power_w", 2.0), Counter(0.5, "a", "throttled", 1.0)]
    section = power.section(trace)
    assert section
    assert [track["title"] for track in section.extra["counters"]["nodes"][0]] == [
        "power, W", "throttled by heat, 1 if so",
    ]  # fmt: skip


def test_a_large_run_offers_every_profile_and_says_what_it_leaves_out() -> None:
    trace = build(devices=80, rounds=12)
    section = power.section(trace)
    assert section
    chosen = section.body.count("<option")
    assert chosen == 24
    for profile in ("raspberry_pi_4b", "pixel_6", "jetson_xavier_nx", "esp32_s3"):
        assert section.body.count(f">{profile}-") >= 3
    assert "24 of 79\u00a0nodes can be chosen" in section.body
