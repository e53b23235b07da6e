"""A made-up run whose books balance: kinds, roles and device rows add up to the same joules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hetsim.core.trace import Counter, Note, Participation, Span, Trace
from hetsim.federation.critical import Spans, blame, critical_paths, round_columns
from hetsim.federation.fairness import Holdings, device_columns, fairness
from hetsim.federation.links import Links
from hetsim.federation.waste import wasted
from hetsim.federation.whatif import what_if

_PROFILES = (  # name, scope, idle W, compute W, seconds a round
    ("raspberry_pi_4b", "wall", 2.3, 2.6, 11.0),
    ("pixel_6", "battery", 0.35, 3.1, 6.0),
    ("jetson_xavier_nx", "rails", 3.9, 8.2, 2.5),
    ("esp32_s3", "board", 0.09, 0.31, 48.0),
)
_CLASSES = ("sbc", "phone", "jetson", "mcu")
_ALONE = {"download": 0.7, "train": 0.95, "upload": 0.8}
"""Share of each kind of segment that is its own time."""
_RADIO_IDLE = 0.08


@dataclass
class _Books:
    """What one node drew and did."""

    role: str
    profile: str
    scope: str
    idle: float
    compute: float = 0.0
    memory: float = 0.0
    radio: float = 0.0
    participant: float = 0.0
    busy: float = 0.0
    up: float = 0.0
    down: float = 0.0
    done: int = 0
    late: int = 0
    dead: int = 0
    excluded: str = ""


def build(
    devices: int = 12,
    rounds: int = 5,
    *,
    learned: bool = True,
    counters: bool = True,
    name: str = "iot_mix",
    finish: bool = True,
    rename: Callable[[str], str] = str,
) -> Trace:
    """A run of FedAvg on devices of four profiles in turn; the last device lacks memory.

    Args:
        learned: whether there are accuracies.
        finish: whether any device ever delivers.
        rename: applied to every device name and profile name.
    """
    trace = Trace()
    books = {"server": _Books("server", rename("edge_server"), "wall", 28.0)}
    for i in range(devices):
        profile, scope, idle, *_ = _PROFILES[i % len(_PROFILES)]
        books[rename(f"{profile}-{i // len(_PROFILES)}")] = _Books(
            "device", rename(profile), scope, idle
        )
    names = list(books)[1:]
    if devices > 2:
        lacking = books[names[-1]]
        lacking.excluded = "training needs 14.2 MB of memory and 8.0 MB are free"
        trace.notes.append(Note(0.0, names[-1], "memory", lacking.excluded))
    now, serial, begun = 0.0, 0, -1
    for r in range(rounds):
        start, end, delivered, dropped, slowest = now, now + 4.0, 0, 0, begun
        joules = 0.0
        up = down = 0.0
        for i, device in enumerate(names):
            mine = books[device]
            if mine.excluded or mine.dead:
                continue
            *_, watts, seconds = _PROFILES[i % len(_PROFILES)]
            seconds *= 1.0 + 0.13 * ((i * 7 + r * 3) % 5)
            late = not finish or (i % 4 == 3 and r % 3 == 2)
            dead = not late and finish and i == 5 and r == min(3, rounds - 1)
            wait, send = 0.4 + 0.05 * (i % 3), 1.1 + 0.1 * (i % 4)
            stop = start + wait + seconds * (0.5 if dead else 1.0)
            work = watts * (stop - start - wait)
            outcome = "battery" if dead else "done"
            steps = [
                (start, start + wait, "download", 1.0, 2.4e5, "done"),
                (start + wait, stop, "train", work, 0.0, outcome),
            ]
            if not dead:
                ending = stop + send * (0.4 if late else 1.0)
                steps.append(
                    (stop, ending, "upload", 2.2 * (ending - stop), 2.4e5,
                     "deadline" if late else "done")
                )  # fmt: skip
            after = begun
            for t0, t1, kind, energy, size, how in steps:
                peer = "server" if size else ""
                trace.spans.append(
                    Span(t0, t1, device, kind, energy, size, f"{r:04x}{i:04x}", serial, peer, r,
                         how, 1.0 if how == "done" else 0.45, after, _ALONE[kind] * (t1 - t0))
                )  # fmt: skip
                after, serial = serial, serial + 1
                mine.busy += t1 - t0
                if kind == "train":
                    mine.compute += 0.9 * energy
                    mine.memory += 0.1 * energy
                else:
                    mine.radio += energy
                joules += energy
            mine.participant += sum(s[3] for s in steps) + mine.idle * (steps[-1][1] - start)
            mine.down += 2.4e5
            down += 2.4e5
            if late:
                mine.late += 1
                dropped += 1
            elif dead:
                mine.dead += 1
                dropped += 1
                trace.notes.append(Note(stop, device, "battery", "empty while training"))
            else:
                mine.done += 1
                mine.up += 2.4e5
                up += 2.4e5
                delivered += 1
            cause = "battery" if dead else "deadline" if late else ""
            trace.participations.append(
                Participation(
                    device=device, hub="server", round=r, t0=start, t1=steps[-1][1],
                    outcome=cause or "done", used=-1 if cause else r, waste=cause, last=after,
                    energy=sum(s[3] for s in steps) + mine.idle * (steps[-1][1] - start),
                )
            )  # fmt: skip
            if steps[-1][1] > end:
                end, slowest = steps[-1][1], after
            if counters:
                trace.counters += [
                    Counter(start, device, "power_w", mine.idle + 1.0 / wait),
                    Counter(start + wait, device, "power_w", mine.idle + watts),
                    Counter(start + wait, device, "frequency_hz.cpu", 1.5e9),
                    Counter(start + wait, device, "temperature_c", 31.0 + r + 0.5 * i),
                    Counter(stop, device, "power_w", mine.idle),
                    Counter(stop, device, "frequency_hz.cpu", 6.0e8),
                ]
        trace.spans.append(
            Span(end, end + 0.6, "server", "mean", 21.0, 0.0, f"{r:04x}mean", serial, "", r,
                 after=slowest, alone=0.6)
        )  # fmt: skip
        begun, serial = serial, serial + 1
        books["server"].compute += 21.0
        books["server"].busy += 0.6
        now = end + 0.6
        base = sum(b.idle + (_RADIO_IDLE if b.role == "device" else 0.0) for b in books.values())
        seen = learned and (r % 2 == 0 or r == rounds - 1)
        accuracy = 0.95 - 0.8 * 0.82 ** (r * 30.0 / max(rounds, 30) * 2) if seen else None
        trace.rounds.append(
            {
                "round": r, "t0_s": start, "t1_s": now, "model_version": f"{r:08x}",
                "accuracy": accuracy, "loss": None if accuracy is None else 2.4 * (1 - accuracy),
                "participants": delivered + dropped, "dropped": dropped,
                "energy_j": joules + 21.0 + base * (now - start), "bytes_up": up,
                "bytes_down": down, "last": begun,
            }
        )  # fmt: skip
    trace.spans.sort(key=lambda s: (s.t1, s.serial))
    trace.counters.sort(key=lambda c: c.t)
    trace.devices = [_row(node, b, now) for node, b in books.items()]
    device_columns(trace, _holdings(names, learned))
    trace.summary = _summary(trace, name, now, learned)
    _analyse(trace)
    trace.spec = {
        "name": name, "seed": 0,
        "fleet": [{"profile": rename(p[0]), "count": devices // 4} for p in _PROFILES],
        "network": "wifi", "server": {"profile": rename("edge_server")},
        "task": {"data": "digits", "model": "small_cnn", "partition": {"name": "dirichlet"}},
        "method": {"name": "fedavg", "epochs": 2, "lr": 0.1},
        "pace": {"name": "sync", "deadline": "2 min"},
        "report": {"evaluate_every": 2, "targets": [0.8, 0.99]},
    }  # fmt: skip
    trace.provenance = {
        "hetsim": "0.1.0", "python": "3.11", "torch": "2.13.0", "seed": 0,
        "profiles": {rename(p[0]): "9f2c" * 16 for p in _PROFILES},
        "data": {"digits": "77ab" * 16},
    }  # fmt: skip
    return trace


def _holdings(names: list[str], learned: bool) -> Holdings:
    """Three labels, the last of which every eighth device alone holds."""
    return Holdings(
        classes={name: _CLASSES[i % 4] for i, name in enumerate(names)},
        labels={name: (40 + i, 30, 25 * (i % 8 == 3)) for i, name in enumerate(names)},
        accuracy=(0.9, 0.8, 0.35) if learned else (),
    )


def _analyse(trace: Trace) -> None:
    """What a real run's trace is told by its end."""
    spans = Spans(trace)
    trace.critical = critical_paths(trace, spans)
    round_columns(trace)
    trace.summary |= {
        "blame": blame(trace),
        "what_if": what_if(trace, spans, Links()),
        "wasted": wasted(trace, spans),
        "fairness": fairness(trace),
    }
    for row in trace.rounds:
        del row["last"]


