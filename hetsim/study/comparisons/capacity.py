"""A planning case from question to decision: what `hetsim plan` finds, as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hetsim.study.errand import Means
from hetsim.study.plan import Asked, plan


def capacity(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    asked: Mapping[str, Any],
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Plan once.

    Of the tables, `answer` has one row a fact, `configurations` one a configuration that was looked
    at, `front` one a configuration of the Pareto front, `steps` one a step from the chosen one.

    Args:
        measured: folder of measured data; a plan needs none.
        work: folder of what is played already.
        progress: told how far it is.
        asked: fields of `hetsim.study.plan.Asked`.
        workers: processes to play in.
    """
    del measured
    settings: dict[str, Any] = {name: tuple(value) if isinstance(value, list | tuple) else value
             for name, value in asked.items()}  # fmt: skip
    assert set(settings) <= {field.name for field in fields(Asked)}
    found = plan(
        Asked(**settings), home=work,
        means=Means(
            jobs=workers, progress=lambda done, of: progress(f"{done} of {of} configurations")
        ),
    )  # fmt: skip
    told = found.as_json()
    chosen = told["chosen"] or told["nearest_miss"] or {"settings": {}, "misses": []}
    facts = {
        "met": told["met"], "exact": told["exact"], "space": told["space"],
        "looked_at": told["looked_at"], "seeds": told["seeds"], "answer": told["answer"],
        **{f"rung {name}": number for name, number in told["rungs"].items()},
        **{f"set {key}": value for key, value in chosen["settings"].items()},
        "misses": "; ".join(chosen["misses"]),
    }  # fmt: skip
    return {
        "answer": [{"fact": name, "value": str(value)} for name, value in facts.items()],
        "configurations": found.rows(),
        "front": [
            {"file": each["file"], **each["settings"], **each["values"]} for each in told["front"]
        ],
        "steps": [
            {"step": each["step"], "key": each["key"], "to": each["to"],
             **{f"{name}_change": change for name, change in each["changes"].items()},
             **each["values"], "meets": each["meets"],
             "why": "; ".join(each["misses"]) or each["why"]}
            for each in told["steps"]
        ],
    }  # fmt: skip
