"""FedLP's cost columns, from networks that are built and counted, beside the printed ones.

Zhu et al., arXiv 2303.06360. A device at level c has the first c + 1 convolutions of the network
and a head of its own, at level 5 all of it; it exchanges the former. With w_c of the devices at
each level,

    communication  = 2 * sum_c w_c shared_c      (down and up)
    computation    = sum_c w_c work_c            (one image, as thop counts)

Hetero(c) has six tenths of the devices at level c and a tenth at each other one, Hetero(u) a fifth
at each. In Homo(p) everybody computes the whole network, receives all and sends a layer with
probability p: communication is (1 + p) times the parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hetsim.core.quantities import Fraction
from hetsim.federation.price import Counts, counts
from hetsim.study.comparisons._beside import beside
from hetsim.study.comparisons._fedlp_published import COSTS, SOURCE, WHOLE

_THOUSAND, _MILLION = 1e3, 1e6
_PRESERVED = (0.1, 0.3, 0.5, 0.7)
_FAVOURED, _OTHER = 0.6, 0.1
_COHORT = 10
_SLOW = 10.0
"""Times as slow as the downlink an uplink is, to show what Homo(p) saves of time."""
_NETWORKS: Mapping[str, tuple[tuple[int, ...], Mapping[str, Any], tuple[int, ...]]] = {
    "fedlp_cnn": ((3, 32, 32), {}, (2, 3, 4, 5)),
    "mlp": ((1, 28, 28), {"hidden": [512, 128, 128, 64, 32]}, (1, 2, 3, 4)),
}
"""Shape of a sample, options, and blocks kept at each level but the last."""
_CLASSES = 10
_ROUNDING = 0.005
"""Of printed millions."""


def layer_wise(measured: Path) -> dict[str, list[Mapping[str, Any]]]:
    """Networks of all levels, cost columns of all schemes, and what uploads save.

    Args:
        measured: not needed.
    """
    levels = {name: list(_levels(name)) for name in _NETWORKS}
    return {
        "fedlp_levels": [row for rows in levels.values() for row in rows],
        "fedlp_costs": list(_costs(levels["fedlp_cnn"])),
        "fedlp_uploads": [_upload(each) for each in _PRESERVED],
    }


def _levels(name: str) -> Iterator[Mapping[str, Any]]:
    shape, options, kept = _NETWORKS[name]
    whole = counts(name, shape, _CLASSES, options=options, convention="thop")
    for level, blocks in enumerate((*kept, None), start=1):
        shared, local, plain = whole, whole, _local(name, blocks, "layers")
        if blocks is not None:
            shared = counts(name, shape, _CLASSES, options=options, blocks=(0, blocks))
            local = _local(name, blocks, "thop")
        yield {
            "network": name, "level": level, "shared": shared.parameters,
            "local": local.parameters, "layers": plain.multiply_adds, "thop": local.multiply_adds,
            "shared_b": shared.nbytes, "local_b": local.nbytes,
            "local_over_whole": local.parameters / whole.parameters,
        }  # fmt: skip


def _local(name: str, blocks: int | None, convention: Any) -> Counts:
    """What a device trains: the first blocks with a head, or the whole network."""
    shape, options, _ = _NETWORKS[name]
    if blocks is None:
        return counts(name, shape, _CLASSES, options=options, convention=convention)
    headed = {"model": name, "options": json.dumps(dict(options)), "blocks": blocks}
    return counts("headed", shape, _CLASSES, options=headed, convention=convention)


def _costs(levels: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    shared = [row["shared"] for row in levels]
    work = [row["thop"] / _MILLION for row in levels]
    whole, last = shared[-1] / _THOUSAND, [0.0] * (len(levels) - 1) + [1.0]
    yield _cost("FedAvg", 2.0 * whole, last, work)
    for preserved in _PRESERVED:
        yield _cost(f"Homo({preserved})", (1.0 + preserved) * whole, last, work)
    mixes = {
        f"Hetero({level})": [_FAVOURED if place == level else _OTHER for place in _numbers(levels)]
        for level in _numbers(levels)
    }
    mixes["Hetero(u)"] = [1.0 / len(levels)] * len(levels)
    for scheme, mix in mixes.items():
        yield _cost(scheme, 2.0 * _mean(mix, shared) / _THOUSAND, mix, work)


def _numbers(levels: Sequence[Any]) -> range:
    return range(1, len(levels) + 1)


def _cost(
    scheme: str, sent: float, mix: Sequence[Fraction], work: Sequence[float]
) -> Mapping[str, Any]:
    printed = COSTS.get(scheme)
    computed, misprinted = _mean(mix, work), _mean(mix, [*work[:-1], WHOLE])
    note = "the authors have no figures"
    if printed:
        explained = abs(misprinted - printed[1]) < _ROUNDING
        note = f"follows from {WHOLE} for the whole network, which takes {work[-1]:.2f}"
        note = note if explained else "not explained by the misprint"
    return {
        "scheme": scheme,
        **beside(sent, printed and printed[0], "communication_k"),
        **beside(computed, printed and printed[1], "computation_m"),
        "computation_m_with_misprint": misprinted,
        "source": SOURCE if printed else "",
        "note": note,
    }  # fmt: skip


def _mean(weights: Sequence[Fraction], values: Sequence[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def _upload(preserved: Fraction) -> Mapping[str, Any]:
    """What a table of down and up together hides of Homo(p)."""
    return {
        "preserved": preserved,
        "uplink_saved": 1.0 - preserved,
        "both_saved": (1.0 - preserved) / 2.0,
        "layer_missing": (1.0 - preserved) ** _COHORT,
        "time_over_fedavg": (1.0 + _SLOW * preserved) / (1.0 + _SLOW),
    }
