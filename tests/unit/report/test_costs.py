"""Chapters of counted costs say what their tables say: FedHM, FedLP, SPATL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hetsim.report import binder
from hetsim.report.published import _fedhm_costs, _fedlp_costs, _spatl_costs
from hetsim.report.published.base import Page
from hetsim.study.comparisons.layer_wise import layer_wise
from hetsim.study.comparisons.salient import salient

Tables = Mapping[str, Sequence[Mapping[str, Any]]]


def sizes(measured: Path) -> Tables:
    """A few rows of what FedHM's networks hold and compute, without building them."""
    del measured
    rows = [("factor", 8, 1_236_042, 127.6), ("width", 0.35, 1_373_160, 68.0)]
    off = {"parameters_m_difference_percent": 0.1, "ptflops_m_difference_percent": 0.01}
    bars = [(8, 161, 160, 3.887, 3.88, 3.863, "rotated"), (4, 159, 159, 6.863, 6.86, 6.863, "")]
    return {
        "fedhm_models": [
            {
                "network": "resnet18", "data": "CIFAR-10", "kind": kind, "level": level,
                "parameters": parameters, "parameters_m": parameters / 1e6,
                "parameters_m_published": round(parameters / 1e6, 2), "layers": 1e6 * millions,
                "ptflops": 1e6 * millions, "ptflops_m": millions, "ptflops_m_published": millions,
                "float32_b": 4 * parameters, "source": "notebooks", **off,
            }
            for kind, level, parameters, millions in rows
        ],
        "fedhm_bars": [
            {
                "data": "CIFAR-10", "network": "resnet18", "target_percent": 90, "factor": factor,
                "rounds_by_sent": one, "rounds_by_computed": other, "sent": sent,
                "sent_published": printed, "sent_difference_percent": 0.17,
                "sent_if_rounds_by_computed": others, "computed": 202.2,
                "computed_published": 202.4, "computed_difference_percent": -0.13,
                "float32_b": 1.6e10, "source": "notebooks", "note": note,
            }
            for factor, one, other, sent, printed, others, note in bars
        ],
        "fedhm_rounds": [
            {
                "network": "resnet18", "data": "CIFAR-10", "method": "fedavg", "levels": "factor 1",
                "mean_parameters": 11_173_962, "float32_b": 893_916_960, "times_less": 1.0,
            }
        ],
    }  # fmt: skip


CASES = [
    pytest.param(_fedhm_costs, sizes, id="fedhm"),
    pytest.param(_fedlp_costs, layer_wise, id="fedlp"),
    pytest.param(_spatl_costs, salient, id="spatl"),
]
Counted = Callable[[Path], Tables]


def page(costs: ModuleType, tables: Tables, folder: Path) -> str:
    """The chapters, from tables that were written and read back."""
    for name, table in tables.items():
        binder.write_table(folder / f"{name}.csv", table)
    read = {name: binder.read_table(folder / f"{name}.csv") for name in tables}
    binder.write_page(folder, Page(title="costs", lead="", chapters=costs.chapters(read)))
    return (folder / binder.PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize(("costs", "counted"), CASES)
def test_all_that_is_wanted_is_met(costs: ModuleType, counted: Counted) -> None:
    found = costs.targets(counted(Path()))
    assert found
    assert {each.verdict for each in found} == {True}


@pytest.mark.parametrize(("costs", "counted"), CASES)
def test_other_printed_numbers_are_not_met(costs: ModuleType, counted: Counted) -> None:
    tables = counted(Path())
    wrong = {
        name: [
            {
                column: value + 7.0 if value is not None and _of_theirs(column) else value
                for column, value in row.items()
            }
            for row in table
        ]
        for name, table in tables.items()
    }
    assert {each.verdict for each in costs.targets(wrong)} == {False}


def _of_theirs(column: str) -> bool:
    """Whether a column depends on what is printed."""
    return "published" in column or column.endswith(("difference_percent", "error_percent"))


@pytest.mark.parametrize(("costs", "counted"), CASES)
def test_what_was_not_counted_is_not_run(costs: ModuleType, counted: Counted) -> None:
    del counted
    assert {each.word for each in costs.targets({})} == {"not run"}
    assert len(costs.chapters({})) >= 3


@pytest.mark.parametrize(("costs", "counted"), CASES)
def test_every_table_is_on_the_page(costs: ModuleType, counted: Counted, tmp_path: Path) -> None:
    tables = counted(Path())
    text = page(costs, tables, tmp_path)
    for name in tables:
        assert f"[{name}.csv]({name}.csv)" in text
    assert len(list(tmp_path.glob("*.svg"))) == 1


def test_misprints_and_slips_are_told(tmp_path: Path) -> None:
    told = {
        costs.__name__.rpartition("_")[0]: page(costs, counted(Path()), tmp_path)
        for costs, counted in (
            (_fedhm_costs, sizes), (_fedlp_costs, layer_wise), (_spatl_costs, salient)
        )
    }  # fmt: skip
    thin, layers, channels = told.values()
    assert "moved on by one place" in thin
    assert "one byte a parameter" in thin
    assert "1.9 at factor 8" in thin
    assert "takes 39.36 million and is printed with 36.36" in layers
    assert "has 1.92 times the parameters of the whole one" in layers
    assert "ResNet-20 -3 %, ResNet-32 -14 %, VGG-11 -46 %" in channels
    assert "0.488 (ResNet-20), 0.554 (ResNet-32), 0.730 (VGG-11)" in channels
