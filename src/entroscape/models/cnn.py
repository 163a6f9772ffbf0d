"""The convolutional network of the MNIST task (arXiv:2503.13145), for a batch of walkers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from entroscape.config.settings import NetworkSettings
from entroscape.errors import ConfigError
from entroscape.models.images import Rows, convolve, convolve_pool_relu, images_last
from entroscape.models.layout import ParameterLayout
from entroscape.models.network import Logits

CONVOLUTIONS = 5
POOLED = (0, 2, 4)  # convolutions that a pooling follows, if the images are large enough
SMALLEST = 3  # rows and columns that a pooling must leave: what the published network ends with on 28 x 28 pixels


class Shape(NamedTuple):
    """Sizes of one network."""

    pools: tuple[bool, ...]  # whether a pooling follows each convolution
    last: tuple[int, int]  # rows, columns that the linear layer sees


def build(
    settings: NetworkSettings, shape: tuple[int, ...], outputs: int
) -> tuple[ParameterLayout, Logits, Callable[[Tensor], Tensor]]:
    """Layout, logits and preparation of points for images of shape (C, Y, X); raises ConfigError for other points."""
    if len(shape) != 3:
        raise ConfigError(f"model.kind cnn takes images, but the data's points have shape {shape}; take another kind")
    layout = cnn_layout(shape, settings.width, outputs)
    return layout, partial(cnn_logits, layout=layout, pools=cnn_shape(*shape[1:]).pools), prepare


def cnn_shape(rows: int, columns: int) -> Shape:
    """Sizes for images of so many pixels: each of the three poolings is left out if it would leave less than 3 x 3.

    28 x 28, 14 x 14 and 7 x 7 pixels so all end at 3 x 3, after three, two and one poolings.
    """
    last, pools = (rows, columns), []
    for convolution in range(CONVOLUTIONS):
        pools.append(convolution in POOLED and min(last) // 2 >= SMALLEST)
        last = (last[0] // 2, last[1] // 2) if pools[-1] else last
    return Shape(tuple(pools), last)


def cnn_layout(shape: tuple[int, ...], channels: int, outputs: int) -> ParameterLayout:
    """Layout for images of shape (C, Y, X): weight and bias of each convolution, then of the linear layer."""
    rows, columns = cnn_shape(*shape[1:]).last
    names, shapes = [], []
    for convolution in range(CONVOLUTIONS):
        names += [f"convolutions.{convolution}.weight", f"convolutions.{convolution}.bias"]
        shapes += [(channels, channels if convolution else shape[0], 3, 3), (channels,)]
    names += ["linear.weight", "linear.bias"]
    shapes += [(outputs, channels * rows * columns), (outputs,)]
    return ParameterLayout(tuple(names), tuple(shapes))


def prepare(x: Tensor) -> Tensor:
    """Images x[N, C, Y, X] in the order in which the first convolution reads them, [Y + 3, C * X, N]."""
    return Rows.of(images_last(x)).values


def cnn_logits(theta: Tensor, points: Tensor, layout: ParameterLayout, pools: Sequence[bool]) -> Tensor:
    """Logits[W, N, C] of walkers theta[W, P].

    points: images x[N, C, Y, X], what `prepare` made of them, or images x[W, N, C, Y, X] of each walker's own.
    pools: whether a pooling follows each convolution.
    """
    *tensors, weight, bias = layout.views(theta)
    channels = tensors[0].shape[2]
    rows = Rows(points, 1, channels) if points.ndim == 3 else Rows.of(images_last(points))
    for pool, kernel, offset in zip(pools, tensors[::2], tensors[1::2], strict=True):
        rows = convolve_pool_relu(rows, kernel, offset) if pool else convolve(rows, kernel, offset, relu=True)
    features = rows.images.transpose(1, 2).flatten(1, 3)  # channels, rows, columns: the order of torch.nn.Flatten
    return torch.baddbmm(bias.unsqueeze(2), weight, features).mT
