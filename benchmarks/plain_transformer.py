"""The transformer of the grokking tasks as one writes it first: three positions, a module, a mask."""

import math

import torch
from torch import Tensor, nn


class PlainTransformer(nn.Module):
    """One layer, causal, without normalisations; answers are read at the last position. Parameters in our order."""

    def __init__(self, vocabulary: int, d_model: int, heads: int, neurons: int):
        super().__init__()

        def tensor(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape) / math.sqrt(d_model))

        self.heads = heads
        self.embedding = tensor(vocabulary, d_model)
        self.position = tensor(3, d_model)
        self.query, self.key, self.value, self.output = (tensor(d_model, d_model) for _ in range(4))
        self.hidden_weight, self.hidden_bias = tensor(neurons, d_model), tensor(neurons)
        self.back_weight, self.back_bias = tensor(d_model, neurons), tensor(d_model)
        self.unembedding = tensor(vocabulary, d_model)

    def forward(self, prompts: Tensor) -> Tensor:
        """Logits[N, V] of prompts int64[N, 2]."""
        equals = torch.full((len(prompts), 1), len(self.embedding) - 1, device=prompts.device)
        stream = self.embedding[torch.cat([prompts, equals], 1)] + self.position  # [N, 3, D]
        stream = stream + self._attention(stream)
        hidden = torch.relu(stream @ self.hidden_weight.T + self.hidden_bias)
        stream = stream + hidden @ self.back_weight.T + self.back_bias
        return (stream @ self.unembedding.T)[:, -1]

    def _attention(self, stream: Tensor) -> Tensor:
        query, key, value = (
            (stream @ weight.T).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for weight in (self.query, self.key, self.value)
        )
        scores = query @ key.mT / math.sqrt(query.shape[3])
        later = torch.ones(3, 3, dtype=torch.bool, device=stream.device).triu(1)
        mixed = scores.masked_fill(later, -torch.inf).softmax(3) @ value
        return mixed.transpose(1, 2).flatten(2) @ self.output.T
