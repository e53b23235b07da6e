"""The meter against counts of the same networks made with another tool.

The table was counted with PyTorch's FlopCounterMode and saved-tensor hooks on real batches of 32,
the backward pass of grouped convolutions by hand (the counter ignores groups).
"""

from __future__ import annotations

import pytest

from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT, forward_cost, mean_cost, measure, train_cost

IMAGE, PHOTO, SIGNAL = (1, 28, 28), (3, 32, 32), (6, 128)
TABLE = [  # shape, classes, parameters, buffers, forward, backward, outputs, saved bytes
    ("small_cnn", IMAGE, 10, 215_370, 0, 6_048_768, 11_470_336, 18_954, 132_272),
    ("lenet5", IMAGE, 10, 61_706, 0, 833_040, 1_430_880, 6_518, 44_992),
    ("resnet8", PHOTO, 10, 75_290, 487, 24_478_976, 48_073_216, 147_466, 590_188),
    ("resnet20", PHOTO, 10, 269_722, 1_395, 81_102_080, 161_319_424, 376_842, 1_507_804),
    ("resnet32", PHOTO, 10, 464_154, 2_303, 137_725_184, 274_565_632, 606_218, 2_425_420),
    ("resnet44", PHOTO, 10, 658_586, 3_211, 194_348_288, 387_811_840, 835_594, 3_343_036),
    ("resnet56", PHOTO, 10, 853_018, 4_119, 250_971_392, 501_058_048, 1_064_970, 4_260_652),
    (
        "resnet18", PHOTO, 10, 11_173_962, 9_620,
        1_110_845_440, 2_218_151_936, 1_417_226, 4_689_120,
    ),
    ("vgg11", PHOTO, 10, 9_228_362, 5_512, 305_539_072, 607_539_200, 485_898, 1_587_936),
    ("mobilenetv2", PHOTO, 10, 700_490, 18_596, 55_938_048, 110_991_360, 2_677_770, 10_636_606),
    ("cnn1d", SIGNAL, 6, 89_638, 0, 2_474_752, 4_703_744, 25_734, 102_688),
]  # fmt: skip


@pytest.mark.parametrize(
    (
        "name",
        "shape",
        "classes",
        "parameters",
        "buffers",
        "forward",
        "backward",
        "outputs",
        "saved",
    ),
    TABLE,
    ids=[row[0] for row in TABLE],
)
def test_counts_are_exactly_the_published_table(
    name: str, shape: tuple[int, ...], classes: int, parameters: int, buffers: int,
    forward: int, backward: int, outputs: int, saved: int,
) -> None:  # fmt: skip
    sheet = measure(Architecture.of(name, shape, classes))
    assert (sheet.parameters, sheet.buffers) == (parameters, buffers)
    assert (sheet.forward, sheet.backward) == (forward, backward)
    assert sheet.flops == forward + backward
    assert (sheet.outputs, sheet.saved) == (outputs, saved)
    assert sheet.parameter_bytes == parameters * FLOAT


def test_counters_in_a_state_take_eight_bytes() -> None:
    sheet = measure(Architecture.of("resnet8", PHOTO, 10))
    layers = sum(layer.kind == "BatchNorm2d" for layer in sheet.layers)
    floats = sheet.parameters + sheet.buffers - layers
    assert sheet.state_bytes == floats * FLOAT + layers * 8


def test_depthwise_convolution_is_counted_by_hand() -> None:
    """Nine taps a pixel and channel, a multiply-add being two; backward twice that."""
    sheet = measure(Architecture.of("mobilenetv2", PHOTO, 10))
    depthwise = next(layer for layer in sheet.layers if layer.name == "features.1.layers.0.0")
    assert depthwise.forward == 2 * 9 * 16 * 32 * 32
    assert depthwise.backward == 2 * depthwise.forward


def test_only_the_first_layer_with_parameters_saves_the_gradient_of_its_input() -> None:
    sheet = measure(Architecture.of("mlp", (1, 8, 8), 10, {"hidden": (64, 32)}))
    weighted = [layer for layer in sheet.layers if layer.parameters]
    assert [layer.forward for layer in weighted] == [2 * 64 * 64, 2 * 64 * 32, 2 * 32 * 10]
    assert [layer.backward / layer.forward for layer in weighted] == [1, 2, 2]


def test_training_cost_is_the_stated_formula() -> None:
    """Logistic regression on the digits: 650 weights; autograd saves log-probabilities, labels."""
    architecture = Architecture.of("logistic", (1, 8, 8), 10)
    weights, given, saved = 650 * 4, 64 * 4, 10 * 4 + 8
    cost = train_cost(architecture, steps=3, batch=16, samples=40, momentum=True, extra_copies=1)
    assert measure(architecture).saved == saved
    assert cost.flops == 40 * (2 * 640 + 2 * 640)
    assert cost.traffic == 3 * (6 + 2 + 1) * weights + 40 * (given + 4 * saved)
    assert cost.memory == (2 + 1 + 1) * weights + 16 * (given + saved)
    assert (cost.steps, cost.samples) == (3, 40)


def test_a_shard_smaller_than_the_batch_needs_no_memory_for_the_rest() -> None:
    architecture = Architecture.of("small_cnn", (1, 8, 8), 10)
    few = train_cost(architecture, steps=1, batch=64, samples=5, momentum=False)
    assert few == train_cost(architecture, steps=1, batch=5, samples=5, momentum=False)


def test_evaluation_costs_a_forward_pass_and_no_activations() -> None:
    architecture = Architecture.of("logistic", (1, 8, 8), 10)
    cost = forward_cost(architecture, samples=70, batch=32)
    assert cost.flops == 70 * 2 * 640
    # Two leaf modules: Flatten hands on 64 values, Linear makes 10.
    assert cost.traffic == 3 * 2600 + 70 * (256 + 2 * 4 * (64 + 10))
    assert cost.memory == 2600 + 32 * (256 + 4 * (64 + 64))
    assert cost.steps == 3


def test_averaging_costs_what_it_reads_and_writes() -> None:
    cost = mean_cost(4000, 10)
    assert (cost.flops, cost.memory) == (20_000, 16_000)
    assert cost.traffic == 10 * (4000 + 2 * 8000) + 8000 + 4000
