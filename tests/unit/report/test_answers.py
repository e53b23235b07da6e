"""The four answers are grammatical, and say no more than the summary."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.report.answers import answers
from tests.unit.report.synthetic import build


def told(**changes: Any) -> dict[str, str]:
    return dict(answers({**build(devices=2, rounds=2).summary, **changes}))


def test_what_was_used_by_whom() -> None:
    roles = {"device": 1200.0, "gateway": 0.0, "server": 30.0, "link": 6.0}
    answer = told(energy_by_role_j=roles, active_j=5.0)["How many joules"]
    assert "(devices 1.20 kJ, server 30.0 J, links 6.00 J); 5.00 J of it above idle" in answer


def test_one_is_singular() -> None:
    assert told(rounds=1)["How long"].endswith("simulated, 1 round")
    assert told(rounds=1200)["How long"].endswith("simulated, 1,200 rounds")


def test_nobody_drew_anything() -> None:
    nothing = dict.fromkeys(("device", "gateway", "server", "link"), 0.0)
    answer = told(energy_by_role_j=nothing, energy_j={"total": 0.0}, active_j=0.0)
    assert answer["How many joules"] == "0 J; 0 J of it above idle"


def test_dropouts_are_counted_by_cause() -> None:
    drops = {"battery": 1, "memory": 0, "deadline": 1200, "churn": 0}
    assert told(dropouts=drops)["Who dropped out"] == "1 battery empty, 1,200 missed the deadline"
    assert told(dropouts=dict.fromkeys(drops, 0))["Who dropped out"] == "nobody"


@pytest.mark.parametrize(("digest", "word"), [(None, "cost only"), ("ab12", "not evaluated")])
def test_why_there_is_no_accuracy(digest: str | None, word: str) -> None:
    assert told(accuracy=None, model_hash=digest)["How good"] == word


def test_targets() -> None:
    good = told(accuracy=0.75, time_to={"0.7": 12.0, "0.9": None})["How good"]
    assert good == "accuracy 0.750, 70% after 12.0 s, 90% not reached"


def test_a_model_that_diverged_is_told_so() -> None:
    assert "training diverged" in told(loss=None, accuracy=0.1)["How good"]
    assert "diverged" not in told(loss=0.5, accuracy=0.1)["How good"]
    assert told(loss=None, accuracy=None, model_hash=None)["How good"] == "cost only"
