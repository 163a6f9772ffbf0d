"""The batched transformer in its last-position form against a plain torch.nn module per walker."""

from functools import partial

import pytest
import torch
from plain_modules import TOLERANCE, assert_equals_modules, random

from benchmarks.plain_transformer import PlainTransformer
from entroscape import numba_cache
from entroscape.config.settings import NetworkSettings
from entroscape.errors import ConfigError
from entroscape.models.start import draw
from entroscape.models.token_tables import token_tables
from entroscape.models.transformer import build, transformer_layout, transformer_logits

pytestmark = pytest.mark.unit
# (modulus, d_model, heads, neurons)
CASES = {
    "published": (67, 128, 4, 512),
    "narrow": (11, 16, 2, 32),
    "one head": (5, 6, 1, 7),
    "more heads than tokens": (3, 8, 8, 4),
}


@pytest.fixture(params=["compiled", "general"], autouse=True)
def _loops(request, monkeypatch):
    if request.param == "general":
        monkeypatch.setattr(numba_cache, "COMPILED", False)


def prompts(modulus: int, *shape: int) -> torch.Tensor:
    return torch.randint(modulus, (*shape, 2), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_logits_and_gradients_equal_a_plain_module_for_every_walker(case, dtype):
    modulus, d_model, heads, neurons = CASES[case]
    layout = transformer_layout(modulus + 1, d_model, neurons)
    logits = partial(transformer_logits, layout=layout, heads=heads)
    plain = PlainTransformer(modulus + 1, d_model, heads, neurons)
    theta = random(3, layout.size, dtype=dtype) / d_model**0.5
    shared, own = prompts(modulus, 30), prompts(modulus, 3, 30)
    assert logits(theta, shared).shape == (3, 30, modulus + 1)
    assert_equals_modules(logits, theta, shared, plain, shared.expand(3, 30, 2))
    assert_equals_modules(logits, theta, own, plain, own)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [40.0, 300.0], ids=["large scores", "scores whose exponentials overflow"])
def test_logits_and_gradients_equal_a_plain_module_where_scores_are_large(size, dtype):
    modulus, d_model, heads, neurons = CASES["narrow"]
    layout = transformer_layout(modulus + 1, d_model, neurons)
    theta = random(3, layout.size, dtype=dtype) / d_model**0.5
    largest = token_tables(theta, layout, heads).scores.abs().max()
    theta[:, layout.slices["attention.query"]] *= size / largest
    logits = partial(transformer_logits, layout=layout, heads=heads)
    plain = PlainTransformer(modulus + 1, d_model, heads, neurons)
    own = prompts(modulus, 3, 30)
    assert_equals_modules(logits, theta, own, plain, own)


def test_walkers_do_not_depend_on_their_batch():
    layout = transformer_layout(6, 8, 16)
    theta, points = random(4, layout.size, dtype=torch.float32), prompts(5, 4, 12)

    def both(walkers: slice) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = theta[walkers].requires_grad_()
        logits = transformer_logits(leaf, points[walkers], layout, heads=2)
        return logits.detach(), torch.autograd.grad(logits.square().sum(), leaf)[0]

    tolerance = 0.0 if numba_cache.COMPILED else 1e-5
    for together, alone in zip(both(slice(4)), both(slice(2, 3)), strict=True):
        torch.testing.assert_close(together[2:3], alone, rtol=tolerance, atol=tolerance)


def test_attention_that_is_all_on_one_token_stays_finite():
    layout = transformer_layout(6, 8, 16)
    theta = (100 * random(2, layout.size, dtype=torch.float32)).requires_grad_()
    logits = transformer_logits(theta, prompts(5, 12), layout, heads=2)
    (gradient,) = torch.autograd.grad(logits.square().mean(), theta)
    assert torch.isfinite(logits).all() and torch.isfinite(gradient).all()


def test_published_size_has_215040_parameters():
    settings = NetworkSettings(kind="transformer", width=128, heads=4, mlp_ratio=4, box_rule="fan_in", box_factor=3.0)
    layout, _, _ = build(settings, (2,), 67)
    assert layout.size == 215_040


def test_images_are_refused():
    settings = NetworkSettings(kind="transformer", width=8, heads=2, mlp_ratio=2, box_rule="fan_in", box_factor=3.0)
    with pytest.raises(ConfigError, match="takes pairs of tokens, but the data's points have shape"):
        build(settings, (1, 28, 28), 10)


def test_start_has_the_spread_of_nanda_et_al():
    layout = transformer_layout(68, 128, 512)
    theta = draw(torch.Generator().manual_seed(1), 2, layout=layout, start="nanda")
    for name, part in layout.slices.items():
        expected = 0.0 if name.endswith("bias") else (68 if name == "unembedding" else 128) ** -0.5
        assert theta[:, part].std() == pytest.approx(expected, rel=0.1)
        assert abs(theta[:, part].mean()) < 0.01 + expected / 10
    assert not torch.equal(theta[0], theta[1])
