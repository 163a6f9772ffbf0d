"""Fully connected ReLU networks as functions of a batch of parameter vectors."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from entroscape.models.layout import ParameterLayout


def mlp_layout(sizes: Sequence[int]) -> ParameterLayout:
    """Layout of layers of the given sizes, from inputs to outputs: weight[out, in], then bias[out], of each layer."""
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes must name at least inputs and outputs, each positive, but are {list(sizes)}")
    names = [f"layers.{layer}.{kind}" for layer in range(len(sizes) - 1) for kind in ("weight", "bias")]
    shapes = [shape for n_in, n_out in pairwise(sizes) for shape in ((n_out, n_in), (n_out,))]
    return ParameterLayout(tuple(names), tuple(shapes))


def mlp_logits(theta: Tensor, x: Tensor, layout: ParameterLayout) -> Tensor:
    """Logits[W, N, C] of walkers theta[W, P] on points x[N, D], or on points x[W, N, D] of their own."""
    tensors = layout.views(theta)
    # neurons x points: the long axis is the contiguous one, twice as fast for narrow layers
    activity = x.mT.expand(len(theta), x.shape[-1], x.shape[-2])
    for layer, (weight, bias) in enumerate(zip(tensors[::2], tensors[1::2], strict=True)):
        if layer > 0:
            activity = activity.relu()
        activity = torch.baddbmm(bias.unsqueeze(2), weight, activity)
    return activity.mT


def mlp_initial_scale(layout: ParameterLayout) -> Tensor:
    """Half width[P] of the uniform start of `torch.nn.Linear`: 1 / sqrt(inputs of the layer), weights and biases."""
    scales = [1 / math.sqrt(shape[1]) for shape in layout.shapes[::2]]
    return layout.expand([scale for scale in scales for _ in ("weight", "bias")])
