"""The residual network of the CIFAR task (arXiv:2503.13145), for a batch of walkers.

A first convolution and four blocks of two 3 x 3 convolutions each, LayerNorm over the channels of each pixel after
every convolution, average pooling and a linear layer. Published with 6 channels: 6, then blocks of 6, 12, 12, 12.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from entroscape.config.settings import NetworkSettings
from entroscape.errors import ConfigError
from entroscape.models.images import Rows, convolve, images_last, normalise
from entroscape.models.layout import ParameterLayout
from entroscape.models.network import Logits, unchanged

# Channels in units of the first convolution's, and stride. The shortcut of a block with stride 2 is a 1 x 1
# convolution with that stride and a normalisation; a block with stride 1 keeps the channels and adds its input itself.
BLOCKS = ((1, 1), (2, 2), (2, 2), (2, 2))
POOL = 4  # rows and columns that are averaged, or all where there are fewer


def build(
    settings: NetworkSettings, shape: tuple[int, ...], outputs: int
) -> tuple[ParameterLayout, Logits, Callable[[Tensor], Tensor]]:
    """Layout, logits and preparation of points for images of shape (C, Y, X); raises ConfigError for other points."""
    if len(shape) != 3:
        raise ConfigError(f"model.kind residual takes images, but the data's points have shape {shape}; take mlp")
    layout = residual_layout(shape, settings.width, outputs)
    return layout, partial(residual_logits, layout=layout), unchanged


def residual_layout(shape: tuple[int, ...], channels: int, outputs: int) -> ParameterLayout:
    """Layout for images of shape (C, Y, X). Convolutions have no bias: a normalisation with one follows each."""
    tensors = dict(_convolution("first", shape[0], channels))
    inputs, (rows, columns) = channels, shape[1:]
    for number, (factor, stride) in enumerate(BLOCKS):
        name, width = f"blocks.{number}", factor * channels
        tensors |= dict(_convolution(f"{name}.first", inputs, width)) | dict(
            _convolution(f"{name}.second", width, width)
        )
        if stride > 1:
            tensors |= dict(_convolution(f"{name}.shortcut", inputs, width, kernel=1))
        inputs, rows, columns = width, -(-rows // stride), -(-columns // stride)
    places = (rows // min(rows, POOL)) * (columns // min(columns, POOL))
    tensors |= {"linear.weight": (outputs, inputs * places), "linear.bias": (outputs,)}
    return ParameterLayout(tuple(tensors), tuple(tensors.values()))


def _convolution(name: str, inputs: int, outputs: int, kernel: int = 3) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a convolution and the normalisation after it."""
    yield f"{name}.convolution.weight", (outputs, inputs, kernel, kernel)
    yield f"{name}.norm.weight", (outputs,)
    yield f"{name}.norm.bias", (outputs,)


def residual_logits(theta: Tensor, x: Tensor, layout: ParameterLayout) -> Tensor:
    """Logits[W, N, C] of walkers theta[W, P] on images x[N, C, Y, X], or on images x[W, N, C, Y, X] of their own."""
    *tensors, weight, bias = layout.views(theta)
    layers = iter(tensors)
    images = _layer(images_last(x), layers).relu_()
    for _, stride in BLOCKS:
        images = _block(images, layers, stride)
    features = _average(images).transpose(1, 2).flatten(1, 3)  # channels, rows, columns: the order of torch.nn.Flatten
    return torch.baddbmm(bias.unsqueeze(2), weight, features).mT


def _block(images: Tensor, layers: Iterator[Tensor], stride: int) -> Tensor:
    """relu(two convolutions of images[W, Y, C, X, N] + shortcut)."""
    inner = _layer(images, layers, stride).relu_()
    result = _layer(inner, layers)
    shortcut = _project(images[:, ::stride, :, ::stride], layers) if stride > 1 else images
    return (result + shortcut).relu_()


def _layer(images: Tensor, layers: Iterator[Tensor], stride: int = 1) -> Tensor:
    """The next 3 x 3 convolution of images[W, Y, C, X, N] and its normalisation."""
    images = convolve(Rows.of(images), next(layers)).images[:, ::stride, :, ::stride]
    return normalise(images, next(layers), next(layers))


def _project(images: Tensor, layers: Iterator[Tensor]) -> Tensor:
    """The next 1 x 1 convolution of images[W, Y, C, X, N] and its normalisation."""
    weight = next(layers).flatten(2).unsqueeze(1)  # [W, 1, O, C]
    projected = (weight @ images.flatten(3)).unflatten(3, images.shape[3:])
    return normalise(projected, next(layers), next(layers))


def _average(images: Tensor) -> Tensor:
    """Averages of blocks of 4 x 4 pixels of images[W, Y, C, X, N], of all pixels along a side with fewer than 4."""
    _, rows, _, columns, _ = images.shape
    height, width = min(rows, POOL), min(columns, POOL)
    images = images[:, : rows // height * height, :, : columns // width * width]
    return images.unflatten(3, (-1, width)).unflatten(1, (-1, height)).mean((2, 5))
