"""BoFL on its authors' tasks, beside the bound and beside `deadline_feedback`.

`deadline_feedback` starts from two beliefs: one fitted on a random tenth of the sweep, whose
measuring is not charged, and one fitted on the settings that BoFL tries first, tried in the same
rounds and charged like BoFL's. Nothing else of the sweep is shown to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import mean
from typing import Any

from hetsim.core.rng import rng
from hetsim.sim.governors._mix import front, hull
from hetsim.sim.governors._pacing import Pacer, Settings
from hetsim.sim.governors.bofl import BoFL
from hetsim.sim.governors.deadline_feedback import DeadlineFeedback
from hetsim.study.bofl_tasks import (
    Round,
    Task,
    believed,
    best_single,
    oracle,
    performant,
    read_task,
    replay,
    tell,
)
from hetsim.study.comparisons.calibration import sweep_files
from hetsim.study.surrogate import FEWEST

_SHOWN = 2.0
"""Ratio whose rounds and settings are told one by one."""
_SHOWN_POLICIES = ("performant", "oracle", "bofl", "feedback_first", "feedback_tenth")
_RESTING = (0.0, 0.5, 1.0)
"""Of the sweep's lowest power."""
_SWEPT = 10
"""Minibatches from which a row of a sweep was measured."""
_TX2_REST = 2.9
"""Watts of a TX2 between rounds: 2.8 to 3.0 in the authors' trace."""


@dataclass(frozen=True, kw_only=True)
class _Play:
    """All rounds of a task by a policy."""

    policy: str
    rounds: Sequence[Round]
    seed: int | None = None
    observed: Sequence[int] = ()

    @property
    def joules(self) -> float:
        return sum(each.energy for each in self.rounds)


def bofl(
    measured: Path,
    *,
    progress: Callable[[str], None] = lambda text: None,
    ratios: Sequence[float],
    seeds: int,
    sweeps: Sequence[str] = (),
) -> dict[str, list[Mapping[str, Any]]]:
    """Every sweep at every ratio of deadlines under every policy.

    Args:
        measured: folder of measured data.
        progress: told how far it is.
        ratios: of the latest to the earliest deadline.
        seeds: of BoFL's optimiser and of the tenth, from 0 on.
        sweeps: names of those to replay; none for all.
    """
    tables: dict[str, list[Mapping[str, Any]]] = {
        name: [] for name in ("facts", "runs", "rounds", "points", "idle")
    }
    files = sweep_files(measured, sweeps)
    for place, path in enumerate(files):
        task = read_task(path)
        beliefs = _Beliefs.of(task, seeds)
        tables["facts"].append(_facts(task))
        for done, ratio in enumerate(ratios, start=place * len(ratios)):
            progress(f"{done} of {len(files) * len(ratios)} cells")
            plays = _plays(task, ratio, seeds, beliefs)
            by_name = {play.policy: play for play in reversed(plays)}
            tables["runs"] += [_run(task, ratio, play, by_name) for play in plays]
            tables["idle"] += _idle(task, ratio, plays)
            if ratio == _SHOWN:
                tables["rounds"] += _rounds(task, by_name)
                tables["points"] += _points(task, by_name["bofl"])
    return {f"bofl_{name}": rows for name, rows in tables.items()}


@dataclass(frozen=True, kw_only=True)
class _Beliefs:
    """What `deadline_feedback` expects of a task's settings: from BoFL's first, and from tenths.

    Where BoFL's first settings are too few to fit, there is nothing to expect from them.
    """

    first: Settings | None
    tenths: Sequence[tuple[Sequence[int], Settings]]

    @classmethod
    def of(cls, task: Task, seeds: int) -> _Beliefs:
        _, first = task.draw(_SHOWN, BoFL())
        tenths = [(seed, _tenth(task, seed)) for seed in range(seeds)]
        return cls(
            first=believed(task, first) if len(first) >= FEWEST else None,
            tenths=[(rows, believed(task, rows, seed)) for seed, rows in tenths],
        )


