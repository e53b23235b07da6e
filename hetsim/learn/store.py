"""Computed values on disk, named by what they are: numerics tag and Ref key.

A blob is a safetensors file with the SHA-256 of its own content in the header, checked whenever it
is read; a damaged one is dropped and its value computed again. Blobs appear by rename, so two
processes may share a folder and either may be killed while writing. The oldest blobs go when the
folder grows beyond its limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import struct
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Bytes
from hetsim.learn.numerics import little_endian, tag

LIMIT: Bytes = 2e9
"""Bytes a folder may take by default."""
MEMORY_LIMIT: Bytes = 64e6
"""Bytes a store in memory may take by default."""
_SUFFIX, _PART = ".safetensors", ".part"
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

    def __init__(self, folder: Path, limit: Bytes = LIMIT) -> None:
        self.folder, self.damaged = folder, 0
        self._limit = limit
        self._home = folder / tag()
        try:
            self._home.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise SpecError(
                f"cannot be used as a store: {fault.strerror}",
                where=str(folder),
                remedy="Name a folder you may write to with --store, or pass --no-store.",
            ) from fault
        self._size = sum(size for _, size, _ in self._blobs())

    def get(self, key: str) -> Any | None:
        """The value of a Ref key, or none if it is not here or no longer what was written."""
        path = self._path(key)
        try:
            blob = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            value = decode(blob)
        except ValueError as fault:
            _log.warning("%s: %s; its value is computed again", path, fault)
            self.damaged += 1
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)
        return value

    def put(self, key: str, value: Any) -> None:
        """Keep a value; one that is there already is left alone."""
        path = self._path(key)
        if path.exists():
            return
        blob = encode(value)
        path.parent.mkdir(exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=_PART)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(blob)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._size += len(blob)
        if self._size > self._limit:
            self._evict()

    def _path(self, key: str) -> Path:
        return self._home / key[:2] / f"{key}{_SUFFIX}"

    def _blobs(self) -> list[tuple[float, int, Path]]:
        """Time of last use, size and path of every blob of every tag, oldest first.

        What a killed writer has left is a blob that nobody uses.
        """
        found: list[tuple[float, int, Path]] = []
        for path in (*self.folder.glob(f"*/*/*{_SUFFIX}"), *self.folder.glob(f"*/*/*{_PART}")):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _evict(self) -> None:
        """Drop the oldest blobs until a tenth of the limit is free again."""
        blobs = self._blobs()
        self._size = sum(size for _, size, _ in blobs)
        for _, size, path in blobs:
            if self._size <= 0.9 * self._limit:
                return
            path.unlink(missing_ok=True)
            self._size -= size


def encode(value: Any) -> bytes:
    """A value as a safetensors file; equal values give equal bytes."""
    from safetensors.torch import save

    tensors, plain = parts(value)
    text = json.dumps({"plain": plain, "sha256": _digest(tensors, plain)}, sort_keys=True)
    return save(tensors, metadata={_HEADER: text})


def decode(blob: bytes) -> Any:
    """The value that `encode` was given.

    Raises:
        ValueError: these are not the bytes that `encode` made.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        (length,) = struct.unpack_from("<Q", blob)
        text = json.loads(blob[8 : 8 + length])["__metadata__"][_HEADER]
        head = json.loads(text)
        tensors = {name: tensor.clone() for name, tensor in load(blob).items()}
        plain, digest = head["plain"], head["sha256"]
    except (struct.error, SafetensorError, ValueError, KeyError, TypeError) as fault:
        raise ValueError(f"damaged blob ({type(fault).__name__})") from fault
    if _digest(tensors, plain) != digest:
        raise ValueError("damaged blob (its content does not match its hash)")
    if plain is not None:
        return plain
    return tensors[""] if tensors.keys() == {""} else tensors


def parts(value: Any) -> tuple[dict[str, Tensor], Any]:
    """Tensors and plain JSON of a value; a lone tensor has the empty name."""
    if isinstance(value, Tensor):
        return {"": value}, None
    if isinstance(value, Mapping) and all(isinstance(item, Tensor) for item in value.values()):
        return dict(value), None
    return {}, value


def _digest(tensors: Mapping[str, Tensor], plain: Any) -> str:
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\x1f{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(little_endian(tensor))
    return digest.hexdigest()
