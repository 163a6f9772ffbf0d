"""The one-layer transformer of the grokking tasks (arXiv:2505.11411, appendix A.1), for a batch of walkers.

Prompts are three tokens, x y =; causal attention without normalisations, learned positions, an MLP with ReLU, untied
unembedding; the answer is read at "=". Only what this one position needs is computed, and linear maps that follow each
other are multiplied once for all prompts: the same logits at a quarter of the arithmetic of three positions
(`docs/speed.md`).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from entroscape.config.settings import NetworkSettings
from entroscape.errors import ConfigError
from entroscape.models.attention import mix
from entroscape.models.layout import ParameterLayout
from entroscape.models.network import Logits, unchanged

POSITIONS = 3


class Tensors(NamedTuple):
    """The tensors of W walkers in the order of the layout; V tokens, the last of them "=", M neurons."""

    embedding: Tensor  # [W, V, D]
    position: Tensor  # [W, 3, D]
    query: Tensor  # [W, D, D], rows are heads x their width
    key: Tensor  # [W, D, D]
    value: Tensor  # [W, D, D]
    output: Tensor  # [W, D, D], columns are heads x their width
    hidden_weight: Tensor  # [W, M, D]
    hidden_bias: Tensor  # [W, M]
    back_weight: Tensor  # [W, D, M]
    back_bias: Tensor  # [W, D]
    unembedding: Tensor  # [W, V, D]


def build(
    settings: NetworkSettings, shape: tuple[int, ...], outputs: int
) -> tuple[ParameterLayout, Logits, Callable[[Tensor], Tensor]]:
    """Layout and logits for prompts (x, y) with answers below `outputs`; raises ConfigError for other points."""
    if shape != (2,) or settings.heads is None or settings.mlp_ratio is None:
        raise ConfigError(
            f"model.kind transformer takes pairs of tokens, but the data's points have shape {shape}; take another kind"
        )
    layout = transformer_layout(outputs + 1, settings.width, settings.mlp_ratio * settings.width)
    return layout, partial(transformer_logits, layout=layout, heads=settings.heads), unchanged


def transformer_layout(vocabulary: int, d_model: int, neurons: int) -> ParameterLayout:
    """Layout of the tensors of `Tensors`."""
    square = (d_model, d_model)
    shapes = {
        "embedding": (vocabulary, d_model),
        "position": (POSITIONS, d_model),
        **{f"attention.{name}": square for name in ("query", "key", "value", "output")},
        "mlp.hidden.weight": (neurons, d_model),
        "mlp.hidden.bias": (neurons,),
        "mlp.back.weight": (d_model, neurons),
        "mlp.back.bias": (d_model,),
        "unembedding": (vocabulary, d_model),
    }
    return ParameterLayout(tuple(shapes), tuple(shapes.values()))


def transformer_logits(theta: Tensor, prompts: Tensor, layout: ParameterLayout, heads: int) -> Tensor:
    """Logits[W, N, V] of walkers theta[W, P] on prompts int64[N, 2], or int64[W, N, 2] of each walker's own."""
    t = Tensors(*layout.views(theta))
    equals = t.embedding[:, -1] + t.position[:, 2]  # [W, D]
    tokens = t.embedding[:, :-1].unsqueeze(1) + t.position[:, :2].unsqueeze(2)  # [W, 2, V - 1, D]
    attention = _attention(t, equals, tokens, prompts, heads)
    # what is read off the residual stream: neurons and, past them, logits
    neurons = t.hidden_weight.shape[1]
    reader = torch.cat([t.hidden_weight, t.unembedding], 1)  # [W, M + V, D]
    offset = torch.cat([t.hidden_bias, (t.unembedding @ t.back_bias.unsqueeze(2)).squeeze(2)], 1)
    first, second, base = _tables(t, equals, tokens, reader, heads)
    active, direct = mix(attention, first, second, base + offset, prompts, rectified=neurons)
    return torch.baddbmm(direct, active, (t.unembedding @ t.back_weight).mT)


def _attention(t: Tensors, equals: Tensor, tokens: Tensor, prompts: Tensor, heads: int) -> Tensor:
    """Weights of x and y at "=", [W, H, 2, N]; what is missing to 1 is the weight of "=" itself."""
    walkers, d_model = equals.shape
    width = d_model // heads
    query = (t.query @ equals.unsqueeze(2)).reshape(walkers, heads, 1, width) / math.sqrt(width)
    felt = (query @ t.key.unflatten(1, (heads, width))).squeeze(2)  # [W, H, D]
    scores = torch.einsum("whd,wivd->whiv", felt, tokens)
    places = prompts if prompts.dim() == 3 else prompts.unsqueeze(0)
    places = places.mT.unsqueeze(1).expand(walkers, heads, -1, -1)
    own = (felt @ equals.unsqueeze(2)).unsqueeze(3).expand(-1, -1, 1, places.shape[3])
    return torch.cat([scores.gather(3, places), own], 2).softmax(2)[:, :, :2]


def _tables(t: Tensors, equals: Tensor, tokens: Tensor, reader: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """What x and y give to each reader through each head, less what "=" does, [W, H, V - 1, K]; and "=" itself, [W, K].

    The last includes what "=" has without attention. reader[W, K, D].
    """
    through = (reader @ t.output).unflatten(2, (heads, -1)).transpose(1, 2)  # [W, H, K, width]
    values = (torch.cat([tokens.flatten(1, 2), equals.unsqueeze(1)], 1) @ t.value.mT).unflatten(2, (heads, -1))
    read = values.transpose(1, 2) @ through.mT  # [W, H, 2 (V - 1) + 1, K]
    first, second, last = read.split([tokens.shape[2], tokens.shape[2], 1], 2)
    base = last.squeeze(2).sum(1) + (reader @ equals.unsqueeze(2)).squeeze(2)
    return first - last, second - last, base
