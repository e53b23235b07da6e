"""Computed values on disk, named by what they are: numerics tag and Ref key.

A blob is a safetensors file whose header holds the SHA-256 of its key and content, checked whenever
it is read: a blob that is damaged, or is another key's, is dropped and its value computed again.
That is why blobs need no fsync: what a power cut leaves behind is noticed like any other damage.

A blob is written beside its place, under a name that depends on its key alone, and renamed. Any
number of processes may share a folder and each may be killed at any instant: whoever wants the same
key next writes over what was left. Two that write it at once write the same bytes. The oldest blobs
go when the folder grows beyond its limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import struct
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Bytes
from hetsim.learn import numerics
from hetsim.learn.numerics import little_endian

LIMIT: Bytes = 2e9
"""Bytes a folder may take by default."""
MEMORY_LIMIT: Bytes = 64e6
"""Bytes a store in memory may take by default."""
_SUFFIX, _PART = ".safetensors", ".part"
_OURS = re.compile(rf"[0-9a-f]{{32}}({re.escape(_SUFFIX)}|{re.escape(_PART)})")
"""Names of blobs; whatever else is in a folder is somebody else's."""
_HEADER = "hetsim"
_log = logging.getLogger(__name__)


class MemoryStore:
    """The newest values of this process, and nothing on disk."""

    def __init__(self, limit: Bytes = MEMORY_LIMIT) -> None:
        self._limit, self._size = limit, 0
        self._values: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def get(self, key: str) -> Any | None:
        """The value of a Ref key, or none."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: str, value: Any) -> None:
        """Keep a value until newer ones need its place."""
        if key in self._values:
            return
        size = sum(tensor.nbytes for tensor in parts(value)[0].values())
        self._values[key] = value, size
        self._size += size
        while self._size > self._limit:
            _, (_, size) = self._values.popitem(last=False)
            self._size -= size


class Store:
    """A folder of blobs.

    Attributes:
        folder: where they are, one subfolder for each numerics tag.
        damaged: blobs found damaged so far.
    """

    def __init__(self, folder: Path, limit: Bytes = LIMIT, *, tag: str | None = None) -> None:
        """Open a folder, or make it.

        Args:
            folder: where the blobs are.
            limit: bytes that all blobs in it may take.
            tag: numerics of the values; by default those of this host.

        Raises:
            SpecError: the folder cannot be made.
        """
        self.folder, self.damaged = folder, 0
        self._limit = limit
        self._home = folder / (tag or numerics.tag())
        try:
            self._home.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise SpecError(
                f"cannot be used as a store: {fault.strerror}",
                where=str(folder),
                remedy="Name a folder you may write to with --store, or pass --no-store.",
            ) from fault
        self._room = 0.0

    def get(self, key: str) -> Any | None:
        """The value of a Ref key, or none if it is not here or no longer what was written."""
        path = self._path(key)
        try:
            value = decode(path.read_bytes(), key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as fault:
            _log.warning("%s: %s; its value is computed again", path, fault)
            if isinstance(fault, ValueError):
                self.damaged += 1
                with contextlib.suppress(OSError):
                    path.unlink()
            return None
        with contextlib.suppress(OSError):  # evicted meanwhile, or ours only to read
            os.utime(path)
        return value

    def put(self, key: str, value: Any) -> None:
        """Keep a value; one that is there already is left alone.

        Raises:
            OSError: it cannot be written; what was written of it is removed.
        """
        path = self._path(key)
        if path.exists():
            return
        blob = encode(value, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(_PART)
        try:
            with open(temporary, "wb", opener=_keeping) as file:
                file.write(blob)
                file.truncate()
            os.replace(temporary, path)
        except FileNotFoundError:
            return  # another process has renamed, or removed, what both of us were writing
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._room -= len(blob)
        if self._room < 0:
            self._evict()

    def _path(self, key: str) -> Path:
        return self._home / key[:2] / f"{key}{_SUFFIX}"

    def _blobs(self) -> list[tuple[float, int, Path]]:
        """Time of last use, size and path of every blob of every tag, oldest first.

        What a killed writer has left is a blob that nobody uses.
        """
        found: list[tuple[float, int, Path]] = []
        for path in self.folder.glob("*/??/*"):
            if _OURS.fullmatch(path.name):
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _free(self, blobs: list[tuple[float, int, Path]]) -> Bytes:
        return self._limit - sum(size for _, size, _ in blobs)

    def _evict(self) -> None:
        """Look how full the folder is; if it is, drop the oldest blobs until a tenth is free.

        The first look is due with the first blob of this process, the next ones when it has filled
        half of what is free: another one may be filling the other half.
        """
        blobs = self._blobs()
        free = self._free(blobs)
        if free < 0:
            for _, size, path in blobs:
                with contextlib.suppress(OSError):  # somebody else's, who may not share it all
                    path.unlink(missing_ok=True)
                    free += size
                if free >= 0.1 * self._limit:
                    break
        self._room = free / 2


def _keeping(path: str, flags: int) -> int:
    """Open a file to be written over: what another process has written of it stays till then."""
    return os.open(path, flags & ~os.O_TRUNC, 0o666)


def encode(value: Any, key: str = "") -> bytes:
    """A value as a safetensors file; equal values of a key give equal bytes."""
    from safetensors.torch import save

    tensors, plain = parts(value)
    head = {"names": list(tensors), "plain": plain, "sha256": _digest(key, tensors, plain)}
    return save(tensors, metadata={_HEADER: json.dumps(head, sort_keys=True)})


def decode(blob: bytes, key: str = "") -> Any:
    """The value that `encode` was given with this key, its tensors in the same order.

    Raises:
        ValueError: these are not the bytes that `encode` made.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        (length,) = struct.unpack_from("<Q", blob)
        text = json.loads(blob[8 : 8 + length])["__metadata__"][_HEADER]
        head, loaded = json.loads(text), load(blob)
        tensors, plain = {name: loaded.pop(name).clone() for name in head["names"]}, head["plain"]
        sound = not loaded and _digest(key, tensors, plain) == head["sha256"]
    except (struct.error, SafetensorError, ValueError, LookupError, TypeError) as fault:
        raise ValueError(f"damaged blob ({type(fault).__name__})") from fault
    if not sound:
        raise ValueError("damaged blob (its hash is not that of its key and content)")
    if plain is not None:
        return plain
    return tensors[""] if tensors.keys() == {""} else tensors


def digest(value: Any) -> str:
    """SHA-256 of a value, in whatever order its tensors are."""
    tensors, plain = parts(value)
    return _digest("", dict(sorted(tensors.items())), plain)


def parts(value: Any) -> tuple[dict[str, Tensor], Any]:
    """Tensors and plain JSON of a value; a lone tensor has the empty name."""
    if isinstance(value, Tensor):
        return {"": value}, None
    if isinstance(value, Mapping) and all(isinstance(item, Tensor) for item in value.values()):
        return dict(value), None
    return {}, value


def _digest(key: str, tensors: Mapping[str, Tensor], plain: Any) -> str:
    digest = hashlib.sha256(json.dumps([key, plain], sort_keys=True).encode())
    for name, tensor in tensors.items():
        digest.update(f"{name}\x1f{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(little_endian(tensor))
    return digest.hexdigest()
