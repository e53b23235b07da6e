"""Published networks with which devices were measured, as torch modules, only to be counted.

Each is written from its paper's tables. Nothing trains them; `test_workloads` counts them by the
meter and compares with the numbers in `hetsim.study.workloads`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn


def _conv(cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1,
          act: Callable[[], nn.Module] | None = nn.ReLU) -> nn.Sequential:  # fmt: skip
    layers: list[nn.Module] = [
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(cout),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


class Residual(nn.Module):
    """A block and a shortcut, added; He et al., "Deep residual learning", CVPR 2016, fig. 2."""

    def __init__(self, block: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.block, self.shortcut, self.relu = block, shortcut, nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.block(x) + self.shortcut(x))


def resnet(blocks: tuple[int, ...], *, bottleneck: bool, classes: int) -> nn.Module:
    """ResNet-18 (2, 2, 2, 2) and ResNet-50 (3, 4, 6, 3) of table 1, stride in the 3x3."""
    layers: list[nn.Module] = [_conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    cin = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        cout = width * 4 if bottleneck else width
        for index in range(count):
            stride = 2 if stage and not index else 1
            if bottleneck:
                block = nn.Sequential(
                    _conv(cin, width), _conv(width, width, 3, stride), _conv(width, cout, act=None)
                )
            else:
                block = nn.Sequential(_conv(cin, width, 3, stride), _conv(width, cout, 3, act=None))
            plain = stride == 1 and cin == cout
            shortcut = nn.Identity() if plain else _conv(cin, cout, 1, stride, act=None)
            layers.append(Residual(block, shortcut))
            cin = cout
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, classes))


def resnet18(classes: int) -> nn.Module:
    return resnet((2, 2, 2, 2), bottleneck=False, classes=classes)


def resnet50(classes: int) -> nn.Module:
    return resnet((3, 4, 6, 3), bottleneck=True, classes=classes)


class Attention(nn.Module):
    """Multi-head self-attention; Vaswani et al., NeurIPS 2017, section 3.2."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.into, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        shape = (batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = self.into(x).reshape(shape).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5, dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class Encoder(nn.Module):
    """A layer of the encoder; Dosovitskiy et al., ICLR 2021, eq. 2 and 3."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """ViT-B/16: 12 layers of width 768, 12 heads, patches of 16 x 16 (table 1)."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 768, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, 768))
        self.places = nn.Parameter(torch.zeros(1, (size // 16) ** 2 + 1, 768))
        self.layers = nn.Sequential(*(Encoder(768, 12) for _ in range(12)))
        self.norm, self.head = nn.LayerNorm(768), nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        return self.head(self.norm(self.layers(x))[:, 0])


class Bert(nn.Module):
    """BERT-base with two outputs (Devlin et al., NAACL 2019): 12 layers of width 768."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(30522, 768), nn.Embedding(512, 768)
        self.kinds, self.norm = nn.Embedding(2, 768), nn.LayerNorm(768)
        self.layers = nn.Sequential(*(Encoder(768, 12) for _ in range(layers)))
        self.head = nn.Linear(768, 2)

    def forward(self, x: Tensor) -> Tensor:
        words = x.long()
        places = self.places(torch.arange(words.shape[1]))
        return self.head(
            self.layers(self.norm(self.words(words) + places + self.kinds(torch.zeros_like(words))))
        )[:, 0]


class BiLstm(nn.Module):
    """Two bidirectional LSTM layers over embedded words, and a linear layer."""

    def __init__(self, words: int, embed: int, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, embed)
        self.lstm = nn.LSTM(embed, hidden, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(self.embed(x.long()))[0][:, -1])


class NeuMf(nn.Module):
    """NeuMF for users and items (He et al., WWW 2017, fig. 3): a product of two factors, and a
    tower of three layers, each half as wide, over two embeddings four times as long."""

    def __init__(self, users: int, items: int, factors: int) -> None:
        super().__init__()
        wide = 4 * factors
        self.users, self.items = nn.Embedding(users, factors), nn.Embedding(items, factors)
        self.deep_users, self.deep_items = nn.Embedding(users, wide), nn.Embedding(items, wide)
        widths = [2 * wide >> layer for layer in range(4)]
        self.tower = nn.Sequential(
            *(nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths))
        )
        self.head = nn.Linear(2 * factors, 1)

    def forward(self, x: Tensor) -> Tensor:
        user, item = x.long().unbind(1)
        deep = torch.cat([self.deep_users(user), self.deep_items(item)], dim=1)
        return self.head(torch.cat([self.users(user) * self.items(item), self.tower(deep)], dim=1))


class Shuffle(nn.Module):
    """A unit of ShuffleNetV2; Ma et al., ECCV 2018, fig. 3 (c) and (d)."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        half = cout // 2
        self.stride = stride
        inner = cin if stride == 2 else half
        self.left = (
            nn.Sequential(_conv(cin, cin, 3, 2, cin, act=None), _conv(cin, half))
            if stride == 2 else nn.Identity()
        )  # fmt: skip
        self.right = nn.Sequential(
            _conv(inner, half), _conv(half, half, 3, stride, half, act=None), _conv(half, half)
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = (x, x) if self.stride == 2 else x.chunk(2, dim=1)
        x = torch.cat([self.left(left), self.right(right)], dim=1)
        batch, channels, height, width = x.shape
        return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(x.shape)


def shufflenetv2(classes: int) -> nn.Module:
    """ShuffleNetV2 1x (table 5), for images of 32 x 32: a stem of stride 1 and no pooling."""
    layers: list[nn.Module] = [_conv(3, 24, 3)]
    cin = 24
    for cout, repeat in ((116, 3), (232, 7), (464, 3)):
        layers += [Shuffle(cin, cout, 2), *(Shuffle(cout, cout, 1) for _ in range(repeat))]
        cin = cout
    return nn.Sequential(
        *layers, _conv(464, 1024), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, classes)
    )


class Fire(nn.Module):
    """Squeeze and expand; Iandola et al., arXiv:1602.07360, fig. 1."""

    def __init__(self, cin: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(cin, squeeze, 1)
        self.one = nn.Conv2d(squeeze, expand, 1)
        self.three = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.squeeze(x))
        return torch.cat([torch.relu_(self.one(x)), torch.relu_(self.three(x))], dim=1)


def squeezenet(classes: int) -> nn.Module:
    """SqueezeNet 1.0 (table 1) for images of 32 x 32: a 3x3 stem and a first pooling of stride 1.

    With ten classes its file has the size that the measured rounds sent, to 0.02 %.
    """
    pool = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)  # noqa: E731
    return nn.Sequential(
        nn.Conv2d(3, 96, 3, 1, 1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 1, 1),
        Fire(96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128), pool(),
        Fire(256, 32, 128), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), pool(),
        Fire(512, 64, 256), nn.Dropout(0.5), nn.Conv2d(512, classes, 1), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class Excite(nn.Module):
    """Squeeze and excite; Howard et al., ICCV 2019, section 5.3."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, inner, 1), nn.ReLU(),
            nn.Conv2d(inner, channels, 1), nn.Hardsigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Skip(nn.Module):
    """A block whose input is added to its output."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


def _eighths(value: float) -> int:
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


SMALL = (
    (3, 16, 16, True, False, 2), (3, 72, 24, False, False, 2), (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2), (5, 240, 40, True, True, 1), (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1), (5, 144, 48, True, True, 1), (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1), (5, 576, 96, True, True, 1),
)  # fmt: skip
"""MobileNetV3-Small (table 2): kernel, expansion, output, squeeze and excite, h-swish, stride."""


def mobilenetv3_small(classes: int) -> nn.Module:
    """For images of 32 x 32: a stem of stride 1."""
    layers: list[nn.Module] = [_conv(3, 16, 3, 1, act=nn.Hardswish)]
    cin = 16
    for kernel, wide, cout, excite, hard, stride in SMALL:
        act = nn.Hardswish if hard else nn.ReLU
        block: list[nn.Module] = [] if wide == cin else [_conv(cin, wide, act=act)]
        block.append(_conv(wide, wide, kernel, stride, wide, act=act))
        if excite:
            block.append(Excite(wide, _eighths(wide / 4)))
        block.append(_conv(wide, cout, act=None))
        body = nn.Sequential(*block)
        layers.append(Skip(body) if stride == 1 and cin == cout else body)
        cin = cout
    return nn.Sequential(
        *layers, _conv(96, 576, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1024, classes),
    )  # fmt: skip
