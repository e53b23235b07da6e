"""Networks of low rank, counted: FedHM's parameters, multiply-adds and bytes, beside its figures.

Yao et al., arXiv 2111.14655. Networks are built and counted, nothing is trained. The charts of the
authors measure what reaching an accuracy takes in "GB" of their own; the cost model behind them is
reconstructed, for it gives the printed bars with whole numbers of rounds:

    sent     = 2 * cohort * rounds * millions of parameters / 1024      (a byte a parameter)
    computed = cohort * rounds * millions of multiply-adds / 1024       (one image, one pass)

So true bytes of float32 are four times as many, and neither samples, epochs nor backward passes are
counted. The rounds follow from the bars, once by what was sent and once by what was computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from hetsim.federation.price import Counts, counts
from hetsim.study.comparisons._beside import beside
from hetsim.study.comparisons._fedhm_published import (
    BARS,
    MULTIPLY_ADDS,
    PARAMETERS,
    SOURCE,
    Bars,
    Level,
)

_SHAPES = {10: (3, 32, 32), 100: (3, 32, 32), 200: (3, 64, 64)}
_DATA = {10: "CIFAR-10", 100: "CIFAR-100", 200: "Tiny-ImageNet"}
_CHANNELS = (64, 128, 256, 512)
_LEVELS: Mapping[tuple[str, int], tuple[Level, ...]] = {
    ("resnet34", 100): tuple(PARAMETERS),
    ("resnet18", 10): (
        ("factor", 1), ("factor", 2), ("factor", 4), ("factor", 8),
        ("width", 0.64), ("width", 0.5), ("width", 0.35),
    ),
    ("resnet34", 200): (
        ("factor", 1), ("factor", 2), ("factor", 4), ("factor", 8), ("factor", 12),
    ),
}  # fmt: skip
_MIXES: Mapping[tuple[str, int], Mapping[str, tuple[Level, ...]]] = {
    ("resnet18", 10): {
        "fedavg": (("factor", 1),),
        "fedhm": (("factor", 1), ("factor", 2), ("factor", 4), ("factor", 8)),
        "heterofl": (("width", 1.0), ("width", 0.64), ("width", 0.5), ("width", 0.35)),
    },
    ("resnet34", 100): {
        "fedavg": (("factor", 1),),
        "fedhm": (("factor", 2), ("factor", 4), ("factor", 8), ("factor", 12)),
        "heterofl": (("width", 1.0), ("width", 0.64), ("width", 0.5), ("width", 0.4)),
    },
}
"""Levels of the authors' runs, a quarter of the devices at each."""
_COHORT = 10
_MILLION, _KILO = 1e6, 1024
_ROTATED = (
    "rounds by what was sent are those by what was computed, one place on: rotated between the "
    "two charts"
)


def low_rank(measured: Path) -> dict[str, list[Mapping[str, Any]]]:
    """Sizes, bars and bytes a round.

    Args:
        measured: not needed.
    """
    return {
        "fedhm_models": [
            _model(network, level) for network, levels in _LEVELS.items() for level in levels
        ],
        "fedhm_bars": [row for bars in BARS for row in _bars(bars)],
        "fedhm_rounds": [
            row for network, mixes in _MIXES.items() for row in _round(network, mixes)
        ],
    }


@cache
def _counted(network: tuple[str, int], level: Level, convention: Any = "layers") -> Counts:
    """A network at a level; widths are rounded to the nearest channel, as in the authors' code."""
    (name, classes), (kind, value) = network, level
    options: dict[str, Any] = {"channels": [round(value * each) for each in _CHANNELS]}
    if kind == "factor":
        options = {"model": name, "options": "{}", "factor": int(value)}
        name = "low_rank"
    return counts(name, _SHAPES[classes], classes, options=options, convention=convention)


def _model(network: tuple[str, int], level: Level) -> Mapping[str, Any]:
    plain, listed = _counted(network, level), _counted(network, level, "ptflops")
    printed = network == ("resnet34", 100)
    parameters = PARAMETERS.get(level) if printed else None
    work = MULTIPLY_ADDS.get(level) if printed else None
    return {
        "network": network[0], "data": _DATA[network[1]], "kind": level[0], "level": level[1],
        "parameters": plain.parameters,
        **beside(plain.parameters / _MILLION, parameters, "parameters_m"),
        "layers": plain.multiply_adds,
        "ptflops": listed.multiply_adds,
        **beside(listed.multiply_adds / _MILLION, work, "ptflops_m"),
        "float32_b": plain.nbytes,
        "source": SOURCE if parameters else "",
    }  # fmt: skip


def _bars(bars: Bars) -> Iterator[Mapping[str, Any]]:
    """A row for each rank factor."""
    sent = {factor: _sent_a_round(bars, factor) for factor in bars.sent}
    computed = {factor: _computed_a_round(bars, factor) for factor in bars.computed}
    by_sent = [round(printed / sent[factor]) for factor, printed in bars.sent.items()]
    by_computed = [round(printed / computed[factor]) for factor, printed in bars.computed.items()]
    rotated = sorted(by_sent) == sorted(by_computed) and by_sent != by_computed
    for factor, rounds, other in zip(bars.sent, by_sent, by_computed, strict=True):
        yield {
            "data": bars.data, "network": bars.network[0], "target_percent": bars.target,
            "factor": factor, "rounds_by_sent": rounds, "rounds_by_computed": other,
            **beside(rounds * sent[factor], bars.sent[factor], "sent"),
            "sent_if_rounds_by_computed": other * sent[factor],
            **beside(other * computed[factor], bars.computed[factor], "computed"),
            "float32_b": 2 * _COHORT * rounds * _counted(bars.network, ("factor", factor)).nbytes,
            "source": SOURCE,
            "note": _ROTATED if rotated else "",
        }  # fmt: skip


def _sent_a_round(bars: Bars, factor: int) -> float:
    parameters = _counted(bars.network, ("factor", factor)).parameters
    return 2 * _COHORT * parameters / _MILLION / _KILO


def _computed_a_round(bars: Bars, factor: int) -> float:
    work = _counted(bars.network, ("factor", factor), "ptflops").multiply_adds
    return _COHORT * work / _MILLION / _KILO


def _round(
    network: tuple[str, int], mixes: Mapping[str, tuple[Level, ...]]
) -> Iterator[Mapping[str, Any]]:
    """Bytes of a round of ten devices, both ways, that are expected with equally many of each."""
    found = {
        method: mean(_counted(network, level).parameters for level in levels)
        for method, levels in mixes.items()
    }
    for method, parameters in found.items():
        yield {
            "network": network[0], "data": _DATA[network[1]], "method": method,
            "levels": _words(mixes[method]),
            "mean_parameters": parameters,
            "float32_b": 2 * _COHORT * 4 * parameters,
            "times_less": found["fedavg"] / parameters,
        }  # fmt: skip


def _words(levels: tuple[Level, ...]) -> str:
    """Levels of one kind.

    >>> _words((("factor", 2), ("factor", 4)))
    'factor 2 : 4'
    """
    return f"{levels[0][0]} " + " : ".join(f"{value:g}" for _, value in levels)
