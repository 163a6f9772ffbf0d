"""The mixing kernels for GPUs against the compiled ones for CPU.

Without a GPU, `TRITON_INTERPRET=1 pytest` interprets them, where triton is installed.
"""

import os

import pytest
import torch

pytest.importorskip("triton", reason="triton, which comes with torch for GPUs, is not installed")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu" and not os.environ.get("TRITON_INTERPRET"):
    pytest.skip("there is no GPU here", allow_module_level=True)

from entroscape.models.attention import mix  # noqa: E402
from entroscape.models.attention_triton import TritonMix, by_token  # noqa: E402

# walkers, heads, prompts, tokens, K, rectified
CASES = {
    "several blocks": (2, 4, 90, 3, 150, 100),
    "tokens that no prompt has": (2, 2, 5, 11, 20, 13),
    "three heads": (1, 3, 40, 4, 9, 4),
    "neurons only": (2, 1, 12, 3, 16, 16),
    "no neurons": (2, 2, 12, 3, 16, 0),
}


def arguments(case: str, shared: bool, dtype: torch.dtype) -> list[torch.Tensor]:
    walkers, heads, count, tokens, width, _ = CASES[case]
    random = torch.Generator().manual_seed(0)
    shapes = (walkers, heads, 2, count), *[(walkers, heads, tokens, width)] * 2, (walkers, width)
    prompts = torch.randint(tokens, (1 if shared else walkers, count, 2), generator=random)
    return [*(torch.randn(*shape, generator=random, dtype=dtype) for shape in shapes), prompts]


def results(function, given, device) -> list[torch.Tensor]:
    """Both tensors of a mix, and the gradients of a sum of them with unequal weights."""
    leaves = [tensor.to(device).requires_grad_(tensor.is_floating_point()) for tensor in given]
    out = function(leaves)
    weights = (torch.linspace(-1, 2, part.numel(), dtype=part.dtype, device=device).reshape(part.shape) for part in out)
    loss = sum((part * weight).sum() for part, weight in zip(out, weights, strict=True))
    return [tensor.cpu() for tensor in (*out, *torch.autograd.grad(loss, leaves[:4]))]


@pytest.mark.parametrize("shared", [True, False], ids=["shared prompts", "own prompts"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_results_and_gradients_are_those_of_the_compiled_loops(case, dtype, shared):
    given, rectified = arguments(case, shared, dtype), CASES[case][-1]
    ours = results(lambda leaves: TritonMix.apply(*leaves, rectified), given, DEVICE)
    expected = results(lambda leaves: mix(*leaves, rectified=rectified), [t.detach() for t in given], "cpu")
    for found, known in zip(ours, expected, strict=True):
        torch.testing.assert_close(found, known, rtol=1e-4 if dtype == torch.float32 else 1e-10, atol=1e-5)


def test_what_is_not_a_number_is_not_hidden_by_the_neurons():
    given = arguments("three heads", True, torch.float32)
    given[3][0, 0] = torch.nan
    neurons, others, *gradients = results(lambda leaves: TritonMix.apply(*leaves, 4), given, DEVICE)
    assert neurons[0, :, 0].isnan().all()
    assert torch.isfinite(neurons[0, :, 1:]).all()
    assert torch.isfinite(others).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_prompts_are_listed_by_their_tokens():
    tokens = torch.tensor([[[2, 0], [0, 0], [2, 1], [0, 3]]])
    order, starts = by_token(tokens, 4)
    assert order.tolist() == [[[1, 3, 0, 2], [0, 1, 2, 3]]]
    assert starts.tolist() == [[[0, 2, 2, 4, 4], [0, 2, 3, 3, 4]]]
