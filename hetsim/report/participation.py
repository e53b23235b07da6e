"""Who took part, and whom the model serves: by device class, and by how rare the labels are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.core.trace import Trace
from hetsim.report.base import Column, Figure, Section, table, text
from hetsim.report.numbers import count, labels, rounded, score, share

_SHARES = {
    "share_of_devices": ("of the devices", "idle"),
    "share_of_samples": ("of the samples", "download"),
    "share_of_updates": ("of the updates used", "mean"),
}
RARE = {"rare": "rare labels", "usual": "usual labels"}
"""Groups of devices by how rare their labels are, in words."""

Row = Mapping[str, Any]


def section(trace: Trace) -> Section | None:
    """The section "Who took part"; none if there are no devices."""
    fair = trace.summary["fairness"]
    if not fair["by_class"]:
        return None
    figures = [_figure(fair["by_class"])] if len(fair["by_class"]) > 1 else []
    classes = "".join(
        f"{figure.html()}<h3>By device class</h3>{_groups('Class', fair['by_class'])}"
        for figure in figures
    )
    return Section(
        name="participation",
        title="Who took part",
        lead=_lead(fair, trace.summary["devices"]),
        body=f"{classes}<h3>By how rare the labels are</h3>{_rare(fair['by_labels'])}{_note(fair)}",
        figures=figures,
    )


def _lead(fair: Row, devices: int) -> str:
    if fair["jain_updates"] is None:
        return "No update of any device was used."
    never = fair["never_used"]
    lead = (
        f"Updates of <b>{count(devices - never)}</b> of {count(devices, 'device')} were used; "
        f"Jain's index of how evenly is {score(fair['jain_updates'])} "
        f"(1: all as many; 1/{count(devices)}: one device only)."
    )
    if len(fair["by_class"]) == 1:
        lead += f" All devices are of class {text(fair['by_class'][0]['group'] or 'not stated')}."
    classes = [row for row in fair["by_class"] if row["share_of_samples"]]
    if len(classes) > 1:
        least = min(classes, key=lambda row: row["share_of_updates"] / row["share_of_samples"])
        lead += (
            f" Left out most is {text(least['group'])}: "
            f"{share(least['share_of_samples'], 1.0)} of the samples, "
            f"{share(least['share_of_updates'], 1.0) if least['share_of_updates'] else 'none'} "
            "of the updates."
        )
    if fair["expected_accuracy"] is not None:
        lead += (
            f" A device may expect an accuracy of {score(fair['expected_accuracy'])} on its own "
            f"labels, the worst tenth of them {score(fair['worst_tenth_accuracy'])}."
        )
    return lead


def _figure(groups: Sequence[Row]) -> Figure:
    short = labels([row["group"] or "not stated" for row in groups])
    names = [text(short[row["group"] or "not stated"]) for row in groups]
    data = [
        {
            "type": "bar", "orientation": "h", "name": meaning, "y": names,
            "x": rounded(100.0 * row[key] for row in groups), "marker": {"color": f"${colour}"},
            "hovertemplate": "%{y}: %{x:.3g} % %{fullData.name}<extra></extra>",
        }
        for key, (meaning, colour) in _SHARES.items()
    ]  # fmt: skip
    return Figure(
        name="participation",
        title="Device classes <span>and their shares, in percent</span>",
        label="Shares of each device class in devices, samples and updates used.",
        data=data,
        layout={
            "barmode": "group",
            "bargap": 0.3,
            "xaxis": {"title": {"text": "%"}, "rangemode": "tozero"},
            "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False},
        },
        height=90 + 52 * len(groups),
        legend={colour: meaning for meaning, colour in _SHARES.values()},
    )


def _groups(title: str, rows: Sequence[Row], names: Mapping[str, str] | None = None) -> str:
    names = names or {}
    columns = [
        Column(
            title=title, kind="name",
            cells=[names.get(row["group"], row["group"]) or "not stated" for row in rows],
        ),
        Column(title="Devices", cells=[count(row["devices"]) for row in rows]),
        Column(title="Samples", cells=[share(row["share_of_samples"], 1.0) for row in rows]),
        Column(title="Asked", cells=[count(row["asked"]) for row in rows]),
        Column(title="Updates used", cells=[count(row["updates_used"]) for row in rows]),
        Column(title="Of all used", cells=[share(row["share_of_updates"], 1.0) for row in rows]),
    ]  # fmt: skip
    if any(row["expected_accuracy"] is not None for row in rows):
        cells = [score(row["expected_accuracy"]) for row in rows]
        columns.append(Column(title="Expected accuracy", cells=cells))
    return table(columns, label=title)


def _rare(rows: Sequence[Row]) -> str:
    if not rows:
        return "<p>The labels are spread alike: no device stands out by rare ones.</p>"
    return _groups("Devices with", rows, RARE)


def _note(fair: Row) -> str:
    expected = (
        "Expected accuracy is derived: the final model's accuracy on each label of the test set, "
        "weighted by the labels of the device's own samples, and its mean over the devices. "
        if fair["expected_accuracy"] is not None
        else ""
    )
    return (
        f'<p class="note">{expected}A label is rare if few of the devices that hold data hold it; '
        "the quarter of the devices whose samples have the rarest labels are set against the "
        "others. Each device's row is in devices.parquet.</p>"
    )
