"""The page: its answers are the run's, its text is inert, and it asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from hetsim.core.errors import CAUSES
from hetsim.core.trace import Counter, Note, Trace
from hetsim.report import dropouts, energy, page, participation, rosters
from hetsim.report.base import amounts
from hetsim.report.numbers import SPACE, share
from tests.unit.report.synthetic import build

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'%{y}&amp;</script>"


class Reader(HTMLParser):
    """Elements, their attributes, and what stands in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).replace("\u00a0", " ").split())


def data(html: str) -> dict[str, Any]:
    """What the page hands to its script."""
    return json.loads(Reader(html).scripts[0])


def test_the_answers_are_those_of_the_summary(trace: Trace) -> None:
    summary = trace.summary
    text = Reader(page.render(trace)).text
    answer = "5 rounds in 5 min 51 s simulated, 18.9 kJ over 12 devices, 4 dropouts, accuracy 0.786"
    assert f"{answer}." in text
    assert round(summary["active_j"]) == 1729
    assert "1.73 kJ active" in text
    assert round(summary["participant_j"], -1) == 12_510
    assert "12.5 kJ participant" in text
    assert "training needs 14.2 MB of memory and 8.0 MB are free" in text
    assert "of 54 contributions asked for, 51 (94 %) arrived" in text
    assert "1 device could not take part at all" in text


def test_targets_say_when_and_at_what_price() -> None:
    trace = build(rounds=30)
    text = Reader(page.render(trace)).text
    assert trace.summary["time_to"]["0.8"] is not None
    assert "0.8 took 8 min 21 s and 26.9 kJ" in text
    assert "0.99 was not reached" in text


def test_bars_add_up_to_the_total(trace: Trace) -> None:
    figure = data(page.render(trace))["figures"]["joules-profile"]
    drawn = sum(sum(bar["x"]) for bar in figure["data"])
    assert drawn == pytest.approx(trace.summary["energy_j"]["total"] / 1e3, rel=1e-5)


def test_accuracy_is_drawn_where_it_was_evaluated(trace: Trace) -> None:
    figures = data(page.render(trace))["figures"]
    [curve] = figures["accuracy-time"]["data"]
    seen = [row for row in trace.rounds if row["accuracy"] is not None]
    assert curve["customdata"] == [row["round"] for row in seen]
    assert curve["x"] == pytest.approx([row["t1_s"] / 60 for row in seen], rel=1e-5)
    [curve] = figures["accuracy-joules"]["data"]
    assert curve["x"][-1] == pytest.approx(trace.summary["energy_j"]["total"] / 1e3, rel=1e-5)


def test_mixed_power_scopes_are_warned_about(trace: Trace) -> None:
    warning = "These watts do not all include the same things."
    assert warning in page.render(trace)
    for row in trace.devices:
        row["power_scope"] = "wall"
    assert warning not in page.render(trace)


@pytest.mark.parametrize(
    ("kind", "meaning", "head"),
    [("loss", "battery losses", "Losses"), ("link", "traffic on links", "Links")],
)
def test_a_kind_is_shown_where_it_was_drawn(
    trace: Trace, kind: str, meaning: str, head: str
) -> None:
    before = data(page.render(trace))["figures"]["joules-profile"]["data"]
    assert meaning not in [bar["name"] for bar in before]
    assert f'<th scope="col" class="num" title="{meaning}">' not in page.render(trace)
    trace.summary["energy_j"][kind] = 50.0
    trace.devices[1]["energy_j"] += 50.0
    trace.devices[1][f"{kind}_j"] += 50.0
    html = page.render(trace)
    [bar] = [
        bar for bar in data(html)["figures"]["joules-profile"]["data"] if bar["name"] == meaning
    ]
    assert sum(bar["x"]) == pytest.approx(0.05)
    assert html.count(f">{head} <small>J</small>") == 2, "by profile, and of each device"
    for part in energy.groups(trace):
        assert sum(part.kinds.values()) == pytest.approx(part.total, rel=1e-9)


def test_the_radio_includes_what_it_draws_after_a_transfer(trace: Trace) -> None:
    """The summary tells tails apart; the page's radio is that of its tables and diagrams."""
    phone = next(row for row in trace.devices if row["profile"] == "pixel_6")
    tail = 0.25 * trace.summary["energy_j"]["total"]
    trace.summary["energy_j"]["radio_tail"] = tail
    trace.summary["energy_j"]["total"] += tail
    phone["energy_j"] += tail
    phone["radio_j"] += tail
    radio = sum(row["radio_j"] for row in trace.devices)
    words = f"{share(radio, trace.summary['energy_j']['total'])} radio"
    assert words in energy.section(trace).lead


def test_whoever_cannot_take_part_is_told_by_profile_and_reason(trace: Trace) -> None:
    for row in trace.devices:
        for cause in CAUSES:
            row[f"dropped_{cause}"] = 0
        row["excluded"] = ""
    phones = [row for row in trace.devices if row["profile"] == "pixel_6"]
    for row in phones:
        row["excluded"], row["dropped_memory"] = "no room", 1
    causes = trace.summary["dropouts"]
    causes.update(dict.fromkeys(causes, 0), memory=len(phones))
    section = dropouts.section(trace)
    assert "No contribution was cut short" in section.lead
    assert "Nobody dropped out" not in section.lead
    [rows] = re.findall('aria-label="Devices that could not take part">(.*?)</table>', section.body)
    assert re.findall("<td[^>]*>([^<]*)</td>", rows) == ["pixel_6", str(len(phones)), "no room"]
    assert 'aria-label="Dropouts by device"' not in section.body


