"""Convolutions and pooling for a batch of walkers, each with weights of its own, fast on CPU.

A row of the result of a 3 x 3 convolution depends on three neighbouring rows of the images. With the rows of all
images and walkers below each other these lie in one piece of memory, and a banded matrix that holds the weights takes
them to the result: one batched product for all rows, and nothing is copied. It multiplies by many zeros and is still
several times faster than a grouped convolution, since products of such shapes reach much of a core's peak and every
other operation runs over a long contiguous axis, whatever the number of channels.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

# Elements that a step of the first layer works on at once: they fit into the cache of a core, 1 MB in float32.
TILE = 2**18


class Rows(NamedTuple):
    """N images of each walker, row by row.

    values: [W * (Y + 1) + 2, C * X, N]. Row y of walker w is number 1 + w * (Y + 1) + y; the others are zero and stand
    above the first and below the last row of each walker. Gradients have zeros there too.
    """

    values: Tensor
    walkers: int
    channels: int

    @property
    def images(self) -> Tensor:
        """The same as [W, Y, C, X, N], a view."""
        return _images(self.values, self.walkers, self.channels)

    @classmethod
    def of(cls, images: Tensor, walkers: int) -> "Rows":
        """Rows of images[W, Y, C, X, N], or of images[1, Y, C, X, N] that all walkers have."""
        return cls(_Stack.apply(images.expand(walkers, -1, -1, -1, -1)), walkers, images.shape[2])


def images_last(x: Tensor) -> Tensor:
    """x[W, N, C, Y, X] -> [W, Y, C, X, N], a view."""
    return x.permute(0, 3, 2, 4, 1)


def convolve(rows: Rows, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, relu: bool = False) -> Rows:
    """3 x 3 convolution, zero padding 1, with weight[W, O, C, 3, 3] and bias[W, O], then ReLU if asked for.

    A stride leaves out columns, not rows: `images[:, ::stride]` of the result is what torch.nn.Conv2d gives.
    """
    band = _band(weight, rows.values.shape[1] // rows.channels, stride)
    offset = weight.new_zeros(weight.shape[:2]) if bias is None else bias
    offset = offset.unsqueeze(2).expand(-1, -1, band.shape[1] // weight.shape[1]).flatten(1)
    return Rows(_Convolve.apply(rows.values, band, offset, relu), rows.walkers, weight.shape[1])


def max_pool_relu(rows: Rows) -> Rows:
    """ReLU of the maximum of each 2 x 2 block; an odd last row or column is dropped."""
    return Rows(_MaxPoolRelu.apply(rows.values, rows.walkers, rows.channels), rows.walkers, rows.channels)


def pooled_patches(x: Tensor) -> Tensor:
    """What `convolve_pool_relu` needs of images x[N, C, Y, X] that all walkers share: [16 * C + 1, Y // 2, X // 2, N].

    The 4 x 4 pixels around each 2 x 2 block, zero beyond the image, and ones for the bias.
    """
    height, columns = (size // 2 for size in x.shape[2:])
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    blocks = padded.unfold(2, 4, 2).unfold(3, 4, 2)[:, :, :height, :columns]  # [N, C, Y // 2, X // 2, 4, 4]
    patches = blocks.permute(1, 4, 5, 2, 3, 0).flatten(0, 2)
    return torch.cat([patches, torch.ones_like(patches[:1])])


def convolve_pool_relu(patches: Tensor, weight: Tensor, bias: Tensor) -> Rows:
    """`max_pool_relu` of `convolve` for images that all walkers share, given as `pooled_patches`."""
    places = _places(weight)  # [2, 2, 4, 4, 3, 3]
    spread = torch.einsum("wocij,abyxij->woabcyx", weight, places).flatten(4).flatten(2, 3)
    spread = torch.cat([spread, bias[:, :, None, None].expand(-1, -1, 4, 1)], dim=3)
    return Rows(_ConvolvePoolRelu.apply(patches, spread), *weight.shape[:2])


def normalise(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """LayerNorm over the channels of each pixel of images[W, Y, C, X, N], then times weight[W, C] plus bias[W, C]."""
    return _Normalise.apply(images, weight, bias)


def _band(weight: Tensor, columns: int, stride: int) -> Tensor:
    """Matrix from three rows of X columns to the middle one of the result, of weight[W, O, C, 3, 3].

    [W, O * columns of the result, 3 * C * X].
    """
    eye = torch.eye(columns + 2, dtype=weight.dtype, device=weight.device)[:, 1:-1]
    shifts = torch.stack([eye[j : j + columns : stride] for j in range(3)])  # [3, columns of the result, X]
    return torch.einsum("wocij,jpq->wopicq", weight, shifts).flatten(3).flatten(1, 2)


def _places(weight: Tensor) -> Tensor:
    """1 where element (i, j) of a kernel meets pixel (y, x) of a 4 x 4 patch for the result (a, b) of its 2 x 2."""
    eye = torch.eye(4, dtype=weight.dtype, device=weight.device)
    along = torch.stack([eye[:, a : a + 3] for a in range(2)])  # [2, 4, 3]
    return torch.einsum("ayi,bxj->abyxij", along, along)


def _images(values: Tensor, walkers: int, channels: int) -> Tensor:
    """View [W, Y, C, X, N] of the values of Rows."""
    return values[1:-1].unflatten(1, (channels, -1)).unflatten(0, (walkers, -1))[:, :-1]


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


def _three_rows(values: Tensor) -> Tensor:
    """Each row with its two neighbours, [rows - 2, 3 * K, N]: views that overlap."""
    _, elements, images = values.shape
    return values.as_strided((len(values) - 2, 3 * elements, images), (elements * images, images, 1))


def _each_row(matrix: Tensor, rows: int) -> Tensor:
    """The matrix[W, M, K] of each walker for all of its rows, [rows, M, K]."""
    return matrix.unsqueeze(1).expand(-1, rows // len(matrix), -1, -1).flatten(0, 1)


class _Convolve(Function):
    """(values of Rows, band[W, M, 3 * K], offset[W, M], relu) -> values of Rows with M elements per row."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, band: Tensor, offset: Tensor, relu: bool) -> Tensor:
        walkers, rows = len(band), len(values) - 2
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


def _largest(values: tuple[Tensor, ...], out: Tensor, which: Tensor) -> None:
    """Write ReLU of the largest of four tensors to `out`; to which[3], bool, which it was: the first where they tie."""
    first, second = torch.maximum(values[0], values[1]), torch.maximum(values[2], values[3])
    torch.ge(values[0], values[1], out=which[0])
    torch.ge(values[2], values[3], out=which[1])
    torch.ge(first, second, out=which[2])
    torch.maximum(first, second, out=out).relu_()


def _hand_back(gradient: Tensor, result: Tensor, which: Tensor, out: tuple[Tensor, ...]) -> None:
    """Write the gradients of the four tensors of `_largest` to `out`, given that of its result."""
    gradient = torch.ops.aten.threshold_backward(gradient, result, 0)
    first = gradient * which[2]
    second = gradient.sub_(first)
    torch.mul(first, which[0], out=out[0])
    torch.sub(first, out[0], out=out[1])
    torch.mul(second, which[1], out=out[2])
    torch.sub(second, out[2], out=out[3])


class _MaxPoolRelu(Function):
    """(values of Rows, walkers, channels) -> values of Rows of half the height and width."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, walkers: int, channels: int) -> Tensor:
        quarters = _quarters(_images(values, walkers, channels))
        shape = quarters[0].shape
        result = _empty(values, *shape[:4])
        which = torch.empty(3, *shape, dtype=torch.bool, device=values.device)
        _largest(quarters, _images(result, walkers, channels), which)
        ctx.save_for_backward(result, which)
        ctx.sizes = walkers, channels, values.shape
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        result, which = ctx.saved_tensors
        walkers, channels, shape = ctx.sizes
        below = gradient.new_zeros(shape)
        parts = _images(gradient, walkers, channels), _images(result, walkers, channels)
        _hand_back(*parts, which, _quarters(_images(below, walkers, channels)))
        return below, None, None


def _tiles(walkers: int, height: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Walkers and rows to be worked on at once, `size` elements per walker and row."""
    some = max(1, min(walkers, TILE // size))
    rows = max(1, TILE // (size * some))
    for w in range(0, walkers, some):
        for y in range(0, height, rows):
            yield slice(w, w + some), slice(y, y + rows)


class _ConvolvePoolRelu(Function):
    """(patches[K, Y, X, N], weight[W, O, 4, K]) -> values of Rows: ReLU of the largest of the four products.

    Tile by tile, so that the products themselves, four times the result and more than all that follows, never leave
    the cache.
    """

    @staticmethod
    def forward(ctx: Any, patches: Tensor, weight: Tensor) -> Tensor:
        (walkers, channels, _, _), (_, height, columns, count) = weight.shape, patches.shape
        result = _empty(patches, walkers, height, channels, columns)
        which = torch.empty(3, walkers, height, channels, columns, count, dtype=torch.bool, device=patches.device)
        images = _images(result, walkers, channels)
        for w, y in _tiles(walkers, height, 4 * channels * columns * count):
            products = weight[w].flatten(0, 2) @ patches[:, y].flatten(1)
            products = products.unflatten(0, (-1, channels, 4)).unflatten(3, (-1, columns, count))
            _largest(products.transpose(1, 3).unbind(2), images[w, y], which[:, w, y])
        ctx.save_for_backward(patches, result, which)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        patches, result, which = ctx.saved_tensors
        _, walkers, height, channels, columns, count = which.shape
        gradient, images = _images(gradient, walkers, channels), _images(result, walkers, channels)
        weight = gradient.new_zeros(walkers, channels * 4, len(patches))
        for w, y in _tiles(walkers, height, 4 * channels * columns * count):
            part = gradient[w, y]
            products = part.new_empty(len(part), channels, 4, part.shape[1], columns, count)
            _hand_back(part, images[w, y], which[:, w, y], products.transpose(1, 3).unbind(2))
            weight[w].view(-1, len(patches)).addmm_(products.flatten(0, 2).flatten(1), patches[:, y].flatten(1).mT)
        return None, weight.unflatten(1, (channels, 4))


class _Normalise(Function):
    """(images[W, Y, C, X, N], weight[W, C], bias[W, C]) -> images normalised over C."""

    EPSILON = 1e-5  # added to the variance, as torch.nn.LayerNorm does

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        variance, mean = torch.var_mean(images, 2, correction=0, keepdim=True)
        scale = (variance + _Normalise.EPSILON).rsqrt_()
        normal = (images - mean).mul_(scale)
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
