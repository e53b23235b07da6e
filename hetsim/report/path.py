"""The critical path of any one round: what set its end, from its start to its end.

The reader chooses the round. Where the paths of all rounds are too much for a page, the longest
rounds can be chosen, and the page says so.
"""

from __future__ import annotations

from typing import Any

from hetsim.core.trace import Trace
from hetsim.report.base import legend, save, text
from hetsim.report.chain import COLOURS, WORDS
from hetsim.report.numbers import count, time_scale

_SEGMENTS = 3_000
"""Segments on the page over all rounds."""


def chooser(trace: Trace) -> tuple[str, dict[str, Any]]:
    """The place of the figure as HTML, and what the page's script draws there.

    The longest round is shown first.
    """
    chains: dict[int, list[dict[str, Any]]] = {}
    for row in trace.critical:
        chains.setdefault(row["round"], []).append(row)
    lengths = {
        row["round"]: row["t1_s"] - row["t0_s"] for row in trace.rounds if row["round"] in chains
    }
    longest = sorted(lengths, key=lambda number: (-lengths[number], number))
    listed, left = list[int](), _SEGMENTS
    for number in longest:
        left -= len(chains[number])
        if left < 0 and listed:
            break
        listed.append(number)
    scale = time_scale(lengths[longest[0]])
    kinds = [kind for kind in WORDS if any(row["kind"] == kind for row in trace.critical)]
    names: dict[str, int] = {}
    paths = {
        number: [
            [
                names.setdefault(text(row["actor"]), len(names)),
                names.setdefault(text(row["peer"]), len(names)),
                kinds.index(row["kind"]),
                float(f"{(row['t1_s'] - row['t0_s']) * scale.factor:.4g}"),
            ]
            for row in chains[number]
        ]
        for number in sorted(listed)
    }
    fewer = (
        f" The {count(len(listed))} longest of {count(len(longest), 'round')} can be chosen."
        if len(listed) < len(longest)
        else ""
    )
    html = (
        "<h3>The path of one round</h3>"
        '<p><label>Round <select id="path-round"></select></label></p>'
        "<figure><figcaption>What set its end <span>each segment began when the one before it "
        f"ended</span>{save('path')}</figcaption>"
        f"{legend({COLOURS[kind]: WORDS[kind] for kind in kinds})}"
        '<div class="plot" id="plot-path" role="img" '
        'aria-label="Critical path of the chosen round"></div></figure>'
        f'<p class="note">The longest round is shown first; a click on a bar above chooses another.'
        f"{fewer}</p>"
    )
    extra = {
        "names": list(names),
        "rounds": list(paths),
        "paths": list(paths.values()),
        "longest": sorted(listed).index(longest[0]),
        "kinds": [{"name": WORDS[kind], "color": f"${COLOURS[kind]}"} for kind in kinds],
        "time": f"time since the round began, {scale.unit}",
        "unit": scale.unit,
    }
    return html, {"path": extra}
