"""Any torch.nn.Module as a network of a walker batch, through torch.func.

For a network of one's own: nothing needs to be written for batches, but networks written for them are several times
faster on CPU, where one operation over all walkers replaces many small ones.
"""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.utils import parameters_to_vector

from entroscape.domains import Box
from entroscape.models.layout import ParameterLayout
from entroscape.models.network import Network


def from_module(
    module: nn.Module,
    points: int,
    half_width: Callable[[ParameterLayout], Tensor],
    initial: Callable[[Generator, int], Tensor] | None = None,
) -> Network:
    """The network that `module` is, its parameters in the order of `module.parameters()`.

    points: number of dimensions of what the module takes, as x[N, *shape] in a batch: 2 for vectors, 4 for images.
    half_width: layout -> float64[P], the box; `entroscape.models.layout.box_half_width` has the published rules.
    initial: (generator, R) -> theta[R, P], where training starts; by default the module's own way, its layers'
    `reset_parameters`.

    The module itself stays as it is. It is used as in evaluation: no dropout, running averages as they are. Raises
    ValueError for a module without parameters, and, if `initial` is needed but not given, for one that has parameters
    of its own and no `reset_parameters`.
    """
    module = copy.deepcopy(module).eval()
    named = dict(module.named_parameters())
    if not named:
        raise ValueError("the module has no parameters, so that it has no landscape; give one that can be trained")
    layout = ParameterLayout(tuple(named), tuple(tuple(p.shape) for p in named.values()))
    if initial is None:
        initial = partial(_draw, module=_resettable(module))
    logits = partial(_logits, module=module, layout=layout, points=points)
    return Network(layout, logits, Box(half_width(layout)), initial)


def _logits(theta: Tensor, x: Tensor, module: nn.Module, layout: ParameterLayout, points: int) -> Tensor:
    """Logits[W, N, C] of walkers theta[W, P] on x[N, *shape], or on x[W, N, *shape] of their own."""
    buffers = {name: _cast(buffer, theta.dtype) for name, buffer in module.named_buffers()}

    def one(vector: Tensor, x: Tensor) -> Tensor:
        tensors = dict(zip(layout.names, (t.squeeze(0) for t in layout.views(vector.unsqueeze(0))), strict=True))
        result: Tensor = functional_call(module, (tensors, buffers), (x,))
        return result

    return vmap(one, in_dims=(0, None if x.ndim == points else 0))(theta, x)


def _cast(buffer: Tensor, dtype: torch.dtype) -> Tensor:
    """The buffer in the precision of the parameters, unless it holds integers."""
    return buffer.to(dtype) if buffer.is_floating_point() else buffer


def _resettable(module: nn.Module) -> nn.Module:
    """The module, if all of its parts with parameters of their own know how to draw them anew; raises ValueError."""
    for name, part in module.named_modules():
        if next(part.parameters(recurse=False), None) is not None and not hasattr(part, "reset_parameters"):
            raise ValueError(
                f"{type(part).__name__} (at {name or 'the top'}) has parameters but no reset_parameters, so that it is "
                "not known where training starts; give `initial`, or write that method"
            )
    return module


def _nothing() -> None:
    """What parts without parameters have to reset."""


def _draw(generator: Generator, runs: int, module: nn.Module) -> Tensor:
    """theta[R, P], float64, each run drawn by `reset_parameters` of all parts of the module.

    These draw from torch's global generator, which is seeded here and restored afterwards.
    """
    seeds = torch.randint(2**62, (runs,), generator=generator, device=generator.device).tolist()
    starts, module = [], copy.deepcopy(module)
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.default_generator.manual_seed(seed)
            for part in module.modules():
                getattr(part, "reset_parameters", _nothing)()
            starts.append(parameters_to_vector(module.parameters()).detach().double())
    return torch.stack(starts)
