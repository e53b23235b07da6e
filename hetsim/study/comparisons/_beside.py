"""A figure of ours beside a printed one."""

from __future__ import annotations

from typing import Any


def beside(ours: float, published: float | None, name: str = "") -> dict[str, Any]:
    """Columns: ours, the printed one, and the difference in percent of the printed one.

    >>> beside(39.36, 36.36, "comp")
    {'comp': 39.36, 'comp_published': 36.36, 'comp_difference_percent': 8.25}
    """
    lead, own = (f"{name}_", name) if name else ("", "ours")
    off = None if not published else round(100.0 * (ours / published - 1.0), 2) + 0.0
    return {own: ours, f"{lead}published": published, f"{lead}difference_percent": off}
