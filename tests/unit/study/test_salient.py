"""SPATL's figures, from networks that are built and counted and from what is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hetsim.study.comparisons.salient import salient

Tables = Mapping[str, Sequence[Mapping[str, Any]]]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return salient(Path())


def test_networks(tables: Tables) -> None:
    names = ("parameters", "encoder", "convolutions", "convolution_multiply_adds",
             "linear_multiply_adds", "agent_flops")  # fmt: skip
    assert [tuple(row[name] for name in names) for row in tables["spatl_networks"]] == [
        (269_722, 268_608, 19, 40_550_400, 640, 76_783_616),
        (464_154, 463_040, 31, 68_861_952, 640, 130_375_680),
        (9_750_922, 9_220_480, 8, 152_764_416, 529_408, 288_706_560),
        (62_006, 2_872, 2, 592_800, 58_920, 1_168_192),
        (44_426, 2_572, 2, 240_000, 41_640, 474_880),
    ]
    small, _, large, *_ = tables["spatl_networks"]
    assert (small["fedavg_b"], small["scaffold_b"]) == (2_157_776, 4_315_552)
    assert small["encoder_with_stem"] - small["encoder"] == 464
    assert (small["channel_map_b"], large["channel_map_b"]) == (86, 344)


def test_totals_follow_from_rounds_and_megabytes(tables: Tables) -> None:
    """To 0.3 % where the divisor is 1024, to 1 % where it is 1000."""
    divisors: dict[int, set[str]] = {1000: set(), 1024: set()}
    for row in tables["spatl_traffic"]:
        within = {1024: 0.003, 1000: 0.01}[row["divisor"]]
        assert row["total_gb"] == pytest.approx(row["total_gb_published"], rel=within)
        assert row["more_gb"] == pytest.approx(row["more_gb_published"], abs=1e-9)
        assert row["speedup"] == pytest.approx(row["speedup_published"], abs=0.008)
        divisors[row["divisor"]].add(f"{row['method']} {row['model']}")
    assert len(tables["spatl_traffic"]) == 15
    assert divisors[1000] == {
        "fedprox resnet32",
        *(f"scaffold {model}" for model in ("resnet20", "resnet32", "vgg11_plain")),
        *(f"spatl {model}" for model in ("resnet20", "resnet32", "vgg11_plain")),
    }


def test_printed_megabytes_are_right_for_one_network_only(tables: Tables) -> None:
    errors = {
        (row["method"], row["model"]): row["mb_error_percent"] for row in tables["spatl_traffic"]
    }
    assert abs(errors["fedavg", "resnet20"]) < 3
    assert abs(errors["scaffold", "resnet20"]) < 3
    assert errors["fedavg", "resnet32"] == pytest.approx(-14, abs=0.5)
    assert errors["fedavg", "vgg11_plain"] == pytest.approx(-46, abs=0.5)
    assert errors["fednova", "resnet20"] == pytest.approx(95, abs=0.5), "charged twice"
    assert errors["spatl", "resnet20"] is None, "what is kept is not said"
    kept = [row["of_scaffold"] for row in tables["spatl_traffic"] if row["method"] == "spatl"]
    assert kept == pytest.approx([0.488, 0.554, 0.730], abs=5e-4)


def test_claims(tables: Tables) -> None:
    found = {row["claim"]: row for row in tables["spatl_claims"]}
    for claim, digits, value in (
        ("less sent, %", 2, 86.45),
        ("times less sent, ResNet-20", 1, 7.4),
        ("times less sent than fedavg, ResNet-20", 2, 3.78),
        ("operations saved by keeping 0.7752 of every layer of VGG-11, %", 1, 39.7),
    ):
        assert round(found[claim]["ours"], digits) == found[claim]["published"] == value
    assert found["times less sent than scaffold, ResNet-20"]["ours"] == pytest.approx(
        1.91, abs=5e-3
    )
    once = [row["ours"] for claim, row in found.items() if claim.endswith("one divisor")]
    assert once == pytest.approx([3.90, 3.41, 2.70], abs=5e-3)
    first = [row for row in found.values() if row["note"] == "does not follow from Table I"]
    assert [row["ours"] for row in first] == pytest.approx([46.24, 102.43, 7.38], abs=5e-3)


def test_shares_that_save_a_part_of_the_operations(tables: Tables) -> None:
    shares: dict[str, list[float]] = {}
    for row in tables["spatl_shares"]:
        shares.setdefault(row["network"], []).append(row["share"])
    assert [each[0] for each in shares.values()] == pytest.approx(
        [0.8938, 0.8941, 0.8938], abs=5e-5
    )
    assert shares["vgg11_plain"][1:] == pytest.approx([0.7752, 0.7054], abs=5e-5)


def test_choosing_takes_twice_the_training_with_the_code_s_defaults(tables: Tables) -> None:
    default, short = tables["spatl_selection"]
    assert default["choosing_over_training"] == 2.0
    assert short["choosing_over_training"] < 0.2
    assert default["training"] == pytest.approx(6.1e12, rel=5e-3)
