"""Bytes of a client-round of federated and split training, beside those of the paper's code.

The paper's own figures (arXiv 2304.05495) are ratios: EcoFed sends 133 times less than FedAvg and
16 times less than vanilla split learning. The bytes beside ours are derived from the authors' code
(github.com/blessonvar/EcoFed@bb1c516): its messages, serialised, for a client of 500 samples in
batches of 10 and VGG-11 or ResNet-9 cut after two layers. Repeats that the code sends to time a
link are left out, and so is the device's part of EcoFed, which a client gets once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from hetsim.spec import units
from hetsim.study.comparisons._split import METHODS, Place, Way, client_rounds

_MIB, _GIB = units.parse("1 MiB", "size"), units.parse("1 GiB", "size")
_ROUNDS, _COHORT = 500, 20
"""Of the paper's runs."""
_DATA = {"cifar10": 10, "cifar100": 100}
_HEADED = {"cifar10": {"lgl": 16.87, "fedgkt": 16.95}, "cifar100": {"lgl": 22.50, "fedgkt": 22.58}}
_FEDAVG = {
    ("vgg11_fc3", "cifar10"): 262.76, ("resnet9", "cifar10"): 71.68,
    ("vgg11_fc3", "cifar100"): 265.58, ("resnet9", "cifar100"): 72.04,
}  # fmt: skip
_DPFL = 31.89
_ECOFED = {
    (1, 8): 3.949, (2, 8): 1.975, (4, 8): 0.987, (8, 8): 0.494, (1, 32): 15.67, (2, 32): 7.83,
}  # fmt: skip
"""MiB a client-round by period and bits."""


def split_bytes(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    models: Sequence[str],
    data: Sequence[str],
    workers: int = 1,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Every method on each model and number of classes; EcoFed in all periods too.

    Args:
        measured: not needed.
        work: folder of what is played already.
        progress: told how far it is.
        models: of vgg11_fc3 and resnet9.
        data: of cifar10 and cifar100, for as many classes.
        workers: processes to play in.
    """
    ways = [
        *(Way(method=name) for name in METHODS if name != "ecofed"),
        *(Way(method="ecofed", period=period, bits=bits) for period, bits in _ECOFED),
    ]
    cases = list(product(models, data, ways))
    found = client_rounds(
        [(Place(model=model, classes=_DATA[name]), way) for model, name, way in cases],
        work=work, workers=workers, progress=progress,
    )  # fmt: skip
    return {
        "bytes": [
            {
                "model": model, "data": name, "method": way.method,
                "period": way.period if way.method == "ecofed" else None,
                "bits": way.bits if way.method == "ecofed" else None,
                "paper_mib": _derived(model, name, way),
                "mib": each.size / _MIB,
                "enrolment_mib": each.enrolment / _MIB,
                "total_gib": each.size * _ROUNDS * _COHORT / _GIB,
            }
            for (model, name, way), each in zip(cases, found, strict=True)
        ]
    }  # fmt: skip


def _derived(model: str, data: str, way: Way) -> float:
    """MiB of a client-round that follow from the authors' code."""
    match way.method:
        case "fedavg":
            return _FEDAVG[model, data]
        case "dpfl":
            return _DPFL
        case "ecofed":
            return _ECOFED[way.period, way.bits]
        case name:
            return _HEADED[data][name]
