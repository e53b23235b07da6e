"""FedLP's cost columns, from networks that are built and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hetsim.study.comparisons.layer_wise import layer_wise

Tables = Mapping[str, Sequence[Mapping[str, Any]]]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return layer_wise(Path())


def test_communication_is_the_printed_column(tables: Tables) -> None:
    found = {row["scheme"]: row for row in tables["fedlp_costs"]}
    printed = [row for row in found.values() if row["communication_k_published"]]
    assert len(printed) == 9
    for row in printed:
        assert round(row["communication_k"], 2) == row["communication_k_published"]
    others = {"Hetero(2)": 188.226, "Hetero(4)": 299.394}
    assert found.keys() - {row["scheme"] for row in printed} == others.keys()
    for scheme, sent in others.items():
        assert found[scheme]["communication_k"] == pytest.approx(sent)


def test_computation_is_the_printed_column_with_one_digit_mistyped(tables: Tables) -> None:
    correct = {
        "FedAvg": 39.36, "Homo(0.1)": 39.36, "Homo(0.3)": 39.36, "Homo(0.5)": 39.36,
        "Homo(0.7)": 39.36, "Hetero(1)": 18.03, "Hetero(2)": 20.16, "Hetero(3)": 24.91,
        "Hetero(4)": 27.16, "Hetero(u)": 24.43, "Hetero(5)": 31.89,
    }  # fmt: skip
    for row in tables["fedlp_costs"]:
        assert round(row["computation_m"], 2) == correct.pop(row["scheme"])
        if row["computation_m_published"]:
            as_printed = row["computation_m_with_misprint"]
            assert as_printed == pytest.approx(row["computation_m_published"], abs=0.005)
            assert row["computation_m"] > row["computation_m_published"]
            assert row["note"] == "follows from 36.36 for the whole network, which takes 39.36"
    assert not correct


def test_networks_of_the_levels(tables: Tables) -> None:
    found: dict[str, list[tuple[int, ...]]] = {}
    for row in tables["fedlp_levels"]:
        counts = tuple(row[name] for name in ("shared", "local", "layers", "thop"))
        found.setdefault(row["network"], []).append(counts)
    assert found["fedlp_cnn"] == [
        (10_272, 1_060_266, 11_371_776, 11_633_920), (28_896, 554_602, 15_566_080, 15_893_760),
        (65_952, 591_658, 25_003_264, 25_396_480), (140_064, 403_626, 29_459_712, 29_885_696),
        (551_466, 551_466, 38_896_896, 39_355_648),
    ]  # fmt: skip
    assert [counts[:2] for counts in found["mlp"]] == [
        (401_920, 407_050), (467_584, 468_874), (484_096, 485_386), (492_352, 493_002),
        (494_762, 494_762),
    ]  # fmt: skip
    smallest = tables["fedlp_levels"][0]
    assert smallest["local_over_whole"] == pytest.approx(1.92, abs=0.005)
    assert (smallest["shared_b"], smallest["local_b"]) == (4 * 10_272, 4 * 1_060_266)


def test_what_the_column_hides_of_uploads(tables: Tables) -> None:
    for row, missing in zip(tables["fedlp_uploads"], (0.349, 0.028, 1e-3, 6e-6), strict=True):
        assert row["layer_missing"] == pytest.approx(missing, rel=0.03)
        assert row["uplink_saved"] == 2 * row["both_saved"] == 1 - row["preserved"]
        assert row["time_over_fedavg"] == pytest.approx((0.1 + row["preserved"]) / 1.1)
