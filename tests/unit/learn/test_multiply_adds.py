"""Multiply-adds and parameters of the networks that three papers are about, to the last one.

Yao et al., "FedHM", arXiv 2111.14655; Zhu et al., "FedLP", arXiv 2303.06360; Yu et al., "SPATL",
arXiv 2111.14345. Counts were made on the networks of the authors' code.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from hetsim.core.registry import MODELS
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.multiply_adds import Convention, convolutions, kept_flops, multiply_adds

PHOTO, LARGE, IMAGE = (3, 32, 32), (3, 64, 64), (1, 28, 28)
STAGES = (64, 128, 256, 512)


def of(
    name: str, shape: tuple[int, ...] = PHOTO, classes: int = 10, **options: Any
) -> Architecture:
    return Architecture.of(name, shape, classes, options)


def thin(name: str, shape: tuple[int, ...], classes: int, factor: int) -> Architecture:
    options = {"model": name, "options": "{}", "factor": factor}
    return Architecture.of("low_rank", shape, classes, options)


def slim(name: str, classes: int, width: float) -> Architecture:
    """Channels rounded to the nearest, as in FedHM's copy of HeteroFL."""
    return of(name, PHOTO, classes, channels=[round(width * each) for each in STAGES])


def counts(architecture: Architecture, convention: Convention = "layers") -> tuple[int, int]:
    parameters = sum(each.numel() for each in architecture.build().parameters())
    return parameters, multiply_adds(architecture, convention)


@pytest.mark.parametrize(
    ("width", "parameters", "products"),
    [
        (1.0, 21_328_292, 1_159_448_576), (0.64, 8_769_303, 476_257_312),
        (0.5, 5_349_636, 290_317_312), (0.4, 3_423_974, 186_315_556),
        (0.3, 1_940_838, 104_051_304), (0.1, 221_050, 11_671_292),
    ],
)  # fmt: skip
def test_resnet34_of_several_widths(width: float, parameters: int, products: int) -> None:
    assert counts(slim("resnet34", 100, width)) == (parameters, products)


@pytest.mark.parametrize(
    ("width", "parameters", "products"),
    [
        (1.0, 11_173_962, 555_422_720), (0.64, 4_589_591, 228_354_256),
        (0.5, 2_797_610, 139_299_328), (0.35, 1_373_160, 67_991_534),
    ],
)  # fmt: skip
def test_resnet18_of_several_widths(width: float, parameters: int, products: int) -> None:
    assert counts(slim("resnet18", 10, width)) == (parameters, products)


THIN = [  # model, shape, classes, factor, parameters, products, as ptflops counts
    ("resnet34", PHOTO, 100, 1, 21_328_292, 1_159_448_576, 1_162_471_424),
    ("resnet34", PHOTO, 100, 2, 8_401_316, 744_212_480, 747_235_328),
    ("resnet34", PHOTO, 100, 4, 4_985_252, 630_966_272, 633_989_120),
    ("resnet34", PHOTO, 100, 8, 3_277_220, 574_343_168, 577_366_016),
    ("resnet34", PHOTO, 100, 12, 2_707_748, 555_173_888, 558_196_736),
    ("resnet34", PHOTO, 100, 64, 1_782_692, None, 527_820_800),
    ("resnet34", PHOTO, 100, 512, 286_052, None, 16_541_696),
    ("resnet18", PHOTO, 10, 1, 11_173_962, 555_422_720, 557_216_768),
    ("resnet18", PHOTO, 10, 2, 4_157_514, 259_724_288, 261_518_336),
    ("resnet18", PHOTO, 10, 4, 2_209_866, 171_643_904, 173_437_952),
    ("resnet18", PHOTO, 10, 8, 1_236_042, 127_603_712, 129_397_760),
    ("resnet34", LARGE, 200, 1, 21_379_592, None, 4_649_783_296),
    ("resnet34", LARGE, 200, 2, 8_452_616, None, 2_988_838_912),
    ("resnet34", LARGE, 200, 4, 5_036_552, None, 2_535_854_080),
    ("resnet34", LARGE, 200, 8, 3_328_520, None, 2_309_361_664),
    ("resnet34", LARGE, 200, 12, 2_759_048, None, 2_232_684_544),
]


@pytest.mark.parametrize(
    ("name", "shape", "classes", "factor", "parameters", "products", "ptflops"), THIN
)
def test_residual_networks_of_low_rank(
    name: str, shape: tuple[int, ...], classes: int, factor: int,
    parameters: int, products: int | None, ptflops: int,
) -> None:  # fmt: skip
    architecture = thin(name, shape, classes, factor)
    assert counts(architecture, "ptflops") == (parameters, ptflops)
    if products is not None:
        assert multiply_adds(architecture) == products


