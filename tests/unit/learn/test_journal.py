"""The record of what was observed holds a replay to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hetsim.core.errors import HetsimError
from hetsim.core.ref import Ref
from hetsim.learn import journal as journals
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
    with pytest.raises(HetsimError, match=r"begun with hetsim 1 .*\n.*with that version"):
        Journal(path, LAB, "2")


def test_other_numerics_stop_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, LAB, "1", tag="cpu-f32_a")
    text = path.read_bytes()
    with pytest.raises(HetsimError, match=r"on cpu-f32_a, and this is .* on cpu-f32_b\n.*machine"):
        Journal(path, LAB, "1", tag="cpu-f32_b")
    assert path.read_bytes() == text


@pytest.mark.parametrize("text", ['{"key": "12"}\n', '{"hetsim": "1"}\n{}\n'])
def test_what_is_no_record_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(text)
    with pytest.raises(HetsimError, match="not the record of a run"):
        Journal(path, LAB, "1")


def test_an_entry_that_was_edited_stops_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    observed(path)
    head, first, second = path.read_text().splitlines()
    path.write_text(f"{head}\n{{}}\n{second}\n")
    with pytest.raises(HetsimError, match="asks for"):
        observed(path)
    path.write_text(f"{head}\n{first[:30]}\n{second}\n")  # a torn line takes along what follows
    observed(path)
    assert path.read_text() == f"{head}\n{first}\n{second}\n"


def test_what_is_observed_at_once_is_synced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal.jsonl", LAB, "1")
    synced: list[int] = []
    monkeypatch.setattr(journals.os, "fsync", synced.append)
    journal.settle([A, B])
    journal.settle([])
    assert len(synced) == 1
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 3


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", LAB, "1")
    (tmp_path / "journal.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        journal.settle([A])
    assert not list(tmp_path.iterdir())
