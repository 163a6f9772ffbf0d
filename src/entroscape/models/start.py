"""Where training starts: random parameters of a batch of runs."""

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from entroscape.config.model import Start
from entroscape.models.layout import ParameterLayout

NORMAL_STD = 0.01


class _Spread(NamedTuple):
    """Distribution of one tensor's elements: centre + uniform within +- uniform + normal of this deviation."""

    centre: float = 0.0
    uniform: float = 0.0
    normal: float = 0.0


def draw(generator: Generator, runs: int, *, layout: ParameterLayout, start: Start) -> Tensor:
    """Parameters[runs, P], float64, on the generator's device, all runs independent.

    "torch": as torch.nn.Linear and torch.nn.Conv2d start, uniform within +- 1 / sqrt(fan in), biases too.
    "xavier": weights uniform within +- sqrt(6 / (fan in + fan out)), biases zero.
    "normal": weights of linear layers normal with deviation 0.01, their biases zero, convolutions as "torch".
    "nanda": transformers, as Nanda et al. (arXiv:2301.05217) do: normal with variance 1 / d_model, of the unembedding
    1 / vocabulary, biases zero.
    Normalisations start as the identity, weights one and biases zero, whatever the rest does.
    """
    spreads = _spreads(layout, start)
    centre, uniform, normal = (layout.expand(values).to(generator.device) for values in zip(*spreads, strict=True))
    random = partial(torch.empty, runs, layout.size, dtype=torch.float64, device=generator.device)
    theta = centre + uniform * random().uniform_(-1, 1, generator=generator)
    return theta + normal * random().normal_(generator=generator) if normal.any() else theta


def _spreads(layout: ParameterLayout, start: Start) -> list[_Spread]:
    """One for each tensor. A bias follows the weight that comes before it."""
    if start == "nanda":
        return _transformer_spreads(layout)
    spreads, weight = [], None
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        is_bias = name.endswith("bias")
        weight = weight if is_bias else shape
        if weight is None:
            raise ValueError(f"the tensor {name} comes before any weight, so that its start is not known")
        spreads.append(_bias(weight, start) if is_bias else _weight(weight, start))
    return spreads


def _transformer_spreads(layout: ParameterLayout) -> list[_Spread]:
    """The first tensor is the embedding[V, D], the last one the unembedding[V, D]."""
    vocabulary, d_model = layout.shapes[0]
    spreads = [_Spread(normal=1 / math.sqrt(d_model)) if len(shape) > 1 else _Spread() for shape in layout.shapes]
    return [*spreads[:-1], _Spread(normal=1 / math.sqrt(vocabulary))]


def _weight(shape: tuple[int, ...], start: Start) -> _Spread:
    if len(shape) == 1:
        return _Spread(centre=1.0)
    if start == "normal" and len(shape) == 2:
        return _Spread(normal=NORMAL_STD)
    fan_in, fan_out = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
    return _Spread(uniform=math.sqrt(6 / (fan_in + fan_out)) if start == "xavier" else 1 / math.sqrt(fan_in))


def _bias(weight: tuple[int, ...], start: Start) -> _Spread:
    """Spread of the bias beside a weight of this shape."""
    if len(weight) == 1 or start == "xavier" or (start == "normal" and len(weight) == 2):
        return _Spread()
    return _Spread(uniform=1 / math.sqrt(math.prod(weight[1:])))
