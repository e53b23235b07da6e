"""What a model promises."""

from __future__ import annotations

from math import prod
from typing import ClassVar

import numpy as np
import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.core.registry import MODELS
from hetsim.core.rng import rng
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import Dataset
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State, chance, model_hash
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore
from hetsim.testing.suite import Suite

_CLASSES, _SAMPLES = 10, 16


class ModelSuite(Suite):
    """A model turns samples it can take into logits, and says clearly which it cannot take.

    Attributes:
        shapes: samples it is offered, channels first, smallest first; it must take one of them.
    """

    shapes: ClassVar[tuple[tuple[int, ...], ...]] = (
        (6, 128), (1, 8, 8), (1, 28, 28), (3, 32, 32), (5,), (1, 1, 1), (2, 3, 4, 5),
    )  # fmt: skip

    @pytest.fixture
    def architecture(self, name: str) -> Architecture:
        """The model for the first shape that it takes."""
        for shape in self.shapes:
            offered = Architecture.of(name, shape, _CLASSES, self.options)
            try:
                measure(offered)
            except SpecError:
                continue
            return offered
        pytest.fail(f"takes none of {self.shapes}")

    def test_is_found_by_name(self, name: str) -> None:
        assert name in MODELS.names()

    def test_other_shapes_are_refused_with_a_remedy(self, name: str) -> None:
        for shape in self.shapes:
            offered = Architecture.of(name, shape, _CLASSES, self.options)
            try:
                sheet = measure(offered)
            except SpecError:
                with pytest.raises(SpecError) as refusal:
                    offered.build()
                assert refusal.value.remedy, f"{shape} is refused without a remedy"
            else:
                assert sheet.parameters > 0
                assert 0 < sheet.forward <= sheet.backward

    def test_an_unknown_option_is_refused(self, name: str) -> None:
        unknown = {**self.options, "no_such_option": 1}
        with pytest.raises(SpecError, match="no_such_option"):
            Architecture.of(name, self.shapes[0], _CLASSES, unknown).build()

    def test_is_built_without_weights(self, architecture: Architecture) -> None:
        """On torch's meta device: nothing in it reads a value while it is built."""
        with torch.device("meta"):
            module = architecture.build()
        tensors = list(module.parameters())
        assert all(tensor.is_meta for tensor in tensors)
        assert sum(tensor.numel() for tensor in tensors) == measure(architecture).parameters

    @pytest.mark.parametrize("samples", [1, 3])
    def test_gives_a_logit_for_each_class(self, architecture: Architecture, samples: int) -> None:
        with chance(0):
            module = architecture.build().eval()
        with torch.no_grad():
            logits = module(torch.zeros(samples, *architecture.shape))
        assert logits.shape == (samples, _CLASSES)
        assert logits.dtype == torch.float32

    def test_its_parts_are_the_whole_wherever_it_is_cut(self, architecture: Architecture) -> None:
        """The same weights under the same names, the same logits."""
        x = torch.linspace(-1, 1, 2 * prod(architecture.shape)).reshape(2, *architecture.shape)
        with chance(1):
            module = architecture.build().eval()
        with torch.no_grad():
            expected = module(x)
        for at in range(1, architecture.blocks):
            names: list[str] = []
            given = x
            for part in architecture.cut(at):
                with chance(1):
                    built = part.build().eval()
                names += built.state_dict()
                with torch.no_grad():
                    given = built(given)
            assert sorted(names) == sorted(module.state_dict())
            assert torch.equal(given, expected), f"cut after {at}"

    def test_seed_decides_the_first_weights(self, architecture: Architecture) -> None:
        first, same, other = (_trained(architecture, seed, steps=0) for seed in (1, 1, 2))
        assert model_hash(first) == model_hash(same)
        assert model_hash(first) != model_hash(other)

    def test_a_step_moves_every_parameter_and_repeats_bitwise(
        self, architecture: Architecture
    ) -> None:
        with torch.device("meta"):
            parameters = dict(architecture.build().named_parameters())
        before, after, again = (_trained(architecture, 1, steps=steps) for steps in (0, 1, 1))
        for name in parameters:
            assert after[name].isfinite().all(), name
            assert not torch.equal(before[name], after[name]), f"{name} is never trained"
        assert model_hash(after) == model_hash(again)


def _trained(architecture: Architecture, seed: int, *, steps: int) -> State:
    """A fresh model after its first steps on random samples."""
    stream = rng(0, "learn/samples")
    x = stream.normal(size=(_SAMPLES, *architecture.shape)).astype(np.float32)
    y = np.arange(_SAMPLES) % _CLASSES
    channels = architecture.shape[0]
    dataset = Dataset(
        name="random", classes=_CLASSES, mean=(0.0,) * channels, std=(1.0,) * channels,
        x=x, y=y, test_x=x, test_y=y,
    )  # fmt: skip
    resident = Resident(dataset)
    lab = Lab(Inline(), MemoryStore(), resident)
    model = ops.initial(architecture, seed)
    if steps:
        rows = resident.whole("train")
        model = ops.train(model, rows, steps=steps, batch=_SAMPLES, lr=0.1, seed=0)
    [state] = lab.settle([model])
    return state
