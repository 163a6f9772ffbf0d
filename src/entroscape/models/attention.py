"""What attention to two tokens gives to all prompts of a batch of walkers, behind any linear map.

The last token, "=", is the same in all prompts and the only one whose output is read. So there is one query per head,
keys and values exist once per token and position, and a linear map of what attention gives is the same weighted sum of
what it makes of the values: a table with a row per token, made once for all prompts.
"""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from entroscape.models import attention_kernels
from entroscape.numba_cache import REAL, compiled

TRITON = find_spec("triton") is not None  # comes with torch where that is built for GPUs


def mix(
    attention: Tensor, first: Tensor, second: Tensor, base: Tensor, tokens: Tensor, *, rectified: int
) -> tuple[Tensor, Tensor]:
    """base + sum over heads of attention to x times `first` of x and attention to y times `second` of y.

    attention[W, H, 2, N]: weights of the two tokens; first, second[W, H, P, K]: what a token gives, less what "=" does;
    base[W, K]: what "=" gives; tokens: int64[N, 2], or int64[W, N, 2] of each walker's own. The result is two tensors:
    the first `rectified` of the K after ReLU, [W, N, rectified], and the others as they are.
    """
    tokens = tokens if tokens.dim() == 3 else tokens.unsqueeze(0)
    if compiled(attention):
        return _CompiledMix.apply(attention, first, second, base, tokens, rectified)
    if attention.dtype in REAL and attention.device.type == "cuda" and TRITON:
        from entroscape.models.attention_triton import TritonMix  # cannot be imported everywhere

        return TritonMix.apply(attention, first, second, base, tokens, rectified)
    mixed = base.unsqueeze(1)
    for place, table in enumerate((first, second)):
        rows = tokens[:, None, :, place, None].expand(len(table), table.shape[1], -1, table.shape[3])
        mixed = mixed + (attention[:, :, place].unsqueeze(3) * table.gather(2, rows)).sum(1)
    return mixed[..., :rectified].relu(), mixed[..., rectified:]


class _CompiledMix(Function):
    """The arguments of `mix`, tokens[W or 1, N, 2], as one operation on CPU."""

    @staticmethod
    def forward(
        ctx: Any, attention: Tensor, first: Tensor, second: Tensor, base: Tensor, tokens: Tensor, rectified: int
    ) -> tuple[Tensor, Tensor]:
        given = [tensor.contiguous() for tensor in (attention, first, second, base)]
        count, width = attention.shape[3], base.shape[1]
        neurons = attention.new_empty(len(base), count, rectified)
        others = attention.new_empty(len(base), count, width - rectified)
        spare = base.new_empty(width)
        attention_kernels.forward(*(t.numpy() for t in (*given, tokens, neurons, others, spare)))
        ctx.save_for_backward(*given, tokens, neurons)
        return neurons, others

    @staticmethod
    def backward(ctx: Any, to_neurons: Tensor, to_others: Tensor) -> tuple[Tensor | None, ...]:
        attention, first, second, base, tokens, neurons = ctx.saved_tensors
        found = [torch.zeros_like(tensor) for tensor in (attention, first, second, base)]
        arrived = (gradient.contiguous() for gradient in (to_neurons, to_others))
        spare = base.new_empty(base.shape[1])
        numbers = (t.numpy() for t in (*arrived, neurons, attention, first, second, tokens, *found, spare))
        attention_kernels.backward(*numbers)
        return *found, None, None
