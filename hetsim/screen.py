"""What a person sees in the terminal: progress while waiting, then the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from hetsim.core.quantities import Seconds
from hetsim.core.trace import Progress
from hetsim.report.answers import answers
from hetsim.report.numbers import duration, joules, size
from hetsim.study.footprint import resident
from hetsim.study.remaining import Remaining, share

if TYPE_CHECKING:
    from hetsim.study.explain import Sheet
    from hetsim.study.simulate import Result

_WIDE, _NAMED = 120, 5
_OFTEN: Seconds = 0.1
"""How long a line of progress stands, at least."""


@contextmanager
def progress(*, live: bool) -> Iterator[Callable[[Progress], None]]:
    """A line that moves while a run goes on: what is simulated, what is left, what it takes."""
    console = Console(stderr=True)
    if not (live and console.is_terminal):
        yield lambda _: None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    remaining = Remaining()
    columns = BarColumn(bar_width=24), TextColumn("{task.description}")
    with Bar(*columns, console=console, transient=True) as bar:
        line = bar.add_task("starting", total=1.0)
        shown = 0.0

        def show(now: Progress) -> None:
            nonlocal shown
            if monotonic() < shown + _OFTEN:
                return
            shown, left, taken = monotonic(), remaining.after(now), resident()
            parts = [
                f"round {now.round} of {now.rounds}",
                f"{duration(now.t)} simulated",
                joules(now.energy),
                "" if now.accuracy is None else f"accuracy {now.accuracy:.3f}",
                f"{now.away} away" if now.away else "",
                "" if left is None else f"{'at most ' if now.early else ''}{duration(left)} left",
                "" if taken is None else f"{size(taken)} of memory",
            ]
            bar.update(line, completed=share(now), description=", ".join(filter(None, parts)))

        yield show


@contextmanager
def counting(what: str, *, live: bool) -> Iterator[Callable[[int, int], None]]:
    """A line that counts while many equal things are done: so many, of so many."""
    console = Console(stderr=True)
    if not (live and console.is_terminal):
        yield lambda done, of: None
        return
    with console.status(what) as status:
        yield lambda done, of: status.update(f"{what} {min(done + 1, of)} of {of}")


@contextmanager
def sharing(what: str, *, live: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar of many runs, some of which may be kept from before: how many are done, what is left.

    The time left is that of the runs done since the bar stands.
    """
    console = Console(stderr=True)
    if not (live and console.is_terminal):
        yield lambda done, of: None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = BarColumn(bar_width=24), TextColumn("{task.description}")
    with Bar(*columns, console=console, transient=True) as bar:
        line = bar.add_task(f"looking at the {what}s", total=1.0)
        begun: tuple[int, Seconds] | None = None

        def show(done: int, of: int) -> None:
            nonlocal begun
            first, since = begun = begun or (done, monotonic())
            parts = [f"{done} of {of} {what}s", f"{first} kept from before" if first else ""]
            if first < done < of:
                left = (monotonic() - since) / (done - first) * (of - done)
                parts.append(f"{duration(left)} left")
            bar.update(line, completed=done / of, description=", ".join(filter(None, parts)))

        yield show


def closing(result: Result) -> None:
    """The four answers, and where the rest is."""
    from hetsim.spec.world import MANY

    summary = result.summary
    console = _console()
    table = Table(title=f"{summary['name']}: {summary['method']}", title_justify="left",
                  show_header=False, box=None, pad_edge=False)  # fmt: skip
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for question, answer in answers(summary):
        table.add_row(question, answer)
    flat = dict.fromkeys(note.actor for note in result.trace.notes if note.cause == "battery")
    if len(flat) > summary["dropouts"]["battery"]:
        table.add_row("Ran empty", _few(list(flat)))
    levels = Counter(note.text for note in result.trace.notes if note.cause == "level")
    if levels:
        table.add_row("Trained", ", ".join(f"{name} by {n}" for name, n in levels.items()))
    for note in result.trace.notes:
        if note.cause == "end":
            table.add_row("Ended early", note.text)
    if summary["devices"] >= MANY and (played := result.host.get("played")):
        table.add_row("Played", str(played))
    if result.folder:
        table.add_row("Written to", str(result.folder))
    console.print(table)


def _few(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def show(sheet: Sheet) -> None:
    """A sheet of `hetsim explain`."""
    console = _console()
    console.print(f"[bold]{_plain(sheet.title)}[/bold]")
    for paragraph in sheet.text:
        console.print(_plain(paragraph))
    for part in sheet.tables:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in part.columns:
            table.add_column(_plain(column), overflow="fold")
        for row in part.rows:
            table.add_row(*(_plain(cell) for cell in row))
        console.print()
        if part.title:
            console.print(_plain(part.title), style="table.title")
        console.print(table)


def good(text: str) -> None:
    """A line of good news."""
    _console().print(f"[green]{_plain(text)}[/green]")


def _console() -> Console:
    """The terminal; wide lines where the output goes to a file."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