def _plays(task: Task, ratio: float, seeds: int, beliefs: _Beliefs) -> list[_Play]:
    """The policies, in the order of reading; those with a seed once for each."""
    deadlines, first = task.draw(ratio, BoFL())
    found = [
        _Play(policy="performant", rounds=performant(task, deadlines)),
        _Play(policy="best_single", rounds=best_single(task, deadlines)),
        _Play(policy="oracle", rounds=oracle(task, deadlines)),
    ]
    for seed in range(seeds):
        explorer = BoFL(whole=True, seed=seed).pacer(task.settings, first)
        rounds = replay(explorer, task, deadlines)
        found.append(_Play(policy="bofl", rounds=rounds, seed=seed, observed=explorer.observed))
    if beliefs.first:
        exploring = [each for each in found[-1].rounds if each.phase == 1]
        trials = [BoFL(whole=True).trial(task.settings.times[row]) for row in first]
        pacer = _feedback(task, beliefs.first, first, trials)
        rounds = [*exploring, *replay(pacer, task, deadlines[len(exploring) :])]
        found.append(_Play(policy="feedback_first", rounds=rounds, observed=first))
    for seed, (rows, belief) in enumerate(beliefs.tenths):
        pacer = _feedback(task, belief, rows, [_SWEPT] * len(rows))
        rounds = replay(pacer, task, deadlines)
        found.append(_Play(policy="feedback_tenth", rounds=rounds, seed=seed, observed=rows))
    return found


def _feedback(task: Task, belief: Settings, rows: Sequence[int], items: Sequence[float]) -> Pacer:
    """`deadline_feedback` with a belief, told of the rows that it was fitted on."""
    pacer = DeadlineFeedback().pacer(belief)
    tell(pacer, task, rows, items)
    return pacer


def _tenth(task: Task, seed: int) -> list[int]:
    number = len(task.settings)
    random = rng(seed, "sim/bofl/tenth", task.name)
    size = min(max(ceil(number / 10), FEWEST), number)
    return random.choice(number, size=size, replace=False).tolist()


def _facts(task: Task) -> Mapping[str, Any]:
    settings = task.settings
    time, energy = task.highest
    least = min(range(len(settings)), key=lambda i: settings.energies[i])
    kept, corners = (f(settings.times, settings.energies) for f in (front, hull))
    return {
        "sweep": task.name, "settings": len(settings), "minibatches": task.minibatches,
        "seed": task.seed, "highest_s": time, "highest_j": energy, "shortest_s": task.shortest,
        "fastest_s": min(settings.times), "least_j": settings.energies[least],
        "least_at_s": settings.times[least],
        "ceiling_percent": 100.0 * (1.0 - settings.energies[least] / energy),
        "front": len(kept), "hull": len(corners), "lowest_w": _lowest_power(task),
        "tried_first": BoFL().tries(settings),
    }  # fmt: skip


def _lowest_power(task: Task) -> float:
    settings = task.settings
    return min(e / t for t, e in zip(settings.times, settings.energies, strict=True))


def _run(task: Task, ratio: float, play: _Play, by_name: Mapping[str, _Play]) -> Mapping[str, Any]:
    top, best = (by_name[name].rounds for name in ("performant", "oracle"))
    rounds = play.rounds
    late = [place for place, each in enumerate(rounds) if each.phase in (0, 3)]
    phases = {phase: sum(each.phase == phase for each in rounds) for phase in (1, 2)}
    dearer = [a.energy / b.energy - 1.0 for a, b in zip(rounds, top, strict=True)]
    first = [each for each in rounds if each.phase == 1]
    guarded = task.shortest + BoFL().tau
    short = [each for each in rounds if each.phase in (1, 2) and each.deadline < guarded]
    items = [task.minibatches * task.highest[1] - each.energy for each in short]
    return {
        "sweep": task.name, "ratio": ratio, "policy": play.policy, "seed": play.seed,
        "deadlines_s": sum(each.deadline for each in rounds),
        "joules": play.joules,
        "saving_percent": _saving(rounds, top),
        "regret_percent": 100.0 * (_energy(rounds) / _energy(best) - 1.0),
        "regret_after_percent": 100.0 * (
            _energy([rounds[i] for i in late]) / _energy([best[i] for i in late]) - 1.0
        ),
        "met": sum(each.met for each in rounds), "misses": sum(not each.met for each in rounds),
        "busy": mean(each.busy / each.deadline for each in rounds),
        "observed": len(play.observed), "unique": len(set(play.observed)),
        "rounds_1": phases[1], "rounds_2": phases[2],
        "first_j": _energy(first) if first else None,
        "first_counts": " ".join(str(each.observed) for each in first),
        "short_rounds": len(short), "short_off_j": max(map(abs, items), default=0.0),
        "dearer_rounds": sum(each > 1e-9 for each in dearer),
        "dearest_percent": 100.0 * max(dearer),
        **_front(task, play),
    }  # fmt: skip


