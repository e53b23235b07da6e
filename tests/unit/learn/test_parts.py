"""Parts of models: what they are, what they compute, what they cost."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.core.registry import MODELS
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import exchange_cost, forward_cost, measure, train_cost
from hetsim.learn.net import net
from hetsim.learn.numerics import chance
from hetsim.learn.stack import stackable

DIGIT, PHOTO, SIGNAL = (1, 8, 8), (3, 32, 32), (6, 128)
BLOCKS = {
    "logistic": 1, "mlp": 2, "small_cnn": 4, "lenet5": 5, "cnn1d": 5, "vgg11": 9, "resnet18": 10,
    "mobilenetv2": 20, "resnet8": 5, "resnet20": 11, "resnet32": 17, "resnet44": 23,
    "resnet56": 29, "vgg11_fc3": 11, "vgg11_small": 11, "resnet9": 6, "resnet12": 6, "lenet_pi": 5,
    "plain_cnn": 9, "separable_cnn": 9, "wide_cnn": 5, "resnet34": 18, "vgg11_plain": 11,
    "fedlp_cnn": 8,
}  # fmt: skip
LAYERS = {"cnn1d": SIGNAL, "mlp": DIGIT}
NARROW = {"resnet34": {"width": 0.125}}
"""For time."""
WHOLES = [
    Architecture.of(name, LAYERS.get(name, PHOTO), 10, NARROW.get(name, {})) for name in BLOCKS
]
CUT = [whole for whole in WHOLES if whole.name not in ("logistic", "resnet44", "resnet56")]
QUICK = ("mlp", "small_cnn", "lenet5", "lenet_pi", "cnn1d", "resnet8", "resnet12")
EACH = [
    pytest.param(whole, id=whole.name, marks=[] if whole.name in QUICK else pytest.mark.slow)
    for whole in CUT
]
RESNET = Architecture.of("resnet8", PHOTO, 10)


def cuts(whole: Architecture) -> range:
    return range(1, whole.blocks)


def test_every_weight_layer_is_a_block() -> None:
    assert {whole.name: whole.blocks for whole in WHOLES} == BLOCKS
    made_of_others = {"ensemble", "headed", "low_rank", "multi_exit", "stitched"}
    assert set(BLOCKS) | made_of_others == set(MODELS.names())
    assert Architecture.of("mlp", DIGIT, 10, {"hidden": [9, 8, 7]}).blocks == 4


@pytest.mark.parametrize("whole", EACH)
def test_parts_have_the_names_the_weights_and_the_values_of_the_whole(whole: Architecture) -> None:
    x = torch.rand(3, *whole.shape, generator=torch.Generator().manual_seed(1))
    with chance(5):
        module = whole.build().eval()
    with torch.no_grad():
        expected = module(x)
    for at in cuts(whole):
        state, logits = {}, x
        for part in whole.cut(at):
            with chance(5):
                built = part.build().eval()
            assert logits.shape[1:] == part.takes
            with torch.no_grad():
                logits = built(logits)
            assert logits.shape[1:] == part.gives
            state |= built.state_dict()
        assert list(state) == list(module.state_dict())
        assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())
        assert torch.equal(logits, expected)


def test_a_copy_of_a_module_computes_with_its_own_weights() -> None:
    x = torch.rand(2, *PHOTO, generator=torch.Generator().manual_seed(1))
    for architecture in (RESNET, RESNET.cut(2)[0]):
        module = architecture.build().eval()
        copy = deepcopy(module)
        with torch.no_grad():
            before = module(x)
            for parameter in copy.parameters():
                parameter.zero_()
            assert torch.equal(module(x), before)
            assert not torch.equal(copy(x), before)
        assert len(list(module.modules())) == len(set(module.modules()))


def test_only_a_sequence_of_layers_and_a_chain_can_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    class Alone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = torch.nn.Linear(64, 9), torch.nn.Linear(9, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.two(self.one(x.flatten(1)))

    def alone(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
        return Alone()

    def in_a_row(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
            torch.nn.Flatten(), torch.nn.Linear(144, 10),
        )  # fmt: skip

    points = {each.__name__: SimpleNamespace(load=lambda each=each: each)
              for each in (alone, in_a_row)}  # fmt: skip
    monkeypatch.setitem(MODELS.__dict__, "_foreign", points)
    front, back = Architecture.of("in_a_row", DIGIT, 10).cut(1)
    assert list(front.build().state_dict())[:3] == ["0.weight", "0.bias", "1.weight"]
    assert list(back.build().state_dict()) == ["4.weight", "4.bias"]
    assert front.gives == back.takes == (144,)
    single = Architecture.of("alone", DIGIT, 10)
    assert single.blocks == 1
    with pytest.raises(SpecError, match="It is one block"):
        single.cut(1)
    broken = Architecture.of("alone", (1, 9, 9), 10)
    with pytest.raises(SpecError, match="cannot take samples"):
        _ = broken.blocks


def test_a_part_can_be_cut_and_joined_again() -> None:
    front, rest = RESNET.cut(1)
    middle, back = rest.cut(2)
    assert (front.part, middle.part, back.part) == ((0, 1), (1, 3), (3, 5))
    assert (middle.blocks, middle.whole, middle.span) == (2, RESNET, (1, 3))
    assert middle.takes == front.gives == (16, 32, 32)
    assert back.takes == middle.gives == (32, 16, 16)
    assert [part.decides for part in (RESNET, front, middle, back)] == [True, False, False, True]
    assert middle.joined(back) == rest
    assert front.joined(middle).joined(back) == front.joined(rest) == RESNET
    for one, two in ((middle, front), (front, back), (front, Architecture.of("mlp", PHOTO, 10))):
        with pytest.raises(ValueError, match="does not follow"):
            one.joined(two)
    for at in (-1, 0, 5, 6):
        with pytest.raises(SpecError, match=r"cannot be cut after block(.|\n)*1 to 4"):
            RESNET.cut(at)
    with pytest.raises(SpecError, match="after block 2"):
        middle.cut(2)


def test_a_part_has_a_text_of_its_own_and_the_whole_one_keeps_its() -> None:
    front, _ = RESNET.cut(2)
    assert RESNET.text == '["resnet8",{},[3,32,32],10]'
    assert front.text == '["resnet8",{},[3,32,32],10,[0,2]]'
    assert Architecture.parse(front.text) == front != RESNET
    assert hash(Architecture.parse(front.text)) == hash(front)
    assert net(front.text).names == [
        name for name in net(RESNET.text).names if name.startswith(("conv1", "bn1", "layer1"))
    ]


def test_parts_of_perceptrons_are_not_stacked() -> None:
    whole = Architecture.of("mlp", DIGIT, 10, {"hidden": [16, 8]})
    assert stackable(whole.text)
    for at in cuts(whole):
        for part in whole.cut(at):
            assert not stackable(part.text)


@pytest.mark.parametrize("whole", EACH)
def test_parts_take_exactly_the_operations_of_the_whole(whole: Architecture) -> None:
    """Backwards too, if the gradient of what the back takes is sent to the front."""
    sheet = measure(whole)
    for at in cuts(whole):
        front, back = whole.cut(at)
        ahead, behind = measure(front), measure(back, gradient=True)
        assert ahead.forward + behind.forward == sheet.forward
        assert ahead.backward + behind.backward == sheet.backward
        assert ahead.parameters + behind.parameters == sheet.parameters
        assert ahead.state_bytes + behind.state_bytes == sheet.state_bytes
        assert (ahead.layers + behind.layers)[0].name == sheet.layers[0].name
        assert ahead.output_bytes == behind.input_bytes
        assert measure(back).flops < behind.flops
        assert measure(back).forward == behind.forward


def test_a_back_alone_needs_no_gradient_in_any_layer_that_takes_the_activations() -> None:
    """A residual block of stride 2 has two of these: a convolution and the shortcut."""
    _, back = Architecture.of("resnet12", PHOTO, 10).cut(2)
    frozen, exchanged = measure(back), measure(back, gradient=True)
    taking = {"layer1.conv1", "layer1.shortcut.0"}
    for one, two in zip(frozen.layers, exchanged.layers, strict=True):
        spared = one.forward if one.name in taking else 0
        assert two.backward - one.backward == spared
    assert exchanged.training.operators > frozen.training.operators
    assert exchanged.training.growing > frozen.training.growing


WORK = {"steps": 6, "batch": 16, "samples": 90, "momentum": True}


@pytest.mark.parametrize("whole", EACH[1:4])
def test_training_costs_of_parts(whole: Architecture) -> None:
    for at in cuts(whole):
        front, back = whole.cut(at)
        one, two = train_cost(front, **WORK), train_cost(back, gradient=True, **WORK)
        assert one.flops + two.flops == train_cost(whole, **WORK).flops
        ahead, behind = exchange_cost(front, **WORK)
        assert ahead + behind == one
        assert ahead.flops == 90 * measure(front).forward
        assert (ahead.steps, ahead.samples, behind.steps, behind.samples) == (6, 90, 0, 0)


def test_memory_of_parts() -> None:
    """An exchange holds the gradient that arrives or leaves; inference keeps no activations."""
    front, back = RESNET.cut(2)
    ahead, behind = measure(front), measure(back)
    batch, weights = WORK["batch"], ahead.parameter_bytes
    assert train_cost(front, **WORK).memory == 3 * weights + (
        ahead.state_bytes - weights
    ) + batch * (ahead.input_bytes + ahead.saved + ahead.output_bytes)
    exchanged, alone = train_cost(back, gradient=True, **WORK), train_cost(back, **WORK)
    extra = measure(back, gradient=True).saved - behind.saved
    assert exchanged.memory - alone.memory == batch * (behind.input_bytes + extra)
    inference = forward_cost(front, samples=90, batch=batch)
    assert inference.memory == ahead.state_bytes + batch * (ahead.input_bytes + ahead.working_bytes)
    assert inference.memory < train_cost(front, **WORK).memory / 2
    assert isinstance(inference, Cost)
