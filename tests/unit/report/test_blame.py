"""The sections on what held the rounds up, what was wasted and who took part."""

from __future__ import annotations

import math

import pytest

from hetsim.core.trace import Trace
from hetsim.report import blame, page, participation, waste
from hetsim.report.answers import answers
from tests.unit.report.synthetic import build
from tests.unit.report.test_page import Reader, data


def plain(html: str) -> str:
    return Reader(html.replace("<", " <")).text


def test_bars_are_the_lengths_of_the_rounds(trace: Trace) -> None:
    figure = data(page.render(trace))["figures"]["blame"]
    for index, row in enumerate(trace.rounds):
        high = sum(bar["y"][index] for bar in figure["data"])
        assert high == pytest.approx(row["t1_s"] - row["t0_s"], rel=1e-5)
    assert figure["data"][0]["customdata"][0] == "round 0, most: device computing at esp32_s3-1"


def test_many_rounds_share_bars() -> None:
    trace = build(devices=4, rounds=230)
    figure = data(page.render(trace))["figures"]["blame"]
    [first, *_] = figure["data"]
    assert len(first["x"]) == math.ceil(230 / 3)
    assert (first["x"][0], first["x"][-1]) == (1.0, 228.5)
    assert first["customdata"][1] == "rounds 3 to 5"
    total = sum(sum(bar["y"]) for bar in figure["data"]) * 3
    assert total == pytest.approx(trace.summary["simulated_s"], rel=0.02)


def test_the_largest_part_is_named(trace: Trace) -> None:
    text = plain(page.render(trace))
    top = trace.summary["blame"]["top"][0]
    assert (top["device"], top["kind"]) == ("esp32_s3-0", "compute")
    assert "of all rounds 92 % was device computing , 5 % slowed computing" in text
    assert "The largest single part was device computing at esp32_s3-0, 54 %" in text


def test_a_wish_is_a_sentence() -> None:
    row = {"device": "pixel_3-0", "change": "ideal uplink", "simulated_s_at_least": 61.0,
           "saves_at_most_s": 15.0}  # fmt: skip
    said = blame.wish(row, 76.0).replace("\u00a0", " ")
    assert said == (
        "With an ideal uplink of pixel_3-0 the run would take at least 1 min 1 s instead of "
        "1 min 16 s."
    )
    row |= {"simulated_s_at_least": 7199.0, "saves_at_most_s": 1.0}
    said = blame.wish(row, 7200.0).replace("\u00a0", " ")
    assert said == "An ideal uplink of pixel_3-0 would save at most 1.00 s of 2 h."


def test_bounds_of_steps_say_what_they_suppose(trace: Trace) -> None:
    supposed = "they suppose that the same updates go into the same steps"
    assert supposed not in page.render(trace)
    trace.summary["what_if"][0]["same_order"] = True
    assert supposed in page.render(trace)
    trace.summary["what_if"] = []
    assert "No ideal link or processor of one node alone" in page.render(trace)


def test_wasted_work_is_told_by_cause(trace: Trace) -> None:
    section = waste.section(trace)
    assert section
    wasted = trace.summary["wasted"]
    assert wasted["participations"] == 3
    assert plain(section.lead).startswith("3 of 54 updates became part of no server model")
    [figure] = section.figures
    assert [bar["name"] for bar in figure.data] == ["used", "wasted: battery", "wasted: deadline"]
    for place in range(3):
        assert sum(bar["x"][place] for bar in figure.data) == pytest.approx(100.0, rel=1e-4)


def test_nothing_wasted_has_no_figure() -> None:
    section = waste.section(build(devices=3, rounds=2))
    assert section
    assert not section.figures
    assert plain(section.lead) == "None: all 4 updates became part of a server model."
    assert waste.section(build(devices=0, rounds=0)) is None


def test_every_cause_of_waste_has_words_and_a_colour(trace: Trace) -> None:
    causes = trace.summary["wasted"]["by_cause"]
    part = causes["deadline"]
    for cause in waste.WORDS:
        causes[cause] = part
    html = page.render(trace)
    assert all(
        words in html for words in ("it started from too old a model", "the run ended first")
    )


def test_classes_and_label_rare_devices_are_set_side_by_side(trace: Trace) -> None:
    section = participation.section(trace)
    assert section
    text = plain(section.body)
    assert "Class Devices Samples Asked Updates used Of all used Expected accuracy" in text
    assert "rare labels 2 " in text
    [figure] = section.figures
    for bars in figure.data:
        assert sum(bars["x"]) == pytest.approx(100.0, rel=1e-4)
    assert "A device may expect an accuracy of 0." in plain(section.lead)


def test_nobody_stands_out(trace: Trace) -> None:
    trace.summary["fairness"]["by_labels"] = []
    section = participation.section(trace)
    assert section
    assert "no device stands out by rare ones" in section.body


def test_a_cost_only_run_expects_nothing() -> None:
    section = participation.section(build(learned=False))
    assert section
    assert "accuracy" not in plain(section.lead + section.body)


def test_who_was_not_waited_for_did_not_drop_out(trace: Trace) -> None:
    trace.summary["dropouts"]["surplus"] = 7
    trace.devices[1]["dropped_surplus"] = 7
    text = plain(page.render(trace))
    assert "over 12 devices, 4 dropouts, accuracy" in text
    assert "7 more were not waited for, because others had delivered enough." in text
    told = dict(answers(trace.summary))
    assert told["Who dropped out"].endswith("7 not waited for")
