"""CIFAR-10: 50,000 and 10,000 colour photographs, 32 x 32, ten classes; no licence stated.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. In
`<folder>/cifar-10/` either of two forms is understood, with the same result:

    train-0.webp ... train-4.webp, test.webp   lossless grids of 100 x 100 pictures, with
    train-labels.npy, test-labels.npy          labels in the order of the grids
    data_batch_1.bin ... test_batch.bin        the published binary version (also as
                                               cifar-10-binary.tar.gz, which is what is fetched)

Mean and deviation are those of the training pictures.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from hetsim.learn.data._files import damaged, fetch, in_folder
from hetsim.learn.data.base import Dataset, Labels, Samples, canonical, limited

_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_MD5 = "md5:c32a1d4ab5d03f1284b67883e8d87530"
_ARCHIVE = "cifar-10-binary.tar.gz"
_SIDE, _GRID = 32, 100
_RECORD = 1 + 3 * _SIDE * _SIDE
"""Bytes of a picture in the binary version: label, then red, green and blue planes."""
_BINARY = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
_GRIDS = {"train": tuple(f"train-{number}.webp" for number in range(5)), "test": ("test.webp",)}
_MEAN = (0.49139968 * 255, 0.48215841 * 255, 0.44653091 * 255)
_STD = (0.24703223 * 255, 0.24348513 * 255, 0.26158784 * 255)


def cifar10(folder: Path | None, *, train: int | None = None, test: int | None = None) -> Dataset:
    """CIFAR-10, at most `train` and `test` pictures of it."""
    place = in_folder(folder, "cifar-10")
    x, y = _split(place, "train", train)
    test_x, test_y = _split(place, "test", test)
    return Dataset(
        name="cifar10", classes=10, mean=_MEAN, std=_STD, x=x, y=y, test_x=test_x, test_y=test_y
    )


def _split(place: Path | None, name: str, limit: int | None) -> tuple[Samples, Labels]:
    if place and _all(place, *_GRIDS[name], f"{name}-labels.npy"):
        x, y = _from_grids(place, name)
    elif place and _all(place, *_BINARY[name]):
        x, y = _records(b"".join((place / file).read_bytes() for file in _BINARY[name]), place)
    else:
        x, y = _from_archive(place, name)
    rows = limited(canonical(x, y), limit, name)
    return x[rows], y[rows]


def _all(place: Path, *files: str) -> bool:
    return all((place / file).is_file() for file in files)


def _from_grids(place: Path, name: str) -> tuple[Samples, Labels]:
    from PIL import Image

    pictures: list[Samples] = []
    for file in _GRIDS[name]:
        try:
            with Image.open(place / file) as image:
                pixels = np.asarray(image.convert("RGB"))
            cells = pixels.reshape(_GRID, _SIDE, _GRID, _SIDE, 3)
        except (OSError, ValueError) as fault:
            raise damaged(place / file, fault) from fault
        pictures.append(cells.transpose(0, 2, 4, 1, 3).reshape(-1, 3, _SIDE, _SIDE))
    labels = np.load(place / f"{name}-labels.npy", allow_pickle=False)
    return np.concatenate(pictures), labels.astype(np.int64)


def _from_archive(place: Path | None, name: str) -> tuple[Samples, Labels]:
    path = in_folder(place, _ARCHIVE) or fetch(
        _URL,
        _MD5,
        name="cifar10",
        remedy=f"Put {_ARCHIVE} (or its .bin files) into cifar-10/ of a folder and pass it with "
        "--data; or choose digits, which needs no download.",
    )
    try:
        with tarfile.open(path) as archive:
            members = {Path(member.name).name: member for member in archive}
            files = [archive.extractfile(members[file]) for file in _BINARY[name]]
            raw = b"".join(file.read() for file in files if file is not None)
    except (OSError, KeyError, tarfile.TarError) as fault:
        raise damaged(path, fault) from fault
    return _records(raw, path)


def _records(raw: bytes, path: Path) -> tuple[Samples, Labels]:
    try:
        table = np.frombuffer(raw, np.uint8).reshape(-1, _RECORD)
    except ValueError as fault:
        raise damaged(path, fault) from fault
    return table[:, 1:].reshape(-1, 3, _SIDE, _SIDE), table[:, 0].astype(np.int64)
