"""What a run has observed, written down as it happens, so that a replay can be held to it.

The first line says what computed the values: the version of hetsim and the numerics tag. Each
further line is one observed value: Ref key, digest, and the value itself where it is plain. Lines
are fsynced; a torn last line is ignored. A replay that runs under other numerics, asks for another
key or gets another value stops: it would not be the run that was begun.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from hetsim.core.errors import HetsimError
from hetsim.core.ref import Ref
from hetsim.learn.numerics import tag
from hetsim.learn.store import encode, parts


class _Settles(Protocol):
    def settle(self, refs: Sequence[Ref[Any]]) -> list[Any]: ...


class Journal:
    """Observes through a lab and keeps the record.

    Raises:
        HetsimError: the file was begun under another version or other numerics.
    """

    def __init__(self, path: Path, lab: _Settles, version: str) -> None:
        self._path, self._lab = path, lab
        head = {"hetsim": version, "numerics": tag()}
        lines, sound = _read(path)
        if lines and lines[0] != head:
            raise HetsimError(
                f"{path}: the run was begun with {_words(lines[0])}, and this is {_words(head)}\n"
                "    Go on where it was begun, or start again with --force."
            )
        self._expected = deque(lines[1:])
        if path.exists() and path.stat().st_size > sound:
            os.truncate(path, sound)
        if not lines:
            self._write(head)

    def settle(self, refs: Sequence[Ref[Any]]) -> list[Any]:
        """The values of `refs`, as the lab gives them.

        Raises:
            HetsimError: the run that is replayed observed something else here.
        """
        values = self._lab.settle(refs)
        for ref, value in zip(refs, values, strict=True):
            self._note(ref, value)
        return values

    def _note(self, ref: Ref[Any], value: Any) -> None:
        entry = {"key": ref.key, "digest": hashlib.sha256(encode(value)).hexdigest()}
        if self._expected:
            expected = self._expected.popleft()
            for name, meaning in (("key", "asks for"), ("digest", "computes")):
                if expected[name] != entry[name]:
                    raise HetsimError(
                        f"the replay {meaning} {ref!r} where the run in {self._path.parent} "
                        f"observed {expected['key'][:8]} with another {name}\n"
                        "    Profiles, data or code have changed since. Start again with --force."
                    )
            return
        tensors, plain = parts(value)
        self._write(entry if tensors else {**entry, "value": plain})

    def _write(self, entry: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, sort_keys=True) + "\n")
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
            if not line.endswith(b"\n"):
                break
            lines.append(json.loads(line))
        except ValueError:
            break
        sound += len(line)
    return lines, sound


def _words(head: dict[str, Any]) -> str:
    return f"hetsim {head.get('hetsim', '?')} on {head.get('numerics', '?')}"
