"""Where files given by name are looked for.

In this order: the path as given, beside the topology, each folder of $HETSIM_PATH, what comes with
hetsim. A folder may hold the files themselves or have them in `device_profiles/`, `topologies/` and
`traces/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from os.path import isfile  # False, not OSError, for a name that no file can have
from pathlib import Path

PROFILES, TOPOLOGIES, TRACES = "device_profiles", "topologies", "traces"


def look_up(kind: str, text: str, beside: Path | None = None) -> Path | None:
    """The file that `text` means, a path or a name without `.yaml`; None if there is none.

    Args:
        kind: `PROFILES`, `TOPOLOGIES` or `TRACES`, whose files are named in full.
        text: what the user wrote.
        beside: a folder to look into before the others.
    """
    given = Path(text)
    if isfile(given):
        return given
    named = kind == TRACES or given.suffix in (".yaml", ".yml")
    names = [text] if named else [f"{text}.yaml", f"{text}.yml"]
    for folder in _folders(beside):
        for name in names:
            for path in (folder / name, folder / kind / name):
                if isfile(path):
                    return path
    return None


def names(kind: str) -> list[str]:
    """Names of all files of a kind in $HETSIM_PATH and in hetsim, sorted."""
    paths = (path for folder in _folders(None) for path in sorted((folder / kind).glob("*.y*ml")))
    return sorted({path.stem for path in paths})


def _folders(beside: Path | None) -> Iterator[Path]:
    if beside is not None:
        yield beside
    for folder in os.environ.get("HETSIM_PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder)
    package = Path(__file__).parents[1]
    installed = package / "_data"
    yield installed if installed.is_dir() else package.parent
