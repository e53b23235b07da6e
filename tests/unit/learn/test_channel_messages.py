"""Messages of some output channels, and what a server makes of them."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import pytest
import torch

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.ops.part import shapes, trained
from hetsim.learn.resident import Resident
from hetsim.learn.salience.channels import layers

MODELS = {
    "mlp": (Architecture.of("mlp", (1, 8, 8), 10, {"hidden": [6, 5]}), 2),
    "small_cnn": (Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 2, "hidden": 8}), 3),
    "resnet8": (Architecture.of("resnet8", (1, 8, 8), 10), 4),
}
WEIGHTS = (3.0, 1.0, 2.0)
KEEP = (0.3, 0.5, 0.7)


def value(ref: Ref[Any], resident: Resident) -> Any:
    return ops.compute(ref, [value(each, resident) for each in ref.inputs], resident)


class Cohort:
    """Three clients, each of which sends another share of its channels.

    Attributes:
        encoder: where channels are chosen.
        model: the server's, of the part that is sent.
        parts: the clients'.
        selections: of each.
        messages: of each.
    """

    def __init__(self, name: str, *, whole: bool = False, keep: tuple[float, ...] = KEEP) -> None:
        architecture, at = MODELS[name]
        self.encoder, _ = architecture.cut(at)
        full = [ops.initial(architecture, seed) for seed in range(4)]
        self.model, *self.parts = [each if whole else ops.split(each, at)[0] for each in full]
        self.selections = [
            ops.salient(part, self.encoder, keep=share)
            for part, share in zip(self.parts, keep, strict=True)
        ]
        self.messages = [
            ops.masked(part, selection, ops.counted(selection))
            for part, selection in zip(self.parts, self.selections, strict=True)
        ]

    def variates(self) -> list[Ref[Any]]:
        """The same channels of what the parameters are, as if they were variates."""
        made = [ops.combined([part], [1.0]) for part in self.parts]
        pairs = zip(made, self.selections, strict=True)
        return [
            ops.masked(each, selection, ops.counted(selection), variate=True)
            for each, selection in pairs
        ]


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_bytes_are_those_of_the_tensors_that_are_sent(
    name: str, whole: bool, resident: Resident
) -> None:
    cohort = Cohort(name, whole=whole)
    for part, selection, message in zip(
        cohort.parts, cohort.selections, cohort.messages, strict=True
    ):
        sent: State = value(message, resident)
        masks = value(selection, resident)
        numbers = [each for name, each in sent.items() if not name.startswith("kept:")]
        bits = sum(len(mask) for mask in masks.values())
        assert message.nbytes == sum(each.nbytes for each in numbers) + -(-bits // 8)
        assert sent.keys() >= shapes(ops.model_arch(part)).keys()
        assert message.cost.traffic == 2 * (message.nbytes - -(-bits // 8))
    for change in cohort.variates():
        sent = value(change, resident)
        numbers = [each for name, each in sent.items() if not name.startswith("kept:")]
        assert change.nbytes == sum(each.nbytes for each in numbers)
        assert len(numbers) == len(trained(ops.model_arch(change)))


@pytest.mark.parametrize(
    ("name", "cut", "bitmap"), [("resnet20", None, 86), ("vgg11_plain", 8, 344)]
)
def test_all_channels_are_the_whole_encoder_and_a_bitmap(
    name: str, cut: int | None, bitmap: int
) -> None:
    whole = Architecture.of(name, (3, 32, 32), 10)
    encoder, _ = whole.cut(cut or whole.blocks - 1)
    part = ops.split(ops.initial(whole, 0), encoder.blocks)[0]
    every = ops.salient(part, encoder, keep=1.0)
    message = ops.masked(part, every, ops.counted(every))
    assert message.nbytes == measure(encoder).state_bytes + bitmap
    none = ops.zeros(part)
    change = ops.masked(none, every, ops.counted(every), variate=True)
    assert change.nbytes == measure(encoder).parameter_bytes
    half = ops.salient(part, encoder, keep=0.5)
    kept = ops.masked(none, half, ops.counted(half), variate=True)
    known = trained(encoder)
    assert kept.nbytes == 4 * sum(
        layer.channels // 2 * prod(known[name][1:])
        for layer in layers(encoder) for name in layer.tensors if name in known
    )  # fmt: skip


def test_a_message_of_other_channels_than_it_says_is_refused(resident: Resident) -> None:
    cohort = Cohort("mlp")
    wrong = ops.masked(cohort.parts[0], cohort.selections[0], (1, 1))
    with pytest.raises(ValueError, match="are kept, not"):
        value(wrong, resident)


# --- means ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_the_mean_of_each_number_is_over_those_who_sent_it(
    name: str, whole: bool, zeros: bool, resident: Resident
) -> None:
    """Against a loop over all of them; every third channel or so is sent by nobody."""
    cohort = Cohort(name, whole=whole)
    old = value(cohort.model, resident)
    parts = [value(each, resident) for each in cohort.parts]
    masks = [value(each, resident) for each in cohort.selections]
    layer_of = {each: layer.name for layer in layers(cohort.encoder) for each in layer.tensors}
    ref = ops.channel_mean(cohort.model, cohort.messages, WEIGHTS, zeros=zeros)
    found = value(ref, resident)
    assert list(found) == list(old)
    unsent = 0
    for place, tensor in old.items():
        if not tensor.is_floating_point():
            assert found[place] == max(part[place] for part in parts)
            continue
        for index in product(*map(range, tensor.shape[:2])):
            layer = layer_of.get(place)
            total, weight = torch.zeros_like(tensor[index], dtype=torch.float64), 0.0
            for part, mask, share in zip(parts, masks, WEIGHTS, strict=True):
                if layer is None or bool(mask[layer][index[0]]):
                    total, weight = total + share * part[place][index].double(), weight + share
                elif zeros and tensor.dim() > 1:
                    weight += share
            unsent += weight == 0.0
            wanted = tensor[index].double() if weight == 0.0 else total / weight
            torch.testing.assert_close(found[place][index].double(), wanted, rtol=1e-6, atol=1e-7)
    assert unsent > 0


@pytest.mark.parametrize("name", MODELS)
def test_of_all_channels_it_is_the_mean_of_models_bit_for_bit(
    name: str, resident: Resident
) -> None:
    for zeros in (False, True):
        cohort = Cohort(name, whole=True, keep=(1.0, 1.0, 1.0))
        found = value(
            ops.channel_mean(cohort.model, cohort.messages, WEIGHTS, zeros=zeros), resident
        )
        assert model_hash(found) == model_hash(value(ops.mean(cohort.parts, WEIGHTS), resident))


@pytest.mark.parametrize("name", MODELS)
def test_a_variate_moves_by_what_was_sent_of_it(name: str, resident: Resident) -> None:
    cohort = Cohort(name)
    blank = ops.combined([cohort.model], [1.0])
    ref = ops.channel_step(blank, cohort.variates(), [0.5, 0.25, 0.125])
    found, old = value(ref, resident), value(blank, resident)
    masks = [value(each, resident) for each in cohort.selections]
    for layer in layers(cohort.encoder):
        for place in layer.tensors:
            if place not in old:
                continue
            wanted = old[place].double().clone()
            for share, part, mask in zip((0.5, 0.25, 0.125), cohort.parts, masks, strict=True):
                for number in mask[layer.name].nonzero().flatten().tolist():
                    wanted[number] += share * value(part, resident)[place][number].double()
            torch.testing.assert_close(found[place].double(), wanted, rtol=1e-6, atol=1e-7)


def test_what_it_costs_grows_with_what_is_sent() -> None:
    cohort = Cohort("small_cnn")
    few = ops.channel_mean(cohort.model, cohort.messages, WEIGHTS).cost
    whole = Cohort("small_cnn", keep=(1.0, 1.0, 1.0))
    every = ops.channel_mean(whole.model, whole.messages, WEIGHTS).cost
    moved = [sum(each.nbytes for each in one.messages) for one in (cohort, whole)]
    assert every.traffic - few.traffic == pytest.approx(9.0 * (moved[1] - moved[0]))
    assert every.flops > few.flops
    assert every.memory > few.memory


def test_refuses_means_of_nothing() -> None:
    cohort = Cohort("mlp")
    for messages, weights in (((), ()), (cohort.messages, (1.0,)), (cohort.messages[:1], (0.0,))):
        with pytest.raises(ValueError, match="messages"):
            ops.channel_mean(cohort.model, messages, weights)
    with pytest.raises(ValueError, match="messages"):
        ops.channel_step(ops.zeros(cohort.model), cohort.variates(), [1.0])
