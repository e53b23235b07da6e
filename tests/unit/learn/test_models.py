from __future__ import annotations

from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hetsim.core.errors import SpecError, UnknownName
from hetsim.core.registry import MODELS
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.cohort import draws
from hetsim.learn.data.base import load
from hetsim.learn.meter import measure
from hetsim.learn.net import Net, net
from hetsim.learn.resident import Resident

DIGIT, IMAGE, PHOTO, SIGNAL = (1, 8, 8), (1, 28, 28), (3, 32, 32), (6, 128)
SMALL = ("small_cnn", "resnet8", "plain_cnn", "separable_cnn", "wide_cnn")
FITTING = [
    *((name, shape) for name in ("logistic", "mlp") for shape in (DIGIT, IMAGE, PHOTO, SIGNAL)),
    *((name, shape) for name in SMALL for shape in (DIGIT, IMAGE, PHOTO)),
    *((f"resnet{depth}", PHOTO) for depth in (18, 20, 32, 34, 44, 56)),
    ("lenet5", IMAGE), ("lenet5", PHOTO), ("vgg11", PHOTO), ("vgg11", (3, 64, 64)),
    ("mobilenetv2", PHOTO), ("mobilenetv2", IMAGE), ("cnn1d", SIGNAL),
    *((name, PHOTO) for name in ("vgg11_fc3", "vgg11_small", "resnet9", "resnet12", "lenet_pi")),
    ("vgg11_plain", PHOTO), ("fedlp_cnn", PHOTO), ("fedlp_cnn", DIGIT), ("resnet34", IMAGE),
    ("resnet9", IMAGE), ("resnet12", DIGIT), ("lenet_pi", IMAGE), ("multi_exit", DIGIT),
    ("low_rank", DIGIT), ("low_rank", IMAGE), ("headed", DIGIT), ("ensemble", DIGIT),
]  # fmt: skip
SMALLEST = {
    "small_cnn": (1, 4, 4), "lenet5": (1, 12, 12), "resnet8": (1, 5, 5), "resnet18": (1, 9, 9),
    "plain_cnn": (1, 5, 5), "separable_cnn": (1, 5, 5), "wide_cnn": (1, 5, 5),
    "vgg11": (3, 32, 32), "mobilenetv2": (3, 9, 9), "cnn1d": (6, 8),
    "vgg11_fc3": (1, 16, 16), "vgg11_small": (1, 32, 32), "resnet9": (1, 16, 16),
    "resnet12": (1, 4, 4), "lenet_pi": (3, 16, 16), "resnet34": (1, 9, 9),
    "vgg11_plain": (1, 32, 32), "fedlp_cnn": (1, 8, 8),
}  # fmt: skip


