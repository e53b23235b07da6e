"""Memory that processes share: open files without a name, handed over a socket.

A file holds one value: its pickle, and beside it the bytes of arrays and tensors. They are in no
folder, so nothing is left behind whoever is killed at whatever moment. A value that many processes
need is written once and handed to each. For messages, either end of a link has files that it uses
again and again: memory that is at hand already costs a fifth of memory that must be had first.

What goes through a socket is a list of open files and nothing else: it always fits, so no sender
ever waits for a receiver.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from hetsim.core.quantities import Bytes

QUEUED = 2
"""Messages under way at most, each way over a link; as many files has either end to write to."""
_LARGE: Bytes = 1e9
"""What is larger goes to the disk: from there, the kernel can take its memory back."""
_MOST = 250
"""Files in a message; Linux takes 253."""
_LINE = 64
"""Bytes to which arrays are aligned, as torch aligns its own."""
_HEAD = struct.Struct("<2Q")
"""Bytes of the pickle, number of arrays; the size of each array follows."""


class Link:
    """One end of a connection between two processes.

    Every message is answered, and at most `QUEUED` are under way; so a file may be written to again
    by the time its turn has come.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._files = deque(_nameless(0) for _ in range(QUEUED))

    def fileno(self) -> int:
        """For those who wait for messages."""
        return self._end.fileno()

    def send(self, value: Any, given: Sequence[int] = (), *, beside: bool = False) -> None:
        """Send a value, with open files that hold others; they stay open here.

        Args:
            value: anything that can be pickled.
            given: the files.
            beside: let the receiver have arrays that share memory, in place of a copy of each.

        Raises:
            ConnectionError: nobody is there any more.
        """
        self._files.rotate()
        _fill(self._files[0], *_parts(value, beside))
        socket.send_fds(self._end, [b"."], [self._files[0], *given])

    def receive(self) -> tuple[Any, list[int]]:
        """The next message: its value and the open files that came with it.

        Raises:
            ConnectionError: nobody is there any more.
            OSError: this process has too many open files.
        """
        mark, files, flags, _ = socket.recv_fds(self._end, 1, _MOST)
        if not mark:
            raise ConnectionResetError
        if flags & socket.MSG_CTRUNC:
            raise OSError("too many open files: another process hands over more")
        return read(files[0]), files[1:]

    def outlast(self) -> None:
        """Wait until the other end is gone; messages on their way are lost."""
        with suppress(ConnectionError):
            while self._end.recv(1):
                pass

    def close(self) -> None:
        """End the connection."""
        self._end.close()
        while self._files:
            os.close(self._files.pop())


def write(value: Any) -> int:
    """A new open file with a value in it.

    Raises:
        OSError: a large value, and the disk is full.
    """
    pieces, places = _parts(value, beside=True)
    file = _nameless(places[-1])
    try:
        _fill(file, pieces, places)
    except BaseException:
        os.close(file)
        raise
    return file


def read(file: int, *, mapped: bool = False) -> Any:
    """The value in a file; the file is closed.

    Args:
        file: open.
        mapped: have its arrays in the memory of the file instead of a copy; writing to them changes
            nobody else's.
    """
    try:
        head = os.pread(file, _HEAD.size, 0)
        length, count = _HEAD.unpack(head)
        start = _HEAD.size + 8 * count
        sizes = struct.unpack(f"<{count}Q", os.pread(file, 8 * count, _HEAD.size))
        places = _places(start + length, sizes)
        if mapped:  # unlike that of the standard library, this mapping holds no open file
            path = f"/dev/fd/{file}"
            whole = torch.from_file(path, shared=False, size=places[-1], dtype=torch.uint8)
        else:
            whole = torch.empty(places[-1], dtype=torch.uint8)
            _take(file, whole.numpy().data)
    finally:
        os.close(file)
    view = whole.numpy().data
    arrays = [view[place : place + size] for place, size in zip(places, sizes, strict=False)]
    return pickle.loads(view[start : start + length], buffers=arrays)


class _Pickler(pickle.Pickler):
    """Takes a tensor for its array."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            return torch.from_numpy, (obj.detach().contiguous().numpy(),)
        return NotImplemented


def _parts(value: Any, beside: bool) -> tuple[list[Any], list[int]]:
    """The pieces of a file, where each of them begins, and where the last one ends."""
    arrays: list[memoryview] = []
    text = io.BytesIO()
    collect = (lambda buffer: arrays.append(buffer.raw())) if beside else None
    _Pickler(text, protocol=5, buffer_callback=collect).dump(value)
    sizes = [array.nbytes for array in arrays]
    head = _HEAD.pack(text.tell(), len(sizes)) + struct.pack(f"<{len(sizes)}Q", *sizes)
    places = _places(len(head) + text.tell(), sizes)
    return [head + text.getvalue(), *arrays], [0, *places]


def _places(start: int, sizes: Sequence[int]) -> list[int]:
    """Where arrays begin that are laid out from `start` on, and last where they end."""
    places = [start]
    for size in sizes:
        places[-1] = -(-places[-1] // _LINE) * _LINE
        places.append(places[-1] + size)
    return places


def _nameless(size: int) -> int:
    """A new open file in no folder: in memory, or in the folder for temporary files."""
    if size < _LARGE and hasattr(os, "memfd_create"):
        return os.memfd_create("hetsim")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _fill(file: int, pieces: Sequence[Any], places: Sequence[int]) -> None:
    if os.fstat(file).st_size < places[-1]:
        os.ftruncate(file, places[-1])
    for piece, place in zip(pieces, places, strict=False):
        rest = memoryview(piece)
        while rest:
            written = os.pwrite(file, rest, place)
            rest, place = rest[written:], place + written


def _take(file: int, whole: memoryview) -> None:
    place = 0
    while place < len(whole):
        place += os.preadv(file, [whole[place:]], place)
