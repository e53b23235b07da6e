"""What a run has observed, written down as it happens, so that a replay can be held to it.

The first line says what computed the values: the version of hetsim and the numerics tag. Each
further line is one observed value: Ref key, digest, and the value itself where it is plain. What is
observed at once is written and fsynced at once; a torn last line is ignored. A replay that runs
under other numerics, asks for another key or gets another value stops: it would not be the run that
was begun.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from hetsim.core.errors import HetsimError
from hetsim.core.ref import Ref
from hetsim.learn import numerics
from hetsim.learn.store import digest, parts


class _Settles(Protocol):
    def settle(self, refs: Sequence[Ref[Any]]) -> list[Any]: ...


class Journal:
    """Observes through a lab and keeps the record."""

    def __init__(self, path: Path, lab: _Settles, version: str, *, tag: str | None = None) -> None:
        """Begin a record, or hold the run to the one that is there.

        Args:
            path: the file; its folder exists.
            lab: computes what is observed.
            version: of hetsim.
            tag: numerics of the values; by default those of this host.

        Raises:
            HetsimError: the file was begun under another version or other numerics, or is none.
        """
        self._path, self._lab = path, lab
        head = {"hetsim": version, "numerics": tag or numerics.tag()}
        lines, sound = _read(path)
        if lines and lines[0] != head:
            raise HetsimError(_other(path, lines[0], head))
        self._expected = deque(lines[1:])
        with path.open("ab") as file:
            file.truncate(sound)
        if not lines:
            self._write([head])

    def settle(self, refs: Sequence[Ref[Any]]) -> list[Any]:
        """The values of `refs`, as the lab gives them.

        Raises:
            HetsimError: the run that is replayed observed something else here.
        """
        values = self._lab.settle(refs)
        new = [self._entry(ref, value) for ref, value in zip(refs, values, strict=True)]
        self._write([entry for entry in new if entry])
        return values

    def _entry(self, ref: Ref[Any], value: Any) -> dict[str, Any] | None:
        """The line of an observed value; none if it is there already."""
        tensors, plain = parts(value)
        entry: dict[str, Any] = {"key": ref.key, "digest": digest(value)}
        if not tensors:
            entry["value"] = plain
        if not self._expected:
            return entry
        expected = self._expected.popleft()
        for name, meaning in (("key", "asks for"), ("digest", "computes")):
            if expected.get(name) != entry[name]:
                raise HetsimError(
                    f"the replay {meaning} {ref!r} where the run in {self._path.parent} "
                    f"observed {str(expected.get('key'))[:8]} with another {name}\n"
                    "    Profiles, data or code have changed since. Start again with --force."
                )
        return None

    def _write(self, entries: list[dict[str, Any]]) -> None:
        """Append lines to the file, which exists: a folder removed meanwhile is not made anew."""
        if not entries:
            return
        text = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in entries)
        with self._path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Whole lines, and the bytes they take."""
    if not path.exists():
        return [], 0
    lines: list[dict[str, Any]] = []
    sound = 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if not (line.endswith(b"\n") and isinstance(entry, dict)):
            break
        lines.append(entry)
        sound += len(line)
    return lines, sound


def _other(path: Path, begun: dict[str, Any], now: dict[str, Any]) -> str:
    """What to say of a record that is not this run's."""
    if begun.keys() != now.keys():
        return (
            f"{path}: not the record of a run\n"
            "    Put it back as it was, or start again with --force."
        )
    remedy = (
        "with that version"
        if begun["hetsim"] != now["hetsim"]
        else "with that executor on that kind of machine"
    )
    return (
        f"{path}: the run was begun with {_words(begun)}, and this is {_words(now)}\n"
        f"    Learned values would differ. Go on {remedy}, or start again with --force."
    )


def _words(head: dict[str, Any]) -> str:
    return f"hetsim {head['hetsim']} on {head['numerics']}"