@pytest.mark.parametrize(("name", "shape"), FITTING)
def test_a_model_gives_one_logit_a_class(name: str, shape: tuple[int, ...]) -> None:
    module = Architecture.of(name, shape, 7).build().eval()
    with torch.no_grad():
        assert module(torch.zeros(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize(("name", "shape"), SMALLEST.items())
def test_the_smallest_sample_that_is_let_in_can_be_trained_on(
    name: str, shape: tuple[int, ...]
) -> None:
    """Even a last batch of one sample, which batch statistics of one value would refuse."""
    module = Architecture.of(name, shape, 3).build().train()
    module(torch.zeros(1, *shape)).sum().backward()
    smaller = (shape[0], *(side - 1 for side in shape[1:]))
    with pytest.raises(SpecError, match=f'model "{name}" needs at least {shape[1]} points'):
        Architecture.of(name, smaller, 3).build()


@pytest.mark.parametrize(
    ("name", "shape"), [("cnn1d", DIGIT), ("lenet5", SIGNAL), ("resnet20", (64,))]
)
def test_samples_of_the_wrong_kind_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match=r"takes samples of channels, (.|\n)*logistic or mlp"):
        Architecture.of(name, shape, 10).build()


def test_options_change_the_model() -> None:
    wide = measure(Architecture.of("small_cnn", IMAGE, 10, {"width": 32}))
    deep = measure(Architecture.of("mlp", DIGIT, 10, {"hidden": [32, 16]}))
    slim = measure(Architecture.of("mobilenetv2", PHOTO, 10, {"width": 0.25}))
    assert wide.parameters > 215_370
    assert deep.parameters == 64 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10
    assert slim.parameters < 700_490


@pytest.mark.parametrize("name", ["plain_cnn", "separable_cnn", "wide_cnn"])
def test_a_narrower_network_has_the_first_channels_of_a_wider_one(name: str) -> None:
    """And about the work of resnet8 at full width, which falls with the width."""
    whole, half = (Architecture.of(name, PHOTO, 10, {"width": width}) for width in (1.0, 0.45))
    assert measure(whole).forward == pytest.approx(
        measure(Architecture.of("resnet8", PHOTO, 10)).forward, rel=0.2
    )
    assert measure(half).forward < 0.3 * measure(whole).forward
    wide, narrow = (ops.compute(ops.initial(each, 1), (), None) for each in (whole, half))  # pyright: ignore
    assert wide.keys() == narrow.keys()
    for key, tensor in narrow.items():
        large = wide[key]
        assert tensor.dim() == large.dim()
        for few, many, axis in zip(tensor.shape, large.shape, range(tensor.dim()), strict=True):
            hidden = axis == 0 and not key.startswith("linear")
            assert few <= many
            assert not hidden or few == ceil(0.45 * many), key
    assert measure(Architecture.of(name, DIGIT, 10, {"width": 0.01})).parameters > 0
    with pytest.raises(SpecError, match="width is 0"):
        Architecture.of(name, PHOTO, 10, {"width": 0.0}).build()


@pytest.mark.parametrize("name", ["resnet8", "resnet18", "resnet34"])
@pytest.mark.parametrize("width", [0.3, 0.01])
def test_a_narrow_residual_network_adds_what_its_shortcuts_bring(name: str, width: float) -> None:
    """Also where a shortcut adds an odd number of channels, or none and only halves the image."""
    architecture = Architecture.of(name, IMAGE, 3, {"width": width})
    module = architecture.build().train()
    module(torch.linspace(-1, 1, 4 * 28 * 28).reshape(4, *IMAGE)).sum().backward()
    narrow, wide = module.state_dict(), Architecture.of(name, IMAGE, 3).build().state_dict()
    assert narrow.keys() == wide.keys()
    first = {0.3: 5 if name == "resnet8" else 20, 0.01: 1}[width]
    assert len(narrow["conv1.weight"]) == first
    if name == "resnet8" and width == 0.3:
        x = torch.ones(1, 5, 4, 4)
        block = module.get_submodule("layer2.0")
        torch.nn.init.zeros_(block.get_parameter("bn2.weight"))
        assert block(x)[0, :, 0, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]


def test_the_channels_of_stages_can_be_said_one_by_one() -> None:
    """As FedHM's authors have HeteroFL's: rounded to the nearest at width 0.35, where we round up.

    Yao et al., arXiv 2111.14655.
    """
    rounded = Architecture.of("resnet18", PHOTO, 10, {"channels": [22, 45, 90, 179]})
    scaled = Architecture.of("resnet18", PHOTO, 10, {"width": 0.35})
    assert measure(rounded).parameters == 1_373_160
    assert dict(ops.compute(ops.initial(scaled, 0), (), None))["linear.weight"].shape == (10, 180)  # pyright: ignore
    for channels, fault in (((64, 128), "four"), ((64, 0, 64, 64), "above zero")):
        with pytest.raises(SpecError, match=fault):
            Architecture.of("resnet18", PHOTO, 10, {"channels": channels}).build()


def test_statistics_of_the_batch_leave_nothing_to_keep() -> None:
    sheet = measure(Architecture.of("resnet34", PHOTO, 100, {"statistics": "batch"}))
    assert (sheet.parameters, sheet.buffers) == (21_328_292, 0)


@pytest.mark.parametrize(
    ("name", "shape", "options", "parameters"),
    [
        ("vgg11_plain", PHOTO, {}, 9_750_922),
        ("fedlp_cnn", PHOTO, {}, 551_466),
        ("mlp", IMAGE, {"hidden": [512, 128, 128, 64, 32]}, 494_762),
        ("lenet5", PHOTO, {"padding": 0}, 62_006),
        ("lenet5", IMAGE, {"padding": 0}, 44_426),
    ],
)
def test_networks_of_papers_have_as_many_values_as_their_code(
    name: str, shape: tuple[int, ...], options: dict[str, Any], parameters: int
) -> None:
    """FedLP (arXiv 2303.06360) and SPATL (arXiv 2111.14345), with 10 classes."""
    assert measure(Architecture.of(name, shape, 10, options)).parameters == parameters


def test_dropout_is_an_option_and_its_counts_draw_nothing() -> None:
    before = torch.get_rng_state()
    some, none = (
        Architecture.of("vgg11_plain", PHOTO, 10, {"width": 0.0625, "dropout": share})
        for share in (0.5, 0.0)
    )
    assert measure(some).parameters == measure(none).parameters
    assert torch.equal(before, torch.get_rng_state())
    assert draws(some.text)
    assert not draws(none.text)
    for share in (-0.1, 1.0):
        with pytest.raises(SpecError, match="dropout"):
            Architecture.of("vgg11_plain", PHOTO, 10, {"dropout": share}).build()


def test_padding_decides_how_small_an_image_may_be() -> None:
    assert Architecture.of("lenet5", (1, 16, 16), 10, {"padding": 0}).gives == (10,)
    with pytest.raises(SpecError, match="at least 16 points"):
        Architecture.of("lenet5", (1, 15, 15), 10, {"padding": 0}).build()
    with pytest.raises(SpecError, match="padding is 3"):
        Architecture.of("lenet5", IMAGE, 10, {"padding": 3}).build()


def test_unknown_models_and_options_are_explained() -> None:
    with pytest.raises(UnknownName, match='Did you mean "small_cnn"'):
        Architecture.of("smal_cnn", PHOTO, 10).build()
    with pytest.raises(SpecError, match=r'no option "widht"(.|\n)*Did you mean "width"'):
        Architecture.of("small_cnn", PHOTO, 10, {"widht": 3}).build()
    with pytest.raises(SpecError, match="cannot be built"):
        Architecture.of("mlp", PHOTO, 10, {"hidden": 3}).build()


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture.of("mlp", DIGIT, 10, {"hidden": [64, 32]}),
        Architecture.of("mobilenetv2", PHOTO, 10, {"width": 0.1}),
        Architecture.of("cnn1d", SIGNAL, 6),
    ],
)
def test_the_text_of_an_architecture_reads_back(architecture: Architecture) -> None:
    assert Architecture.parse(architecture.text) == architecture
    assert hash(Architecture.parse(architecture.text)) == hash(architecture)


