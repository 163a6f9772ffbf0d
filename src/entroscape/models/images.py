"""Convolutions and pooling for a batch of walkers, each with weights of its own.

The rows of all images and walkers lie below each other, the images last, so that every operation runs over a long
contiguous axis, whatever the number of channels. On CPU, compiled loops do the convolutions (`models.kernels`). On
other devices a row of the result follows from three rows in one piece of memory through a banded matrix that holds the
weights: one batched product for all rows, nothing is copied, and nothing waits for the host.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from entroscape.models import kernels
from entroscape.numba_cache import compiled


class Rows(NamedTuple):
    """N images of each walker, row by row.

    values: [W * (Y + 1) + 2, C * X, N]. Row y of walker w is number 1 + w * (Y + 1) + y; the others are zero and stand
    above the first and below the last row of each walker. Gradients have zeros there too. Images that all walkers
    share are those of one walker.
    """

    values: Tensor
    walkers: int
    channels: int

    @property
    def images(self) -> Tensor:
        """The same as [W, Y, C, X, N], a view."""
        return _images(self.values, self.walkers, self.channels)

    @classmethod
    def of(cls, images: Tensor) -> "Rows":
        """Rows of images[W, Y, C, X, N]."""
        return cls(_Stack.apply(images), len(images), images.shape[2])


def images_last(x: Tensor) -> Tensor:
    """x[W, N, C, Y, X], or x[N, C, Y, X] that all walkers share -> [W, Y, C, X, N], a view."""
    return (x if x.ndim == 5 else x.unsqueeze(0)).permute(0, 3, 2, 4, 1)


def convolve(rows: Rows, weight: Tensor, bias: Tensor | None = None, *, relu: bool = False) -> Rows:
    """3 x 3 convolution, zero padding 1, with weight[W, O, C, 3, 3] and bias[W, O], then ReLU if asked for."""
    if bias is None:
        bias = weight.new_zeros(weight.shape[:2])
    return _convolve(rows, weight, bias, pool=False, relu=relu)


def convolve_pool_relu(rows: Rows, weight: Tensor, bias: Tensor) -> Rows:
    """ReLU of the maximum of each 2 x 2 block of `convolve`; an odd last row or column is dropped."""
    return _convolve(rows, weight, bias, pool=True, relu=True)


def normalise(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """LayerNorm over the channels of each pixel of images[W, Y, C, X, N], then times weight[W, C] plus bias[W, C]."""
    return _Normalise.apply(images, weight, bias)


def _convolve(rows: Rows, weight: Tensor, bias: Tensor, *, pool: bool, relu: bool) -> Rows:
    walkers, outputs = weight.shape[:2]
    values, shared = rows.values, rows.walkers < walkers
    if shared and (values.requires_grad or not compiled(values)):
        values, shared = Rows.of(rows.images.expand(walkers, -1, -1, -1, -1)).values, False
    if compiled(values):
        values = _CompiledConvolution.apply(values, shared, weight, bias, pool, relu)
    else:
        columns = values.shape[1] // rows.channels
        offset = bias.unsqueeze(2).expand(-1, -1, columns).flatten(1)
        values = _BandedConvolution.apply(values, _band(weight, columns), offset, relu and not pool)
        values = _MaxPoolRelu.apply(values, walkers, outputs) if pool else values
    return Rows(values, walkers, outputs)


def _images(values: Tensor, walkers: int, channels: int) -> Tensor:
    """View [W, Y, C, X, N] of the values of Rows."""
    return values[1:-1].unflatten(1, (channels, -1)).unflatten(0, (walkers, -1))[:, :-1]


def _height(values: Tensor, walkers: int) -> int:
    """Y of the values of Rows."""
    return (len(values) - 2) // walkers - 1


def _clear(values: Tensor, walkers: int) -> Tensor:
    """The values of Rows with zeros where they belong, in place."""
    values[:: (len(values) - 2) // walkers].zero_()
    values[-1].zero_()
    return values


def _empty(like: Tensor, walkers: int, height: int, channels: int, columns: int) -> Tensor:
    """Values of new Rows, zero where zeros belong and otherwise not yet written; number of images as in `like`."""
    return _clear(like.new_empty(walkers * (height + 1) + 2, channels * columns, like.shape[-1]), walkers)


class _Stack(Function):
    """images[W, Y, C, X, N] -> values of Rows."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        ctx.shape = images.shape
        values = _empty(images, *images.shape[:4])
        _images(values, len(images), images.shape[2]).copy_(images)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _images(gradient, ctx.shape[0], ctx.shape[2])


