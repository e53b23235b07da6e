"""Handwritten digits, 1,797 of 8 x 8 in 17 grey levels: the test set of UCI "Optical Recognition".

They come inside scikit-learn, so this is the data set that needs no download. Its file is read
directly: importing scikit-learn would take longer than training on it.

Split, in canonical order: 1,200 train, 300 source (for pre-training: neither a client nor the test
ever sees them), 297 test. Mean and deviation are those of all 1,797 images.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.learn.data.base import Dataset, canonical, limited

_TRAIN, _SOURCE = 1200, 300
_MEAN, _STD = 4.8842, 6.0168


@lru_cache(maxsize=4)
def digits(folder: Path | None, *, train: int | None = None, test: int | None = None) -> Dataset:
    """The digits, at most `train` and `test` of them; `folder` is not needed."""
    del folder
    with gzip.open(_file(), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    x, y = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)
    order = canonical(x, y)
    first = limited(order[:_TRAIN], train, "train")
    source = order[_TRAIN : _TRAIN + _SOURCE]
    last = limited(order[_TRAIN + _SOURCE :], test, "test")
    return Dataset(
        name="digits",
        classes=10,
        mean=(_MEAN,),
        std=(_STD,),
        x=x[first],
        y=y[first],
        source_x=x[source],
        source_y=y[source],
        test_x=x[last],
        test_y=y[last],
    )


def _file() -> Path:
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise SpecError(
            "the digits come with scikit-learn, which is not installed",
            key="task.data",
            remedy="pip install scikit-learn",
        )
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
