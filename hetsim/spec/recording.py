"""A recorded run as a surrogate: how good the server's model was after each of its server steps.

The recording is read from the folder of a finished run that learned, or from the one file that a
run which goes by it keeps beside its `spec.yaml`. The hash of its content is part of the spec hash
of every run that goes by it.

Between two evaluated steps, accuracy and loss follow a straight line over the number of the step;
before the first, the line comes from chance before any step (assumed: a model that knows nothing
gives each class the same probability, so that 1 / classes are right at ln(classes) nats); after the
last, they stay as they are. Whatever else the two runs differ in is taken to make no difference.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from math import isfinite, log, nan
from os.path import isdir, isfile  # False, not OSError, for a name that no file can have
from pathlib import Path
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction
from hetsim.spec import load
from hetsim.spec.load import as_mapping, in_words

_REMEDY = "Give the folder of a finished run that learned, as `hetsim run` printed it."


@dataclass(frozen=True, kw_only=True)
class Recording:
    """How good a model became, and in which run.

    Attributes:
        name: of the run.
        seed: of the run.
        spec_hash: of the run.
        method: section of its resolved spec.
        task: section of its resolved spec.
        data: hash of its data.
        others: what else of the run a model depends on: pace, selection, devices that hold data.
        steps: numbers of its evaluated server steps, rising, from 0.
        accuracy: after each of them.
        loss: likewise, in nats; NaN where it was not a number.
    """

    name: str
    seed: int
    spec_hash: str
    method: Mapping[str, Any]
    task: Mapping[str, Any]
    data: str
    others: Mapping[str, Any]
    steps: tuple[int, ...]
    accuracy: tuple[Fraction, ...]
    loss: tuple[float, ...]

    def at(self, step: int, classes: int) -> tuple[Fraction, float]:
        """Accuracy and loss after server step `step`, of a task with so many classes."""
        steps = (-1, *self.steps)
        accuracy, loss = (1.0 / classes, *self.accuracy), (log(classes), *self.loss)
        place = bisect_left(steps, step)
        if place == len(steps):
            return accuracy[-1], loss[-1]
        if steps[place] == step:
            return accuracy[place], loss[place]
        part = (step - steps[place - 1]) / (steps[place] - steps[place - 1])
        one, other = accuracy[place - 1 : place + 1], loss[place - 1 : place + 1]
        return one[0] + part * (one[1] - one[0]), other[0] + part * (other[1] - other[0])

    @property
    def last(self) -> int:
        """The last evaluated step; after it values only stay as they are."""
        return self.steps[-1]

    @cached_property
    def text(self) -> str:
        """Content of the file that a run which goes by it keeps."""
        content = {
            "name": self.name, "seed": self.seed, "spec_hash": self.spec_hash,
            "method": self.method, "task": self.task, "data": self.data, "others": self.others,
            "steps": self.steps, "accuracy": self.accuracy,
            "loss": [value if isfinite(value) else None for value in self.loss],
        }  # fmt: skip
        return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"

    @property
    def hash(self) -> str:
        """SHA-256 of its content."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def file(self) -> str:
        """Name of that file."""
        return f"recorded-{self.hash[:8]}.json"

    def told(self, rounds: int, unlike: Sequence[str]) -> dict[str, Any]:
        """What the summary of a run that goes by it says of it.

        Args:
            rounds: of that run.
            unlike: keys of what differs in the two runs.
        """
        return {
            "run": self.name, "seed": self.seed, "spec_hash": self.spec_hash, "hash": self.hash,
            "recorded_rounds": self.last + 1, "rounds_beyond": max(0, rounds - self.last - 1),
            "unlike": list(unlike),
        }  # fmt: skip


def differing(recorded: Any, now: Any, key: str) -> Iterator[tuple[str, str]]:
    """(key, difference in words) of all in which two sections are not the same.

    >>> list(differing({"lr": 0.1}, {"lr": 0.2}, "method"))
    [('method.lr', 'it is 0.2 here and 0.1 there')]
    """
    one, other = as_mapping(recorded), as_mapping(now)
    if one is not None and other is not None:
        for name in dict.fromkeys((*other, *one)):
            yield from differing(one.get(name), other.get(name), f"{key}.{name}")
    elif recorded != now:
        yield key, f"it is {in_words(now)} here and {in_words(recorded)} there"


def read(text: str, beside: Path) -> Recording:
    """The recording that a topology names: a folder or file, as given or beside the topology.

    Raises:
        SpecError: there is none, it is no finished run, it learned nothing, or it is damaged.
    """
    for path in (Path(text), beside / text):
        if isdir(path):
            return _of_folder(path)
        if isfile(path):
            return _of_file(path)
    raise SpecError(f'no run folder "{text}".', remedy=_REMEDY)


def _of_folder(folder: Path) -> Recording:
    if not (folder / "summary.json").is_file():
        what, remedy = "is no finished run: there is no summary.json.", _REMEDY
        if (folder / "spec.yaml").is_file():
            remedy = f"Finish it with: hetsim run --resume {folder}"
        raise SpecError(f"{folder} {what}", remedy=remedy)
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        hashes = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["hashes"]
        spec = load.read(folder / "spec.yaml").data
        parquet: Any = import_module("pyarrow.parquet")
        columns = ["round", "accuracy", "loss"]
        table = parquet.read_table(folder / "rounds.parquet", columns=columns)
        rows: list[dict[str, Any]] = table.to_pylist()
        if summary.get("surrogate"):
            raise SpecError(
                f"{folder} learned nothing: it went by the recorded run "
                f"{summary['surrogate']['run']}.",
                remedy="Give that one.",
            )
        scored = [row for row in rows if row["accuracy"] is not None]
        if not scored:
            raise SpecError(f"{folder} has no accuracy: it learned nothing.", remedy=_REMEDY)
        fleet = sum(group["count"] for group in spec["fleet"] if group.get("data") != "none")
        return Recording(
            name=str(summary["name"]),
            seed=summary["seed"],
            spec_hash=str(summary["spec_hash"]),
            method=spec["method"],
            task=spec["task"],
            data=str(hashes["data"]),
            others={
                "pace": spec["pace"], "selection": spec["selection"],
                "devices with data": fleet,
            },
            steps=tuple(row["round"] for row in scored),
            accuracy=tuple(row["accuracy"] for row in scored),
            loss=tuple(nan if row["loss"] is None else row["loss"] for row in scored),
        )  # fmt: skip
    except (OSError, ValueError, LookupError, TypeError) as fault:
        what = f"{folder} is damaged, or no run of hetsim ({fault})."
        raise SpecError(what, remedy=_REMEDY) from fault


def _of_file(path: Path) -> Recording:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        loss = tuple(nan if value is None else value for value in found["loss"])
        steps, accuracy = tuple(found["steps"]), tuple(found["accuracy"])
        found |= {"steps": steps, "accuracy": accuracy, "loss": loss}
        recording = Recording(**found)
    except (OSError, ValueError, LookupError, TypeError) as fault:
        what = f"{path} is no recorded run ({fault})."
        raise SpecError(what, remedy=_REMEDY) from fault
    if not recording.steps:
        raise SpecError(f"{path} is no recorded run (it has no steps).", remedy=_REMEDY)
    return recording
