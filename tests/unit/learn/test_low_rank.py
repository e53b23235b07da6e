"""Layers of low rank: which, how large, and the way from a whole model and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors.pool import Pool
from hetsim.learn.lab import Lab
from hetsim.learn.meter import measure
from hetsim.learn.models.low_rank import Factors
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.ops.factorise import decomposition
from hetsim.learn.ops.part import shapes
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore

PHOTO, SMALL, LARGER = (3, 32, 32), (1, 12, 12), (3, 64, 64)
CNN = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 8, "hidden": 24})
SLIM = Architecture.of("resnet18", SMALL, 10, {"channels": [4, 8, 12, 16]})


def thin(name: str, shape: tuple[int, ...], classes: int, factor: int) -> Architecture:
    return ops.low_rank(Architecture.of(name, shape, classes), factor)


def value(ref: Ref[Any], resident: Resident) -> Any:
    return ops.compute(ref, [value(each, resident) for each in ref.inputs], resident)


def unfolded(weight: torch.Tensor) -> torch.Tensor:
    """Row o k + y and column i k + x, one value after the other."""
    outputs, inputs, k, _ = weight.shape
    matrix = torch.zeros(outputs * k, inputs * k, dtype=torch.float64)
    for o, i, y, x in np.ndindex(outputs, inputs, k, k):
        matrix[o * k + y, i * k + x] = weight[o, i, y, x]
    return matrix


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "classes", "factor", "parameters"),
    [
        ("resnet34", PHOTO, 100, 1, 21_328_292),
        ("resnet34", PHOTO, 100, 2, 8_401_316),
        ("resnet34", PHOTO, 100, 4, 4_985_252),
        ("resnet34", PHOTO, 100, 8, 3_277_220),
        ("resnet34", PHOTO, 100, 12, 2_707_748),
        ("resnet34", PHOTO, 100, 64, 1_782_692),
        ("resnet34", PHOTO, 100, 512, 286_052),
        ("resnet34", LARGER, 200, 1, 21_379_592),
        ("resnet34", LARGER, 200, 2, 8_452_616),
        ("resnet34", LARGER, 200, 4, 5_036_552),
        ("resnet34", LARGER, 200, 8, 3_328_520),
        ("resnet34", LARGER, 200, 12, 2_759_048),
        ("resnet18", PHOTO, 10, 1, 11_173_962),
        ("resnet18", PHOTO, 10, 2, 4_157_514),
        ("resnet18", PHOTO, 10, 4, 2_209_866),
        ("resnet18", PHOTO, 10, 8, 1_236_042),
    ],
)
def test_has_the_published_number_of_values(
    name: str, shape: tuple[int, ...], classes: int, factor: int, parameters: int
) -> None:
    """Yao et al.: 21.33, 8.40, 4.99, 3.27, 2.71, 1.78 and 0.29 million for CIFAR-100."""
    module = thin(name, shape, classes, factor).build()
    assert sum(each.numel() for each in module.parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "classes", "factor", "products"),
    [
        ("resnet34", 100, 2, 744_212_480),
        ("resnet34", 100, 12, 555_173_888),
        ("resnet18", 10, 8, 127_603_712),
    ],
)
def test_the_meter_counts_both_thin_layers(
    name: str, classes: int, factor: int, products: int
) -> None:
    """A multiply-add is two operations; the first layer keeps the whole height."""
    assert measure(thin(name, PHOTO, classes, factor)).forward == 2 * products


def factors_of(name: str, factor: int) -> list[str]:
    whole = Architecture.of(name, PHOTO, 10, {"width": 0.125})
    module = ops.low_rank(whole, factor).build()
    return [path for path, layer in module.named_modules() if isinstance(layer, Factors)]


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_more_layers_have_a_low_rank_with_high_factors(name: str) -> None:
    stages = {
        factor: {path.rpartition(".")[0] for path in factors_of(name, factor)}
        for factor in (8, 128, 129, 256, 257)
    }
    assert stages[8] == stages[128]
    spared = {"resnet18": "layer1.0", "resnet34": "layer2.3"}[name]
    assert spared not in stages[128]
    assert ("layer1.1" in stages[128]) == (name == "resnet18")
    assert not any(path.startswith("layer1") for path in stages[129])
    assert stages[129] == stages[256]
    assert {path for path in stages[257] if path.startswith("layer1")}
    for paths in stages.values():
        assert not any("shortcut" in path for path in paths), "1 x 1 stays"
        assert "" not in paths, "stem and classifier stay"


def test_other_models_keep_stem_and_classifier_and_what_would_not_shrink() -> None:
    given = shapes(ops.low_rank(CNN, 2))
    assert given == {
        "conv1.weight": (8, 1, 5, 5), "conv1.bias": (8,),
        "conv2.v.weight": (8, 8, 1, 5), "conv2.u.weight": (16, 8, 5, 1), "conv2.u.bias": (16,),
        "fc1.v.weight": (12, 64), "fc1.u.weight": (24, 12), "fc1.u.bias": (24,),
        "fc2.weight": (10, 24), "fc2.bias": (10,),
    }  # fmt: skip
    mlp = Architecture.of("mlp", (1, 8, 8), 10, {"hidden": [16, 16]})
    assert ops.low_rank(mlp, 2) == mlp, "8 x (16 + 16) is no less than 16 x 16"
    assert [name for name in shapes(ops.low_rank(mlp, 4)) if ".v." in name] == ["3.v.weight"]
    assert ops.low_rank(CNN, 1) == CNN
    assert shapes(Architecture.of("low_rank", (1, 8, 8), 10, {"factor": 1})) == shapes(
        Architecture.of("small_cnn", (1, 8, 8), 10)
    )


@pytest.mark.parametrize("outputs", [5, 6, 7, 15])
def test_ranks_are_rounded_to_the_even_and_at_least_one(outputs: int) -> None:
    whole = Architecture.of("mlp", (1, 8, 8), 10, {"hidden": [64, outputs]})
    expected = {5: 2, 6: 3, 7: 4, 15: 8}[outputs]
    given = shapes(ops.low_rank(whole, 2))
    assert given["3.v.weight"] == (expected, 64)
    assert shapes(ops.low_rank(whole, 99))["3.v.weight"] == (1, 64)


def test_is_a_chain_of_the_same_blocks() -> None:
    whole, low = SLIM, ops.low_rank(SLIM, 4)
    assert low.blocks == whole.blocks
    front, back = low.cut(3)
    assert shapes(front).keys() | shapes(back).keys() == shapes(low).keys()


@pytest.mark.parametrize(
    ("options", "what"),
    [({"factor": 0}, "factor is 0"), ({"model": "multi_exit"}, "is no chain of blocks")],
)
def test_refuses(options: dict[str, Any], what: str) -> None:
    with pytest.raises(SpecError, match=what) as refusal:
        Architecture.of("low_rank", (1, 8, 8), 10, options).build()
    assert refusal.value.remedy


def test_factors_start_with_the_spread_of_the_layer() -> None:
    whole, low = (
        Architecture.of("low_rank", PHOTO, 10, {"model": "resnet18", "factor": factor}).build()
        for factor in (1, 8)
    )
    layer = whole.get_parameter("layer3.1.conv1.weight").detach()
    u, v = (low.get_parameter(f"layer3.1.conv1.{name}.weight").detach() for name in "uv")
    product = torch.einsum("orya,ribx->oiyx", u, v)
    assert float(product.std() / layer.std()) == pytest.approx(1.0, rel=0.05)


# --- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("biased", [True, False])
def test_at_full_rank_two_thin_convolutions_are_the_convolution(stride: int, biased: bool) -> None:
    torch.manual_seed(1)
    layer = torch.nn.Conv2d(6, 8, 3, stride, padding=1, bias=biased)
    factors = Factors(layer, rank=18)
    matrix = unfolded(layer.weight.detach())
    p, s, q = np.linalg.svd(matrix.numpy(), full_matrices=False)
    assert len(s) == 18
    u, v = p * np.sqrt(s), np.sqrt(s)[:, None] * q
    with torch.no_grad():
        for o, r, y in np.ndindex(8, 18, 3):
            factors.u.weight[o, r, y, 0] = float(u[o * 3 + y, r])
        for r, i, x in np.ndindex(18, 6, 3):
            factors.v.weight[r, i, 0, x] = float(v[r, i * 3 + x])
        x = torch.randn(5, 6, 9, 10)
        assert torch.allclose(factors(x), layer(x), atol=1e-5)


@pytest.fixture
def full_rank(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever the factor, layers keep the rank of their matrix."""
    from hetsim.learn.models import low_rank

    def rank(layer: Any, factor: int) -> int:
        if isinstance(layer, torch.nn.Linear):
            return min(layer.weight.shape)
        outputs, inputs, k, _ = (*layer.weight.shape, 1)[:4]
        return min(outputs * k, inputs * k)

    monkeypatch.setattr(low_rank, "_rank", rank)
    monkeypatch.setattr(low_rank, "_smaller", lambda layer, rank: True)
    shapes.cache_clear()
    yield
    shapes.cache_clear()


