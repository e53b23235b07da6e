"""EcoFed's page says what its tables say, also where they say little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from hetsim.report import binder
from hetsim.report.published.base import SCALES, Chart, Grid
from hetsim.report.published.ecofed import Ecofed

Tables = dict[str, list[dict[str, Any]]]

SEEDS = (0, 1, 2)
MIB = {
    "fedavg": 262.76, "dpfl": 31.89, "lgl": 16.87, "fedgkt": 16.95, "period 1": 3.949,
    "ecofed": 1.975, "period 4": 0.987, "period 8": 0.494,
}  # fmt: skip
ACCURACY = {
    "fedavg": 0.6, "dpfl": 0.6, "lgl": 0.5, "fedgkt": 0.55, "finetune": 0.8, "ecofed": 0.7,
    "period 1": 0.72, "period 4": 0.69, "period 8": 0.66, "bits 32": 0.705,
    "pretraining none": 0.4, "pretraining holistic": 0.75,
}  # fmt: skip
FIGURES = {
    "bytes", "times", "speedups", "rounds", "joules", "accuracy", "ablations",
}  # fmt: skip


def way(name: str) -> dict[str, Any]:
    """Columns of a method or of a variant of EcoFed."""
    setting, _, value = name.partition(" ")
    eco = bool(value) or name == "ecofed"
    columns: dict[str, Any] = {
        "method": "ecofed" if eco else name, "variant": name if value else "",
        "period": 2 if eco else None, "bits": 8 if eco else None,
        "pretraining": "device" if eco else "none",
    }  # fmt: skip
    return columns | ({setting: int(value) if value.isdigit() else value} if value else {})


def tables(
    *,
    mib: Mapping[str, float] = MIB,
    accuracy: Mapping[str, float] = ACCURACY,
    off: Sequence[float] = (0.0, 0.01, -0.01),
    over_fedavg: float | None = 20.0,
    chosen: float = 9.0,
) -> Tables:
    """All tables; accuracies of a seed are all `off` by as much, but for DPFL's neighbours."""
    learned = [(name, seed, accuracy[name] + off[seed]) for name, seed in product(accuracy, SEEDS)]
    return {
        "bytes": [
            {"model": "vgg11_fc3", "data": "cifar10",
             **{key: way(name)[key] for key in ("method", "period", "bits")},
             "paper_mib": MIB[name], "mib": mib[name], "enrolment_mib": 0.29, "total_gib": 1.0}
            for name in mib
        ],
        "times": [
            {"device": "board", "bandwidth_mbit": rate, "server": server, "method": method,
             "seconds": 40.0 / (1 + overlap), "device_s": 20.0, "network_s": 10.0,
             "server_s": 10.0, "overlap": overlap}
            for rate, server in product((10.0, 50.0), ("laptop", "infinitely fast"))
            for method, overlap in (("dpfl", False), ("ecofed", False), ("ecofed", True))
        ],
        "speedups": [
            {"device": "board", "bandwidth_mbit": rate, "fitted_server_s": over_fedavg and 8.0,
             "dpfl_over_ecofed": over_fedavg and 2.86, "fl_over_ecofed": over_fedavg,
             "closed_form_fl": over_fedavg, "paper_dpfl": 2.86, "paper_fl": 21.0}
            for rate in (10.0, 50.0)
        ],
        "contention": [
            {"clients": count, "round_s": 8.0 * count, "closed_form_s": 8.0 * count}
            for count in (1, 20)
        ],
        "joules": [
            {"fleet": "pi", "method": method, "device_total_j": 100.0 * factor,
             "device_active_j": 20.0 * factor, "device_participant_j": 50.0 * factor,
             "server_j": 10.0, "link_j": 0.0, "seconds": 9.0, "rounds": 20, "bytes": 1e6,
             "dropped": 0}
            for method, factor in (("dpfl", 3.0), ("ecofed", 1.0))
        ],
        "edpfl_fit": [
            {"unknown": "work of the laptop", "unit": 1, "best": 1.0, "low": 0.5, "high": 2.0,
             "what": "assumed"}
        ],
        "edpfl_runs": [
            {"model": "resnet12", "method": method, "samples": 500, "measured_s": seconds,
             "simulated_s": seconds, "low_s": 1.0, "high_s": 90.0, "measured_mib": size,
             "simulated_mib": size, "used_for": used}
            for method, seconds, size, used in (
                ("FL", 58.12, 19.41, "fit"), ("DPFL", 32.33, 125.10, "fit"),
                ("EDPFL", 3.85, 7.84, "prediction"),
            )
        ],
        "edpfl_rounds": [
            {"round": number, "kind": kind, "measured_s": logged, "simulated_s": seconds,
             "low_s": 0.5, "high_s": 9.0}
            for number, (kind, logged, seconds) in enumerate(
                (("update", 7.9, 6.0), ("replay", 1.3, 1.2))
            )
        ],
        "edpfl_ratios": [
            {"ratio": name, "measured": value, "simulated": value, "low": 1.0, "high": 20.0}
            for name, value in (
                ("FL/EDPFL", 15.1), ("DPFL/EDPFL", 8.4), ("FL/DPFL", 1.8), ("update/replay", 5.5),
            )
        ],
        "accuracy": [
            {**way(name), "seed": seed, "round": number, "accuracy": final * number / 8,
             "t_s": 10.0 * number, "device_j": 5.0 * number, "energy_j": 9.0 * number,
             "bytes": MIB.get(name, 2.0) * 1e6 * number}
            for name, seed, final in learned for number in (2, 4, 6, 8)
        ],
        "accuracy_end": [
            {**way(name), "seed": seed, "final": final, "best": final, "simulated_s": 80.0,
             "device_j": 40.0}
            for name, seed, final in learned
        ],
        "accuracy_goal": [
            {**way(name), "seed": seed, "goal": 0.4, "rounds": 8, "simulated_s": 80.0,
             "device_j": 40.0, "device_active_j": 20.0, "device_participant_j": 30.0,
             "energy_j": 90.0, "active_j": 50.0, "participant_j": 80.0, "bytes": 1e6}
            for name, seed, _ in learned
        ],
        "adaptive": [
            {"network": network, "fleet": "four", "seed": 0, "plan": plan, "seconds": seconds,
             "device_j": 100.0}
            for network in ("static", "4g")
            for plan, seconds in (("cut 1", 12.0), ("cut 2", 10.0), ("fastest", chosen))
        ],
    }  # fmt: skip


