"""What a transformer of one layer makes of each token before it sees a prompt, for a batch of walkers.

For wide networks and GPUs; narrow ones on CPU mix values and have no tables (`entroscape.models.narrow_transformer`).

All is relative to the last token, "=", which is the same in all prompts and alone in being read: attention is drawn to
x and y by what their scores are above its own, and moves the result by what their values are apart from its own. "P"
are the other tokens, "K" what is read off the residual stream: M neurons and, past them, V logits.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from entroscape.models.layout import ParameterLayout
from entroscape.models.token_kernels import Tensors


class Tables(NamedTuple):
    """What all prompts of W walkers have in common; two tokens of each are attended to, from H heads."""

    scores: Tensor  # [W, H, 2, P], of a token as x and as y, less that of "="
    first: Tensor  # [W, H, P, K], what x moves each reading by where all attention is on it
    second: Tensor  # [W, H, P, K], y
    base: Tensor  # [W, K], the readings where all attention is on "="
    product: Tensor  # [W, V, M], from active neurons to logits


def token_tables(theta: Tensor, layout: ParameterLayout, heads: int) -> Tables:
    """Tables of walkers theta[W, P]; the layout is that of `Tensors`."""
    t = Tensors(*layout.views(theta))
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
