"""Fashion-MNIST: 60,000 and 10,000 pictures of clothes, 28 x 28, ten classes; MIT licence.

Source: Xiao, Rasul, Vollgraf, arXiv 1708.07747. Its four files are looked for in
`<folder>/fashion-mnist/`, then fetched from its repository (30 MB) and compared with the SHA-256 of
the files that have the published MD5 sums. Mean and deviation are those of the training pictures.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

import numpy as np

from hetsim.learn.data._files import damaged, fetch, in_folder
from hetsim.learn.data.base import Dataset, Labels, Samples, canonical, limited

_URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_SHA256 = {
    "train-images-idx3": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
_MEAN, _STD = 0.2860 * 255, 0.3530 * 255


def fashion_mnist(
    folder: Path | None, *, train: int | None = None, test: int | None = None
) -> Dataset:
    """Fashion-MNIST, at most `train` and `test` pictures of it."""
    x, y = _split(folder, "train", train, "train")
    test_x, test_y = _split(folder, "t10k", test, "test")
    return Dataset(
        name="fashion_mnist", classes=10, mean=(_MEAN,), std=(_STD,),
        x=x, y=y, test_x=test_x, test_y=test_y,
    )  # fmt: skip


def _split(folder: Path | None, stem: str, limit: int | None, key: str) -> tuple[Samples, Labels]:
    images, labels = (
        _find(folder, f"{stem}-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1")
    )
    return _arranged(images, labels, limit, key)


@lru_cache(maxsize=2)
def _arranged(images: Path, labels: Path, limit: int | None, key: str) -> tuple[Samples, Labels]:
    """A split in canonical order; the files are read once a process."""
    x = _read(images, axes=3)[:, None]
    y = _read(labels, axes=1).astype(np.int64)
    rows = limited(canonical(x, y), limit, key)
    return x[rows], y[rows]


def _find(folder: Path | None, file: str) -> Path:
    return in_folder(folder, f"fashion-mnist/{file}") or fetch(
        _URL + file,
        f"sha256:{_SHA256[file.removesuffix('-ubyte.gz')]}",
        name="fashion_mnist",
        remedy="Put its four .gz files into fashion-mnist/ of a folder and pass it with --data; "
        "or choose digits, which needs no download.",
    )


def _read(path: Path, axes: int) -> np.ndarray:
    """An IDX file: a magic number that holds the number of axes, the lengths, the bytes."""
    try:
        raw = gzip.decompress(path.read_bytes())
        lengths = np.frombuffer(raw, ">i4", count=axes, offset=4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(lengths)
    except (OSError, EOFError, ValueError) as fault:
        raise damaged(path, fault) from fault
