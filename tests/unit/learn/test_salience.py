"""Which output channels matter: exact counts, choices by norms, and what an agent finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import forward_cost, measure, train_cost
from hetsim.learn.models._chain import blocks_of
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.part import shapes
from hetsim.learn.resident import Resident
from hetsim.learn.salience.agent import Encoder, fresh, parameters
from hetsim.learn.salience.channels import bitmap, layers, reduction, saved, silenced
from hetsim.learn.salience.exploring import explore, explore_cost
from hetsim.learn.salience.graph import graph

COLOUR, CLASSES = (3, 32, 32), 10
SMALL = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 8, "hidden": 16})


def encoder_of(name: str, *, stem: bool = True, cut: int | None = None) -> Architecture:
    """All blocks of a model but the classifier; or those before a cut."""
    whole = Architecture.of(name, COLOUR, CLASSES)
    front, _ = whole.cut(cut or whole.blocks - 1)
    return front if stem else front.cut(1)[1]


def value(ref: Ref[Any], resident: Resident) -> Any:
    return ops.compute(ref, [value(each, resident) for each in ref.inputs], resident)


# --- counts ---------------------------------------------------------------------------------------


def test_a_budget_that_nothing_meets_is_refused_with_one_that_something_does() -> None:
    for hidden, most in ((64, 90), (1, 0)):
        encoder, _ = Architecture.of("mlp", (1, 8, 8), 10, {"hidden": [hidden]}).cut(1)
        model = ops.initial(encoder, 0)
        with pytest.raises(SpecError, match="and reduction is") as refusal:
            ops.salient(model, encoder, reduction=0.95)
        assert refusal.value.remedy == f"Choose {most} % or less."
        ops.salient(model, encoder, reduction=most / 100)


@pytest.mark.parametrize(
    ("name", "cut", "number", "channels", "size", "flops"),
    [
        ("resnet20", None, 19, 688, 86, 76_783_616),
        ("resnet32", None, 31, 1_136, 142, 130_375_680),
        ("vgg11_plain", 8, 8, 2_752, 344, 288_706_560),
        ("lenet5", 2, 2, 22, 3, None),
    ],
)
def test_layers_channels_bitmap_and_operations_of_the_published_networks(
    name: str, cut: int | None, number: int, channels: int, size: int, flops: int | None
) -> None:
    """Operations H W (C_in (2 k k - 1) + 1) C_out of a layer, as SPATL's agent counts them."""
    encoder = encoder_of(name, cut=cut)
    known = layers(encoder)
    assert len(known) == number
    assert sum(layer.channels for layer in known) == channels
    assert bitmap(encoder) == size
    if flops is not None:
        assert sum(layer.kernel.flops for layer in known) == flops


@pytest.mark.parametrize(
    ("name", "stem", "count"),
    [
        ("resnet20", True, 269_072), ("resnet20", False, 268_608),
        ("resnet32", True, 463_504), ("resnet32", False, 463_040),
    ],
)  # fmt: skip
def test_parameters_of_encoders(name: str, stem: bool, count: int) -> None:
    assert measure(encoder_of(name, stem=stem)).parameters == count


@pytest.mark.parametrize(
    ("name", "keep", "share"),
    [
        ("resnet20", 0.8938, 0.2), ("resnet32", 0.8941, 0.2), ("vgg11_plain", 0.8938, 0.2),
        ("vgg11_plain", 0.7752, 0.397), ("vgg11_plain", 0.7054, 0.5), ("resnet20", 0.7054, 0.5),
    ],
)  # fmt: skip
def test_what_the_same_share_of_every_layer_saves(name: str, keep: float, share: float) -> None:
    """39.7 % on VGG-11 is the headline figure of the source."""
    encoder = encoder_of(name, cut=8 if name == "vgg11_plain" else None)
    assert reduction(encoder, [keep] * len(layers(encoder))) == pytest.approx(share, abs=1e-3)


