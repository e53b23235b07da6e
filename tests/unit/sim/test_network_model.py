from math import inf

import pytest

from hetsim.sim.network_model import NETWORK_MODELS, Lv08, MaxMin, MaxMinInverseLatency


def test_the_names_of_a_topology_are_those_of_the_registry():
    from typing import get_args

    from hetsim.spec.sections import Sharing

    assert set(get_args(Sharing)) == set(NETWORK_MODELS)


def test_maxmin_waits_for_the_latency_and_weighs_all_alike():
    terms = MaxMin().terms([0.1, 0.2], [5.0, 7.0])
    assert (terms.wait, terms.weight, terms.cap) == (pytest.approx(0.3), 1.0, inf)
    assert (terms.use, terms.back) == (1.0, 0.0)


def test_inverse_latency_prefers_the_near():
    near, far = (MaxMinInverseLatency().terms([latency], [1.0]) for latency in (0.01, 0.03))
    assert near.weight / far.weight == pytest.approx(3.0)
    assert near.wait == 0.01
    with pytest.raises(ValueError, match="above zero"):
        MaxMinInverseLatency().terms([0.0], [1.0])


def test_lv08_in_bytes_of_payload():
    terms = Lv08().terms([0.01, 0.02], [1e6, 2e6])
    assert terms.wait == pytest.approx(13.01 * 0.03)
    assert terms.weight == pytest.approx(0.97 / (0.03 + 20537 / 1e6 + 20537 / 2e6))
    assert terms.cap == pytest.approx(0.97 * 4194304 / 0.06)
    assert terms.use * 0.97 == pytest.approx(1.0)
    assert terms.back == pytest.approx(0.05 * terms.use)


def test_lv08_without_latency_or_bandwidth_stays_finite():
    assert Lv08().terms([0.0], [1e6]).cap == inf
    assert Lv08().terms([0.01], [0.0]).weight == pytest.approx(0.97 / 0.01)
    assert Lv08().terms([0.0], [0.0]).weight == 0.97


def test_only_lv08_looks_at_bandwidths():
    assert [name for name, model in NETWORK_MODELS.items() if model.follows_bandwidth] == ["lv08"]
