"""The page of a network technology: what a station gets, option by option, and whence each number.

Choices (a band, a PHY, a spreading factor) stand side by side, all other options at their defaults.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from hetsim.core.errors import si
from hetsim.core.registry import NETWORKS
from hetsim.sim.network.base import Station, Technology
from hetsim.spec import units
from hetsim.spec.options import describe, form, make
from hetsim.study.explain import Sheet, Table

_EVIDENCE = re.compile(r"\((measured|derived|assumed): (.*)\)\.?$")
_TYPICAL = 1e6
"""Bytes a second, to ask what a station with a rate of its own gets; and bytes to send."""


def network_page(name: str) -> Sheet:
    """The page of one technology.

    Raises:
        UnknownName: there is none of this name.
    """
    plugin = NETWORKS.load(name, where="explain")
    about = inspect.getdoc(inspect.getmodule(plugin)) or ""
    text = [_paragraph(part) for part in about.split("\n\n")]
    rows = [_numbers(title, make(plugin, options)) for title, options in _variants(plugin)]
    sent = units.format(_TYPICAL, "size")
    columns = ("", "up", "down", "one way", f"to send {sent}", f"to receive {sent}",
               "promotion", "connected", "tail")  # fmt: skip
    return Sheet(
        f"{NETWORKS.kind} {name}",
        text,
        [Table("What a station gets", columns, rows), _options(plugin)],
    )


def _paragraph(text: str) -> str:
    """A paragraph in one line; a formula or a table as it is."""
    return text if text.startswith("    ") else " ".join(text.split())


def _variants(plugin: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The defaults, then each option that is a choice, once with every other of its values."""
    yield "default", {}
    for option, described in form(plugin)["properties"].items():
        for choice in described.get("enum", ()):
            if choice != described.get("default"):
                yield f"{option}: {choice}", {option: choice}


def _numbers(title: str, technology: Technology) -> tuple[str, ...]:
    rates, radio, states = technology.rates, technology.radio, technology.states
    up, down = rates or (_TYPICAL, _TYPICAL)
    there, back = technology.attach("cell", [Station(name="one", up=up, down=down)])["one"]
    if states:
        radio = states.above(radio)
    sending = _TYPICAL * (radio.transmit * there.on_air + radio.sending)
    receiving = _TYPICAL * (radio.receive * back.on_air + radio.receiving)
    return (
        title,
        *((_rate(up), _rate(down)) if rates else ("its own", "its own")),
        f"{there.latency:.3g} s",
        *(
            f"{si(joules)}J" + ("" if rates else f" at {_rate(up)}")
            for joules in (sending, receiving)
        ),
        f"{states.promotion:g} s, {states.promoting:g} W" if states else "",
        f"{states.connected:g} W" if states else "",
        f"{states.tail:g} s, {states.tailing:g} W" if states else "",
    )


def _rate(rate: float) -> str:
    """Four digits in the unit in which rates are spoken of."""
    bits = rate / units.parse("1 bit/s", "rate")
    return units.format(units.parse(f"{bits:.4g} bit/s", "rate"), "rate")


def _options(plugin: Any) -> Table:
    rows: list[tuple[str, ...]] = []
    for option in describe(plugin):
        found = _EVIDENCE.search(option.doc)
        meaning = option.doc[: found.start()].rstrip() if found else option.doc
        evidence, source = found.groups() if found else ("", "")
        default = "required" if option.default is None else str(option.default)
        rows.append((option.name, option.type, default, meaning, evidence, source))
    columns = ("option", "takes", "default", "meaning", "", "source")
    return Table("Options, and where each number comes from", columns, rows)
