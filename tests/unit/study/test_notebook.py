"""`hs.sweep` and `hs.plan`: what the command line gives, as frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import hetsim as hs
from hetsim.study import plan as _plan
from hetsim.study import what_if
from hetsim.study.planned import EVALUATIONS
from hetsim.testing.world import TOPOLOGY

CHEAP = ("cost_only=true", "stop.rounds=2")


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TOPOLOGY, encoding="utf-8")
    return path


def same(frame: pd.DataFrame, path: Path) -> None:
    """The frame holds what the file does."""
    rows = pq.read_table(path).to_pylist()
    assert list(frame.columns) == list(rows[0])
    told = frame.to_dict("records")
    for one, other in zip(told, rows, strict=True):
        for name, value in other.items():
            empty = value is None and (one[name] == "" or one[name] != one[name])
            assert empty or one[name] == value, name


def test_a_sweep_is_a_frame(topology: Path, tmp_path: Path) -> None:
    swept = hs.sweep(
        topology, grid={"fleet[pi].count": range(1, 3), "seed": [0, 1]},
        sample={"fleet[pi].link.rate": "5..50 Mbit/s log"}, points=2, overrides=CHEAP,
        out=tmp_path / "out",
    )  # fmt: skip
    assert len(swept.points) == 8 == swept.played
    assert set(swept.points["fleet[pi].count"]) == {1, 2}
    assert swept.points["simulated_s"].dtype == "float64"
    assert bool(swept.points["accuracy"].isna().all())
    assert set(swept.points["failed"]) == {""}
    same(swept.points, swept.folder / what_if.POINTS)
    assert repr(swept) == (
        f"<sweep tiny in {tmp_path / 'out'}: 8 points over fleet[pi].link.rate, fleet[pi].count, "
        "seed>"
    )


def test_python_goes_on_with_what_the_command_began(topology: Path, tmp_path: Path) -> None:
    grid = ("governor=performance,powersave", "method={name: fedavg, lr: 0.1}")
    asked = what_if.Asked(topology=str(topology), grid=grid, overrides=CHEAP)
    assert what_if.sweep(asked, out=tmp_path / "out").played == 2
    again = hs.sweep(
        str(topology), out=str(tmp_path / "out"), overrides=list(CHEAP),
        grid={"governor": ["performance", "powersave"], "method": "{name: fedavg, lr: 0.1}"},
    )  # fmt: skip
    assert (again.played, again.kept) == (0, 2)


def test_a_plan_is_three_frames(topology: Path, tmp_path: Path) -> None:
    found = hs.plan(
        topology, goals=["time<=1 min", "energy<=50 J"], overrides=CHEAP, out=tmp_path / "out",
        vary={"fleet[pi].count": "0..2", "governor": ["performance", "powersave"]},
        prices={"raspberry_pi_4b": 75, "jetson_tx2": 400.5},
    )  # fmt: skip
    asked = _plan.Asked(
        topology=str(topology), goals=("time<=1 min", "energy<=50 J"), overrides=CHEAP,
        vary=("fleet[pi].count=0..2", "governor=performance,powersave"),
        prices=("raspberry_pi_4b=75", "jetson_tx2=400.5"),
    )  # fmt: skip
    assert _plan.plan(asked, out=tmp_path / "out").played == 0
    same(found.configurations, found.folder / EVALUATIONS)
    assert found.met
    told: dict[str, Any] = found.as_json()
    assert list(found.pareto.index) == [each["file"] for each in told["front"]]
    assert list(found.pareto["price"]) == [each["values"]["price"] for each in told["front"]]
    assert list(found.nearby.index) == [each["step"] for each in told["steps"]]
    assert list(found.nearby["price_change"]) == [e["changes"]["price"] for e in told["steps"]]
    assert repr(found) == f"<plan tiny in {found.folder}: {told['answer']}>"


def test_a_truth_value_is_one_of_yaml() -> None:
    """`True` is no text, and a list of one value is a value."""
    from hetsim.study.notebook import _options

    values = {"a": [True, False], "b": [0.5], "c": "1..3"}
    assert _options(values) == ("a=true,false", "b=0.5", "c=1..3")


def test_a_wrong_executor_is_refused(topology: Path) -> None:
    with pytest.raises(hs.SpecError, match='Did you mean "pool"'):
        hs.sweep(topology, grid={"seed": [0]}, executor="pol")
