"""The page of a sweep in a real browser: it fits, nothing complains, and what it offers works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hetsim.report import sweep_page
from tests.e2e import test_report_page
from tests.e2e.test_report_page import Browser, sound

browser = test_report_page.browser
EVIL = "<img src=x onerror=document.title='broken'>"
AXES = ("fleet[0].count", "fleet[0].link.rate", "method.name", "seed")
LINES = "[...document.querySelectorAll('#lines-plot path')]"


def row(point: int, count: int, rate: int, method: str, seed: int) -> dict[str, Any]:
    time = 100.0 / rate + count + 0.3 * seed
    settings = dict(zip(AXES, (count, f"{rate} Mbit/s", method, seed), strict=True))
    found: dict[str, Any] = {
        "simulated_s": time, "energy_j": 40.0 * time * count, "best_accuracy": 0.9 - 0.01 * seed,
        "accuracy": None, "bytes_up": 1e6, "excluded": 0,
    }  # fmt: skip
    if count == 9:
        found = dict.fromkeys(found)
    failed = f"nobody can take part {EVIL}" if count == 9 else None
    return {"point": point, **settings, **found, "failed": failed}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = [
        (count, rate, method, seed)
        for count in (2, 4, 9) for rate in (5, 10, 20)
        for method in ("fedavg", EVIL) for seed in (0, 1, 2)
    ]  # fmt: skip
    rows = [row(point, *each) for point, each in enumerate(settings)]
    path = tmp_path_factory.mktemp("sweep") / "sweep.html"
    path.write_text(sweep_page.render(EVIL, AXES, rows, asked=EVIL), encoding="utf-8")
    return path


def fits(browser: Browser, page: Path, width: int, theme: str, lines: int) -> None:
    """The page is sound, small, and draws all that it holds."""
    sound(browser, page, width, theme)
    assert browser.ask(f"{LINES}.length") == lines
    assert page.stat().st_size < 6e6


def choose(browser: Browser, name: str, value: str) -> None:
    browser.ask(
        f"(s => {{ s.value = '{value}'; s.dispatchEvent(new Event('change')); }})"
        f"(document.getElementById('{name}'))"
    )


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", test_report_page.WIDTHS)
def test_it_fits_and_nothing_complains(
    browser: Browser, sweep: Path, width: int, theme: str
) -> None:
    fits(browser, sweep, width, theme, lines=36)  # of the points that have a result


@pytest.mark.slow
def test_colours_and_the_map_can_be_chosen(browser: Browser, sweep: Path) -> None:
    browser.open(sweep, 1280, "light")
    strokes = f"{LINES}.map(line => line.getAttribute('stroke')).join()"
    before = browser.ask(strokes)
    choose(browser, "colour-by", "best_accuracy")
    assert browser.changed(strokes, before)
    cells = "JSON.stringify(document.getElementById('plot-map').data[0].z)"
    held = "document.getElementById('plot-map').data[0].customdata"
    before = browser.ask(cells)
    assert browser.ask(held) == [[6, 6]] * 3
    choose(browser, "map-y", "method.name")
    assert browser.changed(cells, before)
    assert browser.ask(held) == [[9, 9]] * 2
    assert browser.complaints() == []


@pytest.mark.slow
def test_dragging_along_an_axis_keeps_the_lines_that_pass(browser: Browser, sweep: Path) -> None:
    browser.open(sweep, 1280, "light")
    browser.ask("document.getElementById('lines-plot').scrollIntoView({behavior: 'instant'})")
    box = browser.ask(
        "(r => [r.x + r.width / 2, r.y, r.height])"
        "(document.querySelector('#lines-plot rect.brush').getBoundingClientRect())"
    )
    x, top, height = box

    def mouse(kind: str, y: float) -> None:
        browser.tool(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
        )

    off = "document.querySelectorAll('#lines-plot path.off').length"
    assert browser.ask(off) == 0
    mouse("mousePressed", top + 1)
    mouse("mouseMoved", top + height / 3)
    mouse("mouseReleased", top + height / 3)
    assert browser.ask(off) == 18, "those of the smaller fleet"
    assert browser.ask("document.getElementById('kept-lines').innerText") == "18 of 36 points"
    mouse("mousePressed", top + 1)
    mouse("mouseReleased", top + 1)
    assert browser.ask(off) == 0
    assert browser.complaints() == []
