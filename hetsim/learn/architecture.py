"""What a model is before it has weights: a plug-in's name, its options, sample shape, classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
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
    """A model family member, fixed up to its weights.

    Attributes:
        name: a model plug-in ("small_cnn").
        options: the plug-in's keyword arguments, sorted by name.
        shape: of one sample, channels first ((1, 8, 8)).
        classes: number of labels.
    """

    name: str
    options: Options
    shape: tuple[int, ...]
    classes: int

    @classmethod
    def of(
        cls, name: str, shape: tuple[int, ...], classes: int, options: Mapping[str, Any] = {}
    ) -> Architecture:
        """The architecture of a plug-in with options as a user writes them."""
        return cls(name, plugin.options(options), tuple(shape), classes)

    def build(self) -> nn.Module:
        """A fresh module; its weights come from torch's global generator.

        Raises:
            SpecError: unknown name or option, or a sample too small for the model.
        """
        try:
            return plugin.make(MODELS, self.name, self.options, self.shape, self.classes)
        except (ValueError, TypeError) as fault:
            raise SpecError(
                f'model "{self.name}" cannot be built: {fault}', remedy="Change its options."
            ) from fault

    @property
    def text(self) -> str:
        """Canonical text: equal architectures have equal texts. `parse` reads it back.

        >>> Architecture("mlp", (("hidden", (64,)),), (1, 8, 8), 10).text
        '["mlp",{"hidden":[64]},[1,8,8],10]'
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
    return json.dumps(fields, separators=(",", ":"))


@lru_cache
def _parse(text: str) -> Architecture:
    name, options, shape, classes = json.loads(text)
    return Architecture.of(name, tuple(shape), classes, options)
