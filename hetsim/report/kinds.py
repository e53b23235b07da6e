"""Kinds of energy in a device row."""

from __future__ import annotations

KINDS = {
    "compute": "compute", "memory": "memory", "radio": "radio", "link": "traffic on links",
    "loss": "battery losses", "idle": "base power", "radio_idle": "idle radio",
}  # fmt: skip
"""Kinds of energy in a device row and what they are called; also the names of their colours."""
