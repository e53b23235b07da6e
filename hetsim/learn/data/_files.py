"""Where the files of a data set are: in the user's folder, or fetched once into the user's cache.

A download is accepted only if it has the published checksum.
"""

from __future__ import annotations

from pathlib import Path

from hetsim.core.errors import SpecError


def in_folder(folder: Path | None, *places: str) -> Path | None:
    """The first of `places` that exists under `folder`."""
    if folder is not None:
        for place in places:
            if (folder / place).exists():
                return folder / place
    return None


def fetch(url: str, checksum: str, *, name: str, remedy: str) -> Path:
    """The file at `url`, from the user's cache if it is there.

    Args:
        url: published address.
        checksum: "md5:..." or "sha256:...".
        name: the data set, for messages.
        remedy: what else the user can do.

    Raises:
        SpecError: no network, or not the published file.
    """
    import pooch

    try:
        path = pooch.retrieve(
            url, checksum, path=pooch.os_cache("hetsim") / name, fname=url.rsplit("/", 1)[-1]
        )
    except (OSError, ValueError) as fault:
        why = str(fault).splitlines()[0]
        raise SpecError(
            f'data set "{name}" is not at hand, and {url} could not be fetched: {why}',
            key="task.data",
            remedy=remedy,
        ) from fault
    return Path(path)


def missing(name: str, folder: Path | None, remedy: str) -> SpecError:
    """What to say of a data set that is in no folder and has no published address."""
    looked = f"not found in {folder}" if folder else "there is no data folder to find it in"
    return SpecError(f'data set "{name}": {looked}', key="task.data", remedy=remedy)


def damaged(path: Path, fault: Exception) -> SpecError:
    """What to say of a file that is not what it should be."""
    return SpecError(
        f"damaged: {fault}", where=str(path), remedy="Remove the file and get it again."
    )
