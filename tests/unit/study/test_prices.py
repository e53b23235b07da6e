"""Prices: of whom, and of how many."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetsim.core.errors import SpecError
from hetsim.spec.schema import load_topology
from hetsim.study.prices import prices
from hetsim.testing.world import TOPOLOGY


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TOPOLOGY, encoding="utf-8")
    return path


def test_a_price_is_of_a_profile_or_of_one_thing_by_its_name(topology: Path) -> None:
    spec = load_topology(topology, overrides=["gateways=[{profile: raspberry_pi_4b, at: ap}]"])
    assert prices(["raspberry_pi_4b=10"]).of(spec) == 30.0, "two devices and a gateway"
    assert prices(["raspberry_pi_4b=10", "pi=7"]).of(spec) == 24.0
    assert prices(["raspberry_pi_4b=10", "gateway-0=3"]).of(spec) == 23.0
    assert prices(["server=900", "wifi=40", "lte-cell=5.5", "switch--ap=1"]).of(spec) == 946.5
    many = load_topology(topology, overrides=["network.nodes.ap.count=3"])
    assert prices(["wifi=40"]).of(many) == 120.0
    assert prices(["ap--switch=2"]).of(many) == 6.0


def test_what_has_no_price_is_named(topology: Path) -> None:
    spec = load_topology(topology)
    assert prices(["pi=10", "server=1"]).free(spec) == ["jetson_tx2", "pixel_6"]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["pi"], "not of the form"),
        (["pi=75 EUR"], "without a currency"),
        (["pi=-1"], "is no price"),
        (["pi=1", "pi=2"], "has a price already"),
    ],
)
def test_a_wrong_price_is_refused(texts: list[str], words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        prices(texts)
    assert caught.value.where == f"--price {texts[-1]}"


def test_a_name_that_nothing_has_is_refused() -> None:
    prices(["raspberry_pi_4b=75", "wifi=3", "roof=2"]).check({"roof"})
    with pytest.raises(SpecError, match='Did you mean "raspberry_pi_4b"'):
        prices(["raspbery_pi_4b=75"]).check(set())
