"""Sweeps and plans as one asks for them in Python: `hs.sweep` and `hs.plan`.

They are those of the command line, over the same folders: what one began, the other goes on with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hetsim.study import plan as _plan
from hetsim.study import what_if
from hetsim.study.errand import Means
from hetsim.study.planned import Planned
from hetsim.study.what_if import Swept

Values = Mapping[str, object]
"""By key: a list of values, or the text of one option ("5..50 Mbit/s log")."""


def sweep(
    topology: str | Path,
    *,
    grid: Values | None = None,
    sample: Values | None = None,
    points: int = 0,
    sweep_seed: int = 0,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    executor: str | None = None,
    jobs: int | None = None,
    store: str | Path | None = None,
    data: str | Path | None = None,
) -> Swept:
    """Play a topology at many points; what is kept from before is not played again.

        swept = hs.sweep("iot_mix", grid={"method.name": ["fedavg", "fedprox"], "seed": range(3)})
        swept.points.groupby("method.name")["energy_j"].mean()

    Args:
        topology: file, or name of a topology that comes with hetsim.
        grid: values by key; all combinations are played.
        sample: ranges or values by key, from which `points` are drawn.
        points: how many are drawn.
        sweep_seed: of the draws.
        overrides: of all points, texts such as "cost_only=true".
        out: folder of the sweep; by default `runs/sweep-<name>-<hash>`.
        executor: who plays the runs: "inline" (default), "pool" or "ray". A pool starts processes,
            so a script that asks for one keeps `if __name__ == "__main__":`.
        jobs: processes to play in.
        store: folder of learned values; by default one inside the sweep's.
        data: folder of data sets.

    Raises:
        SpecError: what was asked is wrong; nothing has been played then.
        HetsimError: this host cannot go on; the message says how to.
    """
    asked = what_if.Asked(
        topology=str(topology), grid=_options(grid), sample=_options(sample), points=points,
        sweep_seed=sweep_seed, overrides=tuple(overrides),
    )  # fmt: skip
    return what_if.sweep(asked, out=_path(out), means=_means(executor, jobs, store, data))


def plan(
    topology: str | Path,
    *,
    goals: Iterable[str],
    vary: Values,
    prices: Mapping[str, float] | None = None,
    minimise: Iterable[str] = (),
    maximise: Iterable[str] = (),
    seeds: Iterable[int] = (),
    evaluations: int = _plan.LOOKED_AT,
    few: int | None = None,
    plan_seed: int = 0,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    executor: str | None = None,
    jobs: int | None = None,
    store: str | Path | None = None,
    data: str | Path | None = None,
) -> Planned:
    """Search for the cheapest fleet and settings that meet goals.

        found = hs.plan(
            "iot_mix", goals=["time<=70 s", "energy<=6.5 kJ"], overrides=["cost_only=true"],
            vary={"fleet[raspberry_pi_5].count": "0..6", "governor": ["schedutil", "powersave"]},
            prices={"raspberry_pi_5": 90},
        )
        found.met, found.pareto, found.nearby

    Args:
        topology: file, or name of a topology that comes with hetsim.
        goals: texts such as "accuracy>=0.85" or "time<=4 h".
        vary: values or ranges by key.
        prices: by device profile, technology, or name of a group, gateway, cell or line.
        minimise: quantities; left out, those of goals on time, joules and bytes, and the price if
            there are prices.
        maximise: likewise.
        seeds: in all of which a goal must hold; left out, the topology's own.
        evaluations: configurations to look at, besides the steps from the chosen one.
        few: rounds of a first, short run; left out, a fifth.
        plan_seed: of the search.
        overrides: of all configurations, texts such as "cost_only=true".
        out: folder of the plan; by default `runs/plan-<name>-<hash>`.
        executor: who plays the runs: "inline" (default), "pool" or "ray", as for `sweep`.
        jobs: processes to play in.
        store: folder of learned values; by default one inside the plan's.
        data: folder of data sets.

    Raises:
        SpecError: what was asked is wrong; nothing has been played then.
        HetsimError: this host cannot go on; the message says how to.
    """
    asked = _plan.Asked(
        topology=str(topology), goals=tuple(goals), vary=_options(vary),
        prices=tuple(f"{name}={price}" for name, price in (prices or {}).items()),
        minimise=tuple(minimise), maximise=tuple(maximise), seeds=tuple(seeds),
        evaluations=evaluations, few=few, plan_seed=plan_seed, overrides=tuple(overrides),
    )  # fmt: skip
    return _plan.plan(asked, out=_path(out), means=_means(executor, jobs, store, data))


def _options(values: Values | None) -> tuple[str, ...]:
    """Keys and values as the command line takes them."""
    return tuple(f"{key}={_text(value)}" for key, value in (values or {}).items())


def _text(value: object) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _path(folder: str | Path | None) -> Path | None:
    return None if folder is None else Path(folder)


def _means(
    executor: str | None, jobs: int | None, store: str | Path | None, data: str | Path | None
) -> Means:
    return Means.of(executor, jobs=jobs, store=_path(store), data=_path(data))
