"""How a Raspberry Pi warms: a fit to a log, and a job played on the engine.

Without throttling the temperature follows from watts alone (`hetsim.sim.heat`), so resistance,
capacity and first temperature are fitted by least squares to what was logged at the end of each
round. With trip points the engine plays the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hetsim.core.cost import Cost
from hetsim.core.quantities import Celsius, Seconds, Watts
from hetsim.core.trace import Trace
from hetsim.sim.device import Profile
from hetsim.sim.governors.performance import Performance
from hetsim.sim.heat import ROOM, Body
from hetsim.sim.kernel import Kernel
from hetsim.sim.node import Node
from hetsim.sim.requests import Compute, Sleep
from hetsim.study.pi_log import Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """A fit of the heat model.

    Attributes:
        board, job: on which.
        resistance: K/W at the profile's watts.
        capacity: J/K.
        start: temperature before the first round.
        error: root mean square, K.
    """

    board: str
    job: str
    resistance: float
    capacity: float
    start: Celsius
    error: float


def _busy(profile: Profile) -> Watts:
    """What the profile draws in training at full clock."""
    return profile.idle + sum(domain.points[-1].power for domain in profile.domains)


def fit_warmth(profile: Profile, board: str, job: str, rounds: Sequence[Round]) -> Warmth:
    """Resistance, capacity and first temperature of a board from rounds without throttling."""
    from scipy.optimize import least_squares

    busy = _busy(profile)

    def residuals(x: Sequence[float]) -> list[float]:
        heat = Body(resistance=x[0], capacity=x[1]).at(x[2], ROOM)
        found: list[float] = []
        for each in rounds:
            heat.advance({"": busy * each.seconds}, each.seconds)
            found.append(heat.temperature - each.temperature)
            heat.advance({"": profile.idle * each.wait}, each.wait)
        return found

    first = rounds[0].temperature
    fit: Any = least_squares(
        residuals, (10.0, 40.0, first), bounds=([1.0, 5.0, ROOM], [50.0, 500.0, 85.0])
    )
    resistance, capacity, start = map(float, fit.x)
    return Warmth(
        board=board, job=job, resistance=resistance, capacity=capacity, start=start,
        error=(2.0 * float(fit.cost) / len(rounds)) ** 0.5,
    )  # fmt: skip


def play(
    profile: Profile, body: Body, start: Celsius, watts: float, work: Sequence[tuple[float, float]]
) -> list[tuple[Seconds, Celsius]]:
    """Seconds and final temperature of rounds of (seconds at full clock, wait).

    Args:
        profile: the device; a job draws `watts` times what it says.
        body: how it warms; the profile's trips.
        start: temperature before the first round.
        watts: as above.
        work: the rounds.
    """
    domains = tuple(
        replace(d, points=tuple(replace(p, power=p.power * watts) for p in d.points))
        for d in profile.domains
    )
    hot = replace(profile, domains=domains, heat=body)
    kernel = Kernel(Trace())
    node = Node(
        kernel.env, kernel.trace, "board", "device", base={"idle": {"idle": profile.idle}},
        profile=hot, governor=Performance(), heat=body.at(start, ROOM),
    )  # fmt: skip
    kernel.add(node)
    speed = sum(d.flops_per_cycle * d.points[-1].frequency for d in domains)
    played: list[tuple[Seconds, Celsius]] = []

    async def script() -> None:
        assert node.heat
        for seconds, wait in work:
            begun = kernel.env.now
            await Compute(node="board", cost=Cost(flops=seconds * speed))
            node.settle(kernel.env.now)
            played.append((kernel.env.now - begun, node.heat.temperature))
            await Sleep(duration=wait)

    kernel.run(script(), "board")
    return played
