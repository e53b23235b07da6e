"""The stragglers' page says what its tables say, also where runs did not get there."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from hetsim.report import binder
from hetsim.report.published.stragglers import Stragglers

PACES = ("sync", "over_selection", "fedbuff")
SELECTIONS = ("random", "oort")
SEEDS = (0, 1, 2)
_TO = ("rounds", "updates", "total_j", "active_j", "participant_j", "spent_j", "wasted_j",
       "unfinished_j")  # fmt: skip


def run(seconds: float | None, **head: Any) -> dict[str, Any]:
    """A row of a table of runs."""
    reached = None if seconds is None else 10.0 * seconds
    return {
        **head, "target": 0.8, "to_time_s": seconds, **{f"to_{name}": reached for name in _TO},
        **({"to_wasted_j": 0.2 * reached} if reached else {}),
        "rounds": 32, "updates": 320, "simulated_s": 90.0, "accuracy": 0.81, "best_accuracy": 0.82,
        "total_j": 9e3, "active_j": 1e3, "participant_j": 2e3, "wasted_j": 12.0,
        **dict.fromkeys(("dropped_churn", "dropped_battery", "dropped_deadline"), 2),
        "dropped_memory": 0, "dropped_surplus": 9, "jain_updates": 0.7, "never_used": 3,
        "worst_tenth_accuracy": 0.6, "rare_label_accuracy": None, "usual_label_accuracy": 0.8,
    }  # fmt: skip


def tables(seconds: Mapping[tuple[str, int], float | None]) -> dict[str, list[dict[str, Any]]]:
    """All tables; `seconds` by pace and seed, the same under every selection and on every fleet."""
    places = [
        {"pace": pace, "selection": selection, "seed": seed}
        for pace, selection, seed in product(PACES, SELECTIONS, SEEDS)
    ]
    return {
        "stragglers": [run(seconds[each["pace"], each["seed"]], **each) for each in places],
        "curves": [
            {**each, "round": 2 * point, "t_s": 10.0 * point, "energy_j": 500.0 * point,
             "accuracy": 0.1 * point}
            for each in places for point in range(1, 9)
        ],
        "blame": [
            {**each, "until": "target", "who": who, "kind": kind, "seconds": 30.0 * share,
             "share": share}
            for each in places
            for who, kind, share in (("slow", "compute", 0.7), ("far", "uplink", 0.3))
        ],
        "wasted": [
            {**each, "until": "target", "cause": "churn", "participations": 2, "seconds": 3.0,
             "energy_j": 8.0, "active_j": 4.0, "bytes": 1e6}
            for each in places
        ],
        "kinds": [
            {**each, "kind": kind, "devices": 30, "asked": 100, "updates_used": 90,
             "share_of_samples": 0.5, "share_of_updates": share, "expected_accuracy": 0.8}
            for each in places for kind, share in (("slow", 0.05), ("fast", 0.95))
        ],
        "spread": [
            run(seconds[pace, seed], fleet=fleet, pace=pace, seed=seed)
            for fleet in ("ten times apart", "all alike")
            for pace, seed in product(("sync", "fedbuff"), SEEDS)
        ],
    }  # fmt: skip


def page(folder: Path, seconds: Mapping[tuple[str, int], float | None]) -> str:
    """The page as it is written, from tables that were written and read."""
    for name, table in tables(seconds).items():
        binder.write_table(folder / f"{name}.csv", table)
    kept = {path.stem: binder.read_table(path) for path in folder.glob("*.csv")}
    binder.write_page(folder, Stragglers().build(kept, "small"))
    text = (folder / binder.PAGE).read_text(encoding="utf-8")
    for figure in folder.glob("*.svg"):
        assert f"({figure.name})" in text
    return text


CLEAR = {
    **{("sync", seed): 40.0 + seed for seed in SEEDS},
    **{("over_selection", seed): 30.0 + 10.0 * seed for seed in SEEDS},
    **{("fedbuff", seed): 20.0 + seed for seed in SEEDS},
}


def test_a_difference_is_seen_if_all_seeds_agree(tmp_path: Path) -> None:
    lead = page(tmp_path, CLEAR).partition("## ")[0]
    assert "sooner: FedBuff (1.91 to 2.00 times); not settled: over-selection" in lead
    assert "Joules above base power: fewer: FedBuff (1.91 to 2.00 times)" in lead
    assert "ten times apart in speed, FedBuff is sooner in every seed" in lead
    assert "compute at slow (70.0 %)" in lead
    assert "5.0 % of its updates from slow, which holds 50.0 % of the data" in lead
    assert "wasted at the pace synchronous (20.0 %)" in lead


def test_the_other_sign_is_said_as_plainly(tmp_path: Path) -> None:
    slower = {**CLEAR, **{("fedbuff", seed): 80.0 + seed for seed in SEEDS}}
    lead = page(tmp_path, slower).partition("## ")[0]
    assert "later: FedBuff (1.95 to 2.00 times)" in lead
    assert "all alike in speed, FedBuff is later in every seed" in lead


def test_what_is_not_reached_is_no_number(tmp_path: Path) -> None:
    text = page(tmp_path, {**CLEAR, ("fedbuff", 2): None})
    assert "| FedBuff | random | 2 of 3 | 20.5 (20.0 to 21.0) |" in text
    assert "not settled: over-selection, FedBuff" in text
    assert "FedBuff is not seen to be sooner" in text


@pytest.mark.parametrize("missing", [PACES, ("sync",)])
def test_nothing_reached_at_all(tmp_path: Path, missing: tuple[str, ...]) -> None:
    text = page(tmp_path, {key: None if key[0] in missing else 30.0 for key in CLEAR})
    assert "Synchronous rounds of random clients do not reach 80.0 % accuracy" in text
    assert "nan" not in text