@pytest.mark.usefixtures("full_rank")
@pytest.mark.parametrize("whole", [CNN, SLIM], ids=["linear and biased", "strided"])
def test_at_full_rank_nothing_is_lost(whole: Architecture, resident: Resident) -> None:
    """Values there and back, and what the model gives."""
    low = Architecture.of(
        "low_rank", whole.shape, 10,
        {"model": whole.name, "options": json.dumps(dict(whole.options)), "factor": 3},
    )  # fmt: skip
    model = ops.initial(whole, 5)
    factors = ops.factorised(model, low)
    before, between = value(model, resident), value(factors, resident)
    after = value(ops.recombined(factors, whole), resident)
    assert list(after) == list(before)
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype
        assert torch.allclose(after[name], tensor, atol=1e-5), name
    one, other = whole.build(), low.build()
    one.load_state_dict(before)
    other.load_state_dict(between)
    x = torch.randn(4, *whole.shape)
    for module in (one, other):
        module.train()
    assert torch.allclose(one(x), other(x), atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_no_product_of_that_rank_is_closer(factor: int, resident: Resident) -> None:
    """|A - U V|^2 is the sum of the squares of the singular values left out."""
    low = ops.low_rank(SLIM, factor)
    model = ops.initial(SLIM, 2)
    factors = ops.factorised(model, low)
    before = value(model, resident)
    thin, after = value(factors, resident), value(ops.recombined(factors, SLIM), resident)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == [f"{path.removesuffix('.v.weight')}.weight"
                       for path in shapes(low) if path.endswith(".v.weight")]  # fmt: skip
    for name in changed:
        rank = len(thin[name.replace("weight", "v.weight")])
        values = np.linalg.svd(unfolded(before[name]).numpy(), compute_uv=False)
        error = float((after[name] - before[name]).double().square().sum())
        assert error == pytest.approx(float((values[rank:] ** 2).sum()), rel=1e-4)
        u, v = thin[name.replace("weight", "u.weight")], thin[name.replace("weight", "v.weight")]
        shares = [
            u.square().sum((0, 2, 3)), v.square().sum((1, 2, 3)), torch.from_numpy(values[:rank])
        ]  # fmt: skip
        for share in shares[:2]:
            assert torch.allclose(share.double(), shares[2], rtol=1e-4), "balanced"


def test_is_deterministic_alone_and_in_company(resident: Resident) -> None:
    model = ops.initial(CNN, 1)
    refs = [ops.factorised(model, ops.low_rank(CNN, factor)) for factor in (2, 4, 8)]
    state = value(model, resident)
    alone = [model_hash(ops.compute(ref, [state], resident)) for ref in refs]
    assert alone == [model_hash(ops.compute(ref, [state], resident)) for ref in refs]
    together = ops.compute_all([(ref, [state]) for ref in refs], resident)
    assert [model_hash(each) for each in together] == alone
    assert len({ops.kin(ref) for ref in refs}) == 1
    assert ops.kin(refs[0]) != ops.kin(ops.factorised(ops.initial(CNN, 2), ops.low_rank(CNN, 2)))
    lab = Lab(Pool(workers=2), MemoryStore(), resident)
    try:
        assert [model_hash(each) for each in lab.settle(refs)] == alone
    finally:
        lab.close()


def test_neither_way_changes_a_model_that_is_there(resident: Resident) -> None:
    model = ops.initial(CNN, 1)
    low = ops.factorised(model, ops.low_rank(CNN, 2))
    assert ops.factorised(model, CNN) is model
    assert ops.recombined(model, CNN) is model
    assert ops.recombined(low, ops.model_arch(low)) is low
    other = Architecture.of("small_cnn", (1, 8, 8), 10)
    with pytest.raises(ValueError, match=r"is not of the model .* conv1"):
        ops.factorised(model, ops.low_rank(other, 2))
    with pytest.raises(ValueError, match="is not of the model"):
        ops.recombined(low, other)


def test_a_layer_has_arrived_with_both_of_its_factors() -> None:
    low = ops.factorised(ops.initial(CNN, 1), ops.low_rank(CNN, 2))
    assert ops.layers_of(low) == ("fc2", "fc1.u", "fc1.v", "conv2.u", "conv2.v", "conv1")
    whole = ops.recombined_layers(ops.layers_of(low), low, CNN)
    assert set(ops.layers_of(ops.initial(CNN, 1))) <= set(whole)
    some = ops.recombined_layers(("fc2", "fc1.u", "fc1.v", "conv2.u"), low, CNN)
    assert {"fc2", "fc1"} == set(some) & {"fc2", "fc1", "conv2", "conv1"}
    model = ops.initial(CNN, 1)
    assert ops.recombined_layers(("fc2",), model, CNN) == ("fc2",)


# --- what it takes --------------------------------------------------------------------------------


def test_the_server_pays_for_decompositions_and_products() -> None:
    """Of conv2, 80 x 40 at rank 8, and of fc1, 24 x 64 at rank 12."""
    model = ops.initial(CNN, 1)
    low = ops.factorised(model, ops.low_rank(CNN, 2))
    assert low.nbytes == 4 * sum(np.prod(each) for each in shapes(ops.low_rank(CNN, 2)).values())
    assert low.cost.flops == sum(6 * m * n**2 + 20 * n**3 for m, n in ((80, 40), (64, 24)))
    again = 2 * (40**3 + 24**3) / 3
    assert decomposition(80, 40)[1] + decomposition(24, 64)[1] == pytest.approx(again)
    vectors = 40 * (80 + 40 + 1) + 24 * (24 + 64 + 1)
    factors = 8 * (80 + 40) + 12 * (24 + 64)
    assert low.cost.traffic == pytest.approx(8 * (again + vectors) + 12 * factors)
    back = ops.recombined(low, CNN)
    assert back.nbytes == model.nbytes
    assert back.cost.flops == 2 * 80 * 40 * 8 + 2 * 24 * 64 * 12
    assert back.cost.traffic == 8 * factors + 4 * (80 * 40 + 24 * 64)
    assert low.cost.memory > 8 * 80 * 40
    smaller = ops.factorised(model, ops.low_rank(CNN, 8))
    assert smaller.cost.flops == low.cost.flops, "of all values, whatever the rank"
    assert smaller.cost.traffic < low.cost.traffic


def test_a_model_of_factors_can_be_trained(resident: Resident) -> None:
    low = ops.factorised(ops.initial(CNN, 1), ops.low_rank(CNN, 4))
    shard = resident.shard(np.arange(60))
    update = ops.train(low, shard, epochs=40, batch=10, lr=0.02, momentum=0.9, seed=3)
    losses = [value(ops.evaluate(each, shard), resident)["loss"] for each in (low, update)]
    assert losses[1] < 0.3 * losses[0]
    state: State = value(update, resident)
    module = ops.low_rank(CNN, 4).build()
    module.load_state_dict(state)
    x, y = resident.gather("train", torch.arange(60))
    with torch.no_grad():
        loss = F.cross_entropy(module.eval()(x), y)
    assert float(loss) == pytest.approx(losses[1], rel=1e-3)
