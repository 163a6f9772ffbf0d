"""Walkers of a batched network against one plain torch.nn module for each, shared by the tests of the networks.

Plain modules do without oneDNN: on a processor without AVX-512 (AMD Zen 3) torch 2.13's gradients of convolutions of
few channels in single precision come out wrong with it, differently each time.
"""

import torch
from torch import nn
from torch.backends import mkldnn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}  # in units of the largest number compared


def random(*shape, seed=1, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Found equals what was computed in double precision, but for rounding in its own precision."""
    largest = float(expected.abs().max())
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=TOLERANCE[found.dtype] * largest)


def assert_equals_modules(logits, theta, points, module: nn.Module, x):
    """Logits(theta[W, P], points) and their gradients are those of the module on x[w] with parameters theta[w].

    The module works in double precision: where numbers cancel, rounding changes it as much as it does what is tested.
    """
    theta = theta.clone().requires_grad_()
    found = logits(theta, points)
    assert found.dtype == theta.dtype
    weights = random(*found.shape, seed=5)
    (gradient,) = torch.autograd.grad((weights.to(theta.dtype) * found).sum(), theta)
    module, x = module.double(), x.double() if x.is_floating_point() else x
    for walker in range(len(theta)):
        vector_to_parameters(theta[walker].detach().double(), module.parameters())
        module.zero_grad()
        with mkldnn.flags(enabled=False):
            expected = module(x[walker])
            (weights[walker] * expected).sum().backward()
        assert_close(found[walker], expected)
        assert_close(gradient[walker], parameters_to_vector([p.grad for p in module.parameters()]))
