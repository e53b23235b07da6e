"""What a person sees in the terminal: progress while waiting, then the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from hetsim.core.errors import si

if TYPE_CHECKING:
    from hetsim.federation.run import Run
    from hetsim.study.explain import Sheet
    from hetsim.study.simulate import Result

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_CAUSES = {
    "battery": "battery empty",
    "memory": "too little memory",
    "deadline": "missed the deadline",
    "churn": "left",
}


def duration(seconds: float) -> str:
    """Simulated time for people.

    >>> duration(12.34), duration(754.0), duration(9000.0)
    ('12.3 s', '12 min 34 s', '2 h 30 min')
    """
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for unit, name, part, smaller in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1.0, "s"),
    ):
        if whole >= unit:
            count, rest = divmod(whole, unit)
            return f"{count:.0f} {name} {rest // part:.0f} {smaller}"
    return f"{seconds:.3g} s"


@contextmanager
def progress(*, live: bool) -> Iterator[Callable[[Run], None]]:
    """A line that moves while a run goes on: round, clock, joules, accuracy, devices lost."""
    console = Console(stderr=True)
    if not (live and console.is_terminal):
        yield lambda run: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("round"), MofNCompleteColumn(), BarColumn(bar_width=24),
        TextColumn("{task.description}"), TimeRemainingColumn(),
        console=console, transient=True,
    ) as bar:  # fmt: skip
        line = bar.add_task("starting", total=None)

        def show(run: Run) -> None:
            spent = sum(row["energy_j"] for row in run.rows)
            lost = sum(not client.present for client in run.clients)
            score = run.latest_score()
            good = "" if score is None else f"  accuracy {score:.3f}"
            bar.update(
                line, total=run.stop.rounds, completed=run.round,
                description=f"{duration(run.now)}  {si(spent)}J{good}  {lost} away",
            )  # fmt: skip

        yield show


def closing(result: Result) -> None:
    """The four answers, and where the rest is."""
    summary = result.summary
    console = Console()
    table = Table(title=f"{summary['name']}: {summary['method']}", title_justify="left",
                  show_header=False, box=None, pad_edge=False)  # fmt: skip
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for question, answer in answers(summary):
        table.add_row(question, answer)
    if result.folder:
        table.add_row("Written to", str(result.folder))
    console.print(table)


def answers(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How long, how many joules, who dropped out, how good."""
    joules = summary["energy_j"]
    roles = {role: spent for role, spent in summary["energy_by_role_j"].items() if spent}
    shares = ", ".join(f"{role}s {si(spent)}J" for role, spent in roles.items())
    lost = [f"{count} {_CAUSES[cause]}" for cause, count in summary["dropouts"].items() if count]
    reached = [
        f"{float(target):.0%} after {duration(when)}" if when is not None
        else f"{float(target):.0%} not reached"
        for target, when in summary["time_to"].items()
    ]  # fmt: skip
    if summary["accuracy"] is None:
        good = "not computed (cost only)"
    else:
        good = ", ".join([f"accuracy {summary['accuracy']:.3f}", *reached])
    return [
        ("How long", f"{duration(summary['simulated_s'])} simulated, {summary['rounds']} rounds"),
        ("How many joules", f"{si(joules['total'])}J ({shares}); "
                            f"{si(summary['active_j'])}J of it above idle"),
        ("Who dropped out", ", ".join(lost) or "nobody"),
        ("How good", good),
    ]  # fmt: skip


def show(sheet: Sheet) -> None:
    """A sheet of `hetsim explain`."""
    console = Console()
    console.print(f"[bold]{_plain(sheet.title)}[/bold]")
    for paragraph in sheet.text:
        console.print(_plain(paragraph))
    for part in sheet.tables:
        table = Table(title=part.title, title_justify="left", box=None, pad_edge=False,
                      header_style="bold")  # fmt: skip
        for column in part.columns:
            table.add_column(column, overflow="fold")
        for row in part.rows:
            table.add_row(*(_plain(cell) for cell in row))
        console.print()
        console.print(table)


def good(text: str) -> None:
    """A line of good news."""
    Console().print(f"[green]{_plain(text)}[/green]")


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
