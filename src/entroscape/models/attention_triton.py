"""Mixing of token tables by attention, for `entroscape.models.attention` on GPUs.

Prompts are taken in the order of one of their tokens: all with the same token share a row of its table. A program has
one walker, one token and a block of the K, so that this row stays in registers and its gradient is summed there, always
in the same order. What a kernel reads and writes in the main memory is little more than its result, or its gradient.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function


class Block(NamedTuple):
    """What a program has at once, and the warps that work on it."""

    prompts: int
    width: int  # of the K
    warps: int

    def options(self, heads: int) -> dict[str, int]:
        """What a kernel is compiled for."""
        padded = triton.next_power_of_2(heads)
        return dict(HEADS=padded, PROMPTS=self.prompts, WIDTH=self.width, num_warps=self.warps)

    def programs(self, table: Tensor) -> tuple[int, int, int]:
        """Tokens, blocks of the K and walkers of a table[W, H, P, K]."""
        return table.shape[2], triton.cdiv(table.shape[3], self.width), table.shape[0]


FORWARD, BACKWARD = Block(16, 64, 4), Block(8, 64, 1)  # the fastest of a dozen on an H200 at the published size


class TritonMix(Function):
    """The arguments of `mix`, tokens[W or 1, N, 2], as one operation on a GPU."""

    @staticmethod
    def forward(
        ctx: Any, attention: Tensor, first: Tensor, second: Tensor, base: Tensor, tokens: Tensor, rectified: int
    ) -> tuple[Tensor, Tensor]:
        """The two results of `mix`."""
        given = [tensor.contiguous() for tensor in (attention, first, second, base, tokens)]
        (walkers, heads, _, count), (rows, width) = attention.shape, first.shape[2:]
        order, starts = by_token(given[4], rows)
        neurons = attention.new_empty(walkers, count, rectified)
        others = attention.new_empty(walkers, count, width - rectified)
        sizes = dict(count=count, rows=rows, width=width, rectified=rectified, own=int(len(tokens) > 1), heads=heads)
        results = neurons, others
        _forward[FORWARD.programs(first)](*given, order, starts, *results, **sizes, **FORWARD.options(heads))
        ctx.save_for_backward(*given[:4], order, starts, neurons)
        ctx.sizes = sizes
        return neurons, others

    @staticmethod
    def backward(ctx: Any, to_neurons: Tensor, to_others: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the arguments that have one."""
        attention, first, second, base, order, starts, neurons = ctx.saved_tensors
        arrived = to_neurons.contiguous(), to_others.contiguous()
        programs = rows, parts, walkers = BACKWARD.programs(first)
        # sums over the K and over tokens are finished here
        to_attention = attention.new_empty(parts, *attention.shape)
        to_base = base.new_empty(walkers, rows, base.shape[1])
        to_first, to_second = torch.empty_like(first), torch.empty_like(second)
        for place, (table, to_table) in enumerate(((first, to_first), (second, to_second))):
            _backward[programs](
                *arrived, neurons, attention, table, order, starts, to_attention, to_table, to_base,
                **ctx.sizes, place=place, **BACKWARD.options(attention.shape[1]),
            )  # fmt: skip
        return to_attention.sum(0), to_first, to_second, to_base.sum(1), None, None


