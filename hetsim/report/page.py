"""`report.html`: what a run says to somebody who was not there.

The order is the order of questions: how long, how many joules, who dropped out, how good; then
the evidence for each; then what was run.
"""

from __future__ import annotations

from hetsim.core.trace import Trace
from hetsim.report import accuracy, dropouts, energy, origin, power, rosters, timeline
from hetsim.report.base import document, text
from hetsim.report.dropouts import dropped
from hetsim.report.numbers import count, duration, joules, score, share, size, watt_hours


def render(trace: Trace) -> str:
    """The page as HTML; equal traces give equal text."""
    sections = [
        accuracy.section(trace),
        energy.section(trace),
        dropouts.section(trace),
        timeline.section(trace),
        power.section(trace),
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
    drops = sum(summary["dropouts"].values())
    parts = [
        f"{count(summary['rounds'], 'round')} in {duration(summary['simulated_s'])} simulated",
        f"{joules(summary['energy_j']['total'])} over {count(summary['devices'], 'device')}",
        f"{count(drops, 'dropout')}" if drops else "nobody dropped out",
        "cost only: no accuracy"
        if summary["accuracy"] is None
        else f"accuracy {score(summary['accuracy'])}",
    ]
    return ", ".join(parts) + "."


def _header(trace: Trace, name: str) -> str:
    summary = trace.summary
    about = f"Federated learning simulated with {summary['method']}, seed {summary['seed']}"
    keys = "".join((_time(trace), _energy(trace), _dropouts(trace), _quality(trace)))
    return (
        f'<p class="kicker">{text(about)}</p><h1>{text(name)}</h1>'
        f'<p class="answer">{text(answer(trace))}</p><div class="keys">{keys}</div>'
    )


def _key(title: str, big: str, *lines: str) -> str:
    rest = "".join(f"<p>{line}</p>" for line in lines)
    return f'<div><h2>{title}</h2><div class="big">{big}</div>{rest}</div>'


def _time(trace: Trace) -> str:
    summary = trace.summary
    rounds, total = summary["rounds"], summary["simulated_s"]
    pace = f"<b>{duration(total / rounds)}</b> a round on average" if rounds else "no round finished"
    return _key(
        "How long",
        duration(total),
        f"<b>{count(rounds, 'round')}</b>, simulated time",
        pace,
        f"<b>{size(summary['bytes_up'])}</b> sent up, <b>{size(summary['bytes_down'])}</b> down",
    )


def _energy(trace: Trace) -> str:
    summary = trace.summary
    total = summary["energy_j"]["total"]
    return _key(
        "How many joules",
        joules(total),
        f"<b>total</b>: all nodes, start to end ({watt_hours(total)})",
        f"<b>{joules(summary['active_j'])}</b> active: above the base power of being on",
        f"<b>{joules(summary['participant_j'])}</b> participant: all that a selected node drew, "
        "from its selection to its last needed act",
    )


def _dropouts(trace: Trace) -> str:
    summary = trace.summary
    causes = summary["dropouts"]
    drops = sum(causes.values())
    devices = [row for row in trace.devices if row["role"] == "device"]
    hit = sum(dropped(row) > 0 for row in devices)
    excluded = sum(bool(row["excluded"]) for row in devices)
    done = sum(row["rounds_done"] for row in devices)
    started = done + drops
    why = ", ".join(f"{text(cause)} {count(n)}" for cause, n in causes.items() if n)
    lines = [
        f"of <b>{count(started, 'contribution')}</b> started ({share(drops, started)})"
        if started
        else "no device started",
    ]
    if drops:
        lines.append(f"on <b>{count(hit, 'device')}</b> of {count(len(devices))}: {why}")
    if excluded:
        lines.append(f"<b>{count(excluded, 'device')}</b> could not take part at all")
    return _key("Who dropped out", count(drops, "dropout") if drops else "nobody", *lines)


def _quality(trace: Trace) -> str:
    summary = trace.summary
    if summary["accuracy"] is None:
        return _key("How good", "not learned", "cost only: time and joules were simulated")
    lines = [f"accuracy after the last evaluated round; best <b>{score(summary['best_accuracy'])}</b>"]
    for target, reached in summary["time_to"].items():
        when = "not reached" if reached is None else f"after {duration(reached)}"
        lines.append(f"<b>{score(float(target))}</b> {when}")
    return _key("How good", score(summary["accuracy"]), *lines[:4])
