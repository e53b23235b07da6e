"""Messages of some units of a model, models with a head of their own, and models side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod, sqrt
from typing import Any

import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.kept import Grain
from hetsim.learn.ops.part import shapes
from hetsim.learn.resident import Resident

CNN = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 8, "hidden": 16})
FEDLP = Architecture.of("fedlp_cnn", (3, 32, 32), 10)
MLP = Architecture.of("mlp", (1, 28, 28), 10, {"hidden": [512, 128, 128, 64, 32]})
RESNET = Architecture.of("resnet8", (1, 8, 8), 10)


def value(ref: Ref[Any], resident: Resident) -> Any:
    return ops.compute(ref, [value(each, resident) for each in ref.inputs], resident)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --- units ----------------------------------------------------------------------------------------


def test_a_unit_is_a_layer_with_its_normalisation() -> None:
    """Eight of FedLP's network; by its authors' code 46 tensors are drawn."""
    units = ops.units(FEDLP)
    assert len(units) == 8
    for number, unit in enumerate(units[:6], 1):
        assert {name.partition(".")[0] for name in unit} == {f"conv{number}", f"bn{number}"}
        assert len(unit) == 7
    assert units[6:] == (("fc1.weight", "fc1.bias"), ("fc2.weight", "fc2.bias"))
    assert len(ops.units(FEDLP, "tensor")) == 46


@pytest.mark.parametrize("architecture", [CNN, FEDLP, MLP, RESNET, FEDLP.cut(3)[0]])
@pytest.mark.parametrize("grain", ["layer", "tensor"])
def test_every_tensor_is_in_one_unit(architecture: Architecture, grain: Grain) -> None:
    names = [name for unit in ops.units(architecture, grain) for name in unit]
    assert sorted(names) == sorted(shapes(architecture))


def test_shortcuts_of_residual_blocks_are_units_too() -> None:
    matrices = [name for name, shape in shapes(RESNET).items() if len(shape) > 1]
    units = ops.units(RESNET)
    assert len(units) == len(matrices)
    assert all(sum(name in matrices for name in unit) == 1 for unit in units)


# --- messages -------------------------------------------------------------------------------------


def test_a_message_is_its_tensors_and_a_bit_for_each_unit(resident: Resident) -> None:
    model = ops.initial(FEDLP, 1)
    message = ops.kept(model, (7, 0))
    assert message.nbytes == 4 * (27 * 32 + 32 + 4 * 32 + 128 * 10 + 10) + 8 + 1
    state = value(model, resident)
    expected = {name: state[name] for name in (*ops.units(FEDLP)[0], *ops.units(FEDLP)[7])}
    assert same(value(message, resident), expected)
    assert ops.kept(model, ()).nbytes == 1
    assert ops.kept(model, (), "tensor").nbytes == 6
    assert ops.kept(model, range(8)).nbytes == model.nbytes + 1
    assert message.cost == ops.slice_of(model, FEDLP.cut(3)[0]).cost, "nothing is computed"


def test_a_message_of_a_unit_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="units"):
        ops.kept(ops.initial(CNN, 0), (4,))
    with pytest.raises(ValueError, match="has no members"):
        ops.kept(ops.initial(CNN, 0), (0,), "member")


def test_what_a_message_brings_takes_the_place_of_ones_own(resident: Resident) -> None:
    own, other = ops.initial(CNN, 0), ops.initial(CNN, 1)
    patched = ops.patched(own, ops.kept(other, (1, 2)))
    mine, theirs, both = (value(each, resident) for each in (own, other, patched))
    brought = ("conv2", "fc1")
    expected = {
        name: theirs[name] if name.partition(".")[0] in brought else mine[name] for name in mine
    }
    assert same(both, expected)
    assert (patched.nbytes, patched.arg("arch")) == (own.nbytes, own.arg("arch"))


def test_each_unit_is_the_mean_over_those_who_sent_it(resident: Resident) -> None:
    model = ops.initial(CNN, 0)
    updates = [ops.initial(CNN, seed) for seed in (1, 2, 3)]
    chosen = ((0, 1), (1, 3), (1,))
    merged = ops.sliced_mean(
        model, [ops.kept(*pair) for pair in zip(updates, chosen, strict=True)], [1.0, 1.0, 2.0]
    )
    old, *states = (value(each, resident) for each in (model, *updates))
    new = value(merged, resident)
    assert torch.equal(new["conv1.weight"], states[0]["conv1.weight"])
    assert torch.equal(new["fc2.bias"], states[1]["fc2.bias"])
    assert torch.equal(new["fc1.weight"], old["fc1.weight"])
    first, second, third = (state["conv2.weight"].double() for state in states)
    expected = (first + second + 2.0 * third) / 4.0
    assert torch.equal(new["conv2.weight"], expected.float())


def test_the_mean_costs_what_has_arrived() -> None:
    model, update = ops.initial(CNN, 0), ops.initial(CNN, 1)
    whole = ops.sliced_mean(model, [ops.kept(update, range(4))], [1.0]).cost
    half = ops.sliced_mean(model, [ops.kept(update, (0, 1))], [1.0]).cost
    assert whole.operators == 2 * 8 + 8
    assert half.operators == 2 * 4 + 8
    assert whole.traffic == 9.0 * (update.nbytes + 1) + 6.0 * model.nbytes
    assert half.traffic < whole.traffic


def test_counters_and_statistics_are_those_of_who_sent_them(resident: Resident) -> None:
    architecture = Architecture.of("fedlp_cnn", (1, 8, 8), 10, {"width": 0.1})
    model = ops.initial(architecture, 0)
    message = ops.kept(ops.initial(architecture, 1), (1,))
    states = [value(each, resident) for each in (model, message)]
    states[1]["bn2.num_batches_tracked"] += 7
    states[1]["bn2.running_mean"] += 0.5
    new = ops.compute(ops.sliced_mean(model, [message], [1.0]), states, resident)
    assert new["bn2.num_batches_tracked"] == 7
    assert torch.equal(new["bn2.running_mean"], states[1]["bn2.running_mean"])
    assert torch.equal(new["bn1.running_mean"], states[0]["bn1.running_mean"])


def test_layers_of_a_message_arrive_from_the_last_after_the_list_of_units() -> None:
    model = ops.initial(CNN, 0)
    message = ops.kept(model, (1, 3))
    assert ops.layers_of(message) == ("fc2", "conv2")
    last = 4.0 * (16 * 10 + 10)
    assert ops.arrived(message, (last + 1.0) / message.nbytes) == ("fc2",)
    assert ops.arrived(message, (last + 0.5) / message.nbytes) == ()
    assert ops.arrived(message, 1.0) == ("fc2", "conv2")
    assert ops.arrived(model, last / model.nbytes) == ("fc2",), "a model has no such list"


# --- heads ----------------------------------------------------------------------------------------

SHARED = {
    "fedlp_cnn": (140_064, 65_952, 28_896, 10_272),
    "mlp": (492_352, 484_096, 467_584, 401_920),
}
LOCAL = {
    "fedlp_cnn": (403_626, 591_658, 554_602, 1_060_266),
    "mlp": (493_002, 485_386, 468_874, 407_050),
}
MACS = (29_459_712, 25_003_264, 15_566_080, 11_371_776)


@pytest.mark.parametrize(("whole", "values"), [(FEDLP, 551_466), (MLP, 494_762)])
def test_models_of_fedlp_have_the_published_sizes(whole: Architecture, values: int) -> None:
    """Zhu et al., arXiv 2303.06360, and the networks of its code (github.com/Zhuzzq/FedLP)."""
    assert measure(whole).parameters == values
    heads = [ops.with_head(whole, depth, 128) for depth in ops.depths(whole)[1:]]
    fronts = [headed.cut(headed.blocks - 1)[0] for headed in heads]
    assert tuple(measure(front).parameters for front in fronts) == SHARED[whole.name]
    assert tuple(measure(headed).parameters for headed in heads) == LOCAL[whole.name]
    if whole is FEDLP:
        assert tuple(measure(headed).forward // 2 for headed in heads) == MACS
        assert measure(whole).forward == 2 * 38_896_896
        assert round(measure(heads[-1]).parameters / values, 2) == 1.92


@pytest.mark.parametrize(
    ("whole", "depths"),
    [
        (FEDLP, (8, 5, 4, 3, 2)), (MLP, (6, 4, 3, 2, 1)), (CNN, (4, 1)),
        (Architecture.of("mlp", (1, 8, 8), 10), (2,)),
        (Architecture.of("cnn1d", (6, 16), 10), (5, 2, 1)),
        (Architecture.of("resnet56", (3, 32, 32), 10), (29, 23, 18, 13, 8)),
    ],
)  # fmt: skip
def test_depths_if_nobody_says(whole: Architecture, depths: tuple[int, ...]) -> None:
    assert ops.depths(whole) == depths


@pytest.mark.parametrize("whole", [CNN, MLP, RESNET, Architecture.of("cnn1d", (6, 16), 10)])
def test_blocks_in_front_of_a_head_are_those_of_the_model(
    whole: Architecture, resident: Resident
) -> None:
    """What is learned in them goes back into it under the same names."""
    model = ops.initial(whole, 3)
    for depth in ops.depths(whole)[1:]:
        headed = ops.with_head(whole, depth, 5)
        front, head = headed.cut(depth)
        part = ops.slice_of(model, front)
        assert part.nbytes == ops.split(model, depth)[0].nbytes
        together = ops.join(part, ops.initial(head, 4))
        state, expected = value(together, resident), value(model, resident)
        assert set(state) == set(shapes(headed))
        assert {name for name in state if name not in shapes(front)} == set(shapes(head))
        assert all(name.startswith("head.") for name in shapes(head))
        assert all(torch.equal(state[name], expected[name]) for name in shapes(front))
        module = headed.build().eval()
        module.load_state_dict(state)
        assert module(torch.zeros(2, *whole.shape)).shape == (2, 10)


@pytest.mark.parametrize(
    ("whole", "depth", "what"),
    [
        (CNN, 0, "cannot have a head after block 0"),
        (CNN, 4, "has 4 blocks"),
        (Architecture.of("logistic", (1, 8, 8), 10), 1, "has 1 blocks"),
        (Architecture.of("cnn1d", (6, 16), 10), 4, 'have a part called "head" themselves'),
    ],
)
def test_a_head_where_it_cannot_be_is_refused(whole: Architecture, depth: int, what: str) -> None:
    with pytest.raises(SpecError, match=what) as refusal:
        ops.with_head(whole, depth, 8).build()
    assert refusal.value.remedy


# --- side by side ---------------------------------------------------------------------------------


def test_an_ensemble_answers_by_the_mean_of_logits(resident: Resident) -> None:
    three = ops.side_by_side(CNN, 3)
    model = ops.initial(three, 2)
    state = value(model, resident)
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    logits: list[torch.Tensor] = []
    for number in range(3):
        member = CNN.build().eval()
        member.load_state_dict(value(ops.member(model, number), resident))
        logits.append(member(x))
    module = three.build().eval()
    module.load_state_dict(state)
    torch.testing.assert_close(module(x), sum(logits, torch.zeros(4, 10)) / 3)
    assert not torch.allclose(logits[0], logits[1]), "each has first weights of its own"


def test_members_are_put_together_and_taken_out_bit_for_bit(resident: Resident) -> None:
    nets = [ops.initial(CNN, seed) for seed in (1, 2, 3)]
    model = ops.assembled(nets)
    assert model.nbytes == 3 * nets[0].nbytes == measure(ops.side_by_side(CNN, 3)).state_bytes
    for number, net in enumerate(nets):
        out = ops.member(model, number)
        assert (out.nbytes, out.arg("arch")) == (net.nbytes, net.arg("arch"))
        assert same(value(out, resident), value(net, resident))
    with pytest.raises(ValueError, match="member 3 of 3"):
        ops.member(model, 3)


def test_some_members_are_a_message(resident: Resident) -> None:
    nine = ops.side_by_side(CNN, 9, 0.5)
    model = ops.initial(nine, 0)
    few = ops.kept(model, (1, 4), "member")
    size = measure(CNN).state_bytes
    assert few.nbytes == 2 * size + 2
    nets = [ops.member(few, number) for number in (1, 4)]
    again = ops.assembled(nets, nine, (1, 4))
    assert again.nbytes == few.nbytes
    assert same(value(again, resident), value(few, resident))
    merged = value(ops.sliced_mean(ops.initial(nine, 1), [again], [3.0]), resident)
    old, new = value(ops.initial(nine, 1), resident), value(model, resident)
    for name in merged:
        source = new if name.startswith(("members.1.", "members.4.")) else old
        assert torch.equal(merged[name], source[name])


@pytest.mark.parametrize("numbers", [(0,), (1, 0), (0, 9), (0, 0), (0, 1, 2)])
def test_places_that_make_no_sense_are_refused(numbers: Sequence[int]) -> None:
    nets = [ops.initial(CNN, seed) for seed in (1, 2)]
    with pytest.raises(ValueError, match="2 models at"):
        ops.assembled(nets, ops.side_by_side(CNN, 9), numbers)


def test_members_of_another_kind_are_refused() -> None:
    other = ops.initial(ops.narrowed(CNN, 0.5), 0)
    for nets in ([ops.initial(CNN, 0), other], [other, other]):
        with pytest.raises(ValueError, match="2 models at"):
            ops.assembled(nets, ops.side_by_side(CNN, 2))


def test_first_values_are_multiplied_but_for_the_first_layer(resident: Resident) -> None:
    plain, small = (
        value(ops.initial(ops.side_by_side(CNN, 2, gain), 5), resident) for gain in (1.0, 0.5)
    )
    for name, tensor in plain.items():
        factor = 1.0 if ".conv1." in name else 0.5
        assert torch.equal(small[name], tensor * factor), name


def test_narrow_networks_start_as_small_as_wide_ones() -> None:
    """torch draws within 1 / sqrt(inputs); with the gain, of the inputs of the wide one."""
    narrow = ops.narrowed(CNN, 0.25)
    with chance(0):
        module = ops.side_by_side(narrow, 1, sqrt(0.25)).build()
    wide = {name: prod(shape[1:]) for name, shape in shapes(CNN).items() if len(shape) > 1}
    state: State = module.state_dict()
    for name, inputs in wide.items():
        largest = float(state[f"members.0.{name}"].abs().max())
        assert 0.8 / sqrt(inputs) < largest <= 1.0 / sqrt(inputs), name


def test_an_ensemble_is_what_its_options_say() -> None:
    options = json.dumps({"width": 8, "hidden": 16})
    asked = {"model": "small_cnn", "options": options, "members": 3}
    assert measure(Architecture.of("ensemble", (1, 8, 8), 10, asked)).parameters == (
        3 * measure(CNN).parameters
    )
    for wrong in ({"members": 0}, {"gain": 0.0}):
        with pytest.raises(SpecError, match="must be above zero"):
            Architecture.of("ensemble", (1, 8, 8), 10, {**asked, **wrong}).build()
