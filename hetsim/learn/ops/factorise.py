"""A model whose layers have a lower rank, out of a whole one, and a whole one out of that.

With the singular values s of a layer's matrix A = P diag(s) Q' (`hetsim.learn.models.low_rank`),

    U = P_r diag(sqrt(s_r)),    V = diag(sqrt(s_r)) Q_r'

of the r largest: no product of rank r is closer to A, and |A - U V|^2 is the sum of the squares of
the values left out (Eckart and Young, "The approximation of one matrix by another of lower rank",
Psychometrika 1936). Both factors carry the same share of each value. The way back is the product.
All other tensors stay as they are. Computed in float64 and rounded once.

Source: Yao et al., "FedHM: Efficient Federated Learning for Heterogeneous Models via Low-rank
Factorization", arXiv 2111.14655, and its code (github.com/YXShi2000/FedHM).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT, measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, Task, model_arch
from hetsim.learn.ops.layered import Layers
from hetsim.learn.ops.part import shapes
from hetsim.learn.resident import Resident

_DOUBLE = 8


class _Matrix(NamedTuple):
    """A layer that is factorised: its matrix has `rows` x `columns`, its factors that rank."""

    rows: int
    columns: int
    rank: int

    @property
    def values(self) -> int:
        """Of the matrix."""
        return self.rows * self.columns

    @property
    def factors(self) -> int:
        """Values of both factors."""
        return self.rank * (self.rows + self.columns)


def low_rank(whole: Architecture, factor: int) -> Architecture:
    """The same model with layers of about 1 / `factor` of their rank.

    It is the model itself where the factor is 1 or nothing would get smaller.

    Raises:
        SpecError: the model is no chain of blocks.
    """
    if factor == 1:
        return whole
    options = json.dumps(dict(whole.options), sort_keys=True, separators=(",", ":"))
    thin = Architecture.of(
        "low_rank", whole.shape, whole.classes,
        {"model": whole.name, "options": options, "factor": factor},
    )  # fmt: skip
    return thin if _matrices(thin, whole) else whole


def factorised(model: Ref[State], architecture: Architecture) -> Ref[State]:
    """The model of an architecture of lower rank that is closest to a whole one, layer by layer.

    The model itself if it is of that architecture.

    Raises:
        ValueError: an architecture that is not of the same model.
    """
    whole = model_arch(model)
    if architecture == whole:
        return model
    matrices = _matrices(architecture, whole).values()
    return Ref.of(
        "factorise",
        model,
        nbytes=measure(architecture).state_bytes,
        cost=_decomposing(list(matrices)),
        source=model.key,
        arch=architecture.text,
    )


def recombined(update: Ref[State], architecture: Architecture) -> Ref[State]:
    """The whole model that a model of lower rank stands for; itself if it is whole.

    Raises:
        ValueError: the architecture is not of the same model.
    """
    thin = model_arch(update)
    if architecture == thin:
        return update
    matrices = _matrices(thin, architecture).values()
    return Ref.of(
        "recombine",
        update,
        nbytes=measure(architecture).state_bytes,
        cost=_multiplying(list(matrices)),
        arch=architecture.text,
    )


def recombined_layers(layers: Layers, update: Ref[State], architecture: Architecture) -> Layers:
    """The layers of the whole model that are there once these layers of an update have arrived.

    Of a factorised layer both factors must have.
    """
    thin = model_arch(update)
    if architecture == thin:
        return layers
    both = [
        path for path in _matrices(thin, architecture)
        if {f"{path}.u", f"{path}.v"} <= set(layers)
    ]  # fmt: skip
    return (*layers, *both)


def decomposition(rows: int, columns: int) -> tuple[float, float]:
    """Work of a singular value decomposition with vectors, as many as values.

    Operations, and values read over and over: half of the reduction to two diagonals is products of
    what is left of the matrix with a vector, two for each column, and reads that much each time
    (Dongarra, Sorensen, Hammarling, "Block reduction of matrices to condensed forms for eigenvalue
    computations", Journal of Computational and Applied Mathematics 1989). With m rows and n <= m
    columns, whichever takes fewer operations of

        14 m n^2 + 8 n^3,    reading m n^2 - n^3 / 3    of the matrix as it is
        6 m n^2 + 20 n^3,    reading 2 n^3 / 3          of its triangular factor

    Source of the operations: Golub and Van Loan, "Matrix Computations", 4th edition, figure 8.6.1.
    What is read is derived, for a matrix that no cache holds between two reads (assumed); how long
    a library takes in fact depends on its algorithm and on the host.

    >>> decomposition(30, 30), decomposition(30, 300)
    ((594000.0, 18000.0), (2160000.0, 18000.0))
    """
    m, n = max(rows, columns), min(rows, columns)
    return min(
        (14.0 * m * n**2 + 8.0 * n**3, m * n**2 - n**3 / 3),
        (6.0 * m * n**2 + 20.0 * n**3, 2 * n**3 / 3),
    )


def _decomposing(matrices: Sequence[_Matrix]) -> Cost:
    """Work of factorising: of each matrix its decomposition, and both factors scaled.

    Vectors and values are written beside what a decomposition reads, all float64; those of the rank
    are read as such and written as float32. Peak memory: the largest matrix with its vectors, and
    as much again to work in (assumed), beside all factors.
    """
    works = [decomposition(each.rows, each.columns) for each in matrices]
    vectors = [min(each.rows, each.columns) * (each.rows + each.columns + 1) for each in matrices]
    read = sum(again for _, again in works) + sum(vectors)
    largest = max(
        (each.values + found for each, found in zip(matrices, vectors, strict=True)), default=0
    )
    factors = sum(each.factors for each in matrices)
    return Cost(
        flops=sum(flops for flops, _ in works),
        traffic=_DOUBLE * (read + factors) + FLOAT * factors,
        memory=_DOUBLE * 2 * largest + FLOAT * factors,
        steps=1,
        operators=3 * len(matrices),
    )


def _multiplying(matrices: Sequence[_Matrix]) -> Cost:
    """Work of the products, 2 m n r each: factors are read, float64, and matrices written."""
    factors = sum(each.factors for each in matrices)
    values = sum(each.values for each in matrices)
    return Cost(
        flops=float(sum(2 * each.values * each.rank for each in matrices)),
        traffic=float(_DOUBLE * factors + FLOAT * values),
        memory=_DOUBLE * max((each.values + each.factors for each in matrices), default=0)
        + FLOAT * (factors + values),
        steps=1,
        operators=len(matrices),
    )


@lru_cache(maxsize=256)
def _matrices(thin: Architecture, whole: Architecture) -> Mapping[str, _Matrix]:
    """The factorised layers by their paths, in order.

    Raises:
        ValueError: the two have other tensors that differ.
    """
    given, wanted = shapes(thin), shapes(whole)
    found: dict[str, _Matrix] = {}
    for name, shape in wanted.items():
        path, _, kind = name.rpartition(".")
        if f"{path}.u.{kind}" not in given:
            if given.get(name) != shape:
                raise ValueError(f"{thin.text} is not of the model {whole.text}: {name}")
            continue
        if kind == "weight":
            outputs, inputs, height, width = (*shape, 1, 1)[:4]
            rank = given[f"{path}.v.weight"][0]
            found[path] = _Matrix(outputs * height, inputs * width, rank)
    return found


def _factorise_all(tasks: Sequence[Task], resident: Resident) -> list[State]:
    """Factors of one model at several ranks, out of one decomposition of each layer."""
    model: State = tasks[0][1][0]
    targets = [shapes(model_arch(ref)) for ref, _ in tasks]
    states = [
        {name: model[name].clone() for name in shape if name in model} for shape in targets
    ]  # fmt: skip
    for name, tensor in model.items():
        path, _, kind = name.rpartition(".")
        down, across = f"{path}.u.{kind}", f"{path}.v.{kind}"
        thin = [
            (shape, state) for shape, state in zip(targets, states, strict=True) if down in shape
        ]  # fmt: skip
        if thin and kind == "weight":
            p, s, q = torch.linalg.svd(_unfolded(tensor), full_matrices=False)
            for shape, state in thin:
                rank = shape[across][0]
                root = s[:rank].sqrt()
                state[down] = _down(p[:, :rank] * root, shape[down])
                state[across] = _across(root[:, None] * q[:rank], shape[across])
        else:
            for _, state in thin:
                state[down] = tensor.clone()
    return [
        {name: state[name] for name in shape}
        for shape, state in zip(targets, states, strict=True)
    ]  # fmt: skip


def _factorise(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    return _factorise_all([(ref, inputs)], resident)[0]


def _kin(ref: Ref[State]) -> Hashable | None:
    """All ranks of one model."""
    return ref.op, ref.arg("source")


def _recombine(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    update: State = inputs[0]
    state: State = {}
    for name, shape in shapes(model_arch(ref)).items():
        path, _, kind = name.rpartition(".")
        if name in update:
            state[name] = update[name].clone()
        elif kind == "weight":
            u, v = update[f"{path}.u.weight"].double(), update[f"{path}.v.weight"].double()
            product = u.movedim(1, -1).reshape(-1, u.shape[1]) @ v.reshape(len(v), -1)
            state[name] = _folded(product, shape)
        else:
            state[name] = update[f"{path}.u.{kind}"].clone()
    return state


def _unfolded(weight: Tensor) -> Tensor:
    """The matrix of a layer, float64: row o k + y and column i k + x of [o, i, y, x]."""
    if weight.dim() == 2:
        return weight.double()
    outputs, inputs, height, width = weight.shape
    return weight.double().transpose(1, 2).reshape(outputs * height, inputs * width)


def _folded(matrix: Tensor, shape: Sequence[int]) -> Tensor:
    """The layer of a matrix."""
    if len(shape) == 2:
        return matrix.float()
    outputs, inputs, height, width = shape
    folded = matrix.reshape(outputs, height, inputs, width).transpose(1, 2)
    return folded.float().contiguous()


def _down(u: Tensor, shape: Sequence[int]) -> Tensor:
    """The second factor as a layer [o, r] or [o, r, k, 1], of a matrix [k o, r]."""
    if len(shape) == 2:
        return u.float().contiguous()
    outputs, rank, height, _ = shape
    return u.reshape(outputs, height, rank).transpose(1, 2).unsqueeze(3).float().contiguous()


def _across(v: Tensor, shape: Sequence[int]) -> Tensor:
    """The first factor as a layer [r, i] or [r, i, 1, k], of a matrix [r, k i]."""
    return v.reshape(shape).float().contiguous()


FACTORISE = Operation(compute=_factorise, kin=_kin, together=_factorise_all)
RECOMBINE = Operation(compute=_recombine)
