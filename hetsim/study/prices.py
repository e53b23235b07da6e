"""What a configuration costs to buy: prices of devices, gateways, the server, cells and lines.

A price is a plain number in any currency. It belongs to a device profile or a network technology,
or to one group, gateway, cell, line or the server by its name, which then counts instead.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.core.registry import NETWORKS
from hetsim.spec import find

if TYPE_CHECKING:
    from hetsim.spec.schema import Spec

_SERVER = "server"
_PRICE = re.compile(r"[0-9]+(\.[0-9]+)?")
_EXAMPLE = "Write for example --price raspberry_pi_4b=75."


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is bought.

    Attributes:
        count: how many.
        names: what a price may call it, the most particular first.
        computer: whether it is a device, a gateway or the server.
    """

    count: int
    names: tuple[str, ...]
    computer: bool = True


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by name."""

    by_name: dict[str, float] = field(default_factory=dict[str, float])

    def __bool__(self) -> bool:
        """Whether anything has a price."""
        return bool(self.by_name)

    def of(self, spec: Spec) -> float:
        """What all of a topology costs; what has no price is free."""
        return sum(
            item.count * next((self.by_name[n] for n in item.names if n in self.by_name), 0.0)
            for item in items(spec)
        )

    def free(self, spec: Spec) -> list[str]:
        """Devices, gateways and servers that have no price, by profile."""
        return sorted({
            item.names[-1] for item in items(spec)
            if item.computer and not any(name in self.by_name for name in item.names)
        })  # fmt: skip

    def check(self, known: Collection[str]) -> None:
        """Refuse names that nothing has.

        Args:
            known: names of groups, gateways, cells and lines.

        Raises:
            SpecError: see above.
        """
        names = {_SERVER, *known, *find.names(find.PROFILES), *NETWORKS.names()}
        for name in self.by_name:
            if name not in names:
                raise SpecError(
                    f'nothing is called "{name}".{did_you_mean(name, names)}',
                    where=f"--price {name}={self.by_name[name]:g}",
                    remedy="Name a device profile, a technology, or a group, gateway, cell or line "
                    "of the topology.",
                )


def prices(texts: Iterable[str]) -> Prices:
    """Prices as they are written.

    >>> prices(["raspberry_pi_4b=75", "server=900"]).by_name
    {'raspberry_pi_4b': 75.0, 'server': 900.0}

    Raises:
        SpecError: not of the form, no price, or one name twice.
    """
    found: dict[str, float] = {}
    for text in texts:
        where = f"--price {text}"
        name, equals, price = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise SpecError("not of the form name=price.", where=where, remedy=_EXAMPLE)
        if not _PRICE.fullmatch(price):
            what = f'"{price}" is no price: a number, without a currency.'
            raise SpecError(what, where=where, remedy=_EXAMPLE)
        if name in found:
            raise SpecError(f"{name} has a price already.", where=where, remedy="Keep one.")
        found[name] = float(price)
    return Prices(found)


def items(spec: Spec) -> Iterator[Item]:
    """All that a topology is made of."""
    for group in spec.fleet:
        yield Item(group.count, (group.label, _stem(group.profile)))
    for gateway in spec.gateways:
        yield Item(1, (gateway.name, _stem(gateway.profile)))
    yield Item(1, (_SERVER, _stem(spec.server.profile)))
    for name, node in spec.network.nodes.items():
        names = (name, node.technology.name)
        yield Item(len(spec.network.spread(name)), names, computer=False)
    for place, number in Counter(place for place, _, _ in spec.network.lines).items():
        one, other = spec.network.links[place].between
        yield Item(number, (f"{one}--{other}", f"{other}--{one}"), computer=False)


def _stem(profile: str) -> str:
    return PurePath(profile).name.removesuffix(".yaml").removesuffix(".yml")
