"""The setting that meets a deadline with the fewest joules, chosen from a prediction.

A setting is safe if its time stays below the deadline with a given confidence, by the prediction's
own spread (log-normal):

    middle * exp(z * spread) <= deadline,    z the normal quantile of the confidence

and the safe one of least expected energy is chosen. If none is safe, the one whose bound is lowest.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction, Joules, Seconds
from hetsim.study.sweep import Sweep
from hetsim.study.transfer import Prediction
from hetsim.study.work import Floats

CONFIDENCE = 0.98
"""Probability with which a chosen setting is to meet its deadline."""
MULTIPLES = tuple(round(1.2 + 0.2 * step, 1) for step in range(15))
"""Deadlines of a study, as multiples of the workload's fastest time: 1.2 to 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A setting for a deadline.

    Attributes:
        row: of the prediction.
        clocks: [3] hertz: CPU, GPU, memory.
        time, energy: expected seconds (as often more as less) and joules.
        bound: seconds that are kept with the confidence asked for.
        safe: whether the bound is within the deadline.
    """

    row: int
    clocks: Floats
    time: Seconds
    energy: Joules
    bound: Seconds
    safe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What choices for several deadlines came to in truth.

    Attributes:
        excess: mean of the joules over those of the cheapest setting in time, less 1.
        met: share of the deadlines that were met.
        choices: one a deadline.
    """

    excess: Fraction
    met: Fraction
    choices: tuple[Choice, ...]


def choose(prediction: Prediction, deadline: Seconds, confidence: Fraction = CONFIDENCE) -> Choice:
    """The cheapest setting that meets `deadline` with `confidence`.

    Raises:
        SpecError: no positive deadline, or a confidence outside 0.5 to 1.
    """
    if not deadline > 0.0:
        raise SpecError(f"{deadline:g} s is no deadline.", remedy="Give a time above zero.")
    if not 0.5 <= confidence < 1.0:
        what = f"{confidence:g} is no confidence."
        raise SpecError(what, remedy="Give a share from 0.5 to below 1, such as 0.98.")
    bound = prediction.middle * np.exp(NormalDist().inv_cdf(confidence) * prediction.spread)
    safe = bound <= deadline
    cost = np.where(safe, prediction.mean_energy, np.inf) if safe.any() else bound
    row = int(np.argmin(cost))
    return Choice(
        row=row,
        clocks=prediction.clocks[row],
        time=float(prediction.middle[row]),
        energy=float(prediction.mean_energy[row]),
        bound=float(bound[row]),
        safe=bool(safe[row]),
    )


def study(
    prediction: Prediction,
    truth: Sweep,
    multiples: tuple[float, ...] = MULTIPLES,
    confidence: Fraction = CONFIDENCE,
) -> Outcome:
    """Choose for each deadline, a multiple of the fastest true time, and compare with the best.

    `truth` holds the settings of the prediction, row by row.
    """
    if not np.array_equal(truth.clocks, prediction.clocks):
        raise ValueError("the prediction and the truth are of different settings")
    deadlines = truth.time.min() * np.array(multiples)
    choices = tuple(choose(prediction, float(each), confidence) for each in deadlines)
    rows = np.array([each.row for each in choices])
    best = np.array([truth.energy[truth.time <= each].min() for each in deadlines])
    return Outcome(
        excess=float(np.mean(truth.energy[rows] / best - 1.0)),
        met=float(np.mean(truth.time[rows] <= deadlines)),
        choices=choices,
    )
