"""The folder of something that was asked for and takes many runs: a sweep, a plan.

One file says what was asked and is the first; `host.json` says where that was on this host. Who
asks again finds the folder his own by the hash of what is to be played.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.spec.load import dump, read
from hetsim.spec.schema import find_topology
from hetsim.study import folder as run_folder

_HOST = "host.json"


@dataclass(frozen=True, slots=True)
class Errand:
    """A kind of errand.

    Attributes:
        noun: what it is called, such as "sweep".
        file: name of the file that says what was asked.
        example: a command that begins one.
    """

    noun: str
    file: str
    example: str

    def begin(
        self, folder: Path, asked: Mapping[str, Any], digest: str, *, topology: str | Path,
        data: Path | None, store: Path | None,
    ) -> None:  # fmt: skip
        """Begin it in its folder, or see that it is the one that was begun there.

        Args:
            folder: of the errand.
            asked: plain values.
            digest: of what is to be played.
            topology: file or name.
            data: folder of data sets, where one is named.
            store: folder of learned values, where one is named.

        Raises:
            SpecError: the folder holds something else.
        """
        run_folder.make(folder, "--out")
        if store:
            run_folder.make(store, "--store")
        if (folder / self.file).is_file():
            if self.asked(folder)[1] != digest:
                what = f"holds another {self.noun}"
                raise SpecError(what, where=str(folder), remedy="Give another --out folder.")
        else:
            if any(not path.name.endswith(".part") for path in folder.iterdir()):
                what = f"holds files that are no {self.noun} of hetsim"
                raise SpecError(what, where=str(folder), remedy="Give another --out folder.")
            run_folder.write(folder / self.file, dump({**asked, "hash": digest}))
        host = {
            "topology": str(find_topology(topology).resolve()),
            "data": str(data.resolve()) if data else None,
            "store": str(store.resolve()) if store else None,
        }
        run_folder.write(folder / _HOST, json.dumps(host, indent=2, sort_keys=True) + "\n")

    def asked(self, folder: Path) -> tuple[dict[str, Any], str]:
        """What was asked in `folder`, and its hash.

        Raises:
            SpecError: nothing was, or the file is not what was written.
        """
        path = folder / self.file
        if not path.is_file():
            raise SpecError(
                f"no {self.noun} to resume: there is no {self.file}",
                where=str(folder),
                remedy=f"Begin one: {self.example}",
            )
        data = dict(read(path).data)
        if not isinstance(digest := data.pop("hash", None), str):
            raise self.spoilt(folder, "no hash")
        return data, digest

    def spoilt(self, folder: Path, why: object) -> SpecError:
        """The error of a file that is not what was written."""
        what = f"is not what a {self.noun} writes ({why})"
        return SpecError(what, where=str(folder / self.file), remedy="Put the file back.")

    def begun(self, folder: Path) -> dict[str, Any]:
        """Paths on the host that it was begun on, as far as they are known."""
        try:
            found = json.loads((folder / _HOST).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
