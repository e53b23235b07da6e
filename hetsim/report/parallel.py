"""Many settings and what came of each, as lines across axes; `assets/sweep.js` draws them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hetsim.report.base import Section, text
from hetsim.report.numbers import count, rounded

_LINES = 1500
"""Lines drawn across the axes."""
_QUANTITY = re.compile(r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(\D*)")


def dimension(key: str, values: Sequence[Any]) -> dict[str, Any]:
    """An axis as numbers: of its values, of its quantities in their one unit, or of its names.

    >>> dimension("rate", ["5 Mbit/s", "20 Mbit/s"])["values"]
    [5.0, 20.0]
    """
    plain: dict[str, Any] = {"key": key, "title": key, "unit": "", "names": None}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return plain | {"values": rounded(values)}
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    found = [_QUANTITY.fullmatch(each) for each in texts]
    units = {match.group(2) if match else None for match in found}
    if len(units) == 1 and None not in units:
        numbers = rounded(float(match.group(1)) for match in found if match)
        return plain | {"values": numbers, "unit": units.pop()}
    names = list(dict.fromkeys(texts))
    return plain | {"values": [names.index(each) for each in texts], "names": names}


def section(
    axes: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]], *, across: Sequence[str],
    numbers: Sequence[int], noun: str,
) -> Section | None:  # fmt: skip
    """All settings as lines; None if there are none.

    Args:
        axes: as from `dimension`.
        results: of the same form; what is not known is None.
        across: keys of the results that the lines cross.
        numbers: of the settings.
        noun: what one is called.
    """
    if not numbers or not results:
        return None
    cut = "" if len(numbers) <= _LINES else (
        f'<p class="note">Drawn are the first {count(_LINES)} {noun}s.</p>'
    )  # fmt: skip
    colours = chooser("colour-by", [(each["key"], each["title"]) for each in results])
    drawn = {
        kind: [{**each, "values": each["values"][:_LINES]} for each in of]
        for kind, of in (("axes", axes), ("results", results))
    }
    return Section(
        name="lines",
        title=f"All {noun}s",
        lead=f"Each line is a {noun}, from its settings on the left to its results on the right. "
        "Drag along an axis to keep the lines that pass there; click the axis to let go.",
        body=f"<p><label>Colour by {colours}</label> "
        '<span class="note" id="kept-lines"></span></p>'
        '<div class="scroll lines" tabindex="0" role="region" aria-label="All settings">'
        '<svg id="lines-plot" role="img" aria-label="Each setting as a line across its axes and '
        f'results; the table below holds the numbers."></svg></div>{cut}',
        extra={"sweep": {**drawn, "across": across, "points": numbers[:_LINES], "noun": noun}},
    )


def chooser(name: str, options: Sequence[tuple[str, str]], chosen: int = 0) -> str:
    """A list to choose from: keys and their titles."""
    inner = "".join(
        f'<option value="{text(key)}"{" selected" * (index == chosen)}>{text(title)}</option>'
        for index, (key, title) in enumerate(options)
    )
    return f'<select id="{name}">{inner}</select>'
