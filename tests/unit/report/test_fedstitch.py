"""FedStitch's page says what its tables say, also where they say little."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from hetsim.report import binder
from hetsim.report.published.base import SCALES, Chart, Grid
from hetsim.report.published.fedstitch import FedStitch

Tables = dict[str, list[dict[str, Any]]]

ALPHAS, SEEDS = (0.1, 0.5), (0, 1, 2)
PLACES = (
    ("FedStitch", "default", "tight"), ("FedStitch", "default", "loose"),
    ("FedStitch", "no DVFS", "tight"), ("FedStitch", "uniform votes", "tight"),
    ("FedStitch", "whole pool", "tight"), ("memory-blind", "default", "blind"),
    ("exclusive", "default", "tight"), ("exclusive", "default", "loose"),
    ("all-small", "default", "tight"), ("all-small", "default", "loose"),
    ("best small", "default", "tight"), ("width-scaled", "default", "tight"),
    ("depth-scaled", "default", "tight"), ("fine-tuning", "default", "tight"),
)  # fmt: skip
ACCURACY = {
    ("FedStitch", "tight"): 0.70, ("FedStitch", "loose"): 0.70, ("memory-blind", "blind"): 0.68,
    ("exclusive", "tight"): 0.50, ("exclusive", "loose"): 0.60,
    ("all-small", "tight"): 0.52, ("all-small", "loose"): 0.58,
}  # fmt: skip
FIGURES = {"energy", "memory", "accuracy", "ablations", "deadlines"}
ACCOUNTS = ("device_j", "device_active_j", "device_participant_j")


def accuracy(place: tuple[str, str, str], alpha: float) -> float:
    """Baselines lose with skew and with memory; uniform votes lose a little."""
    method, variant, memory = place
    lost = 0.03 if method != "FedStitch" and alpha < 0.5 else 0.0
    return ACCURACY.get((method, memory), 0.55) - lost - 0.01 * (variant == "uniform votes")


def end(place: tuple[str, str, str], alpha: float) -> dict[str, Any]:
    method, variant, _ = place
    ours, found = method == "FedStitch", accuracy(place, alpha)
    joules = (8.0 if variant == "no DVFS" else 6.0) if ours else 100.0
    return {
        "final": found, "best": found, "rounds": 4 if ours else 24,
        "simulated_s": 40.0 if ours else 300.0,
        **{column: joules / (1 + n) for n, column in enumerate(ACCOUNTS)},
        "energy_j": 3 * joules, "active_j": joules, "participant_j": 2 * joules,
        "device_compute_j": joules / 4, "device_memory_j": joules / 8,
        "device_radio_j": joules / 8, "device_idle_j": joules / 2, "device_loss_j": 0.0,
        "server_j": 5.0, "bytes_up": 1e5 if ours else 1e8, "bytes_down": 2e6 if ours else 1e8,
        "peak_memory_b": 5e6 if ours else 2e7, "excluded": 15 if method == "exclusive" else 0,
        "asked": 100, "in_time": 99,
        "scored": (400 if variant == "whole pool" else 260) if ours else None,
        "stitched": "resnet8 1, plain_cnn 2-8" if ours else None,
        "stitched_macs": 13e6 if ours else None, "relative": 0.97 if ours else None,
        "pool_b": 2e6 if ours else None,
    }  # fmt: skip


def row(place: tuple[str, str, str], alpha: float, seed: int) -> dict[str, Any]:
    method, variant, memory = place
    return {"method": method, "variant": variant, "alpha": alpha, "memory": memory, "seed": seed}


def pair(other: tuple[str, str, str], alpha: float, seed: int, clocks: str) -> dict[str, Any]:
    ours = end(("FedStitch", clocks, "tight"), alpha)
    its = end(other, alpha)
    names = ("rounds", "simulated_s", *ACCOUNTS, "energy_j", "active_j", "participant_j",
             "bytes_up", "bytes_down")  # fmt: skip
    return {
        **row(other, alpha, seed), "stitched_as": clocks, "goal": min(ours["best"], its["best"]),
        **{f"stitched_{name}": ours[name] for name in names},
        **{f"other_{name}": its[name] for name in names},
        **{f"whole_{name}": ours[name] for name in names},
    }  # fmt: skip


def tables() -> Tables:
    """All of them, with everything as expected."""
    runs = list(product(PLACES, ALPHAS, SEEDS))
    votes = [
        (("FedStitch", variant, "tight"), 100.0, seed)
        for variant in ("default", "uniform votes")
        for seed in SEEDS
    ]
    return {
        "accuracy": [
            {**row(*run), "round": number, "accuracy": accuracy(*run[:2]) * number / 4,
             "t_s": 10.0 * number, "device_j": 5.0 * number, "energy_j": 9.0 * number,
             "bytes": 1e6 * number}
            for run in runs for number in (1, 2, 3, 4)
        ],
        "ends": [{**row(*run), **end(*run[:2])} for run in (*runs, *votes)],
        "goals": [
            pair(other, alpha, seed, clocks)
            for other, alpha, seed in runs if other[0] != "FedStitch" and other[2] != "loose"
            for clocks in ("default", "no DVFS")
        ],
        "budgets": [
            {"memory": "tight", "share": 0.5, "profile": "raspberry_pi_4b", "boards": 2,
             "free_b": 3.9e9, "reference_b": 4.35e8, "trains_reference": True, "budget_b": 1e8,
             "need_b": 2.2e7, "trains": True}
        ],
        "networks": [
            {"model": "plain_cnn", "width": width, "macs": 13e6, "relative": 1.0, "train_b": 2.2e7,
             "forward_b": 6e6}
            for width in (None, 0.4375)
        ],
        "memory": [
            {"model": "resnet18", "batch": 32, "way": way, "peak_b": peak}
            for way, peak in (("full training", 2.8e8), ("DepthFL 1", 1e8), ("FedStitch", 6e7))
        ],
        "limits": [
            {"profile": "raspberry_pi_zero_2_w", "free_b": 2.5e8},
            {"profile": "raspberry_pi_4b", "free_b": 3.9e9},
        ],
        "longer": [
            {**row(("exclusive", "default", "tight"), 0.5, 0), "usual_rounds": 24,
             "usual_best": 0.5, "usual_at": 24, "longer_rounds": 72, "longer_best": 0.58,
             "longer_at": 64}
        ],
        "deadlines": [
            {"governor": governor, "factor": factor, "seed": 0, "simulated_s": 10.0 * factor,
             **{column: 1e3 / factor for column in ACCOUNTS}, "asked": 60, "in_time": 60}
            for governor in ("deadline_feedback", "performance") for factor in (1.1, 2.0)
        ],
        "disturbed": [
            {"pacer": pacer, "sweep": "agx", "factor": 1.5, "kind": "job", "seed": 0, "met": met,
             "of": 20, "joules": 80.0, "highest_joules": 100.0}
            for pacer, met in (("deadline_feedback", 19), ("planned once", 10))
        ],
        "totals": [
            {"network": "zoo of small networks", "method": method, "rounds": rounds,
             "bytes_up": up, "bytes_down": up, "simulated_s": 10.0 * rounds, "flops": None,
             **{column: 1e3 * rounds for column in ACCOUNTS}}
            for method, rounds, up in (("FedStitch", 4, 1e6), ("FedAvg", 100, 1e9))
        ],
        "published": [
            {"target": "fashion_mnist", "zoo": zoo, "seed": seed, "accuracy": 0.8}
            for zoo in ("all", "resnet20") for seed in SEEDS
        ],
    }  # fmt: skip


def page(folder: Path, found: Tables) -> str:
    """The page as it is written, from tables that were written and read."""
    for name, table in found.items():
        binder.write_table(folder / f"{name}.csv", table)
    kept = {path.stem: binder.read_table(path) for path in folder.glob("*.csv")}
    binder.write_page(folder, FedStitch().build(kept, "small"))
    text = (folder / binder.PAGE).read_text(encoding="utf-8")
    for figure in folder.glob("*.svg"):
        assert f"({figure.name})" in text
    assert "nan" not in text
    return text


def words(found: Tables) -> str:
    """The page without its figures."""
    page = FedStitch().build(found, "small")
    lines = [page.lead]
    for chapter in page.chapters:
        lines.append(f"## {chapter.title}")
        for part in chapter.parts:
            match part:
                case Grid():
                    lines += [f"| {' | '.join(row)} |" for row in (part.columns, *part.rows)]
                case str():
                    lines.append(part)
                case Chart():
                    pass
    return "\n".join(lines)


def expected(text: str) -> dict[str, list[str]]:
    """Cells of the rows of expectations, by what is expected."""
    part = text.partition("## Expectations")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in part.splitlines() if line.startswith("| ")
    ]  # fmt: skip
    return {row[1]: row for row in cells if row[0][:1].isdigit()}


def test_all_that_is_expected_is_met(tmp_path: Path) -> None:
    text = page(tmp_path, tables())
    assert {path.stem for path in tmp_path.glob("*.svg")} == FIGURES
    rows = expected(text)
    assert {row[0] for row in rows.values()} == {str(number) for number in range(1, 11)}
    verdicts = {what: row[-1] for what, row in rows.items()}
    assert {verdict for what, verdict in verdicts.items() if "where the saving" not in what} == {
        "met"
    }
    assert rows["peak memory of a client against full training, ResNet-18 in batches of 32"][3] == (
        "-78.6 %"
    )
    assert "7.50 times as fast" in text
    assert "total 94.0 % less" in text


def test_every_figure_says_that_it_is_reconstructed() -> None:
    charts = [
        part for chapter in FedStitch().build(tables(), "small").chapters
        for part in chapter.parts if isinstance(part, Chart)
    ]  # fmt: skip
    assert {chart.name for chart in charts} == FIGURES
    for chart in charts:
        assert "Reconstructed; paper body not available; defaults by hetsim." in chart.caption


@pytest.mark.parametrize(
    ("table", "where", "change", "what"),
    [
        ("memory", {"way": "FedStitch"}, {"peak_b": 2e8}, "peak memory of a client"),
        ("goals", {"method": "memory-blind"}, {"stitched_device_j": 90.0},
         "joules of all clients against"),
        ("goals", {"method": "width-scaled", "stitched_as": "default"}, {"stitched_device_j": 9.0},
         "FedStitch < FedStitch without DVFS < baselines, joules of all clients (total)"),
        ("goals", {"method": "memory-blind"}, {"stitched_simulated_s": 150.0}, "time to the"),
        ("ends", {"method": "exclusive", "alpha": 0.1, "memory": "tight", "seed": 2},
         {"best": 0.9}, "accuracy above exclusive, tight memory, α = 0.1"),
        ("ends", {"method": "exclusive", "alpha": 0.5, "memory": "tight"}, {"best": 0.1},
         "the gap to exclusive grows with the skew of labels"),
        ("ends", {"method": "all-small", "memory": "loose"}, {"best": 0.1},
         "the gap to all-small grows as memory shrinks"),
        ("ends", {"variant": "uniform votes", "alpha": 0.5}, {"final": 0.9},
         "learned weights against uniform votes, α = 0.5"),
        ("ends", {"variant": "whole pool"}, {"final": 0.8}, "the search-space optimizer"),
        ("ends", {"variant": "whole pool"}, {"scored": 300}, "the search-space optimizer"),
        ("ends", {"variant": "no DVFS"}, {"device_active_j": 1.0},
         "paced clocks against the highest, joules of all clients (active)"),
        ("ends", {"variant": "default", "method": "FedStitch"}, {"in_time": 90},
         "paced clocks keep"),
        ("disturbed", {"pacer": "planned once"}, {"met": 20}, "deadlines kept where speed"),
        ("totals", {"method": "FedStitch"}, {"bytes_up": 2e7}, "uplink of all clients"),
    ],
)  # fmt: skip
def test_what_is_missed_is_said(
    table: str, where: dict[str, Any], change: dict[str, Any], what: str
) -> None:
    found = tables()
    rows = [row for row in found[table] if all(row[key] == value for key, value in where.items())]
    assert rows
    for changed in rows:
        changed.update(change)
    text = words(found)
    [verdict] = [row[-1] for name, row in expected(text).items() if name.startswith(what)]
    assert verdict == "**not met**"
    assert what in text.partition("## ")[0]


def test_a_cause_is_told_with_numbers() -> None:
    found = tables()
    assert "Causes:" not in words(found)
    for row in found["goals"]:
        if row["method"] == "memory-blind":
            row["stitched_device_j"] = 90.0
    text = words(found)
    assert "the baseline is there after 24.0 rounds, FedStitch after 4.00; 50 % of what" in text
    assert "not so beside memory-blind (6)." in text
    for row in found["ends"]:
        if row["variant"] == "no DVFS":
            row |= {"device_j": 5.0, "simulated_s": 20.0, "device_idle_j": 1.0}
    assert "lasts 100 % longer, in which boards that wait draw idle power: +2 J" in words(found)


@pytest.mark.parametrize(
    ("best", "says"),
    [
        (0.6, "Stitching beats the best network"),
        (0.8, "Stitching does not beat the best network"),
        (0.7005, "Stitching does not always beat the best network"),
    ],
)
def test_the_lead_says_what_stitching_is_worth(best: float, says: str) -> None:
    found = tables()
    assert "Stitching" not in words(found).partition("## ")[0]
    for (model, final), seed in product((("resnet8", best), ("plain_cnn", 0.5)), SEEDS):
        place = ("FedStitch", f"{model} alone", "tight")
        shift = 0.001 * (1 - seed)
        found["ends"].append({**row(place, 0.5, seed), **end(place, 0.5), "final": final + shift})
    lead = words(found).partition("## ")[0]
    assert f"{says} of the zoo alone, frozen with a ridge classifier, at α = 0.5: resnet8" in lead
    assert "uniform votes 69.0 %" in lead
    assert "| α = 0.5 | plain_cnn alone | 50.0" in words(found).partition("## Ablations")[2]


def test_a_variant_at_one_skew_leaves_the_energy_chart_alone(tmp_path: Path) -> None:
    found = tables()
    place = ("FedStitch", "padded", "tight")
    found["ends"] += [{**row(place, 0.5, seed), **end(place, 0.5)} for seed in SEEDS]
    text = page(tmp_path, found)
    energy = text.partition("## Joules by component")[2].partition("\n## ")[0]
    assert "padded" not in energy
    assert "padded" in text.partition("## Ablations")[2]


def test_it_is_said_how_many_baselines_still_rise() -> None:
    found = tables()
    runs = len([place for place in PLACES if place[0] != "FedStitch"]) * len(ALPHAS) * len(SEEDS)
    assert f"{runs} of {runs} runs of baselines have their best score at their last" in words(found)
    for score in found["accuracy"]:
        if score["method"] == "exclusive" and score["round"] == 4:
            score["accuracy"] = 0.1
    assert f"{runs - 2 * 6} of {runs} runs of baselines" in words(found)
    assert (
        "Exclusive, α = 0.5, seed 0, has at best 50.0 % (round 24 of 24), and 58.0 % (round 64) in "
        "72 rounds."
    ) in words(found)


def test_a_whole_batch_forward_stands_beside_the_memory_target() -> None:
    found = tables()
    found["memory"].append({
        "model": "resnet18", "batch": 32, "way": "FedStitch, a whole batch forward at once",
        "peak_b": 1.4e8,
    })  # fmt: skip
    [row] = [cells for what, cells in expected(words(found)).items() if what.startswith("peak mem")]
    assert row[3] == "-78.6 %; a whole batch forward at once -50.0 %"


@pytest.mark.parametrize("name", sorted(tables()))
def test_a_table_that_is_not_there_is_not_run(name: str) -> None:
    found = tables()
    found[name] = []
    assert "not run" in words(found).lower()


def test_nothing_was_run(tmp_path: Path) -> None:
    text = page(tmp_path, {name: [] for name in tables()})
    assert not list(tmp_path.glob("*.svg"))
    rows = expected(text)
    assert len(rows) > 10
    assert {row[-1] for row in rows.values()} == {"not run"}


def test_every_scale_needs_the_same_comparisons() -> None:
    needed = [[need.comparison for need in FedStitch().needs(scale)] for scale in SCALES]
    assert needed[0] == needed[1] == needed[2]
    assert len(needed[0]) == 4
