"""EcoFed on two Raspberry Pi 4, foretold from federated averaging and split learning there.

What boards, channel and laptop are like is fitted on six of the runs of `hetsim.study.pi_lab`; what
they leave open is told as a range. The likeliest values become device profiles and a Wi-Fi cell,
and hetsim plays all runs with them, those that were fitted and those that were not. Which values
are the likeliest depends on what is expected of a board; a table tells what else would be foretold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from hetsim.core.trace import Trace
from hetsim.spec import units
from hetsim.spec.load import dump, read
from hetsim.spec.profile import find_profile
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve
from hetsim.study.feasible import Feasible, Floats, Terms, value_of
from hetsim.study.pi_lab import (
    BATCH,
    BOARD,
    CLASSES,
    CUT,
    DEVICES,
    MOMENTUM,
    PERIOD,
    REPLAY_ROUNDS,
    RUNS,
    SERVER,
    SHAPE,
    UPDATE_ROUNDS,
    WEIGHT_DECAY,
    Run,
    alternatives,
    lab,
    replay,
    round_of,
    update,
)
from hetsim.study.simulate import Settings, simulate

_MIB = units.parse("1 MiB", "size")
_TOLD = ("resnet12", "EDPFL", 10)
"""Model, method and rounds of the run that is told round by round."""


def edpfl(measured: Path) -> dict[str, list[Mapping[str, Any]]]:
    """The fit, all runs, the rounds of one of them, its speed-ups, and the fit done otherwise."""
    del measured
    found = lab()
    likeliest = found.likeliest()
    played = dict(_played(likeliest))
    return {
        "edpfl_fit": _fit(found, likeliest),
        "edpfl_runs": [_run(found, run, played[run]) for run in RUNS],
        "edpfl_rounds": _rounds(found, played),
        "edpfl_ratios": list(_ratios(found, played)),
        "edpfl_alternatives": [_alternative(*each) for each in alternatives().items()],
    }


# --- tables ---------------------------------------------------------------------------------------


def _fit(found: Feasible, likeliest: Floats) -> list[Mapping[str, Any]]:
    """A row an unknown; rates instead of seconds a unit of work."""
    rows: list[Mapping[str, Any]] = []
    for place, (unknown, best) in enumerate(zip(found.unknowns, likeliest.tolist(), strict=True)):
        itself = np.zeros(len(found.unknowns) + 1)
        itself[place] = 1.0
        ends = found.extent([itself])
        unit = unknown.unit
        if unit.startswith("s/"):
            unit, best, ends = f"{unit[2:]}/s", 1.0 / best, (1.0 / ends[1], 1.0 / ends[0])
        rows.append(
            {
                "unknown": unknown.name, "unit": unit, "best": best,
                "low": ends[0], "high": ends[1], "what": unknown.why,
            }
        )  # fmt: skip
    return rows


def _run(found: Feasible, run: Run, trace: Trace) -> Mapping[str, Any]:
    low, high = found.extent(round_of(run))
    moved = trace.summary["bytes_up"] + trace.summary["bytes_down"]
    return {
        "model": run.model, "method": run.method, "samples": run.samples,
        "measured_s": run.seconds, "simulated_s": _seconds(trace), "low_s": low, "high_s": high,
        "measured_mib": run.mib, "simulated_mib": moved / run.rounds / _MIB,
        "used_for": "fit" if run.fitted else "prediction",
    }  # fmt: skip


def _rounds(found: Feasible, played: Mapping[Run, Trace]) -> list[Mapping[str, Any]]:
    told = _named(*_TOLD)
    kinds = {
        "update": (UPDATE_ROUNDS, found.extent(update(told))),
        "replay": (REPLAY_ROUNDS, found.extent(replay(told))),
    }
    rows: list[Mapping[str, Any]] = []
    for row in played[told].rounds:
        turn, rest = divmod(row["round"], PERIOD)
        kind = "replay" if rest else "update"
        logged, (low, high) = kinds[kind]
        rows.append(
            {
                "round": row["round"], "kind": kind, "measured_s": logged[turn],
                "simulated_s": row["t1_s"] - row["t0_s"], "low_s": low, "high_s": high,
            }
        )  # fmt: skip
    return rows


def _ratios(found: Feasible, played: Mapping[Run, Trace]) -> Iterator[Mapping[str, Any]]:
    """Of runs of ten rounds, and of the two kinds of round."""
    told = _named(*_TOLD)
    fl, dpfl = _named("resnet12", "FL", 10), _named("resnet12", "DPFL", 10)
    for over, under in ((fl, told), (dpfl, told), (fl, dpfl)):
        assert over.seconds
        assert under.seconds
        yield _ratio(
            found, f"{over.method}/{under.method}", over.seconds / under.seconds,
            _seconds(played[over]) / _seconds(played[under]), round_of(over), round_of(under),
        )  # fmt: skip
    kinds: dict[bool, list[float]] = {False: [], True: []}
    for row in played[told].rounds:
        kinds[row["round"] % PERIOD == 0].append(row["t1_s"] - row["t0_s"])
    yield _ratio(
        found, "update/replay", mean(UPDATE_ROUNDS) / mean(REPLAY_ROUNDS),
        mean(kinds[True]) / mean(kinds[False]), update(told), replay(told),
    )  # fmt: skip


def _ratio(
    found: Feasible, name: str, measured: float, simulated: float, top: Terms, bottom: Terms
) -> Mapping[str, Any]:
    low, high = found.extent(top, bottom)
    return {
        "ratio": name, "measured": measured, "simulated": simulated, "low": low, "high": high,
    }  # fmt: skip


def _alternative(assumption: str, found: Feasible) -> Mapping[str, Any]:
    """What the likeliest values would foretell if something else were assumed, by closed forms."""
    told, vgg11 = _named(*_TOLD), _named("vgg11_small", "FL", 2)
    x = found.likeliest()
    return {
        "assumption": assumption, "mean_s": value_of(round_of(told), x),
        "update_s": value_of(update(told), x), "replay_s": value_of(replay(told), x),
        "vgg11_s": value_of(round_of(vgg11), x),
    }  # fmt: skip


def _named(model: str, method: str, rounds: int) -> Run:
    [run] = [run for run in RUNS if run[:2] == (model, method) and run.rounds == rounds]
    return run


def _seconds(trace: Trace) -> float:
    return trace.summary["simulated_s"] / len(trace.rounds)


# --- simulation -----------------------------------------------------------------------------------


def _played(x: Floats) -> Iterator[tuple[Run, Trace]]:
    """Every run as hetsim plays it with these values of the unknowns."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        topology = _written(folder, x)
        for run in RUNS:
            spec = load_topology(topology, overrides=_overrides(run))
            yield run, simulate(resolve(spec), Settings(no_store=True), None).trace


