"""The folder of something that was asked for and takes many runs: a sweep, a plan.

One file says what was asked and is the first; `host.json` says where that was on this host. Who
asks again finds the folder his own by the hash of what is to be played.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from hetsim.core.errors import HetsimError, Interrupted, SpecError, Stuck, UnknownName
from hetsim.report.numbers import size
from hetsim.spec.load import dump, read
from hetsim.spec.schema import find_topology
from hetsim.study import folder as run_folder
from hetsim.study.campaign import STORE

_HOST = "host.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How the runs of an errand are played on this host; nothing here changes a result.

    Attributes:
        jobs: processes; None for this one, or for all of a cluster.
        ray: whether they are those of a Ray cluster.
        data: folder of data sets.
        store: folder of learned values; None for one inside the sweep's.
        progress: told how many points or configurations are done, of how many.
        note: told once what `--set` would tell of a run.
    """

    jobs: int | None = None
    ray: bool = False
    data: Path | None = None
    store: Path | None = None
    progress: Callable[[int, int], None] = lambda done, of: None
    note: Callable[[str], None] = lambda text: None

    @classmethod
    def of(cls, executor: str | None = None, *, jobs: int | None = None, **others: Any) -> Means:
        """Those of an executor by its name.

        Args:
            executor: "inline" (this process), "pool", or "ray": the cluster of $RAY_ADDRESS, or
                one that is started on this host.
            jobs: processes; left out, one, or one a core of a pool or cluster.
            others: fields.

        Raises:
            SpecError: no such executor, or one that has no processes.
        """
        known = ("inline", "pool", "ray")
        if executor is not None and executor not in known:
            raise UnknownName("executor of many runs", executor, known, where="--executor")
        if executor == "inline" and jobs is not None and jobs > 1:
            remedy = "Leave one of them out, or choose pool."
            raise SpecError("plays one run at a time", where="--executor inline", remedy=remedy)
        if executor == "pool" and jobs is None:
            jobs = os.cpu_count()
        return cls(jobs=jobs, ray=executor == "ray", **others)

    def after(self, begun: Mapping[str, Any]) -> Means:
        """The same, with data and store where the errand was begun where it names none."""
        data, store = (Path(path) if (path := begun.get(name)) else None
                       for name in ("data", "store"))  # fmt: skip
        return replace(self, data=self.data or data, store=self.store or store)


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

    def check_same(self, folder: Path | None, begun: str | None, digest: str) -> None:
        """See that what was begun in `folder`, if anything was, is what is to be played.

        Raises:
            HetsimError: it is not.
        """
        if begun is not None and begun != digest:
            raise HetsimError(
                f"{folder}: the topology, a profile or the data changed since the {self.noun} was "
                f"begun\n    Put it back as it was, or {self.noun} again into another --out folder."
            )

    @contextmanager
    def under_way(self, folder: Path, so_far: Callable[[], str]) -> Iterator[None]:
        """Whatever stops it says how to go on.

        Args:
            folder: of the errand.
            so_far: what is kept already, in words.

        Raises:
            Interrupted: the user stopped it.
            Stuck: a file could not be written, or workers died.
        """
        line = f"python -m hetsim {self.noun} --resume {quote(str(folder))}"
        try:
            yield
        except (KeyboardInterrupt, Interrupted) as stop:
            raise Interrupted(f"interrupted: {so_far()}. Go on with: {line}") from stop
        except (OSError, Stuck) as fault:
            what = str(fault)
            if isinstance(fault, OSError):
                what = f"{fault.filename or folder}: {fault.strerror or fault}"
            raise Stuck(f"{what}\n    When that is mended, go on with: {line}") from fault

    def left(self, folder: Path) -> str:
        """What a finished errand leaves in its folder that nobody needs for it, in words."""
        store = folder / STORE
        held = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        further = f"delete it, or name it with --store in a further {self.noun}"
        return f"{store} holds {size(held)} of learned values: {further}." if held else ""

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
