"""The run folder: everything a run leaves behind but the spec and the host's own file.

Each file is written beside its place and renamed; `summary.json` comes last, so that its presence
means a complete folder. Nothing here depends on the host or the hour: equal traces give equal
bytes. `read` restores the trace.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from hetsim.core.errors import HetsimError
from hetsim.core.files import flush_names, placed
from hetsim.core.trace import Counter, Note, Participation, Span, Trace
from hetsim.report import perfetto, tables

_ASKED = [field.name for field in fields(Participation)]


def write(trace: Trace, folder: Path, *, page: bool = True) -> None:
    """Write the results of a finished run into `folder`, which exists.

    `spec.yaml` and `host.json` are the caller's. Results of an earlier run are replaced, and a
    page that would no longer belong to them is removed.

    Args:
        trace: the run.
        folder: where to; nothing else in it is touched.
        page: whether to write `report.html`.
    """
    unwanted = {"report.html": page, "views.parquet": trace.views}
    for stale in ("summary.json", *(name for name, wanted in unwanted.items() if not wanted)):
        (folder / stale).unlink(missing_ok=True)
    with placed(folder / "rounds.parquet") as file:
        tables.write_rows(file, tables.ROUNDS, trace.rounds, "rounds.parquet")
    with placed(folder / "devices.parquet") as file:
        tables.write_rows(file, tables.DEVICES, trace.devices, "devices.parquet")
    with placed(folder / "spans.parquet") as file:
        tables.write_tuples(file, tables.SPANS, trace.spans)
    with placed(folder / "participations.parquet") as file:
        tables.write_tuples(file, tables.PARTICIPATIONS, trace.participations)
    with placed(folder / "critical.parquet") as file:
        tables.write_rows(file, tables.CRITICAL, trace.critical, "critical.parquet")
    if trace.views:
        with placed(folder / "views.parquet") as file:
            tables.write_rows(file, tables.VIEWS, trace.views, "views.parquet")
    with placed(folder / "counters.parquet") as file:
        tables.write_tuples(file, tables.COUNTERS, trace.counters)
    with placed(folder / "notes.parquet") as file:
        tables.write_tuples(file, tables.NOTES, trace.notes)
    with placed(folder / "trace.json.gz") as file:
        perfetto.write(file, trace)
    with placed(folder / "provenance.json") as file:
        file.write(_json(trace.provenance))
    if page:
        from hetsim.report.page import render

        with placed(folder / "report.html") as file:
            file.write(render(trace).encode())
    flush_names(folder)
    with placed(folder / "summary.json") as file:
        file.write(_json(trace.summary))
    flush_names(folder)


def read(folder: Path) -> Trace:
    """The trace of a complete run folder.

    Raises:
        HetsimError: the folder is unfinished or a file of it is damaged.
    """
    import yaml

    if not (folder / "summary.json").is_file():
        raise HetsimError(
            f"{folder}: not a finished run (it has no summary.json).\n"
            f"    Finish it with: python -m hetsim run --resume {folder}"
        )
    try:
        spec = yaml.safe_load((folder / "spec.yaml").read_text(encoding="utf-8"))
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise HetsimError(f"{folder}: damaged run folder ({error})") from None
    views = folder / "views.parquet"
    return Trace(
        spans=[Span(*row) for row in _tuples(folder / "spans.parquet", tables.SPANS)],
        counters=[Counter(*row) for row in _tuples(folder / "counters.parquet", tables.COUNTERS)],
        notes=[Note(*row) for row in _tuples(folder / "notes.parquet", tables.NOTES)],
        rounds=tables.read_rows(folder / "rounds.parquet", tables.ROUNDS),
        devices=tables.read_many(folder / "devices.parquet", tables.DEVICES),
        summary=summary,
        spec=spec,
        provenance=provenance,
        participations=[
            Participation(**dict(zip(_ASKED, row, strict=True)))
            for row in _tuples(folder / "participations.parquet", tables.PARTICIPATIONS)
        ],
        critical=tables.read_rows(folder / "critical.parquet", tables.CRITICAL),
        views=tables.read_rows(views, tables.VIEWS) if views.is_file() else [],
    )


def _tuples(path: Path, columns: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    return zip(*tables.read_columns(path, columns), strict=True)


def _json(value: Any) -> bytes:
    """JSON text; what is not a number (the loss of a diverged model) becomes null."""
    return (json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