def _row(node: str, books: _Books, until: float) -> dict[str, Any]:
    idle = books.idle * until
    radio_idle = _RADIO_IDLE * until if books.role == "device" else 0.0
    active = books.compute + books.memory + books.radio
    return {
        "device": node, "role": books.role, "profile": books.profile,
        "power_scope": books.scope, "rounds_done": books.done, "dropped_battery": books.dead,
        "dropped_memory": int(bool(books.excluded)), "dropped_deadline": books.late,
        "dropped_churn": 0, "dropped_surplus": 0,
        "energy_j": active + idle + radio_idle, "active_j": active,
        "participant_j": books.participant or active + idle, "compute_j": books.compute,
        "memory_j": books.memory, "radio_j": books.radio, "link_j": 0.0, "idle_j": idle,
        "radio_idle_j": radio_idle, "loss_j": 0.0, "busy_s": books.busy,
        "battery_end_wh": (0.0 if books.dead else 11.2) if books.scope == "battery" else None,
        "charged_j": 0.0, "supplied_j": 0.0,
        "temperature_max_c": 47.25 if books.scope == "rails" else None,
        "throttled_s": 3.5 if books.scope == "rails" else None,
        "peak_memory_b": 1.42e7, "bytes_up": books.up, "bytes_down": books.down,
        "excluded": books.excluded,
    }  # fmt: skip


