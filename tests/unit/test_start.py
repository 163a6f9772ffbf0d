"""Random starts of training follow the distributions they are named after."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from entroscape.models.layout import ParameterLayout
from entroscape.models.start import draw

NAMES = ("conv.weight", "conv.bias", "norm.weight", "norm.bias", "linear.weight", "linear.bias")
LAYOUT = ParameterLayout(NAMES, ((8, 4, 3, 3), (8,), (8,), (8,), (6, 50), (6,)))


def starts(start, runs=2000, seed=1) -> dict[str, torch.Tensor]:
    theta = draw(torch.Generator().manual_seed(seed), runs, layout=LAYOUT, start=start)
    assert theta.dtype == torch.float64 and theta.shape == (runs, LAYOUT.size)
    return dict(zip(NAMES, LAYOUT.views(theta), strict=True))


def test_torch_start_spreads_as_the_modules_of_torch_do():
    modules = [nn.Conv2d(4, 8, 3), nn.LayerNorm(8), nn.Linear(50, 6)]
    plain = []
    for seed in range(200):
        torch.manual_seed(seed)
        for module in modules:
            module.reset_parameters()
        plain.append(parameters_to_vector(p for module in modules for p in module.parameters()).detach().double())
    expected = dict(zip(NAMES, LAYOUT.views(torch.stack(plain)), strict=True))
    for name, tensor in starts("torch").items():
        for statistic in (torch.min, torch.max, torch.std):
            assert statistic(tensor).item() == pytest.approx(statistic(expected[name]).item(), rel=0.03, abs=1e-6)


def test_xavier_start_has_zero_biases():
    found, weight = starts("xavier"), torch.empty(6, 50)
    for name in ("conv.bias", "linear.bias", "norm.bias"):
        assert not found[name].any()
    largest = max(nn.init.xavier_uniform_(weight).abs().max().item() for _ in range(100))
    assert found["linear.weight"].abs().max().item() == pytest.approx(largest, rel=1e-3)
    convolution = nn.init.xavier_uniform_(torch.empty(8, 4, 3, 3)).abs().max().item()
    assert found["conv.weight"].abs().max().item() == pytest.approx(convolution, rel=0.02)


def test_normal_start_touches_linear_layers_only():
    found, torch_start = starts("normal"), starts("torch")
    assert found["linear.weight"].std().item() == pytest.approx(0.01, rel=0.01)
    assert found["linear.weight"].abs().max() > 0.04
    assert not found["linear.bias"].any()
    for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias"):
        assert torch.equal(found[name], torch_start[name])


def test_runs_differ_and_equal_generators_give_equal_starts():
    first, again, other = starts("torch"), starts("torch"), starts("torch", seed=2)
    assert torch.equal(first["linear.weight"], again["linear.weight"])
    assert not torch.equal(first["linear.weight"], other["linear.weight"])
    assert (first["linear.weight"][0] != first["linear.weight"][1]).any()


def test_a_bias_before_any_weight_is_refused():
    with pytest.raises(ValueError, match="bias comes before any weight"):
        draw(torch.Generator(), 1, layout=ParameterLayout(("bias",), ((2,),)), start="torch")
