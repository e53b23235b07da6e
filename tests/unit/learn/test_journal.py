"""The record of what was observed holds a replay to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hetsim.core.errors import HetsimError
from hetsim.core.ref import Ref
from hetsim.learn.journal import Journal


class Answers:
    """Settles every Ref to what it was told."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def settle(self, refs: Any) -> list[Any]:
        return [self.values[ref.key] for ref in refs]


A, B = Ref.of("evaluate", seed=1), Ref.of("evaluate", seed=2)
LAB = Answers({A.key: {"accuracy": 0.5}, B.key: torch.ones(3)})


def observed(path: Path, lab: Answers = LAB, version: str = "1") -> list[Any]:
    journal = Journal(path, lab, version)
    return journal.settle([A]) + journal.settle([B])


def test_a_replay_writes_nothing_new(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    observed(path)
    text = path.read_text()
    assert [json.loads(line).get("value") for line in text.splitlines()[1:]] == [
        {"accuracy": 0.5},
        None,
    ]
    observed(path)
    assert path.read_text() == text


def test_a_torn_tail_is_ignored_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    observed(path)
    whole = path.read_bytes()
    for torn in (whole[:-5], whole + b'{"key": "12', whole[:20]):
        path.write_bytes(torn)
        observed(path)
        assert path.read_bytes() == whole


def test_another_key_stops_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    observed(path)
    with pytest.raises(HetsimError, match="asks for"):
        Journal(path, LAB, "1").settle([B])


def test_another_value_stops_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    observed(path)
    with pytest.raises(HetsimError, match="computes"):
        observed(path, Answers({A.key: {"accuracy": 0.6}, B.key: torch.ones(3)}))


def test_another_version_stops_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    observed(path)
    with pytest.raises(HetsimError, match="begun with hetsim 1"):
        Journal(path, LAB, "2")