def _summary(trace: Trace, name: str, until: float, learned: bool) -> dict[str, Any]:
    def total(key: str, role: str = "") -> float:
        return sum(row[key] for row in trace.devices if role in ("", row["role"]))

    measured = [row for row in trace.rounds if row["accuracy"] is not None]
    reached = next((i for i, row in enumerate(trace.rounds) if (row["accuracy"] or 0) >= 0.8), None)
    return {
        "name": name, "method": "fedavg", "seed": 0, "spec_hash": "5ec0" * 16,
        "rounds": len(trace.rounds), "simulated_s": until,
        "energy_j": {
            "total": total("energy_j"), "compute": total("compute_j"),
            "memory": total("memory_j"), "radio": total("radio_j"),
            "idle": total("idle_j"), "radio_idle": total("radio_idle_j"),
        },
        "energy_by_role_j": {
            role: total("energy_j", role) for role in ("device", "gateway", "server", "link")
        },
        "active_j": total("active_j"), "participant_j": total("participant_j"),
        "bytes_up": total("bytes_up"), "bytes_down": total("bytes_down"),
        "accuracy": measured[-1]["accuracy"] if measured else None,
        "best_accuracy": max((row["accuracy"] for row in measured), default=None),
        "loss": measured[-1]["loss"] if measured else None,
        "time_to": {
            "0.8": None if reached is None else trace.rounds[reached]["t1_s"], "0.99": None,
        },
        "energy_to": {
            "0.8": None
            if reached is None
            else sum(row["energy_j"] for row in trace.rounds[: reached + 1]),
            "0.99": None,
        },
        "dropouts": {
            cause: int(total(f"dropped_{cause}"))
            for cause in ("battery", "memory", "deadline", "churn", "surplus")
        },
        "devices": sum(row["role"] == "device" for row in trace.devices),
        "device_rounds": int(total("rounds_done")), "trace_hash": trace.hash(),
        "model_hash": "ab12" * 16 if learned else None,
    }  # fmt: skip