def test_a_net_gives_back_what_it_was_loaded_with(resident: Resident) -> None:
    start = ops.initial(Architecture.of("resnet8", DIGIT, 10), 3)
    state = ops.compute(start, (), resident)
    ready = Net(ops.model_arch(start))
    ready.load(state)
    again = ready.state()
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)
    assert all(tensor.is_contiguous() for tensor in again.values())
    for tensor in ready.tensors:
        tensor.zero_()
    assert float(again["linear.weight"].abs().sum()) > 0
    assert net(start.arg("arch")) is net(start.arg("arch"))


def test_initial_weights_depend_on_the_seed_and_leave_the_global_generator_alone(
    resident: Resident,
) -> None:
    architecture = Architecture.of("resnet8", DIGIT, 10)
    before = torch.get_rng_state()
    one, same, other = (
        ops.compute(ops.initial(architecture, seed), (), resident)
        for seed in (2**64 - 1, 2**64 - 1, 0)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_published_weights_fit_by_name(depth: int, data_folder: Path) -> None:
    state = published(depth, data_folder)
    Architecture.of(f"resnet{depth}", PHOTO, 10).build().load_state_dict(state)


@pytest.mark.slow
def test_published_weights_see_what_they_were_published_to_see(data_folder: Path) -> None:
    """ResNet-20 is right on 91.73 % of all test pictures; here the first 600 of our order."""
    resident = Resident(load("cifar10", (("test", 600), ("train", 1)), data_folder))
    module = Architecture.of("resnet20", PHOTO, 10).build().eval()
    module.load_state_dict(published(20, data_folder))
    x = torch.from_numpy(resident.dataset.test_x) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        guess = module((x - mean[:, None, None]) / std[:, None, None]).argmax(1)
    right = float((guess == torch.from_numpy(resident.dataset.test_y)).float().mean())
    assert abs(right - 0.9173) < 0.03


def published(depth: int, folder: Path) -> dict[str, torch.Tensor]:
    [path] = (folder / "pretrained").glob(f"resnet{depth}-*.th")
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def test_all_are_plug_ins() -> None:
    """One has no default: it is made of parts of others (test_stitching)."""
    names = {name for name, _ in FITTING} | {"stitched"}
    assert names == set(MODELS.names())


def test_dropout_draws_from_the_seed_of_the_training(
    resident: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third party's model may have layers that draw from torch's global generator."""

    def forgetful(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(64, classes)
        )

    point = SimpleNamespace(load=lambda: forgetful)
    monkeypatch.setitem(MODELS.__dict__, "_foreign", {"forgetful": point})
    start = ops.initial(Architecture.of("forgetful", DIGIT, 10), 0)
    shard = resident.shard(np.arange(40))
    rows = resident.rows(shard)
    state = ops.compute(start, (), resident)
    update = ops.train(start, shard, epochs=1, batch=8, lr=0.1, seed=4)
    one = ops.compute(update, (state, rows), resident)
    torch.rand(3)
    two = ops.compute(update, (state, rows), resident)
    assert torch.equal(one["2.weight"], two["2.weight"])
