"""`report.html`: what a run says to somebody who was not there.

The order is the order of questions: how long, how many joules, who dropped out, how good; then
the evidence for each; what every node did when, what was wasted and who took part; what was run.
"""

from __future__ import annotations

from hetsim.core.trace import Trace
from hetsim.report import (
    accuracy,
    blame,
    dropouts,
    energy,
    origin,
    participation,
    power,
    rosters,
    timeline,
    waste,
)
from hetsim.report.answers import borrowed, lost, unscored
from hetsim.report.base import document, text
from hetsim.report.dropouts import ended, excluded, misfortunes
from hetsim.report.numbers import SPACE, count, duration, joules, score, share, size, watt_hours


def render(trace: Trace) -> str:
    """The page as HTML; equal traces give equal text."""
    sections = [
        accuracy.section(trace),
        blame.section(trace),
        energy.section(trace),
        dropouts.section(trace),
        timeline.section(trace),
        power.section(trace),
        waste.section(trace),
        participation.section(trace),
        rosters.devices(trace),
        rosters.rounds(trace),
        origin.section(trace),
    ]
    name = str(trace.summary["name"])
    return document(
        title=f"{name} · hetsim",
        header=_header(trace, name),
        sections=[section for section in sections if section],
    )


def answer(trace: Trace) -> str:
    """The run in one sentence, plain text."""
    summary = trace.summary
    drops = misfortunes(summary["dropouts"])
    parts = [
        f"{count(summary['rounds'], 'round')} in {duration(summary['simulated_s'])} simulated",
        f"{joules(summary['energy_j']['total'])} over {count(summary['devices'], 'device')}",
        f"{count(drops, 'dropout')}" if drops else "nobody dropped out",
        f"no accuracy ({unscored(summary)})"
        if summary["accuracy"] is None
        else f"accuracy {score(summary['accuracy'])}"
        + (" (surrogate, not learned)" if borrowed(summary) else ""),
    ]
    return ", ".join(parts) + "."


def _header(trace: Trace, name: str) -> str:
    summary = trace.summary
    about = f"Federated learning simulated with {summary['method']}, seed {summary['seed']}"
    keys = "".join((_time(trace), _energy(trace), _dropouts(trace), _quality(trace)))
    return (
        f'<p class="kicker">{text(about)}</p><h1>{text(name)}</h1>'
        f'<p class="answer">{text(answer(trace))}</p>{ended(trace)}<div class="keys">{keys}</div>'
    )


def _key(title: str, big: str, *lines: str) -> str:
    rest = "".join(f"<p>{line}</p>" for line in lines)
    return f'<div><h2>{title}</h2><div class="big">{big}</div>{rest}</div>'


def _time(trace: Trace) -> str:
    summary = trace.summary
    rounds, total = summary["rounds"], summary["simulated_s"]
    mean = f"<b>{duration(total / rounds)}</b> a round on average" if rounds else "none finished"
    return _key(
        "How long",
        duration(total),
        f"<b>{count(rounds, 'round')}</b>, simulated time",
        mean,
        f"<b>{size(summary['bytes_up'])}</b> sent up, <b>{size(summary['bytes_down'])}</b> down",
    )


def _energy(trace: Trace) -> str:
    summary = trace.summary
    total = summary["energy_j"]["total"]
    return _key(
        "How many joules",
        joules(total),
        f"<b>total</b>: all nodes, start to end ({watt_hours(total)})",
        f"<b>{joules(summary['active_j'])}</b> active: above base power, which a node draws for "
        "being on",
        f"<b>{joules(summary['participant_j'])}</b> participant: drawn by selected devices "
        "from their selection to their last needed act, and by all other nodes",
    )


def _dropouts(trace: Trace) -> str:
    summary = trace.summary
    drops = misfortunes(summary["dropouts"])
    out = sum(excluded(trace).values())
    asked, arrived = summary["wasted"]["of"]["participations"], summary["device_rounds"]
    causes = ", ".join(lost(summary["dropouts"]))
    lines = [text(causes)] if causes else []
    if asked:
        came = "all" if arrived == asked else f"<b>{count(arrived)}</b> ({share(arrived, asked)})"
        lines.append(f"of <b>{count(asked, 'contribution')}</b> asked for, {came} arrived")
    else:
        lines.append("no device was asked for a contribution")
    if out:
        lines.append(f"<b>{count(out, 'device')}</b> could not take part at all")
    many = count(drops, "dropout").replace(SPACE, " ")
    return _key("Who dropped out", many if drops else "nobody", *lines)


def _quality(trace: Trace) -> str:
    summary = trace.summary
    if summary["accuracy"] is None:
        if summary["model_hash"] is None:
            return _key("How good", "not learned", "cost only: time and joules were simulated")
        return _key("How good", "not evaluated", "no round ended in an evaluation of the model")
    best = score(summary["best_accuracy"])
    lines = [f"<b>not learned</b>; {text(words)}"] if (words := borrowed(summary)) else []
    lines += [f"accuracy after the last evaluated round; best <b>{best}</b>"]
    for target, reached in summary["time_to"].items():
        when = "not reached" if reached is None else f"after {duration(reached)}"
        lines.append(f"<b>{float(target):g}</b> {when}")
    return _key("How good", score(summary["accuracy"]), *lines[:5])
