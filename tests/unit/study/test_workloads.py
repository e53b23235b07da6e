"""What hetsim makes of the words in which a measurement is described."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.study.measurements import Measurement
from hetsim.study.published_networks import NETWORKS
from hetsim.study.workloads import NotPredictable, work_of

RESNET = NETWORKS["resnet50"]


def row(workload: str, unit: str = "1 epoch", **more: Any) -> Measurement:
    return Measurement(id="X", device="x", workload=workload, unit=unit, time=1.0, **more)


@pytest.mark.parametrize(
    ("workload", "unit", "samples", "steps"),
    [
        ("resnet50 on imagenet, batch 192, adadelta", "1 epoch", 1_281_167, 6673),
        ("ResNet-50, Tiny-ImageNet resized to 224, batch 8, Adam", "1 epoch", 100_000, 12_500),
        ("ResNet-50, ImageNet, batch size 64", "1 training minibatch", 64, 1),
        ("ResNet-50, ImageNet, batch 64", "20 minibatches", 1280, 20),
        ("ResNet-50 224x224, batch 10, 1,005 images", "2 epochs", 2010, 202),
        ("ResNet-50 224x224, batch 8, Cat/Dog", "1 epoch (625 batches)", 5000, 625),
        ("shufflenetv2 on cifar100, batch 512, adadelta", "1 epoch", 50_000, 98),
        ("SqueezeNet-CIFAR FL round, batch 32, E=5", "5015 samples processed", 5015, 160),
        ("bert_base_uncased on sentiment140, batch 128, adamw", "1 epoch", 1_600_000, 12_500),
        ("ncf on movielens-1m, batch 1024, adam", "1 epoch", 4_970_845, 4855),
    ],
)
def test_how_much_is_done(workload: str, unit: str, samples: int, steps: int) -> None:
    cost = work_of(row(workload, unit)).cost
    assert (cost.samples, cost.steps) == (samples, steps)


def test_training_counts_samples_steps_and_the_update() -> None:
    cost = work_of(row("resnet50 on imagenet, batch 4, adam", "3 minibatches")).cost
    assert cost.flops == 12 * RESNET.training
    assert cost.operators == 3 * (RESNET.operators + 8 * RESNET.tensors)
    moved = 12 * RESNET.growing + 3 * (RESNET.fixed + 18 * RESNET.parameters)
    assert cost.traffic == pytest.approx(moved)
    plain = work_of(row("resnet50 on imagenet, batch 4", "3 minibatches")).cost
    assert plain.operators == 3 * (RESNET.operators + RESNET.tensors)
    assert plain.traffic < cost.traffic


def test_the_data_choose_the_count() -> None:
    tweets, questions = (
        work_of(row(f"bert_base_uncased on {data}, batch 8, adamw", "1 minibatch"))
        for data in ("sentiment140", "squad")
    )
    assert tweets.cost.flops == 8 * NETWORKS["bertbase sentiment140"].training
    assert questions.cost.flops == 8 * NETWORKS["bertbase squad"].training
    assert "140 characters" in tweets.remark
    assert "384 tokens" in questions.remark


def test_a_model_of_hetsim_is_counted_by_the_meter() -> None:
    cost = work_of(row("ResNet-8, CIFAR-10, batch 32, SGD", "1 minibatch")).cost
    assert cost.flops == 32 * 72_552_192
    small = work_of(row("ResNet-18 on CIFAR-10, batch 32", "1 minibatch")).cost
    large = work_of(row("ResNet-18 224x224, batch 32", "1 minibatch")).cost
    assert small.flops < large.flops / 3.0 < large.flops


def test_an_lstm_reads_its_weights_at_each_instant() -> None:
    text = "DL4J lstm layer training step, in 1000, out 500, seq 7, batch 10 (plus a 2-unit layer)"
    work = work_of(row(text, "1 minibatch"))
    weights = 4 * 1500 * 500
    assert work.family == "layer"
    assert work.cost.flops == 6 * weights * 70
    assert work.cost.traffic == 4 * weights * 30


def test_an_embedding_computes_nothing() -> None:
    text = "DL4J embedding layer training step, in 10000, out 1000, seq 10, batch 10"
    cost = work_of(row(text, "1 minibatch")).cost
    assert (cost.flops, cost.traffic) == (0.0, 16e7)


@pytest.mark.parametrize(
    ("workload", "family"),
    [
        ("HPL (fp64), all cores", "Linpack"),
        ("CoreMark, one core, fixed iteration count", "CoreMark"),
        ("MLPerf Tiny visual wake words, MobileNetV1", "inference"),
        ("iPerf uplink over Verizon LTE at target 40 Mbit/s", "cellular"),
    ],
)
def test_other_families(workload: str, family: str) -> None:
    assert work_of(row(workload, "1 inference")).family == family


@pytest.mark.parametrize(
    ("workload", "unit", "reason"),
    [
        ("DeepSpeech2 on librispeech, batch 32", "1 epoch", "hours of speech"),
        ("bert_base_uncased on imdb, batch 8", "1 epoch", "number of tokens is not stated"),
        ("resnet50 on photographs, batch 8", "1 epoch", "size of the data set is not known"),
        ("WaveNet on imdb, batch 8", "1 epoch", "no network of this name"),
        ("ResNet-8 on snapshots, batch 8", "1 minibatch", "what resnet8 is trained on"),
        ("ResNet-CIFAR FL round, batch 32, E=5", "5015 samples processed", "which ResNet"),
        ("DL4J conv layer training step, in 3, batch 10", "1 minibatch", "no conv layer"),
        ("resnet50 on cifar100, batch 32", "1 epoch", "counted for 224 x 224 only"),
        ("resnet50 on imagenet", "1 epoch", "no batch size is stated"),
        ("resnet50 on imagenet, batch 8", "1 run", 'how much "1 run" is'),
        ("MLPerf Tiny reading thoughts", "1 inference", "no such task of MLPerf Tiny"),
        ("DL4J output layer training step, in 10", "1 minibatch", "batch and out is not stated"),
        ("compiling a kernel", "1 run", "no such workload is known"),
    ],
)
def test_what_is_not_known_is_said(workload: str, unit: str, reason: str) -> None:
    with pytest.raises(NotPredictable, match=reason):
        work_of(row(workload, unit))
