"""Files that are there whole and on the disk, or not at all, whenever the host stops.

A file is written beside its place, flushed, and renamed; the names in a folder are flushed apart.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def part(path: Path) -> Path:
    """Where a file is written before it is renamed to `path`."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def placed(path: Path) -> Generator[BinaryIO]:
    """A file to fill that appears under `path` when it is whole and on the disk, or never."""
    temporary = part(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def flush_names(folder: Path) -> None:
    """Wait until the names of the files in it are on the disk."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
