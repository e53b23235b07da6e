"""hetsim: discrete-event simulation of federated learning over heterogeneous hardware.

The public names are imported when they are first used, so that `import hetsim` costs nothing and
`python -m hetsim --help` never waits for PyTorch:

    import hetsim as hs

    run = hs.run("iot_mix")
    run.rounds, run.energy(by="role"), run.plot_timeline()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hetsim.core.cost import Cost
    from hetsim.core.errors import Dropped, HetsimError, NeedsLearning, SpecError, UnknownName
    from hetsim.core.ref import Ref
    from hetsim.core.trace import Span, Trace
    from hetsim.learn import ops
    from hetsim.sim.requests import Compute, Gather, Observe, Sleep, Stream, Transfer
    from hetsim.spec.schema import load_topology as load
    from hetsim.study.notebook import plan, sweep
    from hetsim.study.simulate import read, run

__version__ = "0.1.0"

__all__ = [
    "Compute",
    "Cost",
    "Dropped",
    "Gather",
    "HetsimError",
    "NeedsLearning",
    "Observe",
    "Ref",
    "Sleep",
    "Span",
    "SpecError",
    "Stream",
    "Trace",
    "Transfer",
    "UnknownName",
    "__version__",
    "load",
    "ops",
    "plan",
    "read",
    "run",
    "sweep",
]

_HOMES = {
    "Compute": "hetsim.sim.requests:Compute",
    "Cost": "hetsim.core.cost:Cost",
    "Dropped": "hetsim.core.errors:Dropped",
    "Gather": "hetsim.sim.requests:Gather",
    "HetsimError": "hetsim.core.errors:HetsimError",
    "NeedsLearning": "hetsim.core.errors:NeedsLearning",
    "Observe": "hetsim.sim.requests:Observe",
    "Ref": "hetsim.core.ref:Ref",
    "Sleep": "hetsim.sim.requests:Sleep",
    "Span": "hetsim.core.trace:Span",
    "SpecError": "hetsim.core.errors:SpecError",
    "Stream": "hetsim.sim.requests:Stream",
    "Trace": "hetsim.core.trace:Trace",
    "Transfer": "hetsim.sim.requests:Transfer",
    "UnknownName": "hetsim.core.errors:UnknownName",
    "load": "hetsim.spec.schema:load_topology",
    "ops": "hetsim.learn.ops",
    "plan": "hetsim.study.notebook:plan",
    "read": "hetsim.study.simulate:read",
    "run": "hetsim.study.simulate:run",
    "sweep": "hetsim.study.notebook:sweep",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home (PEP 562) and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hetsim' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = importlib.import_module(module)
    if attribute:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
