"""The one-layer transformer of the grokking tasks (arXiv:2505.11411, appendix A.1), for a batch of walkers.

Prompts are three tokens, x y =; causal attention without normalisations, learned positions, an MLP with ReLU, untied
unembedding; the answer is read at "=". Only what this one position needs is computed, and linear maps that follow each
other are multiplied once for all prompts: the same logits at a quarter of the arithmetic of three positions
(`docs/speed.md`).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from entroscape.config.settings import NetworkSettings
from entroscape.errors import ConfigError
from entroscape.models import narrow_transformer
from entroscape.models.attention import mix
from entroscape.models.layout import ParameterLayout
from entroscape.models.network import Logits, unchanged
from entroscape.models.token_tables import token_tables

POSITIONS = 3


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
    """Layout of `entroscape.models.token_kernels.Tensors`."""
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
    if narrow_transformer.applies(theta, layout):
        return narrow_transformer.logits(theta, prompts, layout, heads)
    tables = token_tables(theta, layout, heads)
    attention = _attention(tables.scores, prompts)
    neurons = tables.product.shape[2]
    active, direct = mix(attention, tables.first, tables.second, tables.base, prompts, rectified=neurons)
    return torch.baddbmm(direct, active, tables.product.mT)


def _attention(scores: Tensor, prompts: Tensor) -> Tensor:
    """Weights of x and y at "=", [W, H, 2, N]; what is missing to 1 is the weight of "=" itself.

    scores[W, H, 2, P]: those of x and y, less that of "=".
    """
    walkers, heads = scores.shape[:2]
    places = (prompts if prompts.dim() == 3 else prompts.unsqueeze(0)).mT.unsqueeze(1)
    own = scores.new_zeros(()).expand(walkers, heads, 1, places.shape[3])
    return torch.cat([scores.gather(3, places.expand(walkers, heads, -1, -1)), own], 2).softmax(2)[:, :, :2]
