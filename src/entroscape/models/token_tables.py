"""What a transformer of one layer makes of each token before it sees a prompt, for a batch of walkers.

All is relative to the last token, "=", which is the same in all prompts and alone in being read: attention is drawn to
x and y by what their scores are above its own, and moves the result by what their values are apart from its own. "P"
are the other tokens, "K" what is read off the residual stream: M neurons and, past them, V logits.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from entroscape.models import token_kernels
from entroscape.models.layout import ParameterLayout
from entroscape.models.token_kernels import Tensors

COMPILED = (torch.float32, torch.float64)  # what compiled loops are used for
NARROW = 32  # largest d_model for which they are; products of wider networks are faster as such


class Tables(NamedTuple):
    """What all prompts of W walkers have in common; two tokens of each are attended to, from H heads."""

    scores: Tensor  # [W, H, 2, P], of a token as x and as y, less that of "="
    first: Tensor  # [W, H, P, K], what x moves each reading by where all attention is on it
    second: Tensor  # [W, H, P, K], y
    base: Tensor  # [W, K], the readings where all attention is on "="
    product: Tensor  # [W, V, M], from active neurons to logits


def token_tables(theta: Tensor, layout: ParameterLayout, heads: int) -> Tables:
    """Tables of walkers theta[W, P]; the layout is that of `Tensors`."""
    tensors = Tensors(*layout.views(theta))
    narrow = tensors.embedding.shape[2] <= NARROW
    if narrow and theta.dtype in COMPILED and theta.device.type == "cpu":
        return Tables(*_Compiled.apply(theta, layout, heads))
    return _tables(tensors, heads)


def _tables(t: Tensors, heads: int) -> Tables:
    equals = t.embedding[:, -1] + t.position[:, 2]  # [W, D]
    places = t.position[:, :2] - equals.unsqueeze(1)
    rows = t.embedding[:, :-1].unsqueeze(1) + places.unsqueeze(2)  # [W, 2, P, D]
    walkers, _, tokens, d_model = rows.shape
    width = d_model // heads
    query = (t.query @ equals.unsqueeze(2)).reshape(walkers, heads, 1, width) / math.sqrt(width)
    felt = query @ t.key.unflatten(1, (heads, width))  # [W, H, 1, D]
    scores = (felt @ rows.reshape(walkers, 1, 2 * tokens, d_model).mT).view(walkers, heads, 2, tokens)
    reader = torch.cat([t.hidden_weight, t.unembedding], 1)  # [W, K, D]
    through = (reader @ t.output).unflatten(2, (heads, width)).permute(0, 2, 3, 1)  # [W, H, width, K]
    values = (rows.flatten(1, 2) @ t.value.mT).unflatten(2, (heads, width)).transpose(1, 2)  # [W, H, 2 P, width]
    first, second = (part @ through for part in values.split(tokens, dim=2))
    stream = equals.unsqueeze(2) + t.output @ (t.value @ equals.unsqueeze(2))
    offset = torch.cat([t.hidden_bias, (t.unembedding @ t.back_bias.unsqueeze(2)).squeeze(2)], 1)
    base = (reader @ stream).squeeze(2) + offset
    return Tables(scores, first, second, base, t.unembedding @ t.back_weight)


class _Compiled(Function):
    """`_tables` as one operation on CPU: hundreds of small ones take longer than their numbers."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, layout: ParameterLayout, heads: int) -> tuple[Tensor, ...]:
        t = Tensors(*(view.contiguous().numpy() for view in layout.views(theta.detach())))
        (walkers, vocabulary, d_model), neurons = t.embedding.shape, t.hidden_bias.shape[1]
        sizes = walkers, d_model, heads, vocabulary - 1, neurons + vocabulary

        def zeros(*shape: int) -> Tensor:
            return theta.new_zeros(shape)

        walkers, d_model, heads, tokens, readings = sizes
        result = Tables(
            scores=zeros(walkers, heads, 2, tokens),
            first=zeros(walkers, heads, tokens, readings),
            second=zeros(walkers, heads, tokens, readings),
            base=zeros(walkers, readings),
            product=zeros(walkers, vocabulary, neurons),
        )
        ctx.work = token_kernels.work(*sizes, t.embedding.dtype)
        token_kernels.forward(t, ctx.work, *(tensor.numpy() for tensor in result))
        ctx.tensors = t
        return tuple(result)

    @staticmethod
    def backward(ctx: Any, *arrived: Tensor) -> tuple[Tensor | None, ...]:
        found = Tensors(*(np.zeros_like(array) for array in ctx.tensors))
        spare = token_kernels.spare(ctx.work)
        token_kernels.backward(*(g.contiguous().numpy() for g in arrived), ctx.tensors, ctx.work, spare, found)
        return torch.cat([torch.from_numpy(array).flatten(1) for array in found], 1), None, None
