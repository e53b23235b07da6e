"""Members in order of a key, least first, where most keys are never asked for.

Newcomers lie unsorted until someone looks. Many at once are sorted with the rest, which is cheap
beside as many steps through a heap; a few go to a heap of latecomers. Who has left is dropped when
met, or when half of all entries are such.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")

_FEW = 64
"""Entries of those who left that are not worth a clean-up."""


class Queue(Generic[T]):
    """Serial numbers of members by key.

    >>> members = {1: "a", 2: "b", 3: "c"}
    >>> queue = Queue(members)
    >>> for key, serial in ((2.0, 1), (1.0, 2), (3.0, 3)):
    ...     queue.push(key, serial)
    >>> del members[2]
    >>> queue.least, queue.first(), queue.pop(), queue.first()
    (1.0, 2.0, 'a', 3.0)

    Attributes:
        least: no member has a key below it.
    """

    __slots__ = ("_fresh", "_late", "_members", "_sorted", "least")

    def __init__(self, members: dict[int, T]) -> None:
        self._members = members
        self._sorted: list[tuple[float, int]] = []
        self._late: list[tuple[float, int]] = []
        self._fresh: list[tuple[float, int]] = []
        self.least = inf

    def __len__(self) -> int:
        return len(self._sorted) + len(self._late) + len(self._fresh)

    def push(self, key: float, serial: int) -> None:
        """Add a member."""
        self._fresh.append((key, serial))
        if key < self.least:
            self.least = key
        if len(self._fresh) > 2 * len(self._members) + _FEW:
            self._take_in()

    def first(self) -> float:
        """The least key of a member; infinite if there is none."""
        if self._fresh:
            self._take_in()
        entries, late, members = self._sorted, self._late, self._members
        while entries and entries[-1][1] not in members:
            entries.pop()
        while late and late[0][1] not in members:
            heappop(late)
        least = entries[-1][0] if entries else inf
        if late and late[0][0] < least:
            least = late[0][0]
        self.least = least
        return least

    def pop(self) -> T:
        """Take out the member with the least key, which was just asked for."""
        entries, late = self._sorted, self._late
        if late and not (entries and entries[-1] < late[0]):
            _, serial = heappop(late)
        else:
            _, serial = entries.pop()
        self.least = entries[-1][0] if entries else inf
        if late and late[0][0] < self.least:
            self.least = late[0][0]
        return self._members[serial]

    def clear(self, entries: Iterable[tuple[float, int]] = ()) -> None:
        """Start anew with `entries`."""
        self._sorted.clear()
        self._late.clear()
        self._fresh[:] = entries
        self.least = min(self._fresh)[0] if self._fresh else inf

    def _take_in(self) -> None:
        """Put newcomers into order."""
        fresh, late, members = self._fresh, self._late, self._members
        known = len(self._sorted) + len(late)
        if 8 * len(fresh) < known and known < 2 * len(members) + _FEW:
            for entry in fresh:
                heappush(late, entry)
        else:
            self._sorted += late
            self._sorted += fresh
            self._sorted[:] = [entry for entry in self._sorted if entry[1] in members]
            self._sorted.sort(reverse=True)
            late.clear()
        fresh.clear()