@pytest.mark.parametrize(
    ("name", "shape", "classes", "ends", "millions", "parameters"),
    [
        (
            "resnet34", LARGE, 200, (1, 4, 8, 14, 17),
            (910.688, 1144.259, 1747.321, 839.516), (0.222, 1.116, 6.822, 13.114),
        ),
        (
            "resnet34", PHOTO, 100, (1, 4, 8, 14, 17),
            (227.672, 286.065, 436.83, 209.879), (0.222, 1.116, 6.822, 13.114),
        ),
        (
            "resnet18", PHOTO, 10, (1, 3, 5, 7, 9),
            (151.781, 134.676, 134.447, 134.332), (0.148, 0.526, 2.100, 8.394),
        ),
    ],
)  # fmt: skip
def test_stages_of_residual_networks(
    name: str, shape: tuple[int, ...], classes: int, ends: tuple[int, ...],
    millions: tuple[float, ...], parameters: tuple[float, ...],
) -> None:  # fmt: skip
    """As the authors of FedHM print them, in millions."""
    whole = of(name, shape, classes)
    for span, work, values in zip(pairwise(ends), millions, parameters, strict=True):
        count, adds = counts(replace(whole, part=span), "ptflops")
        assert adds / 1e6 == pytest.approx(work, abs=6e-4)
        assert count / 1e6 == pytest.approx(values, abs=6e-4)


@pytest.mark.parametrize(
    ("blocks", "parameters", "products", "thop"),
    [
        (2, 1_060_266, 11_371_776, 11_633_920), (3, 554_602, 15_566_080, 15_893_760),
        (4, 591_658, 25_003_264, 25_396_480), (5, 403_626, 29_459_712, 29_885_696),
        (8, 551_466, 38_896_896, 39_355_648),
    ],
)  # fmt: skip
def test_first_layers_of_fedlps_network_with_a_head(
    blocks: int, parameters: int, products: int, thop: int
) -> None:
    """The smallest has the most values: its head sees pictures that are halved once."""
    whole = of("fedlp_cnn")
    part = of("headed", model="fedlp_cnn", options="{}", blocks=blocks) if blocks < 8 else whole
    assert counts(part) == (parameters, products)
    assert multiply_adds(part, "thop") == thop


def test_layers_that_fedlps_devices_share() -> None:
    ends = [measure(of("fedlp_cnn").cut(blocks)[0]).parameters for blocks in (2, 3, 4, 5)]
    assert ends == [10_272, 28_896, 65_952, 140_064]
    perceptron = of("mlp", IMAGE, hidden=[512, 128, 128, 64, 32])
    ends = [measure(perceptron.cut(blocks)[0]).parameters for blocks in (1, 2, 3, 4, 5)]
    assert ends == [401_920, 467_584, 484_096, 492_352, 494_432]


@pytest.mark.parametrize(
    ("name", "shape", "options", "parameters", "layers", "products", "linear", "flops"),
    [
        ("resnet20", PHOTO, {}, 269_722, 19, 40_550_400, 640, 76_783_616),
        ("resnet32", PHOTO, {}, 464_154, 31, 68_861_952, 640, 130_375_680),
        ("vgg11_plain", PHOTO, {}, 9_750_922, 8, 152_764_416, 529_408, 288_706_560),
        ("lenet5", PHOTO, {"padding": 0}, 62_006, 2, 592_800, 58_920, 1_168_192),
    ],
)
def test_spatls_networks(
    name: str, shape: tuple[int, ...], options: dict[str, Any],
    parameters: int, layers: int, products: int, linear: int, flops: int,
) -> None:  # fmt: skip
    architecture = of(name, shape, **options)
    found = convolutions(architecture)
    assert len(found) == layers
    assert sum(layer.weights * layer.positions for layer in found) == products
    assert counts(architecture) == (parameters, products + linear)
    assert sum(layer.flops for layer in found) == kept_flops(found, [1.0] * layers) == flops


@pytest.mark.parametrize(
    ("name", "share", "saved"),
    [
        ("resnet20", 0.8938, 0.2), ("resnet32", 0.8941, 0.2), ("vgg11_plain", 0.8938, 0.2),
        ("vgg11_plain", 0.7752, 0.397), ("vgg11_plain", 0.7054, 0.5),
    ],
)  # fmt: skip
def test_operations_that_spatl_saves_by_keeping_a_share(
    name: str, share: float, saved: float
) -> None:
    found = convolutions(of(name))
    kept = kept_flops(found, [share] * len(found))
    assert 1 - kept / kept_flops(found, [1.0] * len(found)) == pytest.approx(saved, abs=1e-4)


def test_a_layer_sees_what_the_one_before_it_keeps() -> None:
    first, second = found = convolutions(of("lenet5", padding=0))
    assert (first, second) == ((3, 6, 25, 784), (6, 16, 25, 100))
    assert kept_flops(found, [0.5, 0.25]) == first.flops / 2 + second.flops / 8
    with pytest.raises(ValueError, match="zip"):
        kept_flops(found, [0.5])


def test_conventions_differ_by_what_they_count_beside_products() -> None:
    """LeNet-5: biases of convolutions, ReLU after all but the last layer, two poolings."""
    net = of("lenet5", padding=0)
    products, first, second = multiply_adds(net), 6 * 28 * 28, 16 * 10 * 10
    rectified = first + second + 120 + 84
    assert multiply_adds(net, "thop") == products
    assert multiply_adds(net, "ptflops") == products + 2 * (first + second) + rectified


@pytest.mark.parametrize("name", sorted({*MODELS.names()} - {"stitched"}))
def test_products_are_half_the_operations_of_the_meter(name: str) -> None:
    shape = {"cnn1d": (6, 128)}.get(name, PHOTO)
    architecture = of(name, shape)
    assert 2 * multiply_adds(architecture) == measure(architecture).forward
