"""Logs of federated rounds on Raspberry Pi boards, one CSV a job.

Format and data: github:yeeiia/Hardware-Course-Project@053a6df. Each row is a client in a round, or
the server's evaluation; `pi_temp` and `pi_throttled` are what the firmware says at the end of
training.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Celsius, Seconds

_HELD_BACK = 0b1110
"""Firmware flags: clock capped, throttled, soft temperature limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One board in one round.

    Attributes:
        seconds: of training.
        wait: until the next round begins: for the slowest board, and the server's evaluation.
        samples: trained on.
        temperature: at the end of training.
        throttled: whether the firmware says that it is held back, then.
    """

    seconds: Seconds
    wait: Seconds
    samples: int
    temperature: Celsius
    throttled: bool


def read_job(file: Path) -> dict[str, list[Round]]:
    """Rounds of each board that logs its temperature.

    Raises:
        SpecError: no such file, or not a log of this kind.
    """
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        return _rounds(rows)
    except OSError as error:
        what = f"cannot be read: {error.strerror}."
        raise SpecError(what, where=str(file), remedy="Check the path.") from error
    except (KeyError, ValueError) as error:
        what = f"is no log of federated rounds ({error})."
        raise SpecError(what, where=str(file), remedy="Give the folder of logs.") from error


def _rounds(rows: Sequence[dict[str, str]]) -> dict[str, list[Round]]:
    training = [row for row in rows if row["phase"] == "train"]
    evaluation = {row["round"]: float(row["eval_time"]) for row in rows if row["phase"] == "eval"}
    slowest = {
        number: max(float(row["train_time"]) for row in training if row["round"] == number)
        for number in {row["round"] for row in training}
    }
    boards: dict[str, list[Round]] = {}
    for row in training:
        if not row["pi_temp"]:
            continue
        seconds = float(row["train_time"])
        flags = int(row["pi_throttled"].removeprefix("throttled="), 16)
        boards.setdefault(row["client_id"], []).append(
            Round(
                seconds=seconds,
                wait=slowest[row["round"]] - seconds + evaluation.get(row["round"], 0.0),
                samples=int(row["samples"]),
                temperature=float(row["pi_temp"].removeprefix("temp=").removesuffix("'C")),
                throttled=bool(flags & _HELD_BACK),
            )
        )
    return boards
