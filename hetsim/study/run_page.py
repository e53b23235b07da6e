"""The page of a finished run: its answers, what held it up, what was wasted, who took part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hetsim.core.errors import CAUSES, SpecError
from hetsim.core.table import largest
from hetsim.core.trace import Trace
from hetsim.report import chain, files, waste
from hetsim.report.answers import answers, lost
from hetsim.report.numbers import SPACE, duration, joules, score, size
from hetsim.report.participation import RARE
from hetsim.study.explain import Sheet, Table


def run_page(folder: Path) -> Sheet:
    """The page of the run in `folder`.

    Raises:
        SpecError: there is none, or it is not finished.
        HetsimError: a file of it is damaged.
    """
    if not (folder / "summary.json").is_file():
        raise SpecError(
            "is no finished run: there is no summary.json",
            where=str(folder),
            remedy="Give the folder that `hetsim run` printed.",
        )
    trace = files.read(folder)
    summary = trace.summary
    tables = [
        Table("Answers", ("", ""), list(answers(summary))),
        _kinds(trace),
        _blame(summary["blame"]),
        _held_up(summary["blame"]),
        _what_if(summary),
        _wasted(summary["wasted"]),
        _groups("Who took part", "class", summary["fairness"]["by_class"]),
        _groups("By how rare the labels are", "devices with", summary["fairness"]["by_labels"]),
        _nodes(trace),
    ]
    return Sheet(f"Run {folder.name}", [], [_plain(table) for table in tables if table.rows])


def _plain(table: Table) -> Table:
    """The table with ordinary spaces between numbers and units."""
    rows = [tuple(cell.replace(SPACE, " ") for cell in row) for row in table.rows]
    return Table(table.title, table.columns, rows)


def _kinds(trace: Trace) -> Table:
    kinds = trace.summary["energy_j"]
    total = kinds["total"] or 1.0
    rows = [
        (kind, joules(spent), f"{spent / total:.1%}")
        for kind, spent in sorted(kinds.items(), key=lambda item: -item[1])
        if spent
    ]
    return Table("Where the joules went", ("kind", "energy", "share"), rows)


def _blame(told: Mapping[str, Any]) -> Table:
    rows = [
        (
            chain.WORDS[kind], duration(part["seconds"]), f"{part['share']:.1%}",
            chain.MEANINGS[kind],
        )
        for kind, part in sorted(told["kinds"].items(), key=lambda item: -item[1]["seconds"])
        if part["seconds"]
    ]  # fmt: skip
    columns = ("kind", "on the critical path", "share", "what it is")
    return Table("What held the rounds up", columns, rows)


def _held_up(told: Mapping[str, Any]) -> Table:
    rows = [
        (
            row["device"], chain.WORDS[row["kind"]], duration(row["seconds"]),
            f"{row['share']:.1%}",
        )
        for row in told["top"]
    ]  # fmt: skip
    return Table("Who held them up", ("node", "kind", "on the critical path", "share"), rows)


def _what_if(summary: Mapping[str, Any]) -> Table:
    rows = [
        (
            f"{row['change']} of {row['device']}", duration(row["simulated_s_at_least"]),
            duration(row["saves_at_most_s"]), f"{row['saves_at_most_s'] / simulated:.0%}",
        )
        for row in summary["what_if"]
        if (simulated := summary["simulated_s"])
    ]  # fmt: skip
    if any(row["same_order"] for row in summary["what_if"]):
        title = "What would help (estimates: if the same updates went into the same server steps)"
        return Table(title, ("change", "run takes", "saves", "of the run"), rows)
    columns = ("change", "run takes at least", "saves at most", "of the run")
    return Table("What would help", columns, rows)


def _wasted(wasted: Mapping[str, Any]) -> Table:
    of = wasted["of"]
    causes = sorted(wasted["by_cause"].items(), key=lambda item: -item[1]["seconds"])
    every = [("all wasted work", wasted), *causes] if causes else []
    rows = [
        (
            cause, str(part["participations"]), _with_share(part, of, "seconds", duration),
            _with_share(part, of, "energy_j", joules), _with_share(part, of, "bytes", size),
            waste.WORDS.get(cause, ""),
        )
        for cause, part in every
    ]  # fmt: skip
    columns = ("cause", "updates", "time", "energy", "moved", "meaning")
    return Table("Updates that were never used", columns, rows)


def _with_share(
    part: Mapping[str, Any], of: Mapping[str, Any], key: str, told: Callable[[float], str]
) -> str:
    whole = of[key]
    return told(part[key]) + (f" ({part[key] / whole:.1%})" if whole else "")


def _groups(title: str, of: str, groups: list[dict[str, Any]]) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            str(RARE.get(row["group"], row["group"])), str(row["devices"]),
            f"{row['share_of_samples']:.1%}", str(row["asked"]), str(row["updates_used"]),
            f"{row['share_of_updates']:.1%}", score(row["expected_accuracy"]),
        )
        for row in groups
    ]  # fmt: skip
    columns = (
        of, "devices", "of all samples", "asked", "updates used", "of all used",
        "expected accuracy",
    )  # fmt: skip
    return Table(title, columns, rows)


def _nodes(trace: Trace) -> Table:
    """All nodes; of very many, those that drew most."""
    nodes = trace.devices if len(trace.devices) <= _LISTED else (
        largest(trace.devices, "energy_j", _LISTED)
    )  # fmt: skip
    rows = [
        (row["device"], row["role"], row["profile"], str(row["rounds_done"]),
         joules(row["energy_j"]), joules(row["active_j"]), _fate(row))
        for row in nodes
    ]  # fmt: skip
    columns = ("node", "role", "profile", "rounds", "energy", "above idle", "what happened")
    some = f": the {_LISTED} of {len(trace.devices):,} that drew most"
    return Table("Nodes" + some * (len(rows) < len(trace.devices)), columns, rows)


def _fate(row: Mapping[str, Any]) -> str:
    if row["excluded"]:
        return str(row["excluded"])
    return ", ".join(lost({cause: row[f"dropped_{cause}"] for cause in CAUSES}))


_LISTED = 500
