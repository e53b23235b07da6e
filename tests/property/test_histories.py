"""Any history: the time plane and an independent integration of the same equations agree.

`make property` plays ten thousand of them.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from hetsim.study import history, reference
from hetsim.study.comparisons.histories import Difference, compare
from hetsim.study.history import draw

CLOSE, CONSERVED = 1e-6, 1e-9
CHUNK = 50


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "first" in metafunc.fixturenames:
        count = int(metafunc.config.getoption("--histories") or 0)
        metafunc.parametrize("first", range(0, count, CHUNK))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_accounts_of_a_history_agree(first: int) -> None:
    found = [compare(draw(number)) for number in range(first, first + CHUNK)]
    wrong = [each for each in found if not each.grazing and not _agree(each)]
    assert not wrong
    assert sum(each.grazing for each in found) < CHUNK / 10


def _agree(found: Difference) -> bool:
    return (
        found.outcomes == 0
        and found.worst < CLOSE
        and found.ledger < CONSERVED
        and found.least >= 0.0
    )


def test_histories_are_full_of_events() -> None:
    """Jobs end in every way there is, and every kind of battery and heat occurs."""
    drawn = [draw(number) for number in range(100)]
    accounts = [reference.integrate(each) for each in drawn[:60]]
    ends = {job.outcome for account in accounts for job in account.jobs if job}
    assert ends == {"done", "deadline", "churn", "battery"}
    machines = [machine for each in drawn for machine in each.machines]
    assert {machine.store.model for machine in machines if machine.store} == {
        "linear", "voltage", "kibam"
    }  # fmt: skip
    assert {event.change for each in drawn for event in each.events} == {
        "clock", "bandwidth", "leave", "return", "pause", "outage"
    }  # fmt: skip
    throttled = [
        warmest >= machine.body.trips[0].at
        for each, account in zip(drawn, accounts, strict=False)
        for machine, warmest in zip(each.machines, account.warmest, strict=True)
        if machine.body and warmest is not None
    ]
    assert sum(throttled) > len(throttled) / 10


def test_a_wrong_account_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth more heat in one of the two accounts does not go unseen."""
    number = next(n for n in range(100) if any(machine.body for machine in draw(n).machines))
    drawn = draw(number)
    assert _agree(compare(drawn))
    whole = reference._World.equations

    def warmer(world: reference._World, y: reference.Vector) -> object:
        slope = whole(world, y)

        def wrong(t: float, y: reference.Vector) -> reference.Vector:
            dy = slope(t, y)
            dy[world.heat : world.left] *= 1.2
            return dy

        return wrong

    monkeypatch.setattr(reference._World, "equations", warmer)
    assert not _agree(compare(drawn))


@pytest.mark.parametrize("module", [reference, history])
def test_the_independent_account_shares_no_code_with_the_time_plane(module: object) -> None:
    path = Path(str(module.__file__))  # pyright: ignore[reportAttributeAccessIssue]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        name
        for node in ast.walk(tree)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom)
            else [each.name for each in node.names] if isinstance(node, ast.Import) else []
        )
    }  # fmt: skip
    ours = {name for name in names if name.startswith("hetsim")}
    assert ours <= {"hetsim.core.quantities", "hetsim.core.rng", "hetsim.study.history"}
