"""Plug-ins by file name: `method: ecofed` is the class `EcoFed` in `hetsim/methods/ecofed.py`.

Names come from listing a package's modules; a module is imported only when its plug-in is asked
for. Third parties add plug-ins through the entry-point group of the kind; hetsim's own names win.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hetsim.core.errors import HetsimError, UnknownName


@dataclass(frozen=True)
class Registry:
    """All plug-ins of one kind.

    Attributes:
        kind: the word users know it by ("method").
        package: where its modules live ("hetsim.methods").
        group: entry-point group of third parties ("hetsim.methods").
    """

    kind: str
    package: str
    group: str

    @cached_property
    def _modules(self) -> tuple[str, ...]:
        path = importlib.import_module(self.package).__path__
        names = (module.name for module in pkgutil.iter_modules(path))
        return tuple(sorted(name for name in names if not name.startswith("_") and name != "base"))

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def names(self) -> list[str]:
        """Every known name, sorted; imports no plug-in."""
        return sorted({*self._modules, *self._foreign})

    def load(self, name: str, *, where: str = "", key: str = "") -> Any:
        """The plug-in called `name`: a class or a factory function.

        Raises:
            UnknownName: no plug-in has this name.
            HetsimError: the module defines no class or function of that name.
        """
        if name in self._modules:
            module = importlib.import_module(f"{self.package}.{name}")
            wanted = name.replace("_", "")
            for attribute, value in vars(module).items():
                if attribute.startswith("_") or attribute.lower().replace("_", "") != wanted:
                    continue
                if callable(value) and value.__module__ == module.__name__:
                    return value
            raise HetsimError(f"{module.__name__} defines nothing called like {name!r}")
        if name in self._foreign:
            return self._foreign[name].load()
        raise UnknownName(self.kind, name, self.names(), where=where, key=key)


METHODS = Registry("method", "hetsim.methods", "hetsim.methods")
MODELS = Registry("model", "hetsim.learn.models", "hetsim.models")
DATA = Registry("data set", "hetsim.learn.data", "hetsim.data")
PARTITIONS = Registry("partition", "hetsim.learn.partitions", "hetsim.partitions")
EXECUTORS = Registry("executor", "hetsim.learn.executors", "hetsim.executors")
GOVERNORS = Registry("governor", "hetsim.sim.governors", "hetsim.governors")
NETWORKS = Registry("network technology", "hetsim.sim.network", "hetsim.networks")
BANDWIDTHS = Registry("bandwidth trace", "hetsim.sim.bandwidth", "hetsim.bandwidths")
SELECTIONS = Registry("selection policy", "hetsim.federation.selection", "hetsim.selections")
PACES = Registry("pace", "hetsim.federation.pace", "hetsim.paces")
AVAILABILITIES = Registry(
    "availability pattern", "hetsim.sim.availability", "hetsim.availabilities"
)
REPORTS = Registry("report", "hetsim.report.published", "hetsim.reports")
COMPARISONS = Registry("comparison", "hetsim.study.comparisons", "hetsim.comparisons")
