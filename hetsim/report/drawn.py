"""Figures of the page as objects of Plotly's own library, for a notebook."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from hetsim.core.errors import SpecError
from hetsim.report.base import Figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

Theme = Literal["light", "dark"]
_ROOT = re.compile(r":root(?::not\(\.print\))? \{(.*?)\}", re.S)
_TEMPLATES = {"light": "plotly_white", "dark": "plotly_dark"}
_ROOM = 64
"""Pixels above a figure, which on the page has its title outside."""


def drawn(figure: Figure, theme: Theme = "light") -> go.Figure:
    """The figure in the colours of the page.

    Raises:
        SpecError: no such theme.
    """
    import plotly.graph_objects as go

    paint = _palette(theme)
    layout = {
        "template": _TEMPLATES[theme],
        "title": {"text": re.sub("<[^>]+>", "", figure.title), "font": {"size": 15}},
        "height": figure.height + _ROOM,
        "showlegend": len(figure.legend) > 1,
        "xaxis": {"automargin": True},
        "yaxis": {"automargin": True},
    }
    if figure.data[0]["type"] == "sankey":
        del layout["xaxis"], layout["yaxis"]
    for name, value in _painted(figure.layout, paint).items():
        old = layout.get(name)
        layout[name] = {**old, **value} if isinstance(old, dict) else value
    layout["margin"] = {"l": 8, "r": 12, "b": 8, **layout.get("margin", {}), "t": _ROOM}
    return go.Figure(data=_painted(figure.data, paint), layout=layout)


def _palette(theme: str) -> dict[str, str]:
    """Colours of the page by name."""
    if theme not in _TEMPLATES:
        raise SpecError(f"no theme {theme!r}", remedy='There are "light" and "dark".')
    sheet = resources.files("hetsim.report").joinpath("assets", "page.css").read_text("utf-8")
    blocks = _ROOT.findall(sheet)[: 1 if theme == "light" else 2]
    return dict(re.findall(r"--(\w+): ([^;]+);", " ".join(blocks)))


def _painted(value: Any, paint: dict[str, str], name: str = "") -> Any:
    """Plotly JSON with colours in the place of their names, where the page's script puts them."""
    if isinstance(value, dict):
        return {key: _painted(item, paint, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_painted(item, paint, name) for item in value]
    if isinstance(value, str) and value.startswith("$") and name.lower().endswith("color"):
        base, _, share = value[1:].partition("/")
        return _thinned(paint[base], int(share)) if share else paint[base]
    return value


def _thinned(colour: str, percent: int) -> str:
    """A colour of six digits that lets what is below it shine through."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{percent / 100:g})"
