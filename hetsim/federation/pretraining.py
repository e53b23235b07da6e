"""Parts that are trained before a run begins, on samples that its task never sees.

Pre-training happens outside the simulated world: it takes no simulated time, and no node is charged
a joule for it. What its values depend on is the source, the architecture, the settings and a seed
of its own; so runs that differ in anything else, their seed included, share them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.published import Published
from hetsim.learn.resident import Resident


class Pretraining:
    """Models of any architecture, each pre-trained on all of the source or on some of its classes.

    Args:
        resident: holds the source.
        training: settings, as `ops.pretrain` takes them.
        published: gives the published weights of a model by its name; None to pre-train here.
    """

    def __init__(
        self,
        resident: Resident,
        training: Mapping[str, Any],
        published: Callable[[str], Published] | None = None,
    ) -> None:
        self._resident, self._training, self._published = resident, dict(training), published

    def model(self, architecture: Architecture, classes: Sequence[int] = ()) -> Ref[Any]:
        """A model of this kind that knows the source.

        Args:
            architecture: the kind; samples and labels are the source's.
            classes: labels of the source that it is trained on; by default all.

        Raises:
            SpecError: no such classes, or no published weights.
        """
        if self._published is not None:
            return self._read(architecture, classes, self._published)
        shaped = self.architecture(architecture)
        seed: int = self._training["seed"]
        start = ops.initial(shaped, entropy(seed, "learn/pretraining") % 2**63)
        return ops.pretrain(start, self._shard(classes), **self._training)

    def architecture(self, architecture: Architecture) -> Architecture:
        """This kind of model for the samples and labels of the source."""
        if self._published is not None:
            return self._published(architecture.name).architecture
        source = self._resident.dataset.source
        assert source is not None
        return replace(architecture, shape=source.shape, classes=source.classes)

    def _read(
        self,
        architecture: Architecture,
        classes: Sequence[int],
        published: Callable[[str], Published],
    ) -> Ref[Any]:
        if classes:
            raise SpecError(
                "published weights know all classes",
                remedy="Leave `published` out of the source: parts are then pre-trained here.",
            )
        return ops.published(published(architecture.name), self._resident)

    def _shard(self, classes: Sequence[int]) -> Ref[Any]:
        if not classes:
            return self._resident.whole("source")
        _, labels = self._resident.dataset.split("source")
        rows = np.flatnonzero(np.isin(labels, np.array(classes)))
        missing = sorted(set(classes) - set(labels[rows].tolist()))
        if missing:
            given = ", ".join(map(str, missing))
            raise SpecError(
                f"the source has no samples of classes {given}",
                remedy=f"Its classes are {', '.join(map(str, np.unique(labels).tolist()))}.",
            )
        return self._resident.shard(rows, "source")
