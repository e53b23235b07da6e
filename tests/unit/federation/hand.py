"""Traces written by hand, one segment after the other."""

from __future__ import annotations

from typing import Any

from hetsim.core.trace import Participation, Span, Trace
from hetsim.federation.critical import Spans, critical_paths


class Hand:
    """A trace of a server, its gateways and its devices; whose name starts with "gate" is one."""

    def __init__(self, *nodes: str) -> None:
        self.trace = Trace(
            devices=[{"device": name, "role": _role(name)} for name in ("server", *nodes)]
        )

    def act(
        self, actor: str, t0: float, t1: float, after: int = -1, *, kind: str = "train", **more: Any
    ) -> int:
        """A segment; returns its serial. By default it took what it would have by itself."""
        serial = len(self.trace.spans)
        size = 1.0 if kind in ("upload", "download") else 0.0
        peer = more.pop("peer", "server" if size else "")
        written = {"energy": 0.0, "size": size, "key": "", "round": 0, "alone": t1 - t0, **more}
        self.trace.spans.append(
            Span(t0=t0, t1=t1, actor=actor, kind=kind, serial=serial, after=after, peer=peer,
                 **written)
        )  # fmt: skip
        return serial

    def part(self, device: str, *, last: int, round: int = 0, **more: Any) -> Participation:
        """A participation that ends with segment `last`; it is used in its own round."""
        end = self.trace.spans[last].t1
        written = {"hub": "server", "t0": 0.0, "t1": end, "outcome": "done", "used": round, **more}
        self.trace.participations.append(
            Participation(device=device, round=round, last=last, **written)
        )
        return self.trace.participations[-1]

    def turn(
        self, device: str, *times: float, after: int = -1, alone: float | None = None, **more: Any
    ) -> int:
        """Download, train and upload between four instants, and the participation.

        Args:
            device: who.
            times: when the download begins, and when the three end.
            after: what let it begin.
            alone: what the upload takes by itself.
            more: of the participation.
        """
        t0, t1, t2, t3 = times
        hub, round = more.get("hub", "server"), more.get("round", 0)
        last = self.act(device, t0, t1, after, kind="download", peer=hub, round=round)
        last = self.act(device, t1, t2, last, round=round)
        own = t3 - t2 if alone is None else alone
        last = self.act(
            device, t2, t3, last, kind="upload", peer=hub, round=round, alone=own,
            outcome=more.get("outcome", "done"),
        )  # fmt: skip
        self.part(device, last=last, **{"t0": t0, **more})
        return last

    def close(self, t0: float, t1: float, last: int) -> None:
        """A round, closed by the end of segment `last`."""
        rounds = self.trace.rounds
        rounds.append({"round": len(rounds), "t0_s": t0, "t1_s": t1, "last": last})
        self.trace.summary["simulated_s"] = t1

    def spans(self) -> Spans:
        """The analysis, with the critical paths in the trace."""
        spans = Spans(self.trace)
        self.trace.critical = critical_paths(self.trace, spans)
        return spans


def _role(name: str) -> str:
    return "server" if name == "server" else "gateway" if name.startswith("gate") else "device"
