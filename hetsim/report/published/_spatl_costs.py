"""SPATL's traffic and operations, as chapters: ours beside what its authors printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hetsim.report.numbers import NONE, significant
from hetsim.report.paper import BLUE, GREY, legend, logarithmic
from hetsim.report.published._counted import digit, met, number, trio, whole
from hetsim.report.published._target import Target
from hetsim.report.published.base import Chapter, Chart, Grid, Row, Table, Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NETWORKS = {
    "resnet20": "ResNet-20", "resnet32": "ResNet-32", "vgg11_plain": "VGG-11",
    "lenet5": "two convolutions",
}  # fmt: skip
_METHODS = {
    "fedavg": "FedAvg", "fednova": "FedNova", "fedprox": "FedProx", "scaffold": "SCAFFOLD",
    "spatl": "SPATL",
}  # fmt: skip
_CLAIMS = {
    "less sent, %": 2, "times less sent, ResNet-20": 1, "times less sent than fedavg, ResNet-20": 2,
    "operations saved by keeping 0.7752 of every layer of VGG-11, %": 1,
}  # fmt: skip
"""Claims that are to come out, with their decimals."""
_WITHIN = {1024: 0.3, 1000: 1.0}
"""Percent of a printed total, by what its rows are divided by."""
_CLOSE = 3.0
"""Percent of true bytes within which a printed size is called right."""


def targets(tables: Tables) -> list[Target]:
    """What of the authors' figures is to be found again."""
    traffic, claims = tables.get("spatl_traffic", ()), tables.get("spatl_claims", ())
    small = [
        row for row in traffic
        if row["model"] == "resnet20" and row["method"] in ("fedavg", "fedprox", "scaffold")
    ]  # fmt: skip
    return [
        met(
            "totals of Table I, from rounds and MB",
            [abs(row["total_gb_difference_percent"]) / _WITHIN[row["divisor"]] for row in traffic],
            "± 0.3 % over 1024, ± 1 % over 1000", lambda off: off <= 1.0,
            lambda off: f"at most {100 * max(off):.0f} % of that off",
        ),
        met(
            "MB a round and client, ResNet-20, of parameters times 8 and 16 bytes",
            [row["mb_error_percent"] for row in small], f"± {_CLOSE:g} %",
            lambda off: abs(off) <= _CLOSE, lambda off: f"at most {max(map(abs, off)):.1f} % off",
        ),
        *(
            digit(claim, [_claim(row) for row in claims if row["claim"] == claim], "ours", places)
            for claim, places in _CLAIMS.items()
        ),
    ]  # fmt: skip


def _claim(row: Row) -> Row:
    return {"ours": row["ours"], "ours_published": row["published"]}


def chapters(tables: Tables) -> tuple[Chapter, ...]:
    """Table I, what follows from it, networks, and what choosing channels takes."""
    return (
        _traffic(tables.get("spatl_traffic", ())),
        _claims(tables.get("spatl_claims", ())),
        _networks(tables.get("spatl_networks", ()), tables.get("spatl_shares", ())),
        _selection(tables.get("spatl_selection", ())),
    )


# --- Table I --------------------------------------------------------------------------------------


def _traffic(table: Table) -> Chapter:
    return Chapter(
        title="Table I: what ten clients send until 80 %",
        parts=(
            "Totals are rounds times ten clients times MB, over 1,024 in some rows and over 1,000 "
            "in others (*over*: what comes nearest); the speed-ups compare the two. *True MB*: 8 "
            "bytes a parameter down and up for FedAvg, FedProx and FedNova, 16 for SCAFFOLD; what "
            "SPATL keeps is not said, so its bytes cannot be derived.",
            *_said_of_sizes(table),
            Chart(
                name="megabytes", caption="MB a round and client: printed (grey) and from the "
                "parameters (blue); logarithmic.",
                draw=lambda figure: _draw(figure, table),
            ),
            Grid(
                columns=("method", "network", "rounds", "MB printed", "true MB", "off", "total GB",
                         "printed", "difference", "over", "speed-up", "printed", "true total, GB"),
                rows=[
                    (
                        _METHODS[row["method"]], _NETWORKS[row["model"]], whole(row, "rounds"),
                        number(row, "mb_published", digits=3), number(row, "exact_mb"),
                        _percent(row["mb_error_percent"]), *trio(row, "total_gb"),
                        f"{row['divisor']:g}", *trio(row, "speedup", 3)[:2],
                        number(row, "exact_total_gb"),
                    )
                    for row in table
                ],
                source="spatl_traffic",
            ),
        ),
    )  # fmt: skip


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:+.1f} %"


