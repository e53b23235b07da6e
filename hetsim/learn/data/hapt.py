"""Smartphone sensors of 30 people in six activities: windows of 2.56 s of acceleration and turning.

Source: Reyes-Ortiz et al., Neurocomputing 171, 2016 (UCI data set 341, the signals of UCI HAR);
non-commercial use, says its own readme. A window is 128 samples at 50 Hz inside one labelled
segment, the next begins 64 later; walking, upstairs, downstairs, sitting, standing, laying are 0-5.
Signals are unfiltered, in counts of the sensor (1/720 g and 0.0175 degrees/s).

In `<folder>/hapt/` either `hapt-windows.npz` (X [n, 128, 6] int16 counts, y, user) or the data
set's own `RawData/` is understood, with the same result.

Neighbouring windows overlap, so the split is by person: the nine test subjects of UCI HAR. Mean and
deviation are those of the other 21.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hetsim.learn.data._files import damaged, in_folder, missing
from hetsim.learn.data.base import Dataset, canonical, limited

_TEST_USERS = (2, 4, 9, 10, 12, 13, 18, 20, 24)
_ACTIVITIES = 6
_LENGTH, _STEP = 128, 64
_SCALE = np.repeat([1 / 720, np.radians(0.0175)], 3)
"""g and radians a second of a count, by channel."""
_MEAN = (580.5, 20.1, 61.5, 15.9, -7.5, -26.3)
_STD = (299.6, 282.6, 258.4, 1351.9, 1324.9, 849.3)
_REMEDY = (
    "Unpack UCI data set 341 (Smartphone-Based Recognition of Human Activities and Postural "
    "Transitions, archive.ics.uci.edu), put its RawData folder into hapt/ of a folder, and pass "
    "that with --data; or choose digits, which needs no download."
)


def hapt(folder: Path | None, *, train: int | None = None, test: int | None = None) -> Dataset:
    """The six basic activities, at most `train` and `test` windows."""
    place = in_folder(folder, "hapt/hapt-windows.npz", "hapt/RawData")
    if place is None:
        raise missing("hapt", folder, _REMEDY)
    try:
        x, y, users = _from_raw(place) if place.is_dir() else _from_windows(place)
    except (OSError, KeyError, ValueError) as fault:
        raise damaged(place, fault) from fault
    tested = np.isin(users, _TEST_USERS)
    first, last = np.flatnonzero(~tested), np.flatnonzero(tested)
    first = first[limited(canonical(x[first], y[first], users[first]), train, "train")]
    last = last[limited(canonical(x[last], y[last], users[last]), test, "test")]
    return Dataset(
        name="hapt", classes=_ACTIVITIES, mean=_MEAN, std=_STD,
        x=x[first], y=y[first], users=users[first], test_x=x[last], test_y=y[last],
    )  # fmt: skip


def _from_windows(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        x = np.ascontiguousarray(file["X"].transpose(0, 2, 1))
        return x, file["y"].astype(np.int64), file["user"].astype(np.int64)


def _from_raw(place: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut windows from `acc_expNN_userNN.txt`, `gyro_...txt` and `labels.txt`.

    A line of the labels is experiment, user, activity, first and last sample, all from 1.
    """
    labels = np.loadtxt(place / "labels.txt", dtype=np.int64, ndmin=2)
    windows: list[np.ndarray] = []
    owners: list[tuple[int, int]] = []
    signals: dict[str, np.ndarray] = {}
    for experiment, user, activity, first, last in labels[labels[:, 2] <= _ACTIVITIES].tolist():
        stem = f"exp{experiment:02}_user{user:02}.txt"
        if stem not in signals:
            parts = [np.loadtxt(place / f"{sensor}_{stem}") for sensor in ("acc", "gyro")]
            signals[stem] = np.rint(np.hstack(parts) / _SCALE).astype(np.int16)
        for start in range(first - 1, last - _LENGTH + 1, _STEP):
            windows.append(signals[stem][start : start + _LENGTH].T)
            owners.append((activity - 1, user))
    y, users = np.array(owners, dtype=np.int64).T
    return np.ascontiguousarray(np.stack(windows)), y, users
