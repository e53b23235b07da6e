"""Pages about ways to train side by side say what their tables say, also where they say little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hetsim.report.published import fedhm, fedlp, spatl, systems
from hetsim.report.published.base import SCALES, Chart, Grid, Page

Tables = dict[str, list[dict[str, Any]]]
REPORTS: dict[str, tuple[Any, Any]] = {
    "fedhm": (fedhm.FedHM, fedhm), "fedlp": (fedlp.FedLP, fedlp), "spatl": (spatl.Spatl, spatl),
    "systems": (systems.Systems, systems),
}  # fmt: skip
KINDS = {"raspberry_pi_5": 8, "pixel_6": 4}
VIEWS = ("the first", "the last")
JOULES = ("device_j", "device_active_j", "device_participant_j", "energy_j", "active_j",
          "participant_j", "server_j")  # fmt: skip


def scenes(name: str) -> dict[str, Any]:
    needs = REPORTS[name][0]().needs("small")
    [settings] = [need.settings for need in needs if need.comparison == "side_by_side"]
    return settings["scenes"]


def tables(name: str, accuracy: Callable[[str, str, str], float]) -> Tables:
    """All runs of a report, which end at `accuracy(scene, way, view)`; "" is the model itself."""
    found: Tables = {
        table: [] for table in ("runs", "scores", "classes", "levels", "views", "goals")
    }
    for scene, settings in scenes(name).items():
        for way in settings["ways"]:
            for seed in settings["seeds"]:
                head = {"scene": scene, "way": way, "seed": seed}
                end = {
                    **head, "rounds": 8, "final": accuracy(scene, way, ""),
                    "best": accuracy(scene, way, ""), "simulated_s": 60.0,
                    **{column: 1e3 / (1 + place) for place, column in enumerate(JOULES)},
                    "bytes_up": 1e7, "bytes_down": 2e7, "peak_memory_b": 9e6,
                    "excluded": 4 if way == "FedAvg" else 0, "dropped": 0,
                }  # fmt: skip
                found["runs"].append(end)
                if "goal" in settings:
                    goal = 0.5
                    reached = end["best"] >= goal
                    blank = {key: None for key in end if key not in head}
                    found["goals"].append(
                        {**(end if reached else head | blank), "goal": goal, "reached": reached}
                    )
                for number in (2, 4, 6, 8):
                    found["scores"].append(
                        {
                            **head, "round": number, "accuracy": accuracy(scene, way, ""),
                            "t_s": 7.5 * number, "device_j": 125.0 * number,
                            "energy_j": 500.0 * number, "bytes": 1e6 * number,
                        }
                    )  # fmt: skip
                    found["views"] += [
                        {
                            **head, "round": number, "view": view, "loss": None, "samples": 100,
                            "accuracy": accuracy(scene, way, view),
                        }
                        for view in ("own labels", *VIEWS)
                    ]  # fmt: skip
                for profile, count in KINDS.items():
                    found["classes"].append(
                        {
                            **head, "class": "sbc", "profile": profile, "devices": count,
                            "excluded": count if way == "FedAvg" and count == 4 else 0,
                            "asked": 8, "used": 8, "energy_j": 40.0, "active_j": 10.0,
                            "participant_j": 20.0, "compute_j": 5.0, "radio_j": 5.0,
                            "bytes_up": 1e6, "bytes_down": 1e6, "peak_memory_b": 9e6,
                        }
                    )  # fmt: skip
                    found["levels"] += [
                        {**head, "device": f"{profile}-{n}", "profile": profile, "level": "half"}
                        for n in range(count)
                    ]
    return found


def built(name: str, found: Tables) -> Page:
    return REPORTS[name][0]().build(found, "small")


def text(page: Page) -> str:
    parts = [part for chapter in page.chapters for part in chapter.parts]
    grids = [part for part in parts if isinstance(part, Grid)]
    return "\n".join(
        (
            page.lead,
            *(" | ".join(row) for grid in grids for row in (grid.columns, *grid.rows)),
            *(part for part in parts if isinstance(part, str)),
        )
    )


def chart_names(page: Page) -> Sequence[str]:
    parts = [part for chapter in page.chapters for part in chapter.parts]
    return [part.name for part in parts if isinstance(part, Chart)]


@pytest.mark.parametrize("name", REPORTS)
def test_without_rows_a_page_says_so(name: str) -> None:
    said = text(built(name, {}))
    assert "not run" in said
    assert "nan" not in said.lower().split()


@pytest.mark.parametrize("name", REPORTS)
def test_every_way_has_its_rows_and_every_figure_its_name(name: str) -> None:
    page = built(name, tables(name, lambda scene, way, view: 0.6))
    said = text(page)
    for settings in scenes(name).values():
        assert all(way in said for way in settings["ways"])
    names = chart_names(page)
    assert len(names) == len(set(names)) >= 3
    assert "excluded" in said
    assert "half: 8" in said


@pytest.mark.parametrize("name", ["fedhm", "fedlp", "spatl"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_signs_are_told_as_they_are(name: str, sign: float) -> None:
    """With all differences one way every sign is seen, and the other way none of these."""
    order = {
        "fedhm": ("all at width 0.35", "HeteroFL", "all at rank 1/8", "FedHM"),
        "fedlp": ("Hetero(1)", "Hetero(u)", "Hetero(5)", "Homo(0.1)", "Homo(0.3)", "Homo(0.5)"),
        "spatl": ("SCAFFOLD", "SPATL, shared predictor", "FedAvg", "SPATL"),
    }[name]

    def accuracy(scene: str, way: str, view: str) -> float:
        base = 0.5 + sign * 0.02 * (order.index(way) if way in order else 2)
        return base - (0.1 if view == VIEWS[1] and way == "HeteroFL" and sign > 0 else 0.0)

    said = built(name, tables(name, accuracy)).lead.splitlines()
    chosen = {
        "fedhm": ("Levels of FedHM", "FedHM's smallest level above HeteroFL's"),
        "fedlp": ("Hetero(5) above", "Hetero(u) above", "Homo(0.3) above"),
        "spatl": ("With few clients a round SCAFFOLD", "Private predictors", "With few clients"),
    }[name]
    for start in chosen:
        [line, *_] = [line for line in said if line.startswith(f"- {start}")]
        assert (": seen (" in line) == (sign > 0.0), line


@pytest.mark.parametrize("name", REPORTS)
def test_a_run_may_be_scored_once(name: str) -> None:
    found = tables(name, lambda scene, way, view: 0.6)
    for table in ("scores", "views"):
        found[table] = [row for row in found[table] if row["round"] == 8]
    assert "60.0" in text(built(name, found))


def test_what_is_not_seen_has_a_cause() -> None:
    def accuracy(scene: str, way: str, view: str) -> float:
        return 0.4 if way.startswith("Homo") else 0.5

    said = text(built("fedlp", tables("fedlp", accuracy)))
    assert "- Homo(0.5) loses at most two points to FedAvg: a layer that" in said
    assert "- Hetero(5) above Hetero(u): the last layers" in said
    assert "- With sorted labels Homo(0.7) loses at most one point: FedAvg itself" in said
    assert "- Homo(0.3) above Homo(0.1):" not in said.partition("Causes:")[2]


def test_the_reading_of_systems_ranks_what_is_there() -> None:
    ways = list(scenes("systems")["one fleet"]["ways"])
    found = tables("systems", lambda scene, way, view: 0.4 if way == ways[1] else 0.6)
    for row in found["goals"]:
        if row["reached"]:
            row["simulated_s"] = 10.0 * (1 + ways.index(row["way"]))
    lines = [line for line in built("systems", found).lead.splitlines() if line[:1].isdigit()]
    assert len(lines) == 10
    assert f"Not in every seed: {ways[1]}." in lines[0]
    assert lines[1].index(ways[0]) < lines[1].index(ways[2])
    assert ways[1] not in lines[1]
    assert f"{ways[0]} 4; {ways[1]} 0" in lines[6]
    assert f"{ways[1]} | 0 of 3{' | –' * 10}" in text(built("systems", found))


@pytest.mark.parametrize("name", REPORTS)
def test_every_scale_has_at_least_three_seeds_but_smoke(name: str) -> None:
    for scale in SCALES:
        for need in REPORTS[name][0]().needs(scale):
            for scene in need.settings.get("scenes", {}).values():
                assert len(scene["seeds"]) == (1 if scale == "smoke" else 3)