def test_when_something_happened_is_sorted_as_a_time(trace: Trace) -> None:
    assert '<th scope="col" class="num">At<' in dropouts.section(trace).body


def test_one_class_of_devices_needs_no_comparison(trace: Trace) -> None:
    section = participation.section(trace)
    assert section
    assert len(section.figures) == 1
    del trace.summary["fairness"]["by_class"][1:]
    section = participation.section(trace)
    assert section
    assert not section.figures
    assert "All devices are of class" in section.lead


def test_a_round_has_no_columns_of_dashes() -> None:
    assert ">Accuracy<" in rosters.rounds(build()).body
    costed = rosters.rounds(build(learned=False))
    assert not [word for word in ("Accuracy", "Loss") if f">{word}<" in costed.body]
    assert "dash" not in costed.lead


def test_long_numbers_get_a_larger_unit() -> None:
    def told(*values: float, unit: str, among: tuple[float, ...] = ()) -> tuple[str, list[str]]:
        column = amounts("", values, unit, among=among)
        return column.unit, list(column.cells)

    assert told(99_999.0, 2.0, unit="J") == ("J", ["99,999", "2"])
    assert told(21_958_428.0, 366.0, unit="J") == ("kJ", ["21,958", "0.37"])
    assert told(366.0, unit="J", among=(21_958_428.0,)) == ("kJ", ["0.3660"])
    assert told(20_800.0, unit="B") == ("B", ["20,800"])
    assert told(3_600.0, 90.0, unit="s") == ("min", ["60.00", "1.50"])


def test_energy_stands_beside_the_name(trace: Trace) -> None:
    html = page.render(trace)
    for label in ("Joules by profile", "Joules by role", "Joules by power scope", "Devices"):
        head = html.split(f'aria-label="{label}"')[1].split("</thead>")[0]
        assert [th.split("<small>")[0] for th in re.findall(r"<th.*?</th>", head)][1].endswith(
            "Energy "
        ), label


def test_a_run_that_ended_early_says_so_twice(trace: Trace) -> None:
    assert "ended early" not in page.render(trace)
    trace.notes.append(Note(351.0, "server", "end", "no client is left to <ask>"))
    text = "The run ended early. After 5 rounds, at 5 min 51 s: no client is left to <ask>."
    assert Reader(page.render(trace)).text.count(text) == 2


def test_no_accuracy_is_not_always_cost_only() -> None:
    costed = build(learned=False)
    assert "no accuracy (cost only)." in Reader(page.render(costed)).text
    costed.summary["model_hash"] = "ab12" * 16
    text = Reader(page.render(costed)).text
    assert "no accuracy (not evaluated)." in text
    assert "cost only" not in text
    assert "not evaluatedno round ended in an evaluation of the model" in text
    assert 'id="accuracy"' not in page.render(costed)


@pytest.mark.parametrize(
    "shape",
    [
        {"learned": False}, {"finish": False}, {"rounds": 1}, {"rounds": 0},
        {"devices": 0}, {"devices": 0, "rounds": 0}, {"devices": 1, "counters": False},
        {"name": "n" * 500, "rename": lambda name: name * 40}, {"name": EVIL},
        {"rename": lambda name: EVIL + name}, {"devices": 200, "rounds": 20},
    ],
)  # fmt: skip
def test_every_shape_of_run_gives_a_well_formed_inert_page(shape: dict[str, Any]) -> None:
    trace = build(**shape)
    html = page.render(trace)
    reader = Reader(html)
    tags = [tag for tag, _ in reader.elements]
    assert "img" not in tags
    assert tags.count("script") == 3
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {f"plot-{name}" for name in data(html)["figures"]} <= set(ids)
    for tag, attributes in reader.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for link in ("src", "href"):
            assert (attributes.get(link) or "#").startswith(("#", "data:,")), tag
    assert len(html.encode()) < 6e6


def test_text_in_figures_is_escaped() -> None:
    html = page.render(build(rename=lambda name: "<b>" + name))
    for figure in data(html)["figures"].values():
        assert "<b>" not in json.dumps(figure)


def test_the_policy_admits_exactly_the_scripts_of_the_page(trace: Trace) -> None:
    reader = Reader(page.render(trace))
    policy = next(
        attributes["content"] or ""
        for tag, attributes in reader.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    admitted = re.search(r"script-src ([^;]*)", policy)
    assert admitted
    digests = [hashlib.sha256(script.encode()).digest() for script in reader.scripts[1:]]
    assert admitted[1].split() == [f"'sha256-{base64.b64encode(d).decode()}'" for d in digests]


def test_the_spec_and_the_hashes_are_on_the_page(trace: Trace) -> None:
    text = Reader(page.render(trace)).text
    for digest in ("spec_hash", "trace_hash", "model_hash"):
        assert trace.summary[digest] in text
    assert "deadline: 2 min" in text


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "rounds"), [(60, 2000), (3000, 40), (300, 400)])
def test_the_largest_pages_stay_well_below_six_megabytes(devices: int, rounds: int) -> None:
    trace = build(devices=devices, rounds=rounds)
    end, changes = trace.summary["simulated_s"], 40_000
    trace.counters += [
        Counter(number * end / changes, f"cell-{number % 30}", "saturated", number // 30 % 2 * 1.0)
        for number in range(changes)
    ]
    html = page.render(trace)
    assert len(html.encode()) < 5.8e6
    told = Reader(html).text
    assert f"{rounds:,} rounds" in told.replace(SPACE, " ")
    assert ("The first 1,000 of 2,000 rounds" in told.replace(SPACE, " ")) is (rounds == 2000)
    assert ("the 500 that drew most are shown" in told) is (devices == 3000)