def _said_of_sizes(table: Table) -> Sequence[str]:
    """How far printed sizes are from true ones, of FedAvg; and what FedNova is charged."""
    rows = {(row["method"], row["model"]): row for row in table}
    off = [
        f"{_NETWORKS[model]} {row['mb_error_percent']:+.0f} %"
        for (method, model), row in rows.items()
        if method == "fedavg"
    ]
    kept = [
        f"{row['of_scaffold']:.3f} ({_NETWORKS[row['model']]})" for row in table
        if row["of_scaffold"] is not None
    ]  # fmt: skip
    if not off:
        return ()
    return (
        f"Printed sizes of FedAvg beside true ones: {', '.join(off)}; that of VGG-11 is nearer to "
        "one way than to two. FedNova is charged twice a model, and sends one and a number. If "
        "SPATL sends a share of what SCAFFOLD sends, the printed sizes say "
        f"{', '.join(kept)}.",
    )


def _draw(figure: Figure, table: Table) -> None:
    axes: Any = figure.subplots()
    rows = [row for row in table if row["exact_mb"] is not None]
    for place, (column, words, colour) in enumerate(
        (("mb_published", "printed", GREY), ("exact_mb", "from the parameters", BLUE))
    ):
        axes.bar(
            [number + 0.4 * place - 0.2 for number in range(len(rows))],
            [row[column] for row in rows], width=0.4, color=colour, label=words,
        )  # fmt: skip
    names = [f"{_METHODS[row['method']]}\n{_NETWORKS[row['model']]}" for row in rows]
    axes.set_xticks(range(len(rows)), names, fontsize=7.5)
    axes.set_ylabel("MB a round and client")
    logarithmic(axes, "y")
    legend(figure, axes)


# --- what follows from it -------------------------------------------------------------------------


def _claims(table: Table) -> Chapter:
    return Chapter(
        title="What the abstracts say",
        parts=(
            "Each from the rows that it follows from. *One divisor*: as if all totals were over "
            "1,024.",
            Grid(
                columns=("claim", "hetsim", "printed", "difference", "source", "note"),
                rows=[
                    (
                        row["claim"], number(row, "ours"), number(row, "published"),
                        NONE if row["difference_percent"] is None
                        else f"{row['difference_percent']:+.2f} %",
                        row["source"], row["note"] or "",
                    )
                    for row in table
                ],
                source="spatl_claims",
            ),
        ),
    )  # fmt: skip


# --- networks -------------------------------------------------------------------------------------


def _networks(table: Table, shares: Table) -> Chapter:
    return Chapter(
        title="Networks",
        parts=(
            "*Encoder*: what is shared in the authors' code, without the stem of a residual "
            "network and without the classifier; *with stem*: as their drawing has it, and hetsim. "
            "*Agent*: operations by the formula that the agent is rewarded by, positions * (inputs "
            "* (2 taps - 1) + 1) * outputs of every convolution. *Map*: bytes that say which "
            "channels are sent, a bit each.",
            Grid(
                columns=("network", "sample", "parameters", "encoder", "with stem", "convolutions",
                         "their multiply-adds", "of linear layers", "agent", "FedAvg, B",
                         "SCAFFOLD, B", "map, B"),
                rows=[
                    (
                        _NETWORKS[row["network"]], row["sample"], whole(row, "parameters"),
                        whole(row, "encoder"), whole(row, "encoder_with_stem"),
                        whole(row, "convolutions"), whole(row, "convolution_multiply_adds"),
                        whole(row, "linear_multiply_adds"), whole(row, "agent_flops"),
                        whole(row, "fedavg_b"), whole(row, "scaffold_b"),
                        number(row, "channel_map_b", digits=3),
                    )
                    for row in table
                ],
                source="spatl_networks",
            ),
            "The share of its channels that every layer keeps, for so many operations less by the "
            "agent's formula:",
            Grid(
                columns=("network", *(f"{100 * saved:.4g} % saved" for saved in _saved(shares))),
                rows=[
                    (
                        _NETWORKS[network],
                        *(
                            number(row, "share", digits=4) for row in shares
                            if row["network"] == network
                        ),
                    )
                    for network in dict.fromkeys(row["network"] for row in shares)
                ],
                source="spatl_shares",
            ),
        ),
    )  # fmt: skip


def _saved(shares: Table) -> list[float]:
    return list(dict.fromkeys(row["saved"] for row in shares))


# --- choosing channels ----------------------------------------------------------------------------


def _selection(table: Table) -> Chapter:
    return Chapter(
        title="What choosing channels takes",
        parts=(
            "Multiply-adds of a client's round, ResNet-20: ten epochs over 5,000 samples, three "
            "forward passes' worth each, and an episode of the agent that scores a network on so "
            "many samples. The scores that the code's defaults ask for are of test samples.",
            Grid(
                columns=("agent", "episodes", "samples each", "training", "choosing",
                         "choosing over training"),
                rows=[
                    (
                        row["agent"], whole(row, "episodes"), whole(row, "samples"),
                        f"{row['training']:.3g}", f"{row['choosing']:.3g}",
                        significant(row["choosing_over_training"], 2),
                    )
                    for row in table
                ],
                source="spatl_selection",
            ),
        ),
    )  # fmt: skip
