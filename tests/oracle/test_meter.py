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


def test_every_operator_of_logistic_regression_is_counted_once() -> None:
    """650 weights, 64 inputs, 10 classes; each line an operator: bytes a batch and a sample."""
    forward = [(2600, 256 + 40)]  # addmm: weights and bias; inputs and logits
    loss = [(0, 40 + 40), (8, 40 + 8)]  # log-softmax; its pick by the label, loss and weight
    backward = [
        (4 + 4, 0),  # a one for the loss
        (4 + 4, 40 + 8 + 40),  # where the label was
        (0, 3 * 40),  # through the softmax
        (2560, 40 + 256),  # matrix product: gradient of the weights
        (40, 40),  # sum: gradient of the bias
    ]
    sheet = measure(Architecture.of("logistic", (1, 8, 8), 10))
    for measured, expected in (
        (sheet.inference, forward),
        (sheet.training, [*forward, *loss, *backward]),
    ):
        assert measured.operators == len(expected)
        assert measured.fixed == sum(fixed for fixed, _ in expected)
        assert measured.growing == sum(growing for _, growing in expected)


def test_training_cost_is_the_stated_formula() -> None:
    """Logistic regression on the digits: 650 weights; autograd saves log-probabilities, labels."""
    architecture = Architecture.of("logistic", (1, 8, 8), 10)
    weights, given, saved = 650 * 4, 64 * 4, 10 * 4 + 8
    cost = train_cost(
        architecture, steps=3, batch=16, samples=40, momentum=True, decay=True, anchors=1
    )
    sheet = measure(architecture)
    assert sheet.saved == saved
    assert cost.flops == 40 * (2 * 640 + 2 * 640)
    update = 3 + 5 + 3 + 6  # weights read or written: step, momentum, decay, anchor
    assert cost.traffic == 3 * (sheet.training.fixed + update * weights) + 40 * (
        sheet.training.growing
    )
    assert cost.operators == 3 * (sheet.training.operators + 2 * (1 + 2 + 1 + 2))
    assert cost.memory == (2 + 1 + 1) * weights + 16 * (given + saved)
    assert (cost.steps, cost.samples) == (3, 40)


@pytest.mark.parametrize(("name", "shape"), [(row[0], row[1]) for row in TABLE])
def test_a_batch_moves_its_weights_and_a_share_for_each_sample(
    name: str, shape: tuple[int, ...]
) -> None:
    """Weights are read at least once forward; training reads them again and writes gradients."""
    sheet = measure(Architecture.of(name, shape, 10))
    assert sheet.inference.fixed >= sheet.parameter_bytes
    assert sheet.training.fixed >= 2 * sheet.parameter_bytes
    assert sheet.training.growing > 2 * sheet.inference.growing > 2 * sheet.input_bytes
    weighted = sum(layer.parameters > 0 for layer in sheet.layers)
    assert sheet.inference.operators >= weighted
    assert sheet.training.operators >= 2 * weighted


def test_a_shard_smaller_than_the_batch_needs_no_memory_for_the_rest() -> None:
    architecture = Architecture.of("small_cnn", (1, 8, 8), 10)
    few = train_cost(architecture, steps=1, batch=64, samples=5, momentum=False)
    assert few == train_cost(architecture, steps=1, batch=5, samples=5, momentum=False)


def test_evaluation_costs_a_forward_pass_and_no_activations() -> None:
    architecture = Architecture.of("logistic", (1, 8, 8), 10)
    cost = forward_cost(architecture, samples=70, batch=32)
    assert cost.flops == 70 * 2 * 640
    # One operator, for Flatten is a view: 64 values in, 10 out.
    assert cost.traffic == 3 * 2600 + 70 * (256 + 40)
    assert cost.operators == 3
    assert cost.memory == 2600 + 32 * (256 + 4 * (64 + 64))
    assert cost.steps == 3


def test_averaging_costs_what_it_reads_and_writes() -> None:
    cost = mean_cost(4000, 10, tensors=3)
    assert (cost.flops, cost.memory) == (20_000, 16_000)
    assert cost.operators == (10 + 1) * 3
    assert cost.traffic == 10 * (4000 + 2 * 8000) + 8000 + 4000
