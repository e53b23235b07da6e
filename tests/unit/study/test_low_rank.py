"""FedHM's figures, from networks that are built and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hetsim.study.comparisons.low_rank import low_rank

Tables = Mapping[str, Sequence[Mapping[str, Any]]]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return low_rank(Path())


def test_sizes_are_the_printed_ones(tables: Tables) -> None:
    """Parameters to the printed digit, but for 3.277 that is printed as 3.27; work to 0.1 %."""
    rows = [row for row in tables["fedhm_models"] if row["parameters_m_published"]]
    assert len(rows) == 12
    for row in rows:
        assert row["parameters_m"] == pytest.approx(row["parameters_m_published"], abs=0.0075)
        assert row["source"]
    work = [row["ptflops_m_difference_percent"] for row in rows if row["ptflops_m_published"]]
    assert work == [0.0, 0.0, 0.0, 0.01, 0.05]


def test_a_width_of_the_same_size_computes_far_less(tables: Tables) -> None:
    rows = {
        (row["network"], row["data"], row["kind"], row["level"]): row
        for row in tables["fedhm_models"]
    }
    thin, slim = (
        rows["resnet18", "CIFAR-10", *level] for level in (("factor", 8), ("width", 0.35))
    )
    assert thin["parameters"] < slim["parameters"]
    assert thin["layers"] > 1.8 * slim["layers"]
    assert thin["float32_b"] == 4 * 1_236_042


def test_bars_are_whole_numbers_of_rounds(tables: Tables) -> None:
    rounds: dict[str, tuple[list[int], list[int]]] = {}
    for row in tables["fedhm_bars"]:
        sent, computed = rounds.setdefault(row["data"], ([], []))
        sent.append(row["rounds_by_sent"])
        computed.append(row["rounds_by_computed"])
        assert row["sent"] == pytest.approx(row["sent_published"], abs=0.02)
        assert row["computed"] == pytest.approx(row["computed_published"], rel=2e-3)
    assert rounds == {
        "CIFAR-10, IID": ([100, 104, 112, 148], [100, 104, 112, 148]),
        "CIFAR-10, non-IID": ([135, 155, 159, 161], [135, 155, 159, 160]),
        "CIFAR-100, IID": ([70] * 5, [70] * 5),
        "CIFAR-100, non-IID": ([80, 69, 70, 71, 78], [69, 70, 71, 78, 80]),
    }


def test_rounds_of_one_chart_are_rotated(tables: Tables) -> None:
    told = {row["data"] for row in tables["fedhm_bars"] if "rotated" in row["note"]}
    assert told == {"CIFAR-100, non-IID"}
    as_computed = [
        row["sent_if_rounds_by_computed"] for row in tables["fedhm_bars"] if row["note"]
    ]  # fmt: skip
    assert as_computed == pytest.approx([28.75, 11.48, 6.92, 4.99, 4.23], abs=0.01)


def test_a_true_gigabyte_is_four_of_the_charts(tables: Tables) -> None:
    for row in tables["fedhm_bars"]:
        assert row["float32_b"] / 4 / 1e6 / 1024 == pytest.approx(row["sent"], rel=1e-12)


def test_bytes_of_a_round(tables: Tables) -> None:
    found = {
        (row["data"], row["method"]): (row["float32_b"] / 1e6, row["times_less"])
        for row in tables["fedhm_rounds"]
    }
    expected = {
        ("CIFAR-10", "fedavg"): (893.92, 1.0), ("CIFAR-10", "fedhm"): (375.55, 2.38),
        ("CIFAR-10", "heterofl"): (398.69, 2.24), ("CIFAR-100", "fedavg"): (1706.26, 1.0),
        ("CIFAR-100", "fedhm"): (387.43, 4.40), ("CIFAR-100", "heterofl"): (777.42, 2.19),
    }  # fmt: skip
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, abs=6e-3), key
