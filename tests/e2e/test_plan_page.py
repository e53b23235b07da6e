"""The page of a plan in a real browser: it fits, nothing complains, and what it offers works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hetsim.report import plan_page
from tests.e2e import test_report_page
from tests.e2e.test_report_page import Browser
from tests.e2e.test_sweep_page import choose, fits

browser = test_report_page.browser
EVIL = "<img src=x onerror=document.title='broken'>"
KEYS = ("fleet[pi].count", "fleet[pi].link.rate", "governor")
STATUS = ("chosen", "front", "front", "meets", "misses", "misses")


def row(number: int) -> dict[str, Any]:
    """Six configurations were played, the others were cut, the last failed."""
    played = number < len(STATUS)
    status = STATUS[number] if played else "failed" if number == 11 else "cut"
    time = 40.0 + 900.0 * number
    settings = (
        1 + number % 4,
        f"{5 * (1 + number % 3)} Mbit/s",
        EVIL if number % 2 else "powersave",
    )
    return {
        "configuration": number, **dict(zip(KEYS, settings, strict=True)), "status": status,
        "rung": "full" if played else "none" if number == 11 else "price", "step": number > 4,
        "price": 500.0 + 75.0 * number, "accuracy": 0.9 - 0.01 * number if played else None,
        "time_s": time if played else None, "energy_j": 5e6 / time if played else None,
        "device_j": None, "active_j": None, "bytes_sent": 1e6 if played else None,
        "battery_end": 0.4 if played else None, "dropouts": None, "excluded": None,
        "why": None if played else f"price at best too high {EVIL}",
    }  # fmt: skip


def plan() -> dict[str, Any]:
    rows = [row(number) for number in range(12)]

    def plain(number: int) -> dict[str, Any]:
        each = rows[number]
        return {
            "configuration": number, "settings": {key: str(each[key]) for key in KEYS},
            "values": each, "meets": each["status"] != "misses", "misses": ["time 3 % above 1 h"],
            "why": each["why"],
        }  # fmt: skip

    changes = {"time": -0.18, "energy": 0.02, "price": None}
    step = {"step": f"1 more {EVIL}", "changes": changes, **plain(1)}
    return {
        "name": EVIL, "keys": KEYS, "objectives": ["time", "energy", "price"], "met": True,
        "columns": ["time_s", "energy_j", "price"], "chosen": plain(0), "nearest_miss": None,
        "limits": [
            {"column": "time_s", "limit": 3600.0, "high": False, "text": "time <= 1 h"},
            {"column": "accuracy", "limit": 0.85, "high": True, "text": "accuracy >= 0.850"},
        ],
        "answer": "Four of 12 meet all goals.", "how": "All that there are.", "rows": rows,
        "front": [{"file": f"front/0{place}.yaml", **plain(place - 1)} for place in (1, 2, 3)],
        "steps": [step, {**step, "step": "1 fewer pi"}], "looked_at": 12,
        "without_price": ["esp32", EVIL],
    }  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.html"
    path.write_text(plan_page.render(plan(), asked=EVIL), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", test_report_page.WIDTHS)
def test_it_fits_and_nothing_complains(
    browser: Browser, page: Path, width: int, theme: str
) -> None:
    fits(browser, page, width, theme, lines=len(STATUS))


@pytest.mark.slow
def test_any_two_results_are_shown_with_their_goals(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    plot = "document.getElementById('plot-plane')"
    drawn = f"{plot}.data.map(trace => [trace.name, trace.x.length])"
    held = {name: number for name, number in browser.ask(drawn) if number}
    assert held == {"chosen": 1, "front": 2, "meets all goals": 1, "misses a goal": 2}
    goals = f"{plot}.layout.shapes.map(shape => [shape.x0, shape.y0])"
    assert browser.ask(goals) == [[60, 0]], "an hour on the axis of minutes, none on that of joules"
    before = browser.ask(f"JSON.stringify({plot}.data[0].y)")
    choose(browser, "plane-y", "accuracy")
    assert browser.changed(f"JSON.stringify({plot}.data[0].y)", before)
    assert browser.ask(goals) == [[60, 0], [0, 0.85]]
    assert browser.complaints() == []


@pytest.mark.slow
def test_tables_are_sorted_and_lines_coloured(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    first = "document.querySelector('#all tbody tr td').innerText"
    assert browser.ask(first) == "0"
    browser.ask("document.querySelectorAll('#all th button')[0].click()")
    assert browser.ask(first) == "11"
    lines = "[...document.querySelectorAll('#lines-plot path')]"
    strokes = f"{lines}.map(line => line.getAttribute('stroke')).join()"
    before = browser.ask(strokes)
    choose(browser, "colour-by", "status")
    assert browser.changed(strokes, before)
    assert browser.complaints() == []


def test_nothing_that_can_be_played_is_a_page_too() -> None:
    rows = [{**row(number), "status": "failed", "time_s": None} for number in range(3)]
    for each in rows:
        each.update(dict.fromkeys(("accuracy", "energy_j", "bytes_sent", "battery_end")))
    nothing = {"rows": rows, "chosen": None, "met": False, "front": [], "steps": []}
    text = plan_page.render({**plan(), **nothing}, asked="")
    assert "Nothing to choose" in text
    assert '<section id="plane">' not in text
    assert '<section id="all">' in text
