"""The page in a real browser: no complaint, nothing overflowing, figures that are drawn.

Speaks the WebDriver protocol to chromedriver over a local socket, so no test library is needed.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hetsim.core.trace import Trace
from hetsim.report.page import render
from tests.unit.report.synthetic import build

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDTHS = (1280, 400)
EVIL = "<img src=x onerror=document.title='broken'>"
GREEN = (0x00, 0x84, 0x5F)
"""What the server's work is painted in, in the light theme."""
PAGES: dict[str, dict[str, Any]] = {
    "usual": {"devices": 24, "rounds": 30},
    "cost_only": {"learned": False, "counters": False, "rounds": 1},
    "empty": {"devices": 0, "rounds": 0},
    "hostile": {"name": EVIL * 9, "rename": lambda name: EVIL + "x" * 90 + name},
}


class Browser:
    """One headless session."""

    def __init__(self, driver: str, profile: Path, binary: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()
        options = {"binary": binary, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.call("POST", "/session", capabilities={"alwaysMatch": wanted})
        self.base += f"/session/{session['sessionId']}"

    def call(self, verb: str, path: str, **body: Any) -> Any:
        """One command; returns its value."""
        request = urllib.request.Request(
            self.base + path,
            method=verb,
            data=json.dumps(body).encode() if verb == "POST" else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)["value"]

    def tool(self, command: str, **parameters: Any) -> Any:
        """One command of the browser's developer tools."""
        return self.call("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def ask(self, script: str) -> Any:
        """The value of a JavaScript expression on the page."""
        return self.call("POST", "/execute/sync", script=f"return {script}", args=[])

    def changed(self, script: str, before: Any) -> bool:
        """Whether an expression takes another value within ten seconds."""
        for _ in range(100):
            if self.ask(script) != before:
                return True
            time.sleep(0.1)
        return False

    def complaints(self) -> list[str]:
        """Console messages since the last call."""
        return [entry["message"] for entry in self.call("POST", "/se/log", type="browser")]

    def open(self, page: Path, width: int, theme: str) -> None:
        """Load `page` in a window of `width` CSS pixels, and wait for its script to have run."""
        self.tool(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        self.tool("Emulation.setScrollbarsHidden", hidden=True)  # pictures have none either
        self.paint(theme)
        self.call("POST", "/url", url=page.as_uri())
        assert self.changed("window.hetsim === undefined", True)

    def paint(self, theme: str) -> None:
        """Prefer the light or the dark theme."""
        self.tool(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": theme}],
        )

    def picture(self, width: int) -> Image.Image:
        """The whole page."""
        height = self.ask("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.tool("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return Image.open(BytesIO(base64.b64decode(shot["data"]))).convert("RGB")

    def close(self) -> None:
        """End the session and the driver."""
        try:
            self.call("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait(20)

    def _wait(self) -> None:
        for _ in range(100):
            try:
                self.call("GET", "/status")
                return
            except urllib.error.URLError:
                time.sleep(0.1)
        self.process.kill()
        pytest.fail("chromedriver does not answer")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    driver = shutil.which("chromedriver")
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not driver or not binary:
        pytest.skip("no Chromium with chromedriver on this machine; the page is not looked at")
    session = Browser(driver, tmp_path_factory.mktemp("profile"), binary)
    yield session
    session.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    traces = {name: build(**shape) for name, shape in PAGES.items()} | {
        "crowded": crowded(),
        "troubled": troubled(),
    }
    for name, trace in traces.items():
        (folder / f"{name}.html").write_text(render(trace), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in traces}


def crowded() -> Trace:
    """A run with every kind of energy, many joules, and server work of a tenth of a millisecond."""
    trace = build(devices=24, rounds=6)
    for row in trace.devices:
        row["loss_j"], row["link_j"] = 0.04 * row["energy_j"], 0.01 * row["energy_j"]
        row["energy_j"] *= 1.05
        for name in row:
            if name.endswith("_j"):
                row[name] *= 1e4
    trace.spans = [
        span._replace(t1=span.t0 + 1e-4) if span.kind == "mean" else span for span in trace.spans
    ]
    return trace


def troubled() -> Trace:
    """A run in which a device throttles; batteries die and transfers wait for each other."""
    trace = build(devices=24, rounds=6)
    name = trace.devices[3]["device"]
    trace.count(40.0, name, "throttled", 1.0)
    trace.count(160.0, name, "throttled", 0.0)
    for t, value in ((60.0, 1.0), (180.0, 0.0)):
        trace.count(t, "ap-north/airtime", "saturated", value)
    trace.counters.sort(key=lambda counter: counter.t)
    return trace


def sound(browser: Browser, page: Path, width: int, theme: str) -> None:
    """The page fits, asks for nothing, complains about nothing and draws every figure."""
    browser.open(page, width, theme)
    assert browser.complaints() == []
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("document.title").endswith("· hetsim")
    assert browser.ask("performance.getEntriesByType('resource').length") == 0
    undrawn = "[...document.querySelectorAll('.plot')].filter(p => !p.querySelector('svg')).length"
    assert browser.ask(undrawn) == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_fits_and_the_browser_has_no_complaint(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    sound(browser, pages[name], width, "light")
    wide = "[...document.querySelectorAll('.plot svg')].filter(s => s.clientWidth > innerWidth)"
    assert browser.ask(f"{wide}.length") == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_both_themes_are_drawn(browser: Browser, pages: dict[str, Path], width: int) -> None:
    papers: dict[str, int] = {}
    for theme in ("light", "dark"):
        browser.open(pages["usual"], width, theme)
        picture = browser.picture(width)
        assert picture.width == width
        assert picture.height > 3000
        grey = picture.convert("L").histogram()
        assert sum(n > 0 for n in grey) > 100, "a page with text and figures has many shades"
        papers[theme] = grey.index(max(grey))
        assert browser.complaints() == []
    assert papers["light"] > 240
    assert papers["dark"] < 40


@pytest.mark.slow
@pytest.mark.parametrize("name", ["usual", "crowded"])
def test_joules_are_in_view(browser: Browser, pages: dict[str, Path], name: str) -> None:
    tables = "[...document.querySelectorAll('#joules .scroll')]"
    browser.open(pages[name], 1280, "light")
    assert browser.ask(f"{tables}.length") == 4
    assert browser.ask(f"{tables}.filter(t => t.scrollWidth > t.clientWidth).length") == 0
    browser.open(pages[name], 400, "light")
    heads = "[...document.querySelectorAll('#joules th, #devices th')]"
    energy = f"{heads}.filter(h => h.innerText.startsWith('Energy'))"
    assert browser.ask(f"{energy}.length") == 4
    assert browser.ask(f"{energy}.filter(h => h.getBoundingClientRect().right > 400).length") == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_work_shorter_than_a_pixel_is_seen(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["crowded"], width, "light")
    plot = "document.querySelector('#plot-timeline .nsewdrag')"
    box = browser.ask(
        "(r => [r.left + scrollX, r.top + scrollY, r.right + scrollX])"
        f"({plot}.getBoundingClientRect())"
    )
    left, top, right = (round(edge) for edge in box)
    band = np.asarray(browser.picture(width).crop((left, top + 6, right, top + 20)), dtype=int)
    seen = (abs(band - GREEN).max(axis=2) < 80).any(axis=0)
    marks = np.flatnonzero(np.diff(seen.astype(int), prepend=0) == 1).size
    assert marks == 6, "one for each round"


@pytest.mark.slow
def test_figures_follow_their_place(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1280, "light")
    wide = "[...document.querySelectorAll('.plot svg')].filter(s => s.clientWidth > 340).length"
    before = browser.ask(wide)
    assert before > 0
    browser.ask("document.querySelector('main').style.maxWidth = '380px'")
    for _ in range(100):
        if browser.ask(wide) == 0:
            break
        time.sleep(0.1)
    assert browser.ask(wide) == 0
    assert browser.complaints() == []


@pytest.mark.slow
def test_figures_follow_a_change_of_theme(browser: Browser, pages: dict[str, Path]) -> None:
    line = "document.querySelector('#plot-accuracy-time .lines path').style.stroke"
    browser.open(pages["usual"], 1280, "light")
    light = browser.ask(line)
    browser.paint("dark")
    assert browser.changed(line, light)
    assert browser.complaints() == []


@pytest.mark.slow
def test_a_table_is_sorted_by_a_click(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1280, "light")
    head = "[...document.querySelectorAll('#devices th')].find(h => h.innerText.startsWith('{}'))"
    cells = (
        "(i => [...document.querySelectorAll('#devices tbody tr')].map(r => r.cells[i].innerText))"
        "({}.cellIndex)"
    )

    def click(title: str) -> list[str]:
        browser.ask(f"{head.format(title)}.firstElementChild.click()")
        return browser.ask(cells.format(head.format(title)))

    joules = [float(cell.replace(",", "")) for cell in click("Energy")]
    assert joules == sorted(joules, reverse=True)
    assert joules[0] > joules[-1]
    joules = [float(cell.replace(",", "")) for cell in click("Energy")]
    assert joules == sorted(joules)
    hottest = click("Hottest")
    numbers = [float(cell) for cell in hottest if cell != "–"]
    assert hottest[: len(numbers)] != hottest[-len(numbers) :]
    assert all(cell == "–" for cell in hottest[len(numbers) :])
    names = click("Node")
    assert names[0] < names[-1]
    assert click("Node") == names[::-1]
    assert browser.ask(f"{head.format('Node')}.ariaSort") == "descending"


@pytest.mark.slow
def test_a_table_is_sorted_from_the_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1280, "light")
    button = "document.querySelector('#devices th button')"
    browser.ask(f"{button}.focus()")
    assert browser.ask("document.activeElement.matches('#devices th:first-child button')")
    for key in ("Tab", "Enter"):
        for kind in ("rawKeyDown", "char", "keyUp") if key == "Enter" else ("keyDown", "keyUp"):
            code, typed = {"Tab": (9, ""), "Enter": (13, "\r")}[key]
            browser.tool(
                "Input.dispatchKeyEvent",
                type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=typed,
            )  # fmt: skip
    focus = "document.activeElement"
    assert browser.ask(f"{focus}.closest('th').innerText.startsWith('Energy')")
    assert browser.ask(f"{focus}.closest('th').ariaSort") == "descending"
    assert browser.ask(f"getComputedStyle({focus}).outlineStyle") == "solid"


@pytest.mark.slow
def test_a_click_on_a_bar_chooses_its_node(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1280, "light")
    chosen = "(s => s.options[s.value].text)(document.getElementById('counter-node'))"
    label, name = next(
        pair for pair in browser.ask("Object.entries(window.hetsim.page.timeline)")
        if pair[1] != browser.ask(chosen) and pair[1] != "server"
    )  # fmt: skip
    browser.ask(
        "document.getElementById('plot-timeline').emit('plotly_click', "
        f"{{points: [{{y: {json.dumps(label)}}}]}})"
    )
    assert browser.ask(chosen) == name
    assert browser.complaints() == []


@pytest.mark.slow
def test_paper_is_light_and_holds_whole_figures(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1280, "dark")
    ink = "getComputedStyle(document.body).color"
    widths = "[...document.querySelectorAll('.plot .main-svg')].map(s => s.clientWidth)"
    dark, wide = browser.ask(ink), browser.ask(widths)
    assert max(wide) > 700
    browser.ask("dispatchEvent(new Event('beforeprint'))")
    assert browser.ask(ink) == "rgb(23, 27, 33)"
    assert max(browser.ask(widths)) <= 700
    line = "document.querySelector('#plot-accuracy-time .lines path').style.stroke"
    assert browser.ask(line) == "rgb(0, 114, 178)"
    flow = "[...document.querySelectorAll('.sankey-link')].map(p => getComputedStyle(p).opacity)"
    assert set(browser.ask(flow)) == {"1"}
    assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.ask("dispatchEvent(new Event('afterprint'))")
    assert browser.ask(ink) == dark
    for _ in range(100):
        if browser.ask(widths) == wide:
            break
        time.sleep(0.1)
    assert browser.ask(widths) == wide
    assert browser.complaints() == []


@pytest.mark.slow
def test_another_node_can_be_chosen(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1280, "light")
    curve = "document.querySelector('#plot-counters .lines path').getAttribute('d')"
    before = browser.ask(curve)
    browser.ask(
        "(s => { s.value = '1'; s.dispatchEvent(new Event('change')); })"
        "(document.getElementById('counter-node'))"
    )
    assert browser.changed(curve, before)
    assert browser.complaints() == []


@pytest.mark.slow
def test_numbers_are_sorted_by_what_they_mean(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1280, "light")
    table = "document.querySelector('[aria-label=\"Joules by profile\"] table')"
    head = f"[...{table}.tHead.rows[0].cells].find(h => h.innerText.startsWith('Share'))"
    cells = f"[...{table}.tBodies[0].rows].map(r => r.cells[{head}.cellIndex].innerText)"
    rows = f"[...{table}.tBodies[0].rows]"
    for i, share in enumerate(("< 1 %", "12 %", "1 min 2 s", "7.5 s", "–")):
        browser.ask(f"{rows}[{i}].cells[{head}.cellIndex].textContent = '{share}'")
    browser.ask(f"{head}.firstElementChild.click()")
    assert browser.ask(cells) == ["1 min 2 s", "12 %", "7.5 s", "< 1 %", "–"]


@pytest.mark.slow
def test_every_table_of_several_rows_is_sortable(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1280, "light")
    tall = "[...document.querySelectorAll('table')].filter(t => t.tBodies[0].rows.length > 1)"
    assert browser.ask(f"{tall}.length") > 8
    assert browser.ask(f"{tall}.every(t => t.matches('.sortable'))")


@pytest.mark.slow
@pytest.mark.parametrize("figure", ["joules-flow", "timeline", "path", "counters"])
def test_a_figure_is_downloaded_with_its_title(
    browser: Browser, pages: dict[str, Path], tmp_path: Path, figure: str
) -> None:
    browser.open(pages["usual"], 1280, "light")
    browser.tool("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    button = f"document.querySelector('[data-plot=plot-{figure}]')"
    browser.ask(f"{button}.click()")
    file = tmp_path / f"iot_mix-{figure}.svg"
    for _ in range(100):
        if file.is_file():
            break
        time.sleep(0.1)
    drawing = file.read_text(encoding="utf-8")
    title = browser.ask(f"{button}.parentElement.firstChild.textContent").split()[0]
    assert drawing.startswith("<svg")
    assert title in drawing
    assert browser.complaints() == []


@pytest.mark.slow
def test_the_path_of_any_round_can_be_chosen(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1280, "light")
    chooser = "document.getElementById('path-round')"
    assert browser.ask(f"{chooser}.options.length") == 30
    bars = "[...document.querySelectorAll('#plot-path .point path')].map(p => p.getAttribute('d'))"
    before = browser.ask(f"{bars}.join()")
    browser.ask(
        f"(s => {{ s.value = s.value === '3' ? '4' : '3'; s.dispatchEvent(new Event('change')); }})"
        f"({chooser})"
    )
    assert browser.changed(f"{bars}.join()", before)
    browser.ask("document.getElementById('plot-blame').emit('plotly_click', {points: [{x: 7}]})")
    assert browser.ask(f"{chooser}.value") == "7"
    assert browser.complaints() == []


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_heat_death_and_full_links_are_seen(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["troubled"], width, "light")
    legend = "[...document.querySelectorAll('#timeline .legend li')].map(li => li.innerText)"
    wanted = {"held up on a link", "throttled by heat", "battery empty"}
    assert wanted <= set(browser.ask(legend))
    assert "link full, or down" in browser.ask(legend)
    rows = "[...document.querySelectorAll('#plot-timeline .ytick text')].map(e => e.textContent)"
    assert "ap-north/airtime" in browser.ask(rows)
    assert "ap-north/airtime" in browser.ask("document.getElementById('timeline').innerText")
    place = "document.getElementById('plot-timeline')"
    for name in (*wanted, "link full"):
        trace = f"{place}.data.find(t => t.name === '{name}')"
        colour = (
            f"(e => {{ e.style.color = {trace}.marker.color; return e.style.color; }})"
            "(document.createElement('i'))"
        )
        points = "[...document.querySelectorAll('#plot-timeline :is(.point path, path.point)')]"
        painted = f"{points}.filter(p => p.style.fill === {colour})"
        assert browser.ask(f"{painted}.some(p => p.getBoundingClientRect().width > 0)"), name
    assert browser.complaints() == []
