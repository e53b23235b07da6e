"""FedHM's sizes, work and bytes, as chapters: ours beside what its authors printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hetsim.report.paper import BLUE, ORANGE, legend, logarithmic
from hetsim.report.published._counted import digit, near, number, trio, whole
from hetsim.report.published._target import Target
from hetsim.report.published.base import Chapter, Chart, Grid, Row, Table, Tables, appearing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NETWORKS = {"resnet18": "ResNet-18", "resnet34": "ResNet-34"}
_KINDS = {"factor": "rank factor", "width": "width"}
_METHODS = {"fedavg": "FedAvg", "fedhm": "FedHM", "heterofl": "HeteroFL"}
_LITTLE = 0.75
"""Of another's parameters, at least, for two networks to be of about one size."""
_COLOURS = {"factor": BLUE, "width": ORANGE}


def targets(tables: Tables) -> list[Target]:
    """What of the authors' figures is to be found again."""
    models, bars = tables.get("fedhm_models", ()), tables.get("fedhm_bars", ())
    return [
        digit("parameters of ResNet-34, millions", models, "parameters_m", 2, 1.0),
        near("multiply-adds of ResNet-34, as ptflops counts", models, "ptflops_m", 0.1),
        near("what reaching an accuracy sends, by the charts' account", bars, "sent", 0.5),
        near("what it computes, by the charts' account", bars, "computed", 0.5),
    ]


def chapters(tables: Tables) -> tuple[Chapter, ...]:
    """Sizes, charts, and bytes of a round."""
    return (
        _sizes(tables.get("fedhm_models", ())),
        _bars(tables.get("fedhm_bars", ())),
        _rounds(tables.get("fedhm_rounds", ())),
    )


# --- sizes ----------------------------------------------------------------------------------------


def _sizes(table: Table) -> Chapter:
    return Chapter(
        title="Parameters and multiply-adds",
        parts=(
            "Every network built and counted, in float32 and without running statistics. *Layers*: "
            "multiply-adds of convolutions and linear layers; *ptflops*: as that tool counts, with "
            "two for an element that is normalised and one for an element behind a ReLU or into a "
            "pooling, which is how the authors' figures come about. Widths are rounded to the "
            "nearest channel, as in their copy of HeteroFL. Printed are figures of their "
            "notebooks; the cause of what ptflops printed less at factors 8 and 12 is not known.",
            *_dearer(table),
            Chart(
                name="sizes", caption="Multiply-adds of an image over parameters: at a rank factor "
                "a network is as small as at a width, and computes more.",
                draw=lambda figure: _draw(figure, table),
            ),
            Grid(
                columns=("network", "data", "level", "parameters", "millions", "printed",
                         "difference", "layers, millions", "ptflops, millions", "printed",
                         "difference", "MB one way"),
                rows=[
                    (
                        _NETWORKS[row["network"]], row["data"], _level(row),
                        whole(row, "parameters"), *trio(row, "parameters_m"),
                        number(row, "layers", 1e-6), *trio(row, "ptflops_m", 6),
                        number(row, "float32_b", 1e-6),
                    )
                    for row in table
                ],
                source="fedhm_models",
            ),
        ),
    )  # fmt: skip


def _level(row: Row) -> str:
    return f"{_KINDS[row['kind']]} {row['level']:g}"


def _dearer(table: Table) -> Iterator[str]:
    """What factorised networks compute beside narrower ones that are little larger."""
    for network, data in dict.fromkeys((row["network"], row["data"]) for row in table):
        rows = [row for row in table if (row["network"], row["data"]) == (network, data)]
        slims = [row for row in rows if row["kind"] == "width" and row["level"] < 1]
        found: dict[float, float] = {}
        for thin in rows:
            near = [each for each in slims if _LITTLE < _times(thin, each, "parameters") <= 1.0]
            if thin["kind"] == "factor" and near:
                slim = min(near, key=lambda each: each["parameters"])
                found[thin["level"]] = _times(thin, slim, "layers")
        if found:
            yield (
                f"{_NETWORKS[network]}, {data}, multiply-adds over those of the width with at most "
                f"{100 * (1 / _LITTLE - 1):.0f} % more parameters: "
                + ", ".join(f"{value:.1f} at factor {level:g}" for level, value in found.items())
                + ". Low rank saves bytes, and less work than a smaller width."
            )