def _energy(rounds: Sequence[Round]) -> float:
    return sum(each.energy for each in rounds)


def _saving(rounds: Sequence[Round], top: Sequence[Round]) -> float:
    return 100.0 * (1.0 - _energy(rounds) / _energy(top))


def _front(task: Task, play: _Play) -> Mapping[str, int | None]:
    """How large the front of what was measured is, and how much of it is the true one's."""
    if play.policy != "bofl":
        return {"front": None, "front_true": None}
    settings, known = task.settings, sorted(set(play.observed))
    kept = front([settings.times[i] for i in known], [settings.energies[i] for i in known])
    true = set(front(settings.times, settings.energies))
    return {"front": len(kept), "front_true": len(true & {known[place] for place in kept})}


def _idle(task: Task, ratio: float, plays: Sequence[_Play]) -> list[Mapping[str, Any]]:
    """The joules until every deadline, if a device that is done draws so much; means over seeds."""
    lowest, deadlines = _lowest_power(task), [each.deadline for each in plays[0].rounds]
    powers = [(f"{100 * share:.0f} %", share * lowest) for share in _RESTING]
    if task.name.startswith("tx2_"):
        powers.append(("TX2 at rest", _TX2_REST))
    rows: list[Mapping[str, Any]] = []
    for words, rest in powers:
        told = _Play(policy="oracle_told", rounds=oracle(task, deadlines, rest))
        joules: dict[str, list[float]] = {}
        for play in (*plays, told):
            spent = sum(each.resting(rest) for each in play.rounds)
            joules.setdefault(play.policy, []).append(spent)
        [top] = joules["performant"]
        rows += [
            {
                "sweep": task.name, "ratio": ratio, "rest": words, "rest_w": rest,
                "policy": policy, "joules": mean(values),
                "saving_percent": 100.0 * (1.0 - mean(values) / top),
            }
            for policy, values in joules.items()
        ]  # fmt: skip
    return rows


def _rounds(task: Task, by_name: Mapping[str, _Play]) -> list[Mapping[str, Any]]:
    return [
        {
            "sweep": task.name, "policy": name, "round": number, "phase": each.phase,
            "deadline_s": round(each.deadline, 3), "joules": round(each.energy, 2),
        }
        for name in _SHOWN_POLICIES
        if name in by_name
        for number, each in enumerate(by_name[name].rounds, start=1)
    ]  # fmt: skip


def _points(task: Task, play: _Play) -> list[Mapping[str, Any]]:
    """What BoFL measured, and the true front: in hundredths of the highest clocks', no finer."""
    settings, (time, energy) = task.settings, task.highest
    first = BoFL().tries(settings)
    kinds = {
        "front": front(settings.times, settings.energies),
        "hull": hull(settings.times, settings.energies),
        "first": play.observed[:first],
        "asked": play.observed[first:],
    }
    return [
        {
            "sweep": task.name, "kind": kind, "time": round(settings.times[i] / time, 2),
            "energy": round(settings.energies[i] / energy, 2),
        }
        for kind, places in kinds.items()
        for i in dict.fromkeys(places)
    ]  # fmt: skip
