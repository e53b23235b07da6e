"""Networks with which devices were measured, and what training or running them takes.

Counts of whole networks were made as hetsim counts its own models (`hetsim.learn.meter`), on
definitions written from the papers: tests/oracle/published_networks.py, and a test counts them
again. An LSTM reads its weights at each of T instants, so 4 T times their bytes are added to what
torch shows as one operator, and it launches two kernels an instant, layer and direction forwards
(matrix product, gates) and three backwards. Counts of the MLPerf Tiny models are the multiply-adds
of their layers alone, because their kernels are fused and work on int8.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Bytes, Flops


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What a network takes; the parts that grow with the batch are those of one sample.

    Attributes:
        title: name, input and origin.
        forward: flops of a forward pass.
        training: flops of a forward and backward pass.
        operators: tensor operators of a forward and backward pass.
        fixed, growing: bytes that these read and write, whatever the batch and a sample.
        parameters: bytes of the trained values.
        tensors: how many tensors they are in.
        size: width and height of the images it is counted for; 0 if it takes none.
        remark: what had to be assumed of the measured network.
    """

    title: str
    forward: Flops
    training: Flops
    operators: int = 0
    fixed: Bytes = 0.0
    growing: Bytes = 0.0
    parameters: Bytes = 0.0
    tensors: int = 0
    size: int = 0
    remark: str = ""


NETWORKS: dict[str, Network] = {
    "resnet50": Network(
        title="ResNet-50 (He et al. 2016)", size=224, forward=8178368512.0,
        training=24299077632.0, operators=408, fixed=307424936.0, growing=779723664.0,
        parameters=102228128.0, tensors=161,
    ),
    "resnet18": Network(
        title="ResNet-18 (He et al. 2016)", size=224, forward=3627124736.0,
        training=10645346304.0, operators=163, fixed=134265192.0, growing=176128112.0,
        parameters=44710152.0, tensors=62,
    ),
    "vitb16": Network(
        title="ViT-B/16 (Dosovitskiy et al. 2021)", size=32, forward=855002112.0,
        training=2560287744.0, operators=534, fixed=1027553384.0, growing=24963456.0,
        parameters=342635560.0, tensors=152,
    ),
    "bidirectionallstm": Network(
        title="two bidirectional LSTM layers, 100 to 256", forward=1150978048.0,
        training=3452934144.0, operators=5026, fixed=9255396200.0, growing=49713640.0,
        parameters=19245480.0, tensors=19,
        remark="reviews of 250 words, a vocabulary of 25,000, five launches an instant are assumed",
    ),
    "shufflenetv2": Network(
        title="ShuffleNetV2 1x (Ma et al. 2018)", size=32, forward=90188544.0,
        training=269238528.0, operators=429, fixed=16500288.0, growing=40546000.0,
        parameters=5424416.0, tensors=170,
        remark="a stem of stride 1 without pooling is assumed, as is usual for small images",
    ),
    "squeezenet": Network(
        title="SqueezeNet 1.0 (Iandola et al. 2016)", size=32, forward=404422656.0,
        training=1207959552.0, operators=138, fixed=8736488.0, growing=65846176.0,
        parameters=2916136.0, tensors=52,
        remark="a stem and a first pooling of stride 1 are assumed",
    ),
    "mobilenetv3": Network(
        title="MobileNetV3-Small (Howard et al. 2019)", size=32, forward=11005440.0,
        training=32131584.0, operators=385, fixed=18491720.0, growing=8287120.0,
        parameters=6112424.0, tensors=142,
        remark="the small variant and a stem of stride 1 are assumed",
    ),
    "bertbase sentiment140": Network(
        title="BERT-base over 37 tokens (Devlin et al. 2019)", forward=6335745024.0,
        training=19007235072.0, operators=540, fixed=1211499424.0, growing=195300444.0,
        parameters=435572744.0, tensors=151,
        remark="a batch padded to a tweet of 140 characters, 4 a token and two marks, is assumed",
    ),
    "bertbase squad": Network(
        title="BERT-base over 384 tokens (Devlin et al. 2019)", forward=70666813440.0,
        training=212000440320.0, operators=540, fixed=1215771688.0, growing=3178163800.0,
        parameters=435572744.0, tensors=151, remark="questions of 384 tokens are assumed",
    ),
    "ncf movielens1m": Network(
        title="NeuMF, 6040 users, 3706 items, 32 factors (He et al. 2017)", forward=86144.0,
        training=258432.0, operators=41, fixed=12993568.0, growing=20632.0,
        parameters=6410628.0, tensors=12,
        remark="32 factors and a tower of three layers, as in github:guoyang9/NCF@1ba00eb, and "
        "four negatives a rating are assumed; the host's sampling and loading are not counted, "
        "so large batches come out several times too fast and the GPU too busy",
    ),
}  # fmt: skip
"""Trained by what was measured; with batch normalisation and biases as in the papers. A key is the
words that name the network and, where what is counted depends on them, its data."""

TINY: dict[str, Network] = {
    task: Network(title=title, forward=2.0 * macs, training=0.0)
    for task, title, macs in (
        ("anomalydetection", "dense autoencoder, 640 to 8 and back", 264192.0),
        ("imageclassification", "ResNet of three stages, 16 to 64 channels, 32 x 32", 12.5e6),
        ("keywordspotting", "DS-CNN, four separable layers of 64 channels, 49 x 10", 2.657e6),
        ("visualwakewords", "MobileNetV1 0.25 at 96 x 96", 7.49e6),
    )
}
"""Models of MLPerf Tiny (Banbury et al., NeurIPS 2021, table 1), multiply-adds by their layers."""
