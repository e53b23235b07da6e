from __future__ import annotations

import numpy as np
import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import forward_cost, mean_cost, measure, train_cost
from hetsim.learn.resident import Resident

SETTINGS = {"batch": 16, "lr": 0.1, "seed": 3}


@pytest.fixture
def start(logistic: Architecture) -> Ref:
    return ops.initial(logistic, 7)


def test_a_training_is_priced_by_what_it_does(
    start: Ref, logistic: Architecture, resident: Resident
) -> None:
    """Thirty-seven samples in batches of 16: two full steps and one of five samples an epoch."""
    shard = resident.shard(np.arange(37))
    for limits, steps, samples in (
        ({"epochs": 2}, 6, 74),
        ({"steps": 2}, 2, 32),
        ({"steps": 3}, 3, 37),
        ({"steps": 4}, 4, 53),
        ({"steps": 8}, 8, 106),
        ({"epochs": 1, "steps": 9}, 3, 37),
        ({"epochs": 9, "steps": 1}, 1, 16),
    ):
        update = ops.train(start, shard, momentum=0.9, proximal=0.1, **limits, **SETTINGS)
        assert update.arg("steps") == steps
        assert update.cost == train_cost(
            logistic, steps=steps, batch=16, samples=samples, momentum=True, anchors=1
        )
        assert update.nbytes == start.nbytes == measure(logistic).state_bytes
    assert ops.train(start, shard, epochs=1, **SETTINGS).cost.memory < update.cost.memory


def test_recipes_differ_in_what_matters(start: Ref, resident: Resident) -> None:
    shard, other = resident.shard(np.arange(37)), resident.shard(np.arange(1, 38))
    same = [ops.train(start, shard, epochs=1, **SETTINGS) for _ in range(2)]
    assert same[0].key == same[1].key == ops.train(start, shard, steps=3, **SETTINGS).key
    different = [
        same[0],
        ops.train(start, other, epochs=1, **SETTINGS),
        ops.train(start, shard, epochs=2, **SETTINGS),
        ops.train(same[0], shard, epochs=1, **SETTINGS),
        *(
            ops.train(start, shard, epochs=1, **{**SETTINGS, **change})
            for change in (
                {"batch": 15}, {"lr": 0.2}, {"seed": 4}, {"momentum": 0.5},
                {"weight_decay": 0.1}, {"proximal": 0.1},
            )
        ),
    ]  # fmt: skip
    assert len({ref.key for ref in different}) == len(different)


@pytest.mark.parametrize(
    "limits", [{}, {"epochs": 0}, {"steps": 0}, {"epochs": 1, "batch": 0}, {"steps": -1}]
)
def test_a_training_of_nothing_is_refused(
    limits: dict[str, int], start: Ref, resident: Resident
) -> None:
    with pytest.raises(ValueError, match="epochs"):
        ops.train(start, resident.shard(np.arange(5)), **{**SETTINGS, **limits})
    with pytest.raises(ValueError, match="samples 0"):
        ops.train(start, resident.shard(np.arange(0)), epochs=1, **SETTINGS)


def test_cutting_short(start: Ref, resident: Resident) -> None:
    whole = ops.train(start, resident.shard(np.arange(37)), epochs=2, momentum=0.5, **SETTINGS)
    assert ops.truncate(whole, 0) is start
    assert ops.truncate(whole, 6).key == whole.key
    assert ops.truncate(whole, 2).arg("momentum") == 0.5
    assert ops.truncate(whole, 2).cost.samples == 32
    for steps in (-1, 7):
        with pytest.raises(ValueError, match="6 steps"):
            ops.truncate(whole, steps)
    object.__setattr__(whole, "inputs", ())
    with pytest.raises(ValueError, match="computed whole"):
        ops.truncate(whole, 2)


def test_the_mean_of_one_model_is_that_model(resident: Resident) -> None:
    start = ops.initial(Architecture.of("resnet8", (1, 8, 8), 10), 7)
    state = ops.compute(start, (), resident)
    for weights in (None, [37.0], [1e-9]):
        mean = ops.compute(ops.mean([start], weights), [state], resident)
        assert mean.keys() == state.keys()
        for name in state:
            assert torch.equal(mean[name], state[name])
            assert mean[name].dtype == state[name].dtype
            assert mean[name].data_ptr() != state[name].data_ptr()


def test_weights_of_a_mean_have_no_scale(start: Ref, logistic: Architecture) -> None:
    other = ops.initial(logistic, 8)
    assert ops.mean([start, other]).key == ops.mean([start, other], [5, 5]).key
    assert ops.mean([start, other], [1, 3]).key == ops.mean([start, other], [20, 60]).key
    assert ops.mean([start, other]).key != ops.mean([other, start]).key
    assert ops.mean([start, other]).cost == mean_cost(start.nbytes, 2, tensors=2)


@pytest.mark.parametrize(
    "weights", [[1.0], [0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0], [float("inf"), 1.0]]
)
def test_weights_that_mean_nothing_are_refused(weights: list[float], start: Ref) -> None:
    with pytest.raises(ValueError, match="models and weights"):
        ops.mean([start, start], weights)
    with pytest.raises(ValueError, match="0 models"):
        ops.mean([])


def test_outputs_and_scores_are_priced_as_forward_passes(
    start: Ref, logistic: Architecture, resident: Resident
) -> None:
    test = resident.whole("test")
    logits, score = ops.forward(start, test), ops.evaluate(start, test)
    assert logits.cost == forward_cost(logistic, 297, 256)
    assert score.cost == forward_cost(logistic, 297, 100)
    assert (logits.nbytes, score.nbytes) == (297 * 10 * 4, 24)


def test_every_model_names_its_architecture(
    start: Ref, logistic: Architecture, resident: Resident
) -> None:
    shard = resident.shard(np.arange(5))
    update = ops.train(start, shard, epochs=1, **SETTINGS)
    for model in (start, update, ops.mean([update, start])):
        assert ops.model_arch(model) == logistic
    with pytest.raises(KeyError):
        ops.model_arch(shard)


def test_shards(resident: Resident) -> None:
    shard = resident.shard(np.array([5, 2, 9]))
    assert resident.samples(shard) == 3
    assert resident.rows(shard).index.tolist() == [5, 2, 9]
    assert resident.labels(shard).tolist() == resident.dataset.y[[5, 2, 9]].tolist()
    assert shard.key != resident.shard(np.array([2, 5, 9])).key
    assert shard.key != resident.shard(np.array([5, 2, 9]), "test").key
    assert resident.samples(resident.whole("source")) == 300
    assert (shard.nbytes, shard.cost.flops) == (0, 0)
    with pytest.raises(SpecError, match="rows outside"):
        resident.shard(np.array([1200]))
    with pytest.raises(KeyError, match="not a shard of digits"):
        resident.rows(Ref.of("shard", data="other", rows="", split="train", samples=3))


def test_samples_are_normalised_when_they_are_gathered(resident: Resident) -> None:
    data = resident.dataset
    x, y = resident.gather("train", torch.arange(len(data.y)))
    assert (x.dtype, y.dtype, x.shape) == (torch.float32, torch.int64, (1200, 1, 8, 8))
    expected = (data.x.astype(np.float64) - data.mean[0]) / data.std[0]
    assert np.allclose(x.numpy(), expected, atol=1e-6)
    assert y.tolist() == data.y.tolist()
