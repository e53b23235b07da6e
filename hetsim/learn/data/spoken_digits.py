"""Spoken digits of six speakers as small spectrograms: the Free Spoken Digit Dataset, CC BY-SA 4.0.

In `<folder>/fsdd/` either `fsdd.npz` (audio end to end, offset, digit, speaker, index) or the
data set's own `recordings/*.wav` is understood, with the same result. Its own split: recordings 0-4
of each speaker and digit are the test. Speakers are numbered by name. Mean and deviation are those
of the training images.

A clip (8 kHz) becomes an image of 32 bands by 32 instants, whatever its length: 32 frames of 256
samples (32 ms, Hann window) spread evenly from its start to its end, powers of the spectrum summed
over 32 triangular bands equally spaced in mel from 100 Hz to 4 kHz, in steps of 0.5 dB from -90 dB
of full scale as bytes. Whole steps, so that the last bits of a Fourier transform do not matter.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hetsim.learn.data._files import damaged, in_folder, missing
from hetsim.learn.data.base import Dataset, canonical, limited

_RATE = 8000
_FRAME = 256
_BANDS = _INSTANTS = 32
_LOWEST = 100.0
_FULL_SCALE = 2.0**15
_FLOOR, _STEP = -90.0, 0.5
"""Decibels."""
_MEAN, _STD = 89.0, 33.3
_TEST_TAKES = 5
_REMEDY = (
    "Clone github.com/Jakobovski/free-spoken-digit-dataset, put its recordings folder into fsdd/ "
    "of a folder, and pass that with --data; or choose digits, which needs no download."
)


class _Clip(NamedTuple):
    audio: np.ndarray
    digit: int
    speaker: str
    take: int


def spoken_digits(
    folder: Path | None, *, train: int | None = None, test: int | None = None
) -> Dataset:
    """The clips as 1 x 32 x 32 images, at most `train` and `test` of them; users are speakers."""
    place = in_folder(folder, "fsdd/fsdd.npz", "fsdd/recordings")
    if place is None:
        raise missing("spoken_digits", folder, _REMEDY)
    try:
        clips = list(_recordings(place) if place.is_dir() else _archive(place))
        x = _spectrograms([clip.audio for clip in clips])
    except (OSError, EOFError, KeyError, ValueError, wave.Error) as fault:
        raise damaged(place, fault) from fault
    y = np.array([clip.digit for clip in clips], dtype=np.int64)
    names = sorted({clip.speaker for clip in clips})
    users = np.array([names.index(clip.speaker) for clip in clips], dtype=np.int64)
    tested = np.array([clip.take < _TEST_TAKES for clip in clips])
    first, last = np.flatnonzero(~tested), np.flatnonzero(tested)
    first = first[limited(canonical(x[first], y[first], users[first]), train, "train")]
    last = last[limited(canonical(x[last], y[last], users[last]), test, "test")]
    return Dataset(
        name="spoken_digits", classes=10, mean=(_MEAN,), std=(_STD,),
        x=x[first], y=y[first], users=users[first], test_x=x[last], test_y=y[last],
    )  # fmt: skip


def _archive(path: Path) -> Iterator[_Clip]:
    with np.load(path, allow_pickle=False) as file:
        names, audio, offset = file["speaker_names"], file["audio"], file["offset"]
        for row, (digit, speaker, index) in enumerate(
            zip(file["digit"], file["speaker"], file["index"], strict=True)
        ):
            clip = audio[offset[row] : offset[row + 1]]
            yield _Clip(clip, int(digit), str(names[speaker]), int(index))


def _recordings(place: Path) -> Iterator[_Clip]:
    """Files are called DIGIT_SPEAKER_INDEX.wav."""
    for path in sorted(place.glob("*.wav")):
        digit, speaker, index = path.stem.split("_")
        with wave.open(str(path)) as file:
            raw = file.readframes(file.getnframes())
        yield _Clip(np.frombuffer(raw, "<i2"), int(digit), speaker, int(index))


def _spectrograms(clips: list[np.ndarray]) -> np.ndarray:
    """[n, 1, bands, instants] uint8."""
    window, bands = np.hanning(_FRAME + 1)[:-1], _bands()
    images = np.empty((len(clips), 1, _BANDS, _INSTANTS), np.uint8)
    for image, clip in zip(images, clips, strict=True):
        audio = np.pad(clip, (0, max(0, _FRAME - len(clip)))) / _FULL_SCALE
        starts = np.linspace(0, len(audio) - _FRAME, _INSTANTS).astype(np.int64)
        frames = np.lib.stride_tricks.sliding_window_view(audio, _FRAME)[starts]
        power = np.abs(np.fft.rfft(frames * window)) ** 2 @ bands.T
        level = 10 * np.log10(power / _FRAME + 10 ** (_FLOOR / 10))
        image[0] = np.clip(np.rint((level.T - _FLOOR) / _STEP), 0, 255)
    return images


def _bands() -> np.ndarray:
    """[bands, frequencies]: triangles, each from the middle of its neighbour to the next one's."""
    top = _mel(np.array(_RATE / 2))
    corners = np.linspace(_mel(np.array(_LOWEST)), top, _BANDS + 2)
    place = _mel(np.fft.rfftfreq(_FRAME, 1 / _RATE))
    width = corners[1] - corners[0]
    return np.maximum(0.0, 1 - np.abs(place - corners[1:-1, None]) / width)


def _mel(frequency: np.ndarray) -> np.ndarray:
    """Perceived pitch (O'Shaughnessy 1987)."""
    return 2595 * np.log10(1 + frequency / 700)
