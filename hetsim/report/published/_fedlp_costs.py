"""FedLP's cost columns, as chapters: ours beside what its authors printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.report.paper import BLUE, GREEN, ORANGE, legend
from hetsim.report.published._counted import digit, met, number, trio, whole
from hetsim.report.published._target import Target
from hetsim.report.published.base import Chapter, Chart, Grid, Table, Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NETWORKS = {"fedlp_cnn": "six convolutions", "mlp": "perceptron"}
_CNN = "fedlp_cnn"
_ROUNDING = 0.005
"""Of printed millions."""


def targets(tables: Tables) -> list[Target]:
    """What of the authors' figures is to be found again."""
    costs = tables.get("fedlp_costs", ())
    printed = [row for row in costs if row["computation_m_published"] is not None]
    return [
        digit("communication of all schemes, thousand parameters", costs, "communication_k", 2),
        met(
            "computation of all schemes, with the misprint in it",
            [
                abs(row["computation_m_with_misprint"] - row["computation_m_published"])
                for row in printed
            ],
            "the printed digit", lambda off: off <= _ROUNDING + 1e-6,
            lambda off: f"at most {max(off):.3f} million off",
        ),
    ]  # fmt: skip


def chapters(tables: Tables) -> tuple[Chapter, ...]:
    """Cost columns, networks of the levels, and uploads."""
    return (
        _costs(tables.get("fedlp_costs", ())),
        _levels(tables.get("fedlp_levels", ())),
        _uploads(tables.get("fedlp_uploads", ())),
    )


def _costs(table: Table) -> Chapter:
    return Chapter(
        title="Communication and computation",
        parts=(
            "Communication: parameters down and up, a device and round, in thousands. Computation: "
            "operations of one image in millions, as thop counts (multiply-adds, and four for an "
            "element that is normalised). Of levels, Hetero(c) has six tenths of the devices at c "
            "and a tenth at each other one, Hetero(u) a fifth at each.",
            *_misprint(table),
            Grid(
                columns=("scheme", "communication", "printed", "difference", "computation",
                         "printed", "difference", "with the misprint"),
                rows=[
                    (
                        row["scheme"], *trio(row, "communication_k", 5),
                        *trio(row, "computation_m"), number(row, "computation_m_with_misprint"),
                    )
                    for row in table
                ],
                source="fedlp_costs",
            ),
        ),
    )  # fmt: skip


def _misprint(table: Table) -> tuple[str, ...]:
    whole_network = next((row for row in table if row["scheme"] == "FedAvg"), None)
    if whole_network is None:
        return ()
    return (
        f"The whole network takes {whole_network['computation_m']:.2f} million and is printed with "
        f"{whole_network['computation_m_published']:.2f}, a digit mistyped; the printed mixtures "
        "follow from the latter to their last digit, as the last column shows.",
    )


def _levels(table: Table) -> Chapter:
    first = next((row for row in table if row["network"] == _CNN), None)
    said = (
        ()
        if first is None
        else (
            f"The smallest level of the convolutional network has {first['local_over_whole']:.2f} "
            "times the parameters of the whole one: its head sees pictures that were halved once. "
            "It saves bytes and work, and no memory.",
        )
    )
    return Chapter(
        title="Networks of the levels",
        parts=(
            "*Shared*: what a device exchanges; *local*: what it trains, with its own head; "
            "*layers*: multiply-adds of convolutions and linear layers.",
            *said,
            Chart(
                name="levels", caption="The convolutional network by level: parameters that travel "
                "and that are trained, and multiply-adds.",
                draw=lambda figure: _draw(figure, table),
            ),
            Grid(
                columns=("network", "level", "shared", "local", "local over whole",
                         "layers, millions", "thop, millions", "shared, kB", "local, kB"),
                rows=[
                    (
                        _NETWORKS[row["network"]], f"{row['level']:g}", whole(row, "shared"),
                        whole(row, "local"), number(row, "local_over_whole", digits=3),
                        number(row, "layers", 1e-6), number(row, "thop", 1e-6),
                        number(row, "shared_b", 1e-3), number(row, "local_b", 1e-3),
                    )
                    for row in table
                ],
                source="fedlp_levels",
            ),
        ),
    )  # fmt: skip


def _draw(figure: Figure, table: Table) -> None:
    rows = [row for row in table if row["network"] == _CNN]
    one, two = figure.subplots(1, 2)
    axes: Any = one
    for place, (column, words, colour) in enumerate(
        (("shared_b", "shared", BLUE), ("local_b", "local", ORANGE))
    ):
        axes.bar(
            [row["level"] + 0.4 * place - 0.2 for row in rows],
            [row[column] / 1e6 for row in rows], width=0.4, color=colour, label=words,
        )  # fmt: skip
    axes.set(xlabel="level", ylabel="MB")
    legend(figure, axes)
    axes = two
    axes.bar([row["level"] for row in rows], [row["layers"] / 1e6 for row in rows], color=GREEN)
    axes.set(xlabel="level", ylabel="million multiply-adds")


def _uploads(table: Table) -> Chapter:
    return Chapter(
        title="Uploads",
        parts=(
            "What the sum of down and up hides of Homo(p): it saves the uplink alone. *Nobody*: "
            "the probability that none of ten devices sends a layer, which then stays as it is. "
            "*Time*: of a round's messages, over FedAvg's, where an uplink is ten times as slow as "
            "the downlink; derived.",
            Grid(
                columns=("p", "uplink saved, %", "both saved, %", "nobody, %", "time"),
                rows=[
                    (
                        f"{row['preserved']:g}", number(row, "uplink_saved", 100, 3),
                        number(row, "both_saved", 100, 3), number(row, "layer_missing", 100, 2),
                        number(row, "time_over_fedavg", digits=3),
                    )
                    for row in table
                ],
                source="fedlp_uploads",
            ),
        ),
    )  # fmt: skip
