"""Seconds and joules of federated and split training, where a server is not infinitely fast.

The paper (arXiv 2304.05495) trains 2.86 times as fast as vanilla split learning and up to 21 times
as fast as FedAvg, on links and a server that it does not state. So seconds are told over bandwidths
and servers; and then, for each bandwidth, the server is made so fast that the first figure comes
out, which foretells the second.

All seconds are simulated. What the server adds to a round is what an infinitely fast one would
save, and what the links add is what infinitely fast ones would save then; the rest is the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from hetsim.core.trace import Trace
from hetsim.spec import units
from hetsim.study.campaign import Variant, campaign
from hetsim.study.comparisons._split import (
    LAPTOP,
    METHODS,
    PI,
    SAMPLES,
    STEADY,
    ClientRound,
    Place,
    Way,
    client_rounds,
    made_up,
    play,
    scaled,
    steady_board,
)

_PAPER_DPFL, _PAPER_FL = 2.86, 21.0
_SERVERS = {"laptop": LAPTOP, "GPU": "rtx3090"}
_ENDLESS = "infinitely fast"
_FAST = 1e9
"""So many times as fast is infinitely fast; as a bandwidth in Mbit/s too."""
_OVERLAPPING = ("lgl", "ecofed")
_FLEETS = {"pi": PI, "jetson": "jetson_nano"}
_BOARDS, _COHORT = 20, 4
_CAMPUS, _ON_CAMPUS = "split_campus", 40

_Rounds = Callable[[Sequence[tuple[Place, Way]]], list[ClientRound]]


def split_times(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    boards: Sequence[str],
    servers: Sequence[str],
    bandwidths: Sequence[float],
    clients: Sequence[int],
    rounds: int,
    fleets: Sequence[str],
    workers: int = 1,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Client-rounds by bandwidth and server, speed-ups, a server in demand, and joules.

    Args:
        measured: not needed.
        work: folder of what is played already.
        progress: told how far it is.
        boards: profiles of devices, or `STEADY`.
        servers: laptop, GPU; beside them stands one that is infinitely fast.
        bandwidths: of a device's line in either direction, Mbit/s.
        clients: numbers of clients at once.
        rounds: of which joules are told.
        fleets: whose joules are told: pi, jetson, campus.
        workers: processes to play in.
    """
    profiles = work / "profiles"
    devices = {name: steady_board(profiles) if name == STEADY else name for name in boards}
    told = partial(client_rounds, work=work, workers=workers, progress=progress)
    return {
        "times": _times(told, devices, servers, bandwidths, profiles),
        "speedups": _speedups(told, devices, bandwidths, profiles),
        "contention": _contention(clients, profiles, work, workers, progress),
        "joules": _joules(fleets, rounds, work, workers, progress),
    }


# --- seconds --------------------------------------------------------------------------------------


def _times(
    told: _Rounds,
    devices: Mapping[str, str],
    names: Sequence[str],
    bandwidths: Sequence[float],
    profiles: Path,
) -> list[dict[str, Any]]:
    """What a client-round takes with each server, and where it goes."""
    ways = [
        *(Way(method=name) for name in METHODS),
        *(Way(method=name, overlap=True) for name in _OVERLAPPING),
    ]
    endless = scaled(LAPTOP, _FAST, profiles)
    servers = {**{name: _SERVERS[name] for name in names}, _ENDLESS: endless}
    cases = list(product(devices, bandwidths, servers, ways))

    found = told(
        [
            (Place(device=devices[board], server=server, bandwidth=bandwidth), way)
            for board, rate, name, way in cases
            for server, bandwidth in ((servers[name], rate), (endless, rate), (endless, _FAST))
        ]
    )
    return [
        {
            "device": board, "bandwidth_mbit": rate, "server": server, "method": way.method,
            "seconds": all_.seconds,
            "device_s": device.seconds,
            "network_s": both.seconds - device.seconds,
            "server_s": all_.seconds - both.seconds,
            "overlap": way.overlap,
        }
        for (board, rate, server, way), all_, both, device in zip(
            cases, found[0::3], found[1::3], found[2::3], strict=True
        )
    ]  # fmt: skip


def _speedups(
    told: _Rounds, devices: Mapping[str, str], bandwidths: Sequence[float], profiles: Path
) -> list[dict[str, Any]]:
    """At each bandwidth the server that makes one speed-up the paper's, and the other one with it.

    A round of vanilla split learning takes D + S and one of EcoFed E + S', where S and S' are the
    server's and fall alike as it gets faster; so the speed follows from (D + S) / (E + S') = 2.86
    at once, and another run says whether it is right. FedAvg's in closed form is what its device
    takes, and its bytes over the bandwidth, over the same for EcoFed and S'.
    """
    ways = [Way(method=name) for name in ("dpfl", "ecofed", "fedavg")]
    endless = scaled(LAPTOP, _FAST, profiles)
    cases = list(product(devices, bandwidths))

    def three(servers: Sequence[str], rates: Sequence[float]) -> list[list[ClientRound]]:
        """Of each case, a client-round of each way."""
        places = [
            Place(device=devices[device], server=server, bandwidth=rate)
            for (device, _), server, rate in zip(cases, servers, rates, strict=True)
        ]
        found = told([(place, way) for place in places for way in ways])
        return [found[i : i + len(ways)] for i in range(0, len(found), len(ways))]

    rates = [rate for _, rate in cases]
    alone = three([endless] * len(cases), [_FAST] * len(cases))
    unserved = three([endless] * len(cases), rates)
    served = three([LAPTOP] * len(cases), rates)
    speeds = [_speed(*both) for both in zip(unserved, served, strict=True)]
    fitted = three([scaled(LAPTOP, speed or 1.0, profiles) for speed in speeds], rates)
    return [
        {
            "device": device, "bandwidth_mbit": rate,
            **_told(rate, first, second, last, speed is not None),
            "paper_dpfl": _PAPER_DPFL, "paper_fl": _PAPER_FL,
        }
        for (device, rate), speed, first, second, last in zip(
            cases, speeds, alone, unserved, fitted, strict=True
        )
    ]  # fmt: skip


