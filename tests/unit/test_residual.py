"""The batched residual network against a plain torch.nn module per walker."""

from functools import partial

import pytest
import torch
from plain_modules import TOLERANCE, assert_equals_modules, random
from torch import nn

from entroscape import numba_cache
from entroscape.models.residual import residual_layout, residual_logits

CASES = {
    "published": ((3, 32, 32), 6, 2),
    "14 x 14": ((1, 14, 14), 3, 2),
    "7 x 7": ((1, 7, 7), 2, 3),
    "not square": ((2, 5, 40), 2, 1),
}


class ChannelNorm(nn.LayerNorm):
    def forward(self, images):
        return super().forward(images.movedim(1, -1)).movedim(-1, 1)


def layer(inputs, outputs, stride=1, kernel=3):
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, ChannelNorm(outputs))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first, self.second = layer(inputs, outputs, stride), layer(outputs, outputs)
        self.shortcut = layer(inputs, outputs, stride, kernel=1) if stride > 1 else nn.Identity()

    def forward(self, images):
        return (self.second(self.first(images).relu()) + self.shortcut(images)).relu()


class Plain(nn.Module):
    def __init__(self, shape, w, outputs):
        super().__init__()
        self.first = layer(shape[0], w)
        self.blocks = nn.Sequential(Block(w, w, 1), Block(w, 2 * w, 2), Block(2 * w, 2 * w, 2), Block(2 * w, 2 * w, 2))
        self.linear = nn.LazyLinear(outputs)
        self(torch.zeros(1, *shape))

    def forward(self, x):
        images = self.blocks(self.first(x).relu())
        pool = tuple(min(4, size) for size in images.shape[2:])
        return self.linear(nn.functional.avg_pool2d(images, pool).flatten(1))


@pytest.fixture(params=["compiled", "banded"], autouse=True)
def _convolutions(request, monkeypatch):
    if request.param == "banded":
        monkeypatch.setattr(numba_cache, "COMPILED", False)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_logits_and_gradients_equal_a_plain_module_for_every_walker(case, dtype):
    case = CASES[case]
    layout = residual_layout(*case)
    theta, logits = 0.5 * random(2, layout.size, dtype=dtype), partial(residual_logits, layout=layout)
    shared, own = random(4, *case[0], seed=2, dtype=dtype), random(2, 4, *case[0], seed=3, dtype=dtype)
    assert logits(theta, shared).shape == (2, 4, case[2])
    assert_equals_modules(logits, theta, shared, Plain(*case), shared.expand(2, *shared.shape))
    assert_equals_modules(logits, theta, own, Plain(*case), own)


@pytest.mark.parametrize("case", CASES)
def test_layout_follows_the_module(case):
    layout, module = residual_layout(*CASES[case]), Plain(*CASES[case])
    assert layout.shapes == tuple(tuple(p.shape) for p in module.parameters())
    assert layout.names[:3] == ("first.convolution.weight", "first.norm.weight", "first.norm.bias")


def test_published_network_has_channels_6_12_12_12():
    layout = residual_layout(*CASES["published"])
    kernels = [shape for shape in layout.shapes if len(shape) == 4]
    assert [shape[0] for shape in kernels] == [6, 6, 6, *[12] * 9]
    assert layout.shapes[-2] == (2, 12)
