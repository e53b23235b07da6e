"""A run's tables as pandas frames, and its joules added up in one way or another.

Frames have the columns of the Parquet files of the run folder, which carry their unit; an empty
number is NaN, an empty text "".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Joules
from hetsim.core.table import column
from hetsim.core.trace import BASE_KINDS, Trace
from hetsim.report import tables
from hetsim.report.kinds import KINDS

if TYPE_CHECKING:
    import pandas as pd

By = Literal["kind", "role", "profile", "device"]
"""What joules can be added up by."""
Account = Literal["total", "active", "participant"]
"""Which joules: all of them; those above base power; those of who took part, while it did."""
_ACCOUNTS = {"total": "energy_j", "active": "active_j", "participant": "participant_j"}
_NUMBERS = {"int64": "int64", "float64": "float64", "string": "str"}


def rounds(trace: Trace) -> pd.DataFrame:
    """One row a round or server step; columns of `rounds.parquet`."""
    return _of_rows(tables.ROUNDS, trace.rounds)


def devices(trace: Trace) -> pd.DataFrame:
    """One row a node that draws power, by its name; columns of `devices.parquet`."""
    rows = trace.devices
    values = [column(rows, name) for name in tables.DEVICES]
    return _frame(tables.DEVICES, values).set_index("device")


def spans(trace: Trace) -> pd.DataFrame:
    """One row a segment of work, in order of their ends; columns of `spans.parquet`."""
    return _of_tuples(tables.SPANS, trace.spans)


def critical(trace: Trace) -> pd.DataFrame:
    """One row a segment of a round's critical path; columns of `critical.parquet`."""
    return _of_rows(tables.CRITICAL, trace.critical)


def notes(trace: Trace) -> pd.DataFrame:
    """One row an exclusion, a death, a refusal; columns of `notes.parquet`."""
    return _of_tuples(tables.NOTES, trace.notes)


def energy(trace: Trace, by: By = "kind", account: Account = "total") -> pd.Series:
    """Joules of a run added up, the largest part first; the parts add up to the account.

    Args:
        trace: the run.
        by: the kind of work, the role, profile or name of the node.
        account: "total", all nodes from start to end; "active", what is above base power, a
            battery's losses spread over the kinds in proportion (as in `active_j`);
            "participant", drawn by selected devices from their selection to their last needed
            act, and by all other nodes.

    Raises:
        SpecError: no such way of adding up, or one that the trace does not hold.
    """
    import pandas as pd

    _one_of(by, get_args(By), "by")
    _one_of(account, get_args(Account), "account")
    if by == "kind" and account == "participant":
        raise SpecError(
            "participant joules are not kept by kind",
            where="energy",
            remedy='Ask for account="total" or "active", or add up by "role", "profile", "device".',
        )
    parts: dict[str, Joules] = {}
    for row in trace.devices:
        shares = _kinds(row, account) if by == "kind" else {row[by]: row[_ACCOUNTS[account]]}
        for name, joules in shares.items():
            parts[name] = parts.get(name, 0.0) + joules
    ranked = sorted(parts.items(), key=lambda part: -part[1])
    index = pd.Index([name for name, _ in ranked], dtype="str", name=by)
    return pd.Series([joules for _, joules in ranked], index, "float64", _ACCOUNTS[account])


def _kinds(row: Mapping[str, Any], account: Account) -> dict[str, Joules]:
    """Joules of a node by kind."""
    kinds = {kind: row[f"{kind}_j"] for kind in KINDS}
    if account == "total":
        return kinds
    above = {kind: j for kind, j in kinds.items() if kind not in (*BASE_KINDS, "loss")}
    drawn = sum(above.values())
    return {kind: j * row["active_j"] / drawn if drawn else 0.0 for kind, j in above.items()}


def _one_of(value: str, known: tuple[str, ...], what: str) -> None:
    if value not in known:
        names = ", ".join(f'"{name}"' for name in known)
        raise SpecError(f"no {what} {value!r}", where="energy", remedy=f"There are {names}.")


def _of_rows(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    rows = list(rows)
    return _frame(columns, [[row[name] for row in rows] for name in columns])


def _of_tuples(columns: Mapping[str, str], rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    return _frame(columns, list(zip(*rows, strict=True)) or [()] * len(columns))


def _frame(columns: Mapping[str, str], values: Iterable[Iterable[Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            name: pd.Series(list(column), dtype=_NUMBERS[kind.rstrip("?")])
            for (name, kind), column in zip(columns.items(), values, strict=True)
        }
    )