def _speed(unserved: Sequence[ClientRound], served: Sequence[ClientRound]) -> float | None:
    """How many times as fast as the laptop a server is with which one speed-up is the paper's.

    None if EcoFed is less than that much faster with any server.
    """
    dpfl, ecofed, _ = (each.seconds for each in unserved)
    slower, eco_slower, _ = (each.seconds for each in served)
    gap = dpfl - _PAPER_DPFL * ecofed
    return (_PAPER_DPFL * (eco_slower - ecofed) - (slower - dpfl)) / gap if gap > 0.0 else None


def _told(
    bandwidth: float,
    alone: Sequence[ClientRound],
    unserved: Sequence[ClientRound],
    fitted: Sequence[ClientRound],
    solved: bool,
) -> dict[str, float | None]:
    """Speed-ups with the fitted server, if there is one."""
    columns = ("fitted_server_s", "dpfl_over_ecofed", "fl_over_ecofed", "closed_form_fl")
    if not solved:
        return dict.fromkeys(columns)
    dpfl, ecofed, fedavg = fitted
    work = ecofed.seconds - unserved[1].seconds
    rate = units.parse(f"{bandwidth:.12g} Mbit/s", "rate")
    by_hand = alone[1].seconds + ecofed.size / rate + work
    ratios = (
        work,
        dpfl.seconds / ecofed.seconds,
        fedavg.seconds / ecofed.seconds,
        (alone[2].seconds + fedavg.size / rate) / by_hand,
    )
    return dict(zip(columns, ratios, strict=True))


# --- a server in demand ---------------------------------------------------------------------------


def _contention(
    clients: Sequence[int],
    profiles: Path,
    work: Path,
    workers: int,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Rounds of so many clients of EcoFed at once, simulated and in closed form.

    One batch after the other passes device, link and server, whose part is s of the cycle c of a
    client alone. The server works all the time once K s >= c: n batches of K clients take K n s,
    and the first of them c - s to get there. Below that, a client waits for the K - 1 others once,
    as all came at once, and for none after.
    """
    way = Way(method="ecofed", period=1)
    steps = SAMPLES // 10

    def trained(places: Sequence[Place]) -> list[float]:
        return play(
            [(place, way) for place in places], trained_s, rounds=2, work=work, workers=workers,
            progress=progress,
        )  # fmt: skip

    alone, unserved = trained([Place(), Place(server=scaled(LAPTOP, _FAST, profiles))])
    cycle, served = alone / steps, (alone - unserved) / steps
    return [
        {
            "clients": count,
            "round_s": found,
            "closed_form_s": max(
                count * steps * served + cycle - served, alone + (count - 1) * served
            ),
        }
        for count, found in zip(clients, trained([Place(clients=k) for k in clients]), strict=True)
    ]


def trained_s(trace: Trace) -> float:
    """Seconds of the last round until the server has trained on all activations."""
    begun = trace.rounds[-1]["t0_s"]
    ends = [each.t1 for each in trace.spans if each.kind == "train" and each.t0 >= begun]
    return max(ends) - begun


# --- joules ---------------------------------------------------------------------------------------


def _joules(
    fleets: Sequence[str],
    rounds: int,
    work: Path,
    workers: int,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """What equal rounds of each method draw on each fleet."""
    cases = list(product(fleets, METHODS))
    variants = [
        Variant(
            topology=_CAMPUS if fleet == "campus" else "pi_lab",
            overrides=(
                *_fleet(fleet), Way(method=method).written, f"stop={{rounds: {rounds}}}",
                "cost_only=true",
            ),
            seed=0,
        )
        for fleet, method in cases
    ]  # fmt: skip
    found = campaign(variants, spent, work=work, workers=workers, progress=progress)
    return [
        {"fleet": fleet, "method": method, **each}
        for (fleet, method), each in zip(cases, found, strict=True)
    ]


def _fleet(name: str) -> tuple[str, ...]:
    """Overrides that make a topology this fleet."""
    if name == "campus":
        return (made_up("resnet9", _ON_CAMPUS * SAMPLES),)
    return (
        f"fleet=[{{profile: {_FLEETS[name]}, name: board, count: {_BOARDS}, "
        "link: {rate: 50 Mbit/s}}]",
        "network=wifi",
        f"server={LAPTOP}",
        "pace=sync",
        made_up("vgg11_fc3", _BOARDS * SAMPLES),
        f"selection={{name: random, cohort: {_COHORT}}}",
    )


def spent(trace: Trace) -> dict[str, Any]:
    """Joules of a run by who draws them, with all three accounts of the devices."""
    summary = trace.summary
    devices = [row for row in trace.devices if row["role"] == "device"]
    roles = summary["energy_by_role_j"]
    return {
        **{
            f"device_{account}_j": sum(row[column] for row in devices)
            for account, column in (
                ("total", "energy_j"), ("active", "active_j"), ("participant", "participant_j"),
            )
        },
        "server_j": roles["server"],
        "link_j": roles["link"],
        "seconds": summary["simulated_s"],
        "rounds": summary["rounds"],
        "bytes": summary["bytes_up"] + summary["bytes_down"],
        "dropped": sum(summary["dropouts"].values()),
    }  # fmt: skip