def _overrides(run: Run) -> Sequence[str]:
    """What distinguishes a run from the others."""
    sgd = f"epochs: 1, batch: {BATCH}, momentum: {MOMENTUM}"
    decay = f"weight_decay: {WEIGHT_DECAY}, weighting: uniform"
    overlap = "true" if run.method == "EDPFL" else "false"
    method = {
        "FL": f"{{name: fedavg, {sgd}, {decay}}}",
        "DPFL": f"{{name: dpfl, cut: {CUT}, {sgd}, {decay}}}",
    }.get(
        run.method,
        f"{{name: ecofed, cut: {CUT}, {sgd}, period: {PERIOD}, bits: 8, overlap: {overlap}}}",
    )
    data = f"{{name: synthetic, train: {DEVICES * run.samples}, test: 10, source: 20, "
    return (
        f"method={method}", f"task.model={run.model}", f"stop.rounds={run.rounds}",
        f"task.data={data}classes: {CLASSES}, shape: {list(SHAPE)}}}",
    )  # fmt: skip


def _written(folder: Path, x: Floats) -> Path:
    """A topology and its profiles in a folder."""
    arithmetic, memory, operator, sample, channel, latency, laptop = x.tolist()
    board, [cpu, clock] = _profile(BOARD)
    cpu |= {
        "flops_per_cycle": _leaf(1.0 / arithmetic / clock),
        "bytes_per_cycle": _leaf(1.0 / memory / clock),
        "cycles_per_operator": _leaf(operator * clock),
        "cycles_per_sample": _leaf(sample * clock),
    }
    server, [cpu, _] = _profile(SERVER)
    for key, power in (
        ("flops_per_cycle", -1), ("bytes_per_cycle", -1), ("cycles_per_operator", 1),
    ):  # fmt: skip
        cpu[key] = _leaf(cpu[key]["value"] * laptop**power)
    rate = units.format(1.0 / channel, "rate")
    topology = {
        "cost_only": True,
        "fleet": [{"profile": "board.yaml", "count": DEVICES, "link": {"rate": rate}}],
        "network": {"name": "wifi", "latency": units.format(latency, "time")},
        "server": "laptop.yaml",
        "task": {"data": "synthetic", "model": "resnet12"},
        "method": "fedavg",
        "selection": {"name": "random", "cohort": DEVICES},
        "stop": {"rounds": 1},
    }
    for name, data in (("board", board), ("laptop", server), ("pis", topology)):
        (folder / f"{name}.yaml").write_text(dump(data), encoding="utf-8")
    return folder / "pis.yaml"


def _profile(name: str) -> tuple[dict[str, Any], tuple[dict[str, Any], float]]:
    """A profile that comes with hetsim; its processor, and at how many hertz that works."""
    data = dict(read(find_profile(name, None)).data)
    cpu = cast(dict[str, Any], data["compute"]["domains"]["cpu"])
    return data, (cpu, units.parse(cpu["points"]["frequencies"][-1], "frequency"))


def _leaf(value: float) -> Mapping[str, Any]:
    return {"value": value, "derived": "fitted to runs of two Raspberry Pi 4"}
