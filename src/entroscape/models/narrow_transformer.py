"""Narrow transformers on CPU as one operation: hundreds of small ones take longer than their numbers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from entroscape.models import token_kernels
from entroscape.models.layout import ParameterLayout
from entroscape.numba_cache import compiled

NARROW = 32  # largest d_model for which they are; products of wider networks are faster as such


def applies(theta: Tensor, layout: ParameterLayout) -> bool:
    """Whether `logits` takes walkers of this layout, that of `token_kernels.Tensors`."""
    _, d_model = layout.shapes[0]
    return d_model <= NARROW and compiled(theta)


def logits(theta: Tensor, prompts: Tensor, layout: ParameterLayout, heads: int) -> Tensor:
    """Logits[W, N, V] of walkers theta[W, P] on prompts int64[N, 2], or int64[W, N, 2] of each walker's own."""
    tokens = prompts if prompts.dim() == 3 else prompts.unsqueeze(0)
    return _Compiled.apply(theta, tokens.mT.contiguous().numpy(), layout, heads)


class _Compiled(Function):
    """From theta[W, P] to logits[W, N, V]; tokens: int64[W or 1, 2, N]."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, tokens: np.ndarray, layout: ParameterLayout, heads: int) -> Tensor:
        shapes = token_kernels.Tensors(*layout.shapes)
        (vocabulary, d_model), (neurons,) = shapes.embedding, shapes.hidden_bias
        parameters = theta.detach().contiguous().numpy()
        table = token_kernels.tables(len(theta), d_model, heads, vocabulary - 1, neurons, parameters.dtype)
        passed = token_kernels.passed(table, tokens.shape[2])
        token_kernels.forward(parameters, tokens, table, passed, np.empty(table.taken.shape[2], parameters.dtype))
        ctx.save_for_backward(theta)
        ctx.made = tokens, table, passed
        return torch.from_numpy(passed.readings[:, neurons:]).mT

    @staticmethod
    def backward(ctx: Any, to_logits: Tensor) -> tuple[Tensor | None, ...]:
        parameters, (tokens, table, passed) = ctx.saved_tensors[0].detach().contiguous().numpy(), ctx.made
        to_table = token_kernels.Tables(*(np.zeros_like(array) for array in table))
        spare, found = token_kernels.spare(table, tokens.shape[2]), np.zeros_like(parameters)
        arrived = to_logits.mT.contiguous().numpy()
        token_kernels.backward(arrived, parameters, tokens, table, passed, to_table, spare, found)
        return torch.from_numpy(found), None, None, None
