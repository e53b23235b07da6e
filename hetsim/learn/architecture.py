"""What a model is before it has weights: a plug-in's name, its options, sample shape, classes.

A model is a chain of blocks (`hetsim.learn.models._chain`), so an architecture may also be a part
of one: its blocks [first, last). A part has the parameter names of the whole and, built from the
same state of torch's generator, its weights. The first part takes samples and the last one gives
logits; what passes between parts are activations, whose shape a dry run tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hetsim.core.errors import SpecError
from hetsim.core.registry import MODELS
from hetsim.learn import plugin
from hetsim.learn.plugin import Options

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Architecture:
    """A model family member, or a part of one, fixed up to its weights.

    Attributes:
        name: a model plug-in ("small_cnn").
        options: the plug-in's keyword arguments, sorted by name.
        shape: of one sample of the whole model, channels first ((1, 8, 8)).
        classes: number of labels.
        part: its blocks from the first up to, not including, the last; None for the whole model.
    """

    name: str
    options: Options
    shape: tuple[int, ...]
    classes: int
    part: tuple[int, int] | None = None

    @classmethod
    def of(
        cls, name: str, shape: tuple[int, ...], classes: int, options: Mapping[str, Any] = {}
    ) -> Architecture:
        """The architecture of a plug-in with options as a user writes them."""
        return cls(name, plugin.options(options), tuple(shape), classes)

    def build(self) -> nn.Module:
        """A fresh module; its weights come from torch's global generator, those of a part as well.

        Raises:
            SpecError: unknown name or option, or a sample too small for the model.
        """
        try:
            module = plugin.make(MODELS, self.name, self.options, self.shape, self.classes)
        except (ValueError, TypeError) as fault:
            raise SpecError(
                f'model "{self.name}" cannot be built: {fault}', remedy="Change its options."
            ) from fault
        if self.part is None:
            return module
        from hetsim.learn.models._chain import part_of

        return part_of(module, *self.part)

    @property
    def whole(self) -> Architecture:
        """The model that this is a part of."""
        return replace(self, part=None)

    @property
    def span(self) -> tuple[int, int]:
        """Its blocks, [first, last), among those of the whole model."""
        return self.part or (0, len(_passed(self.whole)) - 1)

    @property
    def blocks(self) -> int:
        """How many blocks it has: it can be cut after each of them but the last."""
        first, last = self.span
        return last - first

    @property
    def takes(self) -> tuple[int, ...]:
        """Shape of what it takes for one sample: that of a sample, or of activations."""
        return _passed(self.whole)[self.part[0]] if self.part else self.shape

    @property
    def gives(self) -> tuple[int, ...]:
        """Shape of what it gives for one sample: a logit for each class, or activations."""
        return _passed(self.whole)[self.part[1]] if self.part else (self.classes,)

    @property
    def decides(self) -> bool:
        """Whether it gives logits: it is the whole model or the last part of one."""
        return self.part is None or self.part[1] == len(_passed(self.whole)) - 1

    def cut(self, at: int) -> tuple[Architecture, Architecture]:
        """The part of its first `at` blocks and that of the others.

        Raises:
            SpecError: it cannot be cut there.
        """
        first, last = self.span
        if not 0 < at < last - first:
            raise SpecError(
                f'model "{self.name}" cannot be cut after block {at}',
                remedy=f"It can be cut after blocks 1 to {self.blocks - 1}." if self.blocks > 1
                else "It is one block: choose a model with more, such as mlp or small_cnn.",
            )  # fmt: skip
        middle = first + at
        return replace(self, part=(first, middle)), replace(self, part=(middle, last))

    def joined(self, other: Architecture) -> Architecture:
        """What this part and the one after it are together.

        Raises:
            ValueError: the other one does not begin where this one ends.
        """
        if self.whole != other.whole or self.span[1] != other.span[0]:
            raise ValueError(f"{other.text} does not follow {self.text}")
        span = (self.span[0], other.span[1])
        return replace(self, part=None if span == self.whole.span else span)

    @property
    def text(self) -> str:
        """Canonical text: equal architectures have equal texts. `parse` reads it back.

        >>> Architecture("mlp", (("hidden", (64,)),), (1, 8, 8), 10).text
        '["mlp",{"hidden":[64]},[1,8,8],10]'
        >>> Architecture("mlp", (("hidden", (64,)),), (1, 8, 8), 10, (0, 1)).text
        '["mlp",{"hidden":[64]},[1,8,8],10,[0,1]]'
        """
        return _text(self)

    @staticmethod
    def parse(text: str) -> Architecture:
        """The architecture that a canonical text names."""
        return _parse(text)


@lru_cache
def _text(architecture: Architecture) -> str:
    fields = [
        architecture.name, dict(architecture.options), architecture.shape, architecture.classes
    ]  # fmt: skip
    if architecture.part is not None:
        fields.append(architecture.part)
    return json.dumps(fields, separators=(",", ":"))


@lru_cache
def _parse(text: str) -> Architecture:
    name, options, shape, classes, *part = json.loads(text)
    whole = Architecture.of(name, tuple(shape), classes, options)
    return replace(whole, part=tuple(part[0])) if part else whole


@lru_cache(maxsize=256)
def _passed(whole: Architecture) -> tuple[tuple[int, ...], ...]:
    """Shape, for one sample, of what each block takes, and last of what the last one gives."""
    import torch

    from hetsim.learn.models._chain import passed
    from hetsim.learn.numerics import chance

    with chance(0):
        module = whole.build().eval()
    x = torch.zeros(2, *whole.shape)
    try:
        with torch.no_grad():
            return tuple(tuple(given.shape[1:]) for given in passed(module, x))
    except RuntimeError as fault:
        raise SpecError(
            f'model "{whole.name}" cannot take samples of shape {whole.shape}: {fault}'
        ) from fault
