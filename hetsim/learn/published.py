"""Published weights: residual networks for CIFAR-10, trained by others.

Source: github.com/akamaster/pytorch_resnet_cifar10@d5489e8995e8, `pretrained_models/`
(BSD-2-Clause): ResNet-20, 32, 44 and 56 of He et al., arXiv 1512.03385, section 4.2, trained on the
50,000 training pictures of CIFAR-10; test errors 8.27, 7.37, 6.90 and 6.61 %. Their files are
looked for in `<folder>/pretrained/`, then fetched, and must have the SHA-256 whose first digits are
in their names. They expect pictures standardised by ImageNet's mean and deviation.

Because they know CIFAR-10, they never start a run whose task is CIFAR-10.
"""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch

from hetsim.core.errors import SpecError
from hetsim.learn.architecture import Architecture
from hetsim.learn.data._files import damaged, fetch, in_folder
from hetsim.learn.numerics import State, chance

TRAINED_ON = "cifar10"
"""Data set that they know."""
_URL = (
    "https://raw.githubusercontent.com/akamaster/pytorch_resnet_cifar10/"
    "d5489e8995e8/pretrained_models/"
)
_SHA256 = {
    "resnet20": "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
    "resnet32": "d509ac1820d7f25398913559d7e81a13229b1e7adc5648e3bfa5e22dc137f850",
    "resnet44": "014dd6541728a1c700b1642ab640e211dc6eb8ed507d70697458dc8f8a0ae2e4",
    "resnet56": "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367",
}
NAMES = tuple(_SHA256)
"""Models that there are weights for."""
_SHAPE, _CLASSES = (3, 32, 32), 10
_PREFIX, _COUNTER = "module.", ".num_batches_tracked"
"""The files are older than this counter of batch normalisation, which nothing here reads."""


@dataclass(frozen=True, slots=True)
class Published:
    """The weights of one network.

    Attributes:
        architecture: of the network.
        sha256: of its file.
        path: the file.
    """

    architecture: Architecture
    sha256: str
    path: Path

    def state(self) -> State:
        """The weights, in the order of the module.

        Raises:
            SpecError: the file is damaged.
        """
        try:
            whole = torch.load(self.path, map_location="cpu", weights_only=True)["state_dict"]
        except (OSError, KeyError, RuntimeError, pickle.UnpicklingError) as fault:
            raise damaged(self.path, fault) from fault
        with chance(0):
            empty = self.architecture.build().state_dict()
        return {
            name: torch.zeros_like(tensor)
            if name.endswith(_COUNTER)
            else whole[_PREFIX + name].detach().contiguous()
            for name, tensor in empty.items()
        }


def published(name: str, folder: Path | None) -> Published:
    """The published weights of a model.

    Args:
        name: of the model ("resnet20").
        folder: where the user keeps data sets.

    Raises:
        SpecError: there are none for it, or they are not to be had.
    """
    if name not in _SHA256:
        raise SpecError(
            f'there are no published weights for model "{name}"',
            remedy=f"Choose one of {', '.join(NAMES)}; or name beside `published` what other "
            "models are to be pre-trained on, such as `data: NAME`.",
        )
    checksum = _SHA256[name]
    file = f"{name}-{checksum[:8]}.th"
    path = in_folder(folder, f"pretrained/{file}") or fetch(
        _URL + file,
        f"sha256:{checksum}",
        name="pretrained",
        remedy="Put the .th files into pretrained/ of a folder and pass it with --data; or leave "
        "`published` out: parts are then pre-trained here.",
    )
    if hashlib.sha256(path.read_bytes()).hexdigest() != checksum:
        raise damaged(path, ValueError("not the published file"))
    return Published(Architecture.of(name, _SHAPE, _CLASSES), checksum, path)
