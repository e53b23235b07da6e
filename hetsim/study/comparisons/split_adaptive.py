"""Cuts that are chosen, beside every cut that is the same for all and stays.

ResNet-12, 500 samples in the shape of CIFAR's at every device, one epoch of batches of 10; all
devices take part in every round. Nothing is learned in these runs: whatever the cuts, what is
learned is what FedAvg learns.

Networks are steady Wi-Fi at two rates, and a 4G cell in which the bandwidth of each device follows
the generator fitted to the 175 traces of Lumos5G (5, 30 and 94.5 Mbit/s are the 10th, 50th and 90th
percentile, drawn anew after 20 s on the average; see `hetsim.sim.bandwidth.markov`), in both
directions (assumed: they measured the downlink). The policy knows nothing of that generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from hetsim.core.trace import Trace
from hetsim.study.campaign import Variant, campaign
from hetsim.study.comparisons._split import LAPTOP, PI, SAMPLES, made_up

FLEETS = {
    "four Pi 4": (PI,) * 4,
    "four kinds": ("raspberry_pi_3b_plus", PI, "raspberry_pi_5", "jetson_nano"),
}
_TOPOLOGY, _MODEL, _BLOCKS = "pi_lab", "resnet12", 5
_SGD = "epochs: 1, batch: 10, lr: 0.01, momentum: 0.9"
_WHOLE = "whole"
_CHOSEN = ("fastest", "thriftiest")
_STEADY = (20, 75)
"""Mbit/s."""
_4G = '{name: markov, low: "5 Mbit/s", median: "30 Mbit/s", high: "94.5 Mbit/s", dwell: "20 s"}'


def split_adaptive(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    fleets: Sequence[str],
    seeds: Sequence[int],
    rounds: int,
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Every plan on every network; one row a run.

    Args:
        measured: folder of measured data, of which nothing is needed.
        work: folder of what is played already.
        progress: told how many runs are done.
        fleets: names in `FLEETS`.
        seeds: of the bandwidths; steady networks are played once.
        rounds: of every run.
        workers: processes to play in.
    """
    networks = {f"{rate} Mbit/s": _steady(rate) for rate in _STEADY}
    places = [
        ("static", f"{fleet}, {name}", fleet, links, seeds[:1])
        for fleet, (name, links) in product(fleets, networks.items())
    ]
    places += [("4g", fleet, fleet, _cell(), seeds) for fleet in fleets]
    heads, variants = list[dict[str, Any]](), list[Variant]()
    for network, name, fleet, links, drawn in places:
        for seed, (plan, method) in product(drawn, _plans().items()):
            heads.append({"network": network, "fleet": name, "seed": seed, "plan": plan})
            variants.append(
                Variant(
                    topology=_TOPOLOGY,
                    overrides=(*_world(FLEETS[fleet], links), method, f"stop={{rounds: {rounds}}}"),
                    seed=seed,
                )
            )
    found = campaign(variants, spent, work=work, workers=workers, progress=progress)
    return {"adaptive": [head | each for head, each in zip(heads, found, strict=True)]}


def spent(trace: Trace) -> dict[str, float]:
    """Seconds of a run, and joules of its devices from being asked to their last act of a round."""
    devices = [row for row in trace.devices if row["role"] == "device"]
    return {
        "seconds": trace.summary["simulated_s"],
        "device_j": sum(row["participant_j"] for row in devices),
    }


def _plans() -> dict[str, str]:
    """Methods by what a table calls them."""
    cuts = [(f"cut {cut}", cut) for cut in range(1, _BLOCKS)] + [(name, name) for name in _CHOSEN]
    plans = {name: f"method={{name: dpfl, cut: {cut}, {_SGD}}}" for name, cut in cuts}
    return plans | {_WHOLE: f"method={{name: fedavg, {_SGD}, weighting: uniform}}"}


def _world(devices: Sequence[str], links: tuple[str, str]) -> tuple[str, ...]:
    network, link = links
    fleet = ", ".join(
        f"{{profile: {device}, name: device{place}, link: {link}}}"
        for place, device in enumerate(devices)
    )
    return (
        f"fleet=[{fleet}]",
        f"network={network}",
        f"server={LAPTOP}",
        made_up(_MODEL, len(devices) * SAMPLES),
        f"selection={{name: random, cohort: {len(devices)}}}",
        "pace=sync",
        "cost_only=true",
    )


def _steady(rate: float) -> tuple[str, str]:
    """Wi-Fi, and what a device has of it."""
    return "wifi", f'{{rate: "{rate} Mbit/s"}}'


def _cell() -> tuple[str, str]:
    """A 4G cell, and what a device has of it."""
    return "lte", f'{{rate: "30 Mbit/s", trace: {_4G}}}'
