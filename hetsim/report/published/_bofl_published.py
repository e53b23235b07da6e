"""What is known of BoFL: what its authors stored, and what follows from their sweeps.

*Stored*: result files of 100 rounds, one run a cell, in github:hongpeng-guo/BoFL@c89944d (Guo et
al., Middleware 2022). *Derived*: from their sweeps, by integer programs of a general solver and by
replaying the deadlines; no file states these. The body of the article was not at hand; its abstract
says that energy falls by "around 26 %".
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Fraction, Joules, Seconds

CLAIM = 26.0
"""Percent of energy saved, by the abstract."""
RATIOS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)


@dataclass(frozen=True, slots=True)
class Cell:
    """A sweep at a ratio of deadlines.

    Attributes:
        bofl, oracle: joules, stored.
        bound, single: joules of the exact mixes and of one setting a round, derived.
        regret_after: percent, of the rounds after exploring, from what is stored.
        observed, unique: settings measured.
        rounds_1, rounds_2: rounds of the two parts of exploring.
        busy: mean share of a round's time.
    """

    bofl: Joules
    oracle: Joules
    bound: Joules
    single: Joules
    regret_after: float
    observed: int
    unique: int
    rounds_1: int
    rounds_2: int
    busy: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A sweep.

    Attributes:
        performant: joules at the highest clocks, stored.
        deadlines: their sum at ratios 2 and 4, derived.
        front, hull: number of settings on it, derived.
        first: by ratio the settings known after each round of trying the first ones, and the
            joules of these rounds; derived.
        saving_resting: percent by which BoFL's stored rounds save if a TX2 draws 2.9 W until each
            deadline, at ratios 2 and 4; derived.
        cells: by ratio.
    """

    performant: Joules
    deadlines: tuple[Seconds, Seconds]
    front: int
    hull: int
    first: dict[float, tuple[str, Joules]]
    saving_resting: tuple[float, float] | None = None
    cells: dict[float, Cell]

    def saving(self, ratio: float) -> float:
        """Percent that BoFL saves, from what is stored."""
        return 100.0 * (1.0 - self.cells[ratio].bofl / self.performant)


WORDS = {
    "agx_cifar10": "AGX Xavier, ViT", "agx_imagenet": "AGX Xavier, ResNet-50",
    "agx_imdb": "AGX Xavier, LSTM", "tx2_cifar10": "TX2, ViT", "tx2_imagenet": "TX2, ResNet-50",
    "tx2_imdb": "TX2, LSTM",
}  # fmt: skip
"""The authors' six tasks; of two nothing is known here."""


def words_of(sweep: str) -> str:
    """A sweep as a reader knows it: board and model of the authors' tasks, else its name."""
    return WORDS.get(sweep, sweep)


