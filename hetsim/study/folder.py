"""The run folder's life: fresh, unfinished, complete, or somebody else's.

`spec.yaml` says that a run has begun and `summary.json` that it is complete; each appears by
rename. What a run begins with is prepared in a folder inside and put in place file by file, each on
the disk before it is renamed, `spec.yaml` last: where it is, all that the run needs is there too. A
run into a complete folder of the same spec works beside it and takes its place at the end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from tempfile import TemporaryFile

from hetsim.core.errors import SpecError, Stuck
from hetsim.core.files import flush_names, part, placed

SPEC, SUMMARY = "spec.yaml", "summary.json"
_BEGINNING = ".beginning.part"


def resume_line(work: Path) -> str:
    """The command that goes on with the unfinished run that writes into `work`."""
    name = work.name
    if name.startswith(".") and name.endswith(".new"):  # it is to take the place of another
        work = work.with_name(name[1 : -len(".new")])
    return f"python -m hetsim run --resume {quote(str(work))}"


def is_complete(folder: Path) -> bool:
    """Whether a run ended here."""
    return (folder / SUMMARY).is_file()


def open_folder(
    folder: Path,
    spec_text: str,
    *,
    force: bool,
    fill: Callable[[Path], None] = lambda beginning: None,
) -> Path:
    """Claim `folder` for a run of this spec; returns where to write.

    Args:
        folder: the run folder.
        spec_text: content of `spec.yaml`.
        force: replace whatever is there.
        fill: writes into a folder what else is to be there when the run begins.

    Raises:
        SpecError: it holds something else, or an unfinished run, or cannot be written.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise SpecError(
            "is a file, not a folder", where=str(folder), remedy="Give another --out folder."
        )
    recover(folder)
    occupied = _is_occupied(folder)
    if occupied and force:
        _refuse_what_is_precious(folder)
    elif occupied:
        _refuse_unless_replaceable(folder, spec_text)
    work = _beside(folder, "new") if occupied else folder
    if work is not folder and work.exists():
        shutil.rmtree(work)
    make(work, "--out")
    try:
        tidy(work, "*")
        _begin(work, spec_text, fill)
    except OSError as error:
        raise _unwritable(work, "--out", error) from error
    return work


def recover(folder: Path) -> None:
    """Let a finished run take the place of `folder` if it was killed while it did so."""
    work, old = _beside(folder, "new"), _beside(folder, "old")
    if not folder.exists() and is_complete(work):
        work.rename(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Nobody else runs in this folder, or replaces it, meanwhile.

    The claim is a lock on a file beside it, which outlasts its being renamed, and which the system
    gives back however the process ends.

    Raises:
        Stuck: somebody else has it.
        SpecError: there can be no such folder.
    """
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # a system without
        yield
        return
    path = _beside(folder, "lock")
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise _unwritable(folder, "--out", error) from error
        try:
            flock(handle, LOCK_EX | LOCK_NB)
        except BlockingIOError as busy:
            os.close(handle)
            raise Stuck(
                f"{folder}: another process is running in it\n"
                "    Wait until it has ended, or give another --out folder."
            ) from busy
        if _is_at(handle, path):
            break
        os.close(handle)  # whoever had it has just removed it
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is the one of this name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def pending(folder: Path) -> Path:
    """Where the run that `folder` stands for was writing: beside it, if it was to replace it."""
    beside = _beside(folder, "new")
    return beside if (beside / SPEC).is_file() else folder


def tidy(work: Path, pattern: str = ".*.part") -> None:
    """Remove what a killed process was writing in the folder of a run."""
    for path in work.glob(pattern):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


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
        raise _unwritable(folder, option, error) from error


def close_folder(work: Path, folder: Path) -> None:
    """Let a finished run that worked beside `folder` take its place."""
    work, folder = work.resolve(), folder.resolve()
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
    with placed(path) as file:
        file.write(text.encode())


def discard(work: Path) -> None:
    """Remove what a run has written that cannot be gone on with."""
    shutil.rmtree(work, ignore_errors=True)


def _is_occupied(folder: Path) -> bool:
    """Whether there is more than what a run that was killed before it began has left."""
    if not folder.is_dir():
        return False
    begun = folder / _BEGINNING
    staged = list(begun.iterdir()) if begun.is_dir() else []
    left = {begun.name, *(path.name for path in staged), *(part(path).name for path in staged)}
    return not {path.name for path in folder.iterdir()} <= left - {SPEC}


def _begin(work: Path, spec_text: str, fill: Callable[[Path], None]) -> None:
    """Put in place what a run begins with, its spec last."""
    beginning = work / _BEGINNING
    beginning.mkdir()
    fill(beginning)
    (beginning / SPEC).write_text(spec_text, encoding="utf-8")
    for path in sorted(beginning.iterdir(), key=lambda path: path.name == SPEC):
        with path.open("rb") as source, placed(work / path.name) as file:
            shutil.copyfileobj(source, file)
    flush_names(work)
    shutil.rmtree(beginning)


def _unwritable(folder: Path, option: str, error: OSError) -> SpecError:
    return SpecError(
        f"cannot be written: {error.strerror or error}",
        where=str(folder),
        remedy=f"Give a writable folder with {option}.",
    )


def _beside(folder: Path, word: str) -> Path:
    folder = folder.resolve()
    return folder.with_name(f".{folder.name}.{word}")


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