def test_a_channel_has_its_weights_bias_and_normalisation() -> None:
    residual = {layer.name: layer.tensors for layer in layers(encoder_of("resnet18"))}
    assert residual["layer2.0.shortcut.0"] == (
        "layer2.0.shortcut.0.weight", "layer2.0.shortcut.1.weight", "layer2.0.shortcut.1.bias",
        "layer2.0.shortcut.1.running_mean", "layer2.0.shortcut.1.running_var",
    )  # fmt: skip
    front, _ = SMALL.cut(3)
    assert [layer.tensors for layer in layers(front)] == [
        ("conv1.weight", "conv1.bias"), ("conv2.weight", "conv2.bias"), ("fc1.weight", "fc1.bias"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["mobilenetv2", "separable_cnn", "resnet12", "fedlp_cnn", "cnn1d"])
def test_every_value_of_an_encoder_belongs_to_a_channel_or_is_a_counter(name: str) -> None:
    whole = Architecture.of(name, (6, 32) if name == "cnn1d" else COLOUR, CLASSES)
    encoder, _ = whole.cut(whole.blocks - 1)
    part, _ = ops.split(ops.initial(whole, 0), encoder.blocks)
    every, half = (ops.salient(part, encoder, keep=share) for share in (1.0, 0.5))
    full = ops.masked(part, every, ops.counted(every))
    assert full.nbytes == measure(encoder).state_bytes + bitmap(encoder)
    counters = 8 * sum(not shape for shape in shapes(encoder).values())
    sent = ops.masked(part, half, ops.counted(half)).nbytes - bitmap(encoder) - counters
    assert sent == (measure(encoder).state_bytes - counters) / 2


# --- by norms -------------------------------------------------------------------------------------


def chosen(ref: Ref[Any], resident: Resident) -> dict[str, list[int]]:
    """Numbers of the channels that a selection keeps."""
    return {name: mask.nonzero().flatten().tolist() for name, mask in value(ref, resident).items()}


def test_the_same_share_keeps_the_largest_norms(resident: Resident) -> None:
    model, (encoder, _) = ops.initial(SMALL, 3), SMALL.cut(3)
    selection = ops.salient(model, encoder, keep=0.4)
    assert ops.counted(selection) == (3, 6, 6)
    state, found = value(model, resident), chosen(selection, resident)
    for layer in ("conv1", "conv2", "fc1"):
        norms = [float(row.norm()) for row in state[f"{layer}.weight"]]
        largest = sorted(range(len(norms)), key=lambda place: -norms[place])
        assert found[layer] == sorted(largest[: len(found[layer])])
    assert selection.nbytes == -(-(8 + 16 + 16) // 8)


@pytest.mark.parametrize("target", [0.0, 0.2, 0.5, 0.8])
def test_greedy_stops_at_the_first_channel_that_saves_enough(
    target: float, resident: Resident
) -> None:
    model, (encoder, _) = ops.initial(SMALL, 3), SMALL.cut(3)
    state, known = value(model, resident), layers(encoder)
    selection = ops.salient(model, encoder, reduction=target)
    found = chosen(selection, resident)
    kept = [len(each) for each in found.values()]
    assert saved(encoder, kept) >= target
    gone: list[tuple[float, int]] = []
    left: list[float] = []
    for place, layer in enumerate(known):
        norms = state[layer.weight].double().flatten(1).norm(dim=1)
        for number, strength in enumerate((norms / norms.mean()).tolist()):
            if number not in found[layer.name]:
                gone.append((strength, place))
            elif kept[place] > layer.least:
                left.append(strength)
    assert not gone or max(gone)[0] <= min(left, default=9.0)
    if gone:
        _, last = max(gone)
        kept[last] += 1
        assert saved(encoder, kept) < target, "one channel less would not have done"
    with pytest.raises(ValueError, match="observed"):
        ops.counted(selection)
    assert ops.counted(selection, value(selection, resident)) == tuple(map(len, found.values()))


def test_refuses_budgets_that_nothing_can_meet() -> None:
    model, (encoder, _) = ops.initial(SMALL, 3), SMALL.cut(3)
    with pytest.raises(SpecError, match="at most 9"):
        ops.salient(model, encoder, reduction=0.99999)
    with pytest.raises(ValueError, match="give one of them"):
        ops.salient(model, encoder)


def test_silenced_channels_give_what_their_bias_gives(resident: Resident) -> None:
    model, (encoder, _) = ops.initial(SMALL, 3), SMALL.cut(3)
    state = value(model, resident)
    masks = value(ops.salient(model, encoder, keep=0.5), resident)
    quiet = silenced(encoder, state, masks)
    for layer in layers(encoder):
        rows = masks[layer.name]
        assert torch.equal(quiet[layer.weight][rows], state[layer.weight][rows])
        assert not quiet[layer.weight][~rows].any()
        assert torch.equal(quiet[f"{layer.name}.bias"], state[f"{layer.name}.bias"])


# --- the agent ------------------------------------------------------------------------------------


def slow_layer(part: Encoder, place: int, seen: int, encoder: Architecture) -> Tensor:
    """First level for one layer, with the matrix of its graph: [20]."""
    view, takes = graph(encoder), layers(encoder)[place].takes
    first = int(view.firsts[place, 0])
    gathered_a = view.nodes[first : first + seen]
    source, sink = view.source[place], view.sink[place]
    a = 2.0 * (gathered_a - 0.5**0.5 * source)
    b = 2.0 * view.nodes[first + takes : first + takes + seen] - a
    features = torch.cat([source[None], a, b, sink[None]])
    edges = torch.eye(len(features))
    for number in range(seen):
        edges[1 + number, 0] = edges[1 + seen + number, 1 + number] = 1.0
        edges[-1, 1 + seen + number] = 1.0
    scale = edges.sum(1).rsqrt()
    nodes = torch.tanh(part.channels((scale[:, None] * edges * scale) @ features))
    return torch.tanh(part.layer(nodes.mean(0)))


def slow_whole(part: Encoder, seen: Sequence[int], encoder: Architecture) -> Tensor:
    """Both levels, node by node: [50]."""
    view = graph(encoder)
    found = [slow_layer(part, place, count, encoder) for place, count in enumerate(seen)]
    features = [*found, *view.plain]
    arrived = [torch.zeros(20) for _ in view.maps]
    degree = [1 + sum(int(end) == node for ends in (view.sources, view.targets) for end in ends)
              for node in range(len(view.maps))]  # fmt: skip
    for source, target, what in zip(view.sources, view.targets, view.weighty, strict=True):
        share = (degree[source] * degree[target]) ** -0.5
        arrived[target] = arrived[target] + share * view.maps[source] * features[what]
    maps = torch.tanh(part.maps(torch.stack(arrived)))
    return torch.tanh(part.whole(maps.mean(0)))


@pytest.mark.parametrize("name", ["resnet8", "small_cnn", "mlp", "cnn1d"])
def test_graphs_are_encoded_as_node_by_node(name: str) -> None:
    whole = Architecture.of(name, (6, 32) if name == "cnn1d" else (1, 8, 8), 10)
    encoder, _ = whole.cut(whole.blocks - 1)
    view = graph(encoder)
    agent = fresh(len(view.takes), 1).eval()
    states = [view.seen([share] * len(view.takes)) for share in (1.0, 0.37)]
    assert states[0] == [layer.takes for layer in layers(encoder)]
    found = agent.acting(view, torch.tensor(states))
    for row, seen in zip(found, states, strict=True):
        torch.testing.assert_close(
            row, slow_whole(agent.acting, seen, encoder), rtol=1e-3, atol=1e-4
        )


def test_a_residual_block_has_an_edge_past_it() -> None:
    encoder = encoder_of("resnet8")
    view = graph(encoder)
    past = (view.targets - view.sources > 1).sum()
    assert int(past) == sum("layer" in str(block[0]) for block in blocks_of(encoder.build())) == 3


def peaked(kept: Sequence[int]) -> float:
    """Best where the first layer is whole and the last one small."""
    return (kept[0] / 8 + 1.0 - kept[-1] / 16) / 2


@pytest.mark.parametrize("whole", [True, False])
def test_an_agent_learns_where_to_save(whole: bool) -> None:
    """Of a reward that is known: its first episodes are as good as random ones."""
    encoder, _ = SMALL.cut(3)
    told: list[float] = []

    def judge(kept: Sequence[int]) -> float:
        assert saved(encoder, kept) >= 0.3
        told.append(peaked(kept))
        return told[-1]

    with chance(3):
        best = explore(
            fresh(3, 3), encoder, judge, target=0.3, episodes=120, whole=whole, seed=3
        )  # fmt: skip
    assert best.kept is not None
    assert best.accuracy == max(told) == peaked(best.kept)
    first, last = told[:20], told[-20:]
    assert sum(last) / 20 > sum(first) / 20 + 0.1


@pytest.fixture
def trained(resident: Resident) -> Ref[Any]:
    """A model that knows some digits."""
    shard = resident.shard(torch.arange(300).numpy())
    return ops.train(ops.initial(SMALL, 3), shard, epochs=8, batch=16, lr=0.1, seed=1)


def test_what_an_agent_finds_repeats_and_respects_the_budget(
    trained: Ref[Any], resident: Resident
) -> None:
    shard, (encoder, _) = resident.shard(torch.arange(300, 400).numpy()), SMALL.cut(3)
    settings: dict[str, Any] = {"reduction": 0.4, "episodes": 3}
    agent = ops.agent(trained, encoder, shard, seed=9, **settings)
    ready = value(agent, resident)
    assert sum(each.numel() for each in ready.values()) * 4 == agent.nbytes
    for given in (None, agent):
        ref = ops.explored(trained, encoder, shard, agent=given, seed=2, **settings)
        first, again = value(ref, resident), value(ref, resident)
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert saved(encoder, ops.counted(ref, first)) >= 0.4
        other = ops.explored(trained, encoder, shard, agent=given, seed=3, **settings)
        assert ops.counted(other, value(other, resident)) != ops.counted(ref, first)
        assert ref.nbytes == 5


def test_the_best_of_many_episodes_is_taken(trained: Ref[Any], resident: Resident) -> None:
    """The best of many episodes is no worse than the first of them, on the samples tried."""
    shard, (encoder, _) = resident.shard(torch.arange(300, 400).numpy()), SMALL.cut(3)
    state = value(trained, resident)

    def accuracy(masks: Any) -> float:
        blank = ops.initial(SMALL, 0)
        score = ops.evaluate(blank, shard)
        rows = resident.rows(shard)
        return ops.compute(score, [silenced(encoder, state, masks), rows], resident)["accuracy"]

    few, many = (
        value(
            ops.explored(
                trained, encoder, shard, reduction=0.3, episodes=count, share=1.0, seed=4
            ), resident,
        )
        for count in (1, 20)
    )  # fmt: skip
    assert accuracy(many) >= accuracy(few)
    assert accuracy(many) > 0.3, "by chance it is a tenth"


def test_without_an_episode_that_saves_enough_norms_decide(resident: Resident) -> None:
    """Of a budget that ten random actions hardly ever meet."""
    model, (encoder, _) = ops.initial(SMALL, 3), SMALL.cut(3)
    shard = resident.shard(torch.arange(20).numpy())
    ref = ops.explored(model, encoder, shard, reduction=0.95, episodes=1, seed=1)
    norms = ops.salient(model, encoder, reduction=0.95)
    assert chosen(ref, resident) == chosen(norms, resident)


# --- what it costs --------------------------------------------------------------------------------

RESNET = Architecture.of("resnet20", COLOUR, CLASSES)


def trials(samples: int, episodes: int, **settings: Any) -> Any:
    """Work of an agent on so many samples of CIFAR-10."""
    shard = Ref.of("shard", samples=samples)
    encoder = encoder_of("resnet20")
    return ops.explored(
        ops.initial(RESNET, 0), encoder, shard, reduction=0.2, episodes=episodes, seed=0, **settings
    ).cost  # fmt: skip


def test_with_the_authors_settings_choosing_costs_twice_the_training() -> None:
    """30 passes over 10,000 images, against 10 epochs on 5,000, a backward pass being two."""
    forward = forward_cost(RESNET, 1, 1).flops
    assert 30 * forward * 10_000 == 2.0 * 3 * forward * 10 * 5_000
    whole = trials(10_000, 30, share=1.0)
    training = train_cost(RESNET, steps=790, batch=64, samples=50_000, momentum=True)
    assert whole.flops / training.flops == pytest.approx(2.0, rel=0.01)
    agent = explore_cost(encoder_of("resnet20"), 30, True)
    assert whole.flops - agent.flops == pytest.approx(30 * forward * 10_000, rel=1e-6)
    assert agent.flops < 0.001 * whole.flops


def test_fewer_episodes_on_a_tenth_of_the_data_cost_little() -> None:
    training = train_cost(RESNET, steps=790, batch=64, samples=50_000, momentum=True)
    ready = Ref.of("agent")
    for samples in (5_000, 10_000):
        assert trials(samples, 3, agent=ready).flops / training.flops < 0.2


def test_an_agent_that_is_ready_has_less_to_do() -> None:
    encoder = encoder_of("resnet20")
    anew, ready = explore_cost(encoder, 5, True), explore_cost(encoder, 5, False)
    assert ready.flops < 0.5 * anew.flops
    assert ready.operators < anew.operators
    assert ready.memory < anew.memory
    twice = explore_cost(encoder, 10, True)
    assert (twice.flops, twice.operators) == (2 * anew.flops, 2 * anew.operators)
    numbers: State = fresh(19, 0).state_dict()
    assert parameters(19) == sum(each.numel() for each in numbers.values())
