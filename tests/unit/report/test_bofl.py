"""BoFL's page says what its tables say: verdicts, also of sweeps of which nothing is published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hetsim.report import binder
from hetsim.report.published._bofl_published import PUBLISHED
from hetsim.report.published._bofl_targets import Target, targets
from hetsim.report.published.base import SCALES, Grid, Page
from hetsim.report.published.bofl import Bofl

Tables = dict[str, list[dict[str, Any]]]

POLICIES = ("performant", "best_single", "oracle", "bofl", "feedback_first", "feedback_tenth")


def tables(
    sweeps: Sequence[str] = tuple(PUBLISHED), ratios: Sequence[float] = (2.0, 4.0)
) -> Tables:
    """What the authors found, found again to the last digit that they state."""
    places = [(sweep, ratio) for sweep in sweeps for ratio in ratios]
    return {
        "bofl_facts": [fact(sweep) for sweep in sweeps],
        "bofl_runs": [run(*place, policy) for place in places for policy in POLICIES],
        "bofl_rounds": [
            {"sweep": sweep, "policy": policy, "round": number, "phase": 3, "deadline_s": 60.0,
             "joules": 400.0}
            for sweep in sweeps for policy in POLICIES for number in (1, 2)
        ],
        "bofl_points": [
            {"sweep": sweep, "kind": kind, "time": 1.2, "energy": 0.8}
            for sweep in sweeps for kind in ("front", "hull", "first", "asked")
        ],
        "bofl_idle": [
            {"sweep": sweep, "ratio": ratio, "rest": "50 %", "rest_w": 1.0, "policy": policy,
             "joules": 1.0, "saving_percent": 20.0}
            for sweep, ratio in places for policy in (*POLICIES, "oracle_told")
        ],
    }  # fmt: skip


def fact(sweep: str) -> dict[str, Any]:
    known = PUBLISHED.get(sweep, PUBLISHED["tx2_imdb"])
    return {
        "sweep": sweep, "settings": 936, "minibatches": 80, "seed": 1, "highest_s": 0.7,
        "highest_j": 8.0, "shortest_s": 56.0, "fastest_s": 0.7, "least_j": 6.0, "least_at_s": 1.0,
        "ceiling_percent": 25.0, "front": known.front, "hull": known.hull, "lowest_w": 2.5,
        "tried_first": 10,
    }  # fmt: skip


def run(sweep: str, ratio: float, policy: str) -> dict[str, Any]:
    known = PUBLISHED.get(sweep, PUBLISHED["tx2_imdb"])
    cell = known.cells[ratio]
    joules = {
        "performant": known.performant, "best_single": cell.single, "oracle": cell.bound,
    }.get(policy, cell.bofl)  # fmt: skip
    words, first = known.first.get(ratio, ("10", 500.0))
    return {
        "sweep": sweep, "ratio": ratio, "policy": policy, "seed": 0, "joules": joules,
        "deadlines_s": known.deadlines[(2.0, 4.0).index(ratio)],
        "saving_percent": 100.0 * (1.0 - joules / known.performant),
        "regret_percent": 100.0 * (joules / cell.bound - 1.0), "regret_after_percent": 1.0,
        "met": 100, "misses": 0, "busy": 0.9, "observed": cell.observed, "unique": cell.unique,
        "rounds_1": 1, "rounds_2": 3, "first_j": first, "first_counts": words, "short_rounds": 2,
        "short_off_j": 0.0, "dearer_rounds": 0, "dearest_percent": -1.0, "front": 9,
        "front_true": 3,
    }  # fmt: skip


def verdicts(found: Sequence[Target]) -> set[bool | None]:
    return {each.verdict for each in found}


def cells(page: Page) -> set[str]:
    """What stands in the tables of a page."""
    grids = [part for chapter in page.chapters for part in chapter.parts if isinstance(part, Grid)]
    return {cell for grid in grids for row in grid.rows for cell in row}


def test_what_is_as_published_meets_every_target() -> None:
    assert verdicts(targets(tables())) == {True}


@pytest.mark.parametrize(
    ("policy", "change", "what"),
    [
        ("performant", {"deadlines_s": 5511.0}, "sum of the deadlines"),
        ("performant", {"joules": 90111.0}, "Performant"),
        ("oracle", {"joules": 67579.0}, "Oracle, joules"),
        ("best_single", {"joules": 68079.0}, "one setting a round"),
        ("bofl", {"saving_percent": 21.3}, "BoFL's saving, AGX Xavier, ViT, ratio 2"),
        ("bofl", {"regret_percent": -0.1}, "no more than Oracle"),
        ("bofl", {"misses": 1}, "deadlines missed"),
        ("bofl", {"first_counts": "9 11 18 21"}, "settings known after each round"),
        ("bofl", {"first_j": 3337.0}, "phase 1, joules"),
        ("bofl", {"short_off_j": 1.0}, "shorter than"),
        ("bofl", {"observed": 74}, "settings observed when exploring ends"),
    ],
)
def test_one_number_that_is_off_misses_its_target(
    policy: str, change: dict[str, Any], what: str
) -> None:
    given = tables()
    [row] = [
        row for row in given["bofl_runs"]
        if (row["sweep"], row["ratio"], row["policy"]) == ("agx_cifar10", 2.0, policy)
    ]  # fmt: skip
    row.update(change)
    missed = [each.what for each in targets(given) if each.verdict is False]
    assert missed
    assert all(what in each for each in missed)


def test_a_wrong_front_misses_its_target() -> None:
    given = tables()
    given["bofl_facts"][0]["front"] += 1
    [missed] = [each.what for each in targets(given) if each.verdict is False]
    assert "front" in missed


def test_sweeps_of_which_nothing_is_published_are_shown_and_not_judged() -> None:
    given = tables(["agx_imdb", "mine"])
    found = targets(given)
    judged = {each.what for each in found if each.verdict is not None}
    assert judged == {
        "BoFL saves no more than Oracle", "deadlines missed by BoFL",
        "rounds shorter than T_min + τ while exploring: all at the highest clocks",
    }  # fmt: skip
    assert {"AGX Xavier, LSTM", "mine"} <= cells(Bofl().build(given, "small"))


def test_the_page_says_how_many_targets_are_met(tmp_path: Path) -> None:
    count = len(targets(tables()))
    binder.write_page(tmp_path, Bofl().build(tables(), "small"))
    page = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert f"Targets: {count} met, 0 not met, 0 not run." in page
    assert "22.38" in page
    assert {path.stem for path in tmp_path.glob("*.svg")} == {"savings", "rounds", "fronts"}


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_asks_for_the_replay(scale: str) -> None:
    [need] = Bofl().needs(scale)
    assert need.comparison == "bofl"
    assert need.settings["seeds"] >= (1 if scale == "smoke" else 3)
