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
from hetsim.learn.meter import measure
from hetsim.learn.published import NAMES, Published
from hetsim.learn.resident import Resident


class Pretraining:
    """Models of any architecture, each pre-trained on all of the source or on some of its classes.

    Args:
        resident: holds the source, if there is one beside published weights.
        training: settings, as `ops.pretrain` takes them.
        published: gives the published weights of a model by its name; they are taken for the models
            that have them, and without a source there are no others. None to pre-train all here.
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
            SpecError: no such classes; or neither published weights nor a source.
        """
        weights = self.weights(architecture)
        if weights is not None:
            if classes:
                raise SpecError(
                    f'the published weights of "{architecture.name}" know all classes',
                    remedy="Leave `published` out of the source: parts are then pre-trained here.",
                )
            return ops.published(weights, self._resident)
        shaped = self.architecture(architecture)
        seed: int = self._training["seed"]
        start = ops.initial(shaped, entropy(seed, "learn/pretraining") % 2**63)
        return ops.pretrain(start, self._shard(classes), **self._training)

    def architecture(self, architecture: Architecture) -> Architecture:
        """This kind of model for the samples and labels that it is trained on."""
        weights = self.weights(architecture)
        if weights is not None:
            return weights.architecture
        source = self._resident.dataset.source
        assert source is not None
        return replace(architecture, shape=source.shape, classes=source.classes)

    def samples(self, count: int, least: int = 1) -> Ref[Any]:
        """The first so many samples of the source, or all.

        Raises:
            SpecError: there are fewer than `least`, or they are not like those of the task.
        """
        task = self._resident.dataset
        source = task.source
        if source is None or source.shape != task.shape or source.classes > task.classes:
            raise SpecError(
                "the source has no samples like those of the task",
                remedy="Let clients judge (`reward: peer`), or set samples of the task's own data "
                "aside: `source: {share: 20 %}`.",
            )
        if len(source.y) < least:
            raise SpecError(
                f"the source has {len(source.y)} samples, and judging takes {least}",
                remedy=f"Give it {least} samples or more, or let clients judge (`reward: peer`).",
            )
        return self._resident.shard(np.arange(min(count, len(source.y))), "source")

    def weights(self, architecture: Architecture) -> Published | None:
        """Published weights of this kind of model; None if it is pre-trained here.

        Raises:
            SpecError: there are none, and nothing to pre-train on; or they are not to be had.
        """
        name, alone = architecture.name, self._resident.dataset.source is None
        if self._published is None or not (alone or name in NAMES):
            return None
        weights = self._published(name)
        known = weights.architecture
        like = replace(architecture, shape=known.shape, classes=known.classes)
        if measure(like).layers == measure(known).layers:
            return weights
        if not alone:
            return None
        raise SpecError(
            f'the published weights of "{name}" are not those of {architecture.text}',
            remedy="Leave the model's options out, or name beside `published` what it is to be "
            "pre-trained on, such as `data: NAME`.",
        )

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