def page(folder: Path, found: Tables) -> str:
    """The page as it is written, from tables that were written and read."""
    for name, table in found.items():
        binder.write_table(folder / f"{name}.csv", table)
    kept = {path.stem: binder.read_table(path) for path in folder.glob("*.csv")}
    binder.write_page(folder, Ecofed().build(kept, "small"))
    text = (folder / binder.PAGE).read_text(encoding="utf-8")
    for figure in folder.glob("*.svg"):
        assert f"({figure.name})" in text
    assert "nan" not in text
    return text


def words(found: Tables) -> str:
    """The page without its figures."""
    page = Ecofed().build(found, "small")
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


def target(text: str, what: str) -> list[str]:
    """Cells of a row of the targets, after its name."""
    [line] = [line for line in text.splitlines() if line.startswith(f"| {what} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_all_that_is_wanted_is_met(tmp_path: Path) -> None:
    text = page(tmp_path, tables())
    assert {path.stem for path in tmp_path.glob("*.svg")} == FIGURES
    targets = text.partition("## Targets")[2].partition("## Bytes")[0]
    assert "not met" not in targets
    assert "not run" not in targets
    assert target(text, "bytes, FedAvg over EcoFed")[:4] == ["133.0", "133.1", "133.0", "+0.03 %"]
    assert target(text, "chosen cuts beside the best one for all, 4G trace")[2:3] == [
        "1.11 times as fast"
    ]
    lead = text.partition("## ")[0]
    assert "133.0 times less than FedAvg" in lead
    assert "EcoFed 2.00 times as fast" in lead
    assert "Raspberry Pi 4 3.0/3.0/3.0" in lead
    assert "LGL is below DPFL at the end: seen (+7.5, +7.5, +7.5 points by seed)" in lead
    assert " 0 not met, 0 not run." in lead
    assert "| work of the laptop | 1.00 | 0.500 | 2.00 | assumed |" in text


@pytest.mark.parametrize(
    ("changes", "what", "verdict"),
    [
        ({"mib": {**MIB, "dpfl": 31.0}}, "bytes, DPFL over EcoFed", "**not met**"),
        ({"mib": {**MIB, "dpfl": 31.0}}, "bytes, whole table", "**not met**"),
        ({"mib": {**MIB, "lgl": 17.0}}, "bytes, order of methods", "**not met**"),
        ({"accuracy": {**ACCURACY, "lgl": 0.61}}, "accuracy: LGL is below DPFL at the end",
         "**not met**"),
        ({"accuracy": {**ACCURACY, "dpfl": 0.61}}, "accuracy: DPFL learns what FedAvg learns",
         "**not met**"),
        ({"accuracy": {**ACCURACY, "bits 32": 0.72}},
         "accuracy: eight bits are within a point of 32, mean over seeds", "**not met**"),
        ({"accuracy": {**ACCURACY, "pretraining none": 0.75}},
         "accuracy: a frozen front is better pre-trained than random", "**not met**"),
        ({"over_fedavg": 30.0},
         "seconds, FedAvg over EcoFed where DPFL over EcoFed is 2.86, board", "**not met**"),
        ({"over_fedavg": None},
         "seconds, FedAvg over EcoFed where DPFL over EcoFed is 2.86, board", "**not met**"),
        ({"chosen": 10.1}, "chosen cuts beside the best one for all, static network", "met"),
        ({"chosen": 10.1}, "chosen cuts beside the best one for all, 4G trace", "**not met**"),
        ({"chosen": 10.3}, "chosen cuts beside the best one for all, static network",
         "**not met**"),
    ],
)  # fmt: skip
def test_what_is_missed_is_said(changes: dict[str, Any], what: str, verdict: str) -> None:
    text = words(tables(**changes))
    assert target(text, what)[-1] == verdict
    assert (what in text.partition("## ")[0]) == (verdict != "met")


def test_a_sign_that_one_seed_has_not_is_not_seen() -> None:
    found = tables()
    for row in found["accuracy"]:
        if row["method"] == "fedgkt" and row["seed"] == 1:
            row["accuracy"] = 0.9
    assert "FedGKT is below DPFL at the end: not seen (+3.7, -44.2, +3.7 points by seed)" in words(
        found
    )


@pytest.mark.parametrize("name", sorted(tables()))
def test_a_table_that_is_not_there_is_not_run(name: str) -> None:
    found = tables()
    found[name] = []
    assert "not run" in words(found).lower()


def test_nothing_was_run(tmp_path: Path) -> None:
    text = page(tmp_path, {name: [] for name in tables()})
    assert not list(tmp_path.glob("*.svg"))
    lines = text.partition("## Targets")[2].partition("## Bytes")[0].splitlines()
    verdicts = [line for line in lines if line.startswith("| ")][2:]
    assert len(verdicts) > 20
    assert all(line.endswith("| not run |") for line in verdicts)


@pytest.mark.parametrize("variant", ["lgl", "bits 32", "period 8"])
def test_a_method_that_was_not_run_is_not_hidden(variant: str) -> None:
    found = tables()
    gone = way(variant)
    for name in ("bytes", "accuracy", "accuracy_end", "accuracy_goal"):
        found[name] = [
            row for row in found[name] if any(row[key] != gone[key] for key in row if key in gone)
        ]
    assert "| not run |" in words(found)


def test_every_scale_needs_the_same_comparisons() -> None:
    needed = [[need.comparison for need in Ecofed().needs(scale)] for scale in SCALES]
    assert needed[0] == needed[1] == needed[2]
    assert len(needed[0]) == 5