def by_token(tokens: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """For tokens[B, N, 2] below `rows`: the prompts in the order of x and of y, [B, 2, N], and where each begins.

    The latter is [B, 2, rows + 1]: prompts with x = t are those from starts[:, 0, t] to starts[:, 0, t + 1] in order.
    """
    ordered, order = tokens.mT.contiguous().sort(dim=2, stable=True)
    numbers = torch.arange(rows + 1, device=tokens.device).expand(*ordered.shape[:2], -1).contiguous()
    return order, torch.searchsorted(ordered, numbers)


@triton.jit
def _forward(
    attention, first, second, base, tokens, order, starts, neurons, others,
    count, rows, width, rectified, own,
    heads: tl.constexpr, HEADS: tl.constexpr, PROMPTS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """All prompts of a walker that begin with a token, in a block of the K."""
    token, walker = tl.program_id(0), tl.program_id(2).to(tl.int64)
    k = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = k < width
    list_of = walker * own
    offset = tl.load(base + walker * width + k, mask=inside, other=0)
    begin = tl.load(starts + list_of * 2 * (rows + 1) + token)
    end = tl.load(starts + list_of * 2 * (rows + 1) + token + 1)
    for start in range(begin, end, PROMPTS):
        place = start + tl.arange(0, PROMPTS)
        there = place < end
        prompt = tl.load(order + list_of * 2 * count + place, mask=there, other=0)
        y = tl.load(tokens + (list_of * count + prompt) * 2 + 1, mask=there, other=0)
        mixed = tl.zeros((PROMPTS, WIDTH), dtype=offset.dtype) + offset[None, :]
        for head in tl.static_range(heads):
            table = (walker * heads + head) * rows
            weights = attention + (walker * heads + head) * 2 * count + prompt
            to_x = tl.load(weights, mask=there, other=0)
            to_y = tl.load(weights + count, mask=there, other=0)
            left = tl.load(first + (table + token) * width + k, mask=inside, other=0)
            right = tl.load(
                second + (table + y[:, None]) * width + k[None, :], mask=there[:, None] & inside[None, :], other=0
            )
            mixed += to_x[:, None] * left[None, :] + to_y[:, None] * right
        row = walker * count + prompt[:, None]
        is_neuron = there[:, None] & (k < rectified)[None, :]
        is_other = there[:, None] & (inside & (k >= rectified))[None, :]
        tl.store(neurons + row * rectified + k[None, :], tl.where(mixed <= 0, 0.0, mixed), mask=is_neuron)
        tl.store(others + row * (width - rectified) + k[None, :] - rectified, mixed, mask=is_other)


@triton.jit
def _backward(
    to_neurons, to_others, neurons, attention, table, order, starts, to_attention, to_table, to_base,
    count, rows, width, rectified, own, place: tl.constexpr,
    heads: tl.constexpr, HEADS: tl.constexpr, PROMPTS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Gradients of the weights of one place, of a row of its table and, for place 0, a part of the base's."""
    token, part, walker = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    k = part * WIDTH + tl.arange(0, WIDTH)
    head = tl.arange(0, HEADS)
    inside = k < width
    list_of = walker * own * 2 + place
    here = ((walker * heads + head) * rows + token)[:, None] * width + k[None, :]
    exists = (head < heads)[:, None] & inside[None, :]
    row = tl.load(table + here, mask=exists, other=0)
    to_row = tl.zeros((HEADS, WIDTH), dtype=row.dtype)
    total = tl.zeros((WIDTH,), dtype=row.dtype)
    begin = tl.load(starts + list_of * (rows + 1) + token)
    end = tl.load(starts + list_of * (rows + 1) + token + 1)
    for start in range(begin, end, PROMPTS):
        at = start + tl.arange(0, PROMPTS)
        there = at < end
        prompt = tl.load(order + list_of * count + at, mask=there, other=0)
        line = (walker * count + prompt)[:, None]
        is_neuron = there[:, None] & (k < rectified)[None, :]
        is_other = there[:, None] & (inside & (k >= rectified))[None, :]
        active = ~(tl.load(neurons + line * rectified + k[None, :], mask=is_neuron, other=0) <= 0)  # nan stays nan
        gradient = tl.load(to_neurons + line * rectified + k[None, :], mask=active, other=0)
        gradient += tl.load(to_others + line * (width - rectified) + k[None, :] - rectified, mask=is_other, other=0)
        weights = ((walker * heads + head)[None, :] * 2 + place) * count + prompt[:, None]
        known = there[:, None] & (head < heads)[None, :]
        weight = tl.load(attention + weights, mask=known, other=0)
        to_row += tl.sum(weight[:, :, None] * gradient[:, None, :], axis=0)
        felt = tl.sum(row[None, :, :] * gradient[:, None, :], axis=2)
        walkers = tl.num_programs(2).to(tl.int64)
        tl.store(to_attention + part * walkers * heads * 2 * count + weights, felt, mask=known)
        if place == 0:
            total += tl.sum(gradient, axis=0)
    tl.store(to_table + here, to_row, mask=exists)
    if place == 0:
        tl.store(to_base + (walker * rows + token) * width + k, total, mask=inside)