class _CompiledConvolution(Function):
    """(values of Rows, shared, weight[W, O, C, 3, 3], bias[W, O], pool, relu) -> values of Rows."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, shared: bool, weight: Tensor, bias: Tensor, pool: bool, relu: bool) -> Tensor:
        walkers, outputs, channels = weight.shape[:3]
        columns, count = values.shape[1] // channels, values.shape[2]
        values, weight, bias = values.contiguous(), weight.contiguous(), bias.contiguous()
        height, width = (size // 2 if pool else size for size in (_height(values, 1 if shared else walkers), columns))
        result = _empty(values, walkers, height, outputs, width)
        which = torch.empty((walkers, height, outputs * width, count) if pool else (0, 0, 0, 0), dtype=torch.uint8)

        scratch, spare = values.new_empty(2, outputs * columns, count).numpy(), values.new_empty(count).numpy()
        given = values.numpy(), shared, weight.numpy(), bias.numpy(), pool, relu
        kernels.forward(*given, scratch, spare, result.numpy(), which.numpy())
        ctx.save_for_backward(values, weight, result, which)
        ctx.options = shared, pool, relu
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, result, which = ctx.saved_tensors
        walkers, outputs, channels = weight.shape[:3]
        height, columns, count = (len(values) - 2) // walkers - 1, values.shape[1] // channels, values.shape[2]
        wanted = ctx.needs_input_grad[0]
        below = _empty(values, walkers, height, channels, columns) if wanted else values.new_empty(0, 0, 0)
        adjoint, none = weight.flip(3, 4).transpose(1, 2).contiguous(), weight.new_zeros(channels)
        scratch = weight.new_zeros(height + 2 if wanted else 2, outputs * columns, count)
        found = torch.zeros_like(weight), weight.new_zeros(walkers, outputs)
        tensors = gradient.contiguous(), result, which, adjoint, none, scratch, weight.new_empty(count), *found, below
        kernels.backward(values.numpy(), *ctx.options, *(tensor.numpy() for tensor in tensors))
        return (below if wanted else None), None, *found, None, None


def _band(weight: Tensor, columns: int) -> Tensor:
    """Matrix[W, O * X, 3 * C * X] from three rows to the middle one of the result, of weight[W, O, C, 3, 3]."""
    eye = torch.eye(columns + 2, dtype=weight.dtype, device=weight.device)[:, 1:-1]
    shifts = torch.stack([eye[j : j + columns] for j in range(3)])  # [3, X of the result, X]
    return torch.einsum("wocij,jpq->wopicq", weight, shifts).flatten(3).flatten(1, 2)


def _three_rows(values: Tensor) -> Tensor:
    """Each row with its two neighbours, [rows - 2, 3 * K, N]: views that overlap."""
    _, elements, images = values.shape
    return values.as_strided((len(values) - 2, 3 * elements, images), (elements * images, images, 1))


def _each_row(matrix: Tensor, rows: int) -> Tensor:
    """The matrix[W, M, K] of each walker for all of its rows, [rows, M, K]."""
    return matrix.unsqueeze(1).expand(-1, rows // len(matrix), -1, -1).flatten(0, 1)


class _BandedConvolution(Function):
    """(values of Rows, band[W, M, 3 * K], offset[W, M], relu) -> values of Rows with M elements per row."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, band: Tensor, offset: Tensor, relu: bool) -> Tensor:
        walkers, rows = len(band), len(values) - 2
        values = values.contiguous()
        result = values.new_empty(len(values), band.shape[1], values.shape[2])
        inner = result[1:-1]
        torch.baddbmm(_each_row(offset.unsqueeze(2), rows), _each_row(band, rows), _three_rows(values), out=inner)
        if relu:
            inner.relu_()
        _clear(result, walkers)
        ctx.save_for_backward(values, band, result if relu else None)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, band, result = ctx.saved_tensors
        walkers, rows = len(band), len(values) - 2
        if result is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, result, 0)
        gradient = gradient.contiguous()
        inner = gradient[1:-1]
        offset = inner.sum(2).unflatten(0, (walkers, -1)).sum(1)
        products = torch.bmm(inner, _three_rows(values).mT).unflatten(0, (walkers, -1)).sum(1)
        if not ctx.needs_input_grad[0]:
            return None, products, offset, None
        # the transpose of a convolution is a convolution too: its rows come in the opposite order
        adjoint = band.unflatten(2, (3, -1)).flip(2).permute(0, 3, 2, 1).flatten(2)
        below = torch.empty_like(values)
        torch.bmm(_each_row(adjoint, rows), _three_rows(gradient), out=below[1:-1])
        return _clear(below, walkers), products, offset, None


