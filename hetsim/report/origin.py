"""What was run, from which versions and hashes, and what its numbers rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hetsim.core.trace import Trace
from hetsim.report.base import Section, text

_ASSUMED = (
    "Times and joules are computed from device profiles and link rates; none of them was measured "
    "in this run. <code>hetsim explain device NAME</code> shows where each number of a profile "
    "comes from and which are assumed.",
    "Work takes a fixed time at a fixed clock: operating-system noise, background load and "
    "differences between two units of one model are not modelled.",
    "Links and radio cells are shared as fluids: flows get rates; packets are not simulated one "
    "by one.",
    "Within a segment of work the power is constant; shorter peaks are averaged.",
    "Training is real where an accuracy is shown (but for that of a surrogate, which says so): "
    "the same updates that a device would compute "
    "are computed on the host, and how long the host takes has no effect on any number here.",
)


def section(trace: Trace) -> Section:
    """The section "What was run"."""
    import yaml

    names = ("method", "seed", "spec_hash", "trace_hash", "model_hash")
    facts = {name: trace.summary[name] for name in names if trace.summary[name] is not None}
    spec = yaml.safe_dump(trace.spec, sort_keys=False, allow_unicode=True, width=88)
    assumed = "".join(f"<li>{item}</li>" for item in _ASSUMED)
    folded = ""
    for name, value in trace.provenance.items():
        if isinstance(value, dict):
            folded += f"<details><summary>{text(_plain(name))}</summary>{_list(value)}</details>"
        else:
            facts.setdefault(name, value)
    return Section(
        name="run",
        title="What was run",
        lead="The resolved specification, and all that is needed to run it again. Equal hashes "
        "mean an equal specification, an equal course of events and an equal model.",
        body=f"{_list(facts)}{folded}"
        f"<h3>Specification</h3><pre tabindex='0'>{text(spec)}</pre>"
        f'<h3>What the numbers rest on</h3><ul class="plain">{assumed}</ul>',
    )


def _list(items: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<dt>{text(_plain(name))}</dt><dd class="mono">{text(value)}</dd>'
        for name, value in _flat(items)
    )
    return f"<dl>{rows}</dl>"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings and lists with their paths."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name} {key}".strip())
    elif isinstance(value, list | tuple):
        yield name, ", ".join(str(item) for item in value)
    else:
        yield name, value
