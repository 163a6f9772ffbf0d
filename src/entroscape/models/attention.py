"""What attention to two tokens gives to all prompts of a batch of walkers, behind any linear map.

The last token, "=", is the same in all prompts and the only one whose output is read. So there is one query per head,
keys and values exist once per token and position, and a linear map of what attention gives is the same weighted sum of
what it makes of the values: a table with a row per token, made once for all prompts.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from entroscape.models import attention_kernels

COMPILED = (torch.float32, torch.float64)  # what the compiled loops are used for, on CPU


def mix(attention: Tensor, first: Tensor, second: Tensor, base: Tensor, tokens: Tensor, *, rectified: int) -> Tensor:
    """base + sum over heads of attention to x times `first` of x and attention to y times `second` of y, [W, N, K].

    attention[W, H, 2, N]: weights of the two tokens; first, second[W, H, P, K]: what a token gives, less what "=" does;
    base[W, K]: what "=" gives; tokens: int64[N, 2], or int64[W, N, 2] of each walker's own. Then ReLU on the first
    `rectified` of the K.
    """
    tokens = tokens if tokens.dim() == 3 else tokens.unsqueeze(0)
    if attention.device.type == "cpu" and attention.dtype in COMPILED:
        mixed: Tensor = _CompiledMix.apply(attention, first, second, base, tokens, rectified)
        return mixed
    mixed = base.unsqueeze(1)
    for place, table in enumerate((first, second)):
        rows = tokens[:, None, :, place, None].expand(len(table), table.shape[1], -1, table.shape[3])
        mixed = mixed + (attention[:, :, place].unsqueeze(3) * table.gather(2, rows)).sum(1)
    return torch.cat([mixed[..., :rectified].relu(), mixed[..., rectified:]], 2)


class _CompiledMix(Function):
    """The arguments of `mix`, tokens[W or 1, N, 2], as one operation."""

    @staticmethod
    def forward(
        ctx: Any, attention: Tensor, first: Tensor, second: Tensor, base: Tensor, tokens: Tensor, rectified: int
    ) -> Tensor:
        given = [tensor.contiguous() for tensor in (attention, first, second, base)]
        out = attention.new_empty(len(base), attention.shape[3], base.shape[1])
        attention_kernels.forward(*(t.numpy() for t in (*given, tokens)), rectified, out.numpy())
        ctx.save_for_backward(*given, tokens, out)
        ctx.rectified = rectified
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        attention, first, second, base, tokens, out = ctx.saved_tensors
        found = [torch.zeros_like(tensor) for tensor in (attention, first, second, base)]
        numbers = (t.numpy() for t in (attention, first, second, tokens, *found, base.new_empty(base.shape[1])))
        attention_kernels.backward(gradient.contiguous().numpy(), out.numpy(), ctx.rectified, *numbers)
        return *found, None, None
