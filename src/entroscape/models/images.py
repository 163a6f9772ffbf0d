"""Convolutions and pooling for a batch of walkers, each with weights of its own, on CPU as fast as matrix products.

Images are tensors [W, Y, C, X, N]: walkers, rows, channels, columns, and the images last, so that every operation
runs over a long contiguous axis whatever the number of channels. A row of the result of a 3 x 3 convolution depends
on three neighbouring rows, [3 * C * X, N] in one piece of memory, through a banded matrix that holds the weights: one
batched product for all rows of all walkers, and nothing is copied. It multiplies by many zeros and is still several
times faster than a grouped convolution, since products of such shapes reach most of a core's peak.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

# Elements that a step of the first layer works on at once: they fit into the cache of a core, 1 MB in float32.
TILE = 2**18


def images_last(x: Tensor) -> Tensor:
    """x[W, N, C, Y, X] -> [W, Y, C, X, N], a view."""
    return x.permute(0, 3, 2, 4, 1)


def convolve(images: Tensor, weight: Tensor, bias: Tensor | None = None, *, relu: bool = False) -> Tensor:
    """3 x 3 convolution, zero padding 1, of images[W, Y, C, X, N] with weight[W, O, C, 3, 3] and bias[W, O].

    With `relu`, of relu(images), which costs no further pass through memory. Gives [W, Y, O, X, N].
    """
    walkers, channels, columns = len(weight), weight.shape[1], images.shape[3]
    band = _band(weight, columns)
    offset = weight.new_zeros(1, 1) if bias is None else bias
    offset = offset.expand(walkers, channels).unsqueeze(2).expand(-1, -1, columns).flatten(1)
    return _RowConvolution.apply(images, band, offset, relu).unflatten(2, (channels, columns))


def max_pool(images: Tensor) -> Tensor:
    """Maximum of each 2 x 2 block of images[W, Y, C, X, N]; an odd last row or column is dropped."""
    return _MaxPool.apply(images)


def pooled_patches(x: Tensor) -> Tensor:
    """What `convolve_pool` needs of images x[N, C, Y, X] that all walkers share: [16 * C + 1, Y // 2, X // 2 * N].

    The 4 x 4 pixels around each 2 x 2 block, zero beyond the image, and ones for the bias.
    """
    rows, columns = (size // 2 for size in x.shape[2:])
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    blocks = padded.unfold(2, 4, 2).unfold(3, 4, 2)[:, :, :rows, :columns]  # [N, C, Y // 2, X // 2, 4, 4]
    patches = blocks.permute(1, 4, 5, 2, 3, 0).flatten(4).flatten(0, 2)
    return torch.cat([patches, torch.ones_like(patches[:1])])


def convolve_pool(patches: Tensor, weight: Tensor, bias: Tensor, columns: int) -> Tensor:
    """`max_pool` of the convolution of shared images, given as `pooled_patches`, with weight[W, O, C, 3, 3], bias[W, O].

    `columns` is the number of columns after pooling. Gives [W, Y // 2, O, columns, N].
    """
    places = _places(weight)  # [2, 2, 4, 4, 3, 3]
    spread = torch.einsum("wocij,abyxij->woabcyx", weight, places).flatten(4).flatten(2, 3)
    spread = torch.cat([spread, bias[:, :, None, None].expand(-1, -1, 4, 1)], dim=3)
    return _ConvolvePool.apply(patches, spread).unflatten(3, (columns, -1))


def _band(weight: Tensor, columns: int) -> Tensor:
    """Matrix[W, O * X, 3 * C * X] of a convolution from three rows to the middle one, of weight[W, O, C, 3, 3]."""
    shift = torch.stack([torch.eye(columns + 2, dtype=weight.dtype, device=weight.device)[:, 1:-1]] * 3)
    shift = torch.stack([shift[0, i : i + columns] for i in range(3)])  # [3, X out, X in]
    return torch.einsum("wocij,jpq->wopicq", weight, shift).flatten(3).flatten(1, 2)


def _places(weight: Tensor) -> Tensor:
    """1 where element (i, j) of a kernel meets pixel (y, x) of a 4 x 4 patch for the result (a, b) of its 2 x 2."""
    eye = torch.eye(4, dtype=weight.dtype, device=weight.device)
    along = torch.stack([eye[:, a : a + 3] for a in range(2)])  # [2, 4, 3]
    return torch.einsum("ayi,bxj->abyxij", along, along)


def _pad(images: Tensor, *, relu: bool = False) -> Tensor:
    """Rows[W * (Y + 1) + 2, C * X, N] of images[W, Y, C, X, N] one below the other, a row of zeros between walkers.

    Row y of walker w is number 1 + w * (Y + 1) + y, and zeros are above the first and below the last.
    """
    walkers, height, channels, columns, count = images.shape
    rows = images.new_empty(walkers * (height + 1) + 2, channels * columns, count)
    rows[:: height + 1].zero_()
    rows[-1].zero_()
    inner = _unpad(rows, walkers).unflatten(2, (channels, columns))
    if relu:
        torch.clamp_min(images, 0, out=inner)
    else:
        inner.copy_(images)
    return rows


def _unpad(rows: Tensor, walkers: int) -> Tensor:
    """The walkers' own rows[W, Y, K, N], a view: inverse of `_pad`."""
    return rows[1:-1].unflatten(0, (walkers, -1))[:, :-1]


def _slabs(rows: Tensor) -> Tensor:
    """Each row with its two neighbours, [rows - 2, 3 * K, N]: overlapping views."""
    _, elements, count = rows.shape
    return rows.as_strided((len(rows) - 2, 3 * elements, count), (elements * count, count, 1))


def _each_row(matrix: Tensor, rows: int) -> Tensor:
    """The matrix[W, M, K] of each walker for all its rows and the one of zeros, [W * (rows + 1), M, K]."""
    return matrix.unsqueeze(1).expand(-1, rows + 1, -1, -1).flatten(0, 1)


class _RowConvolution(Function):
    """(images[W, Y, C, X, N], band[W, M, 3 * C * X], offset[W, M], relu) -> [W, Y, M, N]."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, band: Tensor, offset: Tensor, relu: bool) -> Tensor:
        walkers, height = len(band), images.shape[1]
        rows = _pad(images.expand(walkers, -1, -1, -1, -1), relu=relu)
        ctx.save_for_backward(rows, band)
        ctx.relu, ctx.shape = relu, images.shape
        result = torch.baddbmm(_each_row(offset.unsqueeze(2), height), _each_row(band, height), _slabs(rows))
        return result.unflatten(0, (walkers, -1))[:, :-1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, band = ctx.saved_tensors
        walkers, height = gradient.shape[:2]
        outer = _pad(gradient.unsqueeze(3))
        inner = outer[1:-1]
        offset = inner.sum(2).unflatten(0, (walkers, -1)).sum(1)
        products = torch.bmm(inner, _slabs(rows).mT).unflatten(0, (walkers, -1)).sum(1)
        if not ctx.needs_input_grad[0]:
            return None, products, offset, None
        # the convolution's transpose is a convolution too: its rows come in the opposite order
        adjoint = band.unflatten(2, (3, -1)).flip(2).permute(0, 3, 2, 1).flatten(2)
        below = torch.bmm(_each_row(adjoint, height), _slabs(outer)).unflatten(0, (walkers, -1))[:, :-1]
        if ctx.relu:
            below = torch.where(_unpad(rows, walkers) > 0, below, 0)
        return below.unflatten(2, ctx.shape[2:4]).sum_to_size(ctx.shape), products, offset, None


def _largest(values: tuple[Tensor, ...], out: Tensor) -> Tensor:
    """Write the largest of four equal-shaped tensors to `out`; which it was, bool[3, ...], the first where they tie."""
    first, second = torch.maximum(values[0], values[1]), torch.maximum(values[2], values[3])
    torch.maximum(first, second, out=out)
    return torch.stack([values[0] >= values[1], values[2] >= values[3], first >= second])


def _hand_back(gradient: Tensor, which: Tensor, out: tuple[Tensor, ...]) -> None:
    """Write the gradients of the four tensors of `_largest` to `out`."""
    first = gradient * which[2]
    second = gradient - first
    torch.mul(first, which[0], out=out[0])
    torch.sub(first, out[0], out=out[1])
    torch.mul(second, which[1], out=out[2])
    torch.sub(second, out[2], out=out[3])


def _quarters(images: Tensor) -> tuple[Tensor, ...]:
    """The four images[W, Y // 2, C, X // 2, N] of every second row and column, views of images[W, Y, C, X, N]."""
    height, columns = images.shape[1] // 2 * 2, images.shape[3] // 2 * 2
    return tuple(images[:, i:height:2, :, j:columns:2] for i in range(2) for j in range(2))


class _MaxPool(Function):
    """images[W, Y, C, X, N] -> [W, Y // 2, C, X // 2, N]."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        quarters = _quarters(images)
        result = torch.empty(quarters[0].shape, dtype=images.dtype, device=images.device)
        ctx.save_for_backward(_largest(quarters, result))
        ctx.shape = images.shape
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (which,) = ctx.saved_tensors
        result = gradient.new_zeros(ctx.shape)
        _hand_back(gradient, which, _quarters(result))
        return result


def _tiles(walkers: int, height: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Walkers and rows to be worked on at once, `size` elements per walker and row."""
    some = max(1, min(walkers, TILE // size))
    rows = max(1, TILE // (size * some))
    for w in range(0, walkers, some):
        for y in range(0, height, rows):
            yield slice(w, w + some), slice(y, y + rows)


class _ConvolvePool(Function):
    """(patches[K, Y, P], weight[W, O, 4, K]) -> largest of the four products at each place, [W, Y, O, P].

    Tile by tile, so that the products themselves, four times the result and more than all that follows, never leave
    the cache.
    """

    @staticmethod
    def forward(ctx: Any, patches: Tensor, weight: Tensor) -> Tensor:
        (walkers, channels, _, _), (_, height, places) = weight.shape, patches.shape
        result = patches.new_empty(walkers, height, channels, places)
        which = torch.empty(3, *result.shape, dtype=torch.bool, device=patches.device)
        for w, y in _tiles(walkers, height, 4 * channels * places):
            products = weight[w].flatten(0, 2) @ patches[:, y].flatten(1)
            products = products.unflatten(0, (-1, channels, 4)).unflatten(3, (-1, places))
            which[:, w, y] = _largest(products.transpose(1, 3).unbind(2), result[w, y])
        ctx.save_for_backward(patches, which)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        patches, which = ctx.saved_tensors
        walkers, height, channels, places = gradient.shape
        result = gradient.new_zeros(walkers, channels * 4, len(patches))
        for w, y in _tiles(walkers, height, 4 * channels * places):
            part = gradient[w, y]
            products = part.new_empty(len(part), channels, 4, part.shape[1], places)
            _hand_back(part, which[:, w, y], products.transpose(1, 3).unbind(2))
            result[w].view(-1, len(patches)).addmm_(products.flatten(0, 2).flatten(1), patches[:, y].flatten(1).mT)
        return None, result.unflatten(1, (channels, 4))
