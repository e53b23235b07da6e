"""Figures on paper: matplotlib SVGs in one style, the same bytes for the same numbers.

Text is drawn as outlines of a font that comes with matplotlib, and element ids are salted with a
constant, so that equal numbers give equal bytes on every machine with the pinned versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE = "#171b21", "#5b6672", "#dfe3e8"
BLUE, ORANGE, GREEN, PLUM, VIOLET, GREY = (
    "#0072b2", "#e08e00", "#00845f", "#b3588f", "#7a6fc4", "#a9b2bc",
)  # fmt: skip
SERIES = (BLUE, ORANGE, GREEN, PLUM, VIOLET, GREY)
"""Colours of successive series; the page's light palette."""
_STYLE: Any = {
    "svg.hashsalt": "hetsim", "svg.fonttype": "path", "font.family": "DejaVu Sans",
    "font.size": 9.5, "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": RULE,
    "xtick.color": MUTED, "ytick.color": MUTED, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#eceff2", "axes.axisbelow": True,
    "xtick.major.size": 0, "ytick.major.size": 0, "axes.titlesize": 10.5,
    "axes.titlelocation": "left", "axes.titlepad": 10,
}  # fmt: skip


@contextmanager
def sheet(path: Path, width: float = 9.6, height: float = 4.0, mark: str = "") -> Iterator[Figure]:
    """A figure to draw on, saved to `path` at the end.

    Args:
        path: an SVG file.
        width: inches.
        height: inches.
        mark: text across the figure, for results that nobody may quote.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with rc_context(_STYLE):
        spacing = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12, wspace=0.03)
        figure = Figure(figsize=(width, height), facecolor="white", layout=spacing)
        FigureCanvasSVG(figure)
        yield figure
        if mark:
            figure.text(
                0.5, 0.5, mark, ha="center", va="center", rotation=20, fontsize=44, color=PLUM,
                alpha=0.25, zorder=10,
            )  # fmt: skip
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "hetsim"})


def plain(text: str) -> str:
    """Text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")


def logarithmic(
    axes: Axes, name: Literal["x", "y"], steps: Sequence[float] = (1.0, 2.0, 5.0)
) -> None:
    """A logarithmic axis with plain numbers at these steps of a decade."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def legend(figure: Figure, axes: Axes, most: int = 6) -> None:
    """What the lines of `axes` are, below the figure, at most `most` beside each other."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), most), frameon=False,
        fontsize=8.5, labelcolor=MUTED,
    )  # fmt: skip
