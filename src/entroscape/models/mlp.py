"""Fully connected ReLU networks as functions of a batch of parameter vectors."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from entroscape.config.settings import NetworkSettings
from entroscape.errors import ConfigError
from entroscape.models.layout import ParameterLayout
from entroscape.models.network import Logits, unchanged


def build(
    settings: NetworkSettings, shape: tuple[int, ...], outputs: int
) -> tuple[ParameterLayout, Logits, Callable[[Tensor], Tensor]]:
    """Layout, logits and preparation of points for vectors of shape (D,); raises ConfigError for other points."""
    if len(shape) != 1 or settings.depth is None:
        raise ConfigError(f"model.kind mlp takes vectors, but the data's points have shape {shape}; take another kind")
    layout = mlp_layout((*shape, *[settings.width] * settings.depth, outputs))
    return layout, partial(mlp_logits, layout=layout), unchanged


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
