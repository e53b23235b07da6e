"""The run folder's life: fresh, unfinished, complete, or somebody else's.

`spec.yaml` is the first file of a run and `summary.json` the last; each appears by rename. A run
into a complete folder of the same spec works beside it and takes its place at the end.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryFile

from hetsim.core.errors import SpecError

SPEC, SUMMARY = "spec.yaml", "summary.json"


def resume_line(folder: Path) -> str:
    """The command that goes on with an unfinished run."""
    return f"python -m hetsim run --resume {folder}"


def is_complete(folder: Path) -> bool:
    """Whether a run ended here."""
    return (folder / SUMMARY).is_file()


def open_folder(folder: Path, spec_text: str, *, force: bool) -> Path:
    """Claim `folder` for a run of this spec; returns where to write.

    Raises:
        SpecError: it holds something else, or an unfinished run.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise SpecError(
            "is a file, not a folder", where=str(folder), remedy="Give another --out folder."
        )
    occupied = folder.is_dir() and any(folder.iterdir())
    if occupied and force:
        _refuse_what_is_precious(folder)
    elif occupied:
        _refuse_unless_replaceable(folder, spec_text)
    work = _beside(folder, "new") if occupied else folder
    if work is not folder and work.exists():
        shutil.rmtree(work)
    make(work, "--out")
    write(work / SPEC, spec_text)
    return work


def make(folder: Path, option: str) -> None:
    """Make a folder that `option` of the command line names, and see that it can be written to.

    Raises:
        SpecError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SpecError(
            f"cannot be written: {error.strerror}",
            where=str(folder),
            remedy=f"Give a writable folder with {option}.",
        ) from error


def close_folder(work: Path, folder: Path) -> None:
    """Let a finished run that worked beside `folder` take its place."""
    folder = folder.resolve()
    if work == folder:
        return
    old = _beside(folder, "old")
    if old.exists():
        shutil.rmtree(old)
    folder.rename(old)
    work.rename(folder)
    shutil.rmtree(old)


def write(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def discard(work: Path) -> None:
    """Remove what a run has written that cannot be gone on with."""
    shutil.rmtree(work, ignore_errors=True)


def _beside(folder: Path, word: str) -> Path:
    return folder.with_name(f"{folder.name}.{word}")


def _refuse_what_is_precious(folder: Path) -> None:
    """Replacing a folder deletes it: not one that somebody lives in."""
    here = Path.cwd()
    if here.is_relative_to(folder):
        what = "is the working directory or holds it"
    elif Path.home().is_relative_to(folder):
        what = "holds the home directory"
    elif (folder / ".git").exists():
        what = "is a repository"
    else:
        return
    raise SpecError(
        f"{what}, and --force would delete it",
        where=str(folder),
        remedy="Give a folder of its own with --out.",
    )


def _refuse_unless_replaceable(folder: Path, spec_text: str) -> None:
    spec = folder / SPEC
    if not spec.is_file():
        raise SpecError(
            "holds files that are no run of hetsim",
            where=str(folder),
            remedy="Give another --out folder, or --force to replace it.",
        )
    if not is_complete(folder):
        raise SpecError(
            "holds an unfinished run",
            where=str(folder),
            remedy=f"Go on with it: {resume_line(folder)}\n    or replace it with --force.",
        )
    if spec.read_text(encoding="utf-8") != spec_text:
        raise SpecError(
            "holds a run of another spec",
            where=str(folder),
            remedy="Give another --out folder, or --force to replace it.",
        )