def _quarters(images: Tensor) -> tuple[Tensor, ...]:
    """The four images[W, Y // 2, C, X // 2, N] of every second row and column, views of images[W, Y, C, X, N]."""
    height, columns = images.shape[1] // 2 * 2, images.shape[3] // 2 * 2
    return tuple(images[:, i:height:2, :, j:columns:2] for i in range(2) for j in range(2))


class _MaxPoolRelu(Function):
    """(values of Rows, walkers, channels) -> values of Rows of half the height and width."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, walkers: int, channels: int) -> Tensor:
        a, b, c, d = _quarters(_images(values, walkers, channels))
        result = _empty(values, *a.shape[:4])
        upper, lower = torch.maximum(a, b), torch.maximum(c, d)
        _images(result, walkers, channels).copy_(torch.maximum(upper, lower).relu_())
        ctx.save_for_backward(result, a >= b, c >= d, upper >= lower)  # the first where two are equal
        ctx.sizes = walkers, channels, values.shape
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        result, first, third, upper = ctx.saved_tensors
        walkers, channels, shape = ctx.sizes
        gradient = _images(torch.ops.aten.threshold_backward(gradient, result, 0), walkers, channels)
        below = gradient.new_zeros(shape)
        quarters = _quarters(_images(below, walkers, channels))
        for part, keep, (one, other) in ((upper, first, quarters[:2]), (~upper, third, quarters[2:])):
            one.copy_(gradient * part * keep)
            other.copy_(gradient * part * ~keep)
        return below, None, None


class _Normalise(Function):
    """(images[W, Y, C, X, N], weight[W, C], bias[W, C]) -> images normalised over C."""

    EPSILON = 1e-5  # added to the variance, as torch.nn.LayerNorm does

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        # three passes: torch.var_mean takes ten times as long on a dimension that is not the last
        normal = images - images.mean(2, keepdim=True)
        scale = normal.square().mean(2, keepdim=True).add_(_Normalise.EPSILON).rsqrt_()
        normal.mul_(scale)
        weight, bias = (tensor[:, None, :, None, None] for tensor in (weight, bias))
        ctx.save_for_backward(normal, scale, weight)
        return torch.addcmul(bias, normal, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        normal, scale, weight = ctx.saved_tensors
        along = gradient * normal
        sums = along.sum((1, 3, 4)), gradient.sum((1, 3, 4))
        gradient, along = gradient * weight, along.mul_(weight).mean(2, keepdim=True)
        below = gradient.sub_(gradient.mean(2, keepdim=True)).addcmul_(normal, along, value=-1).mul_(scale)
        return below, *sums