def _times(one: Row, other: Row, name: str) -> float:
    return one[name] / other[name]


def _draw(figure: Figure, table: Table) -> None:
    slim = [row for row in table if row["kind"] == "width"]
    places = list(dict.fromkeys((row["network"], row["data"]) for row in slim))
    all_axes: Any = figure.subplots(1, max(len(places), 1), squeeze=False)[0]
    for axes, (network, data) in zip(all_axes, places, strict=False):
        for kind, words in _KINDS.items():
            rows = [
                row for row in table
                if (row["network"], row["data"], row["kind"]) == (network, data, kind)
            ]  # fmt: skip
            axes.plot(
                [row["parameters"] / 1e6 for row in rows], [row["layers"] / 1e6 for row in rows],
                "o-", color=_COLOURS[kind], linewidth=1.2, markersize=4, label=words,
            )  # fmt: skip
        axes.set(title=f"{_NETWORKS[network]}, {data}", xlabel="million parameters")
        logarithmic(axes, "x")
        logarithmic(axes, "y")
    all_axes[0].set_ylabel("million multiply-adds")
    legend(figure, all_axes[0])


# --- charts ---------------------------------------------------------------------------------------


def _bars(table: Table) -> Chapter:
    rotated = appearing((row for row in table if row["note"]), "data")
    return Chapter(
        title="What the authors' charts call GB",
        parts=(
            "Bars of what reaching an accuracy takes with everybody at one rank factor. They come "
            "out with whole numbers of rounds if *sent* is both ways, ten devices a round, one "
            "byte a parameter and 1,024 million to a GB, and *computed* is one forward pass over "
            "one image a device and round. True bytes are those of float32; neither samples, "
            "epochs nor backward passes are in *computed*.",
            *_said_of_rotation(rotated),
            Grid(
                columns=("data", "target, %", "rank factor", "rounds by sent", "by computed",
                         "sent", "printed", "difference", "sent with the other rounds", "computed",
                         "printed", "difference", "true GB"),
                rows=[
                    (
                        row["data"], f"{row['target_percent']:g}", f"{row['factor']:g}",
                        whole(row, "rounds_by_sent"), whole(row, "rounds_by_computed"),
                        *trio(row, "sent"), number(row, "sent_if_rounds_by_computed"),
                        *trio(row, "computed"), number(row, "float32_b", 1e-9),
                    )
                    for row in table
                ],
                source="fedhm_bars",
            ),
        ),
    )  # fmt: skip


def _said_of_rotation(data: Sequence[str]) -> Iterator[str]:
    if data:
        yield (
            f"Of {', '.join(data)} the two charts do not agree: the rounds behind *sent* are those "
            "behind *computed*, moved on by one place. With the latter, which grow with the "
            "factor, *sent* would be what stands in its column."
        )


# --- bytes of a round -----------------------------------------------------------------------------


def _rounds(table: Table) -> Chapter:
    return Chapter(
        title="Bytes of a round",
        parts=(
            "Expected of ten devices, both ways, float32, a quarter of the devices at each level "
            "of the authors' runs (derived: they print no such figure).",
            Grid(
                columns=("network", "data", "method", "levels", "mean parameters", "MB a round",
                         "times less than FedAvg"),
                rows=[
                    (
                        _NETWORKS[row["network"]], row["data"], _METHODS[row["method"]],
                        row["levels"], whole(row, "mean_parameters"),
                        number(row, "float32_b", 1e-6, 5), number(row, "times_less", digits=3),
                    )
                    for row in table
                ],
                source="fedhm_rounds",
            ),
        ),
    )  # fmt: skip