PUBLISHED = {
    "agx_cifar10": Published(
        performant=90110.844, deadlines=(5510.790, 9077.673),
        front=55, hull=9,
        first={
            1.5: ("3 3 6 13 19 20 21", 6014.95), 2.0: ("9 11 19 21", 3336.41),
            4.0: ("12 21", 1731.60),
        },
        cells={
            1.5: Cell(74134.0, 69938.6, 69938.0, 70927.8, 1.47, 65, 64, 7, 13, 0.959),
            2.0: Cell(69941.5, 67578.9, 67578.5, 68078.6, 1.33, 70, 70, 4, 6, 0.859),
            2.5: Cell(68947.7, 66886.2, 66886.0, 67155.4, 1.43, 67, 67, 3, 5, 0.767),
            3.0: Cell(68610.6, 66510.1, 66509.9, 66744.2, 1.56, 65, 65, 3, 5, 0.693),
            3.5: Cell(68274.7, 66291.3, 66291.2, 66565.6, 1.35, 68, 68, 3, 5, 0.636),
            4.0: Cell(68042.7, 66112.5, 66112.5, 66276.6, 1.33, 69, 69, 2, 5, 0.590),
        },
    ),
    "agx_imagenet": Published(
        performant=114841.621, deadlines=(6998.776, 11611.273),
        front=60, hull=10,
        first={1.5: ("9 16 19 21", 4403.92), 2.0: ("17 21", 2083.04)},
        cells={
            1.5: Cell(95997.5, 93320.3, 93318.7, 94842.9, 1.34, 68, 67, 4, 6, 0.994),
            2.0: Cell(91418.9, 89934.3, 89933.5, 90704.6, 0.80, 68, 68, 2, 5, 0.961),
            2.5: Cell(90024.3, 88862.6, 88862.1, 89291.0, 0.31, 70, 70, 2, 5, 0.873),
            3.0: Cell(90028.2, 88303.2, 88302.9, 88787.5, 0.99, 71, 71, 2, 5, 0.759),
            3.5: Cell(88984.9, 87947.8, 87947.5, 88228.3, 0.18, 71, 71, 2, 5, 0.732),
            4.0: Cell(88794.0, 87733.7, 87733.3, 87929.9, 0.28, 71, 71, 2, 5, 0.680),
        },
    ),
    "tx2_cifar10": Published(
        performant=39608.965, deadlines=(5328.186, 8776.877),
        front=31, hull=10,
        first={
            1.5: ("3 3 6 10", 1599.44), 2.0: ("7 8 10", 1147.07), 2.5: ("10", 378.49),
            3.0: ("10", 378.49), 3.5: ("10", 378.49), 4.0: ("10", 378.49),
        },
        saving_resting=(24.9, 22.9),
        cells={
            1.5: Cell(33504.6, 32516.6, 32516.1, 32933.0, 1.08, 34, 34, 4, 6, 0.990),
            2.0: Cell(31935.1, 31194.2, 31193.8, 31375.7, 1.12, 36, 36, 3, 3, 0.915),
            2.5: Cell(31543.8, 30769.7, 30769.5, 30895.5, 1.73, 37, 34, 1, 3, 0.828),
            3.0: Cell(31316.2, 30570.4, 30570.3, 30691.4, 1.63, 37, 37, 1, 3, 0.751),
            3.5: Cell(31212.0, 30445.6, 30445.5, 30537.1, 1.70, 37, 37, 1, 3, 0.689),
            4.0: Cell(31152.6, 30366.5, 30366.4, 30438.3, 1.73, 38, 38, 1, 3, 0.639),
        },
    ),
    "tx2_imdb": Published(
        performant=63227.252, deadlines=(8503.554, 14375.416),
        front=22, hull=8,
        first={1.5: ("10", 574.29), 2.0: ("10", 568.39)},
        saving_resting=(27.9, 25.1),
        cells={
            1.5: Cell(51031.8, 49983.0, 49982.8, 50700.7, 1.54, 33, 33, 1, 3, 0.999),
            2.0: Cell(49599.0, 48517.0, 48516.9, 48769.0, 1.63, 38, 38, 1, 3, 0.929),
            2.5: Cell(49063.8, 48070.4, 48070.4, 48220.1, 1.67, 30, 30, 1, 2, 0.837),
            3.0: Cell(48930.9, 47899.3, 47899.3, 48011.4, 1.81, 30, 30, 1, 2, 0.756),
            3.5: Cell(48783.0, 47794.5, 47794.4, 47922.6, 1.73, 30, 30, 1, 2, 0.690),
            4.0: Cell(48665.9, 47722.2, 47722.2, 47799.6, 1.61, 30, 30, 1, 2, 0.637),
        },
    ),
}  # fmt: skip
OBSERVED = {"agx": (64, 73), "tx2": (30, 39)}
"""Settings that may be known when exploring ends: one to ten more than three hundredths."""
WITHIN = {"agx": 1.0, "tx2": 2.5}
"""Points of saving that another seed of the optimiser moves, so how near a mean is to be."""
