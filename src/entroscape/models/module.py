"""Any torch.nn.Module as a network of a walker batch, through torch.func.

For a network of one's own: nothing needs to be written for batches, but networks written for them are several times
faster on CPU, where one operation over all walkers replaces many small ones. Modules with nn.RNN, nn.GRU or nn.LSTM are
computed walker after walker, since torch cannot do it for all at once.

What only shows on points is looked at where a problem is made of the network (`entroscape.models.checks`): whether a
point's output depends on other points, and whether it is logits at all.
"""

import copy
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.backends import cudnn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from entroscape.domains import Box
from entroscape.errors import ModelError
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
    ModelError, which is a ValueError, for a module without parameters, with parameters that have no shape yet, or with
    running averages of nothing; and, if `initial` is needed but not given, for one that has parameters of its own and
    no `reset_parameters`.
    """
    if any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        raise ModelError(
            "the module has lazy layers, whose parameters have no shape yet: call it once on some points before it is "
            "given to from_module"
        )
    try:
        module = copy.deepcopy(module).eval()
    except RuntimeError as error:
        raise ModelError(
            "the module cannot be copied, as one with tensors that are computed from its parameters: use "
            "torch.nn.utils.parametrizations in place of torch.nn.utils.weight_norm or spectral_norm"
        ) from error
    named = dict(module.named_parameters())
    if not named:
        raise ModelError("the module has no parameters, so that it has no landscape; give one that can be trained")
    _check_running_averages(module)
    # a parameter without dimensions is a tensor of one element to everything else
    layout = ParameterLayout(tuple(named), tuple(tuple(p.shape) or (1,) for p in named.values()))
    if initial is None:
        initial = partial(_draw, module=_resettable(module))
    logits = partial(_logits, copies=_CopyPerThread(module), layout=layout, points=points)
    return Network(layout, logits, Box(half_width(layout)), initial)


class _CopyPerThread:
    """A module that threads may call at the same time, with parameters of their own.

    torch.func puts the parameters into the module while it is called, so that threads need a copy each.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module, self._local = module, threading.local()

    def get(self) -> nn.Module:
        """The copy of this thread."""
        if not hasattr(self._local, "module"):
            self._local.module = copy.deepcopy(self._module)
        module: nn.Module = self._local.module
        return module


def _logits(theta: Tensor, x: Tensor, copies: _CopyPerThread, layout: ParameterLayout, points: int) -> Tensor:
    """Logits[W, N, C] of walkers theta[W, P] on x[N, *shape], or on x[W, N, *shape] of their own."""
    module = copies.get()
    buffers = {name: _cast(buffer, theta.dtype) for name, buffer in module.named_buffers()}
    shapes = [parameter.shape for parameter in module.parameters()]

    def one(vector: Tensor, x: Tensor) -> Tensor:
        parts = zip(layout.views(vector.unsqueeze(0)), shapes, strict=True)
        tensors = dict(zip(layout.names, (part.reshape(shape) for part, shape in parts), strict=True))
        result: Tensor = functional_call(module, (tensors, buffers), (x,))
        if not isinstance(result, Tensor):
            raise ModelError(
                f"the module gives a {type(result).__name__}, but logits are one tensor: put it into a module whose "
                "forward returns logits[N, C] alone"
            )
        return result

    shared = x.ndim == points
    if any(isinstance(part, nn.RNNBase) for part in module.modules()):
        # cuDNN has no gradient of recurrent layers in evaluation; the flag is one for all threads, of no use on CPU
        with cudnn.flags(enabled=False) if theta.is_cuda else nullcontext():
            return torch.stack([one(vector, x if shared else x[w]) for w, vector in enumerate(theta)])
    return vmap(one, in_dims=(0, None if shared else 0))(theta, x)


def _cast(buffer: Tensor, dtype: torch.dtype) -> Tensor:
    """The buffer in the precision of the parameters, unless it holds integers."""
    return buffer.to(dtype) if buffer.is_floating_point() else buffer


def _check_running_averages(module: nn.Module) -> None:
    """Raise ModelError for a normalisation whose running averages are those it was made with.

    In evaluation it would normalise nothing: a network with it is another one than the user thinks.
    """
    for name, part in module.named_modules():
        if not isinstance(part, _NormBase) or part.running_mean is None or part.running_var is None:
            continue
        if not part.running_mean.any() and bool((part.running_var == 1).all()):
            raise ModelError(
                f"{type(part).__name__} (at {name or 'the top'}) has seen no points, so that it would only scale and "
                "shift: call the module in training mode on the train points before it is given to from_module, or use "
                "LayerNorm or GroupNorm"
            )


def _resettable(module: nn.Module) -> nn.Module:
    """The module, if all of its parts with parameters of their own know how to draw them anew; raises ModelError."""
    for name, part in module.named_modules():
        if next(part.parameters(recurse=False), None) is not None and not hasattr(part, "reset_parameters"):
            raise ModelError(
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
            # torch's parameters_to_vector has `view`, which fails where elements do not follow each other in memory
            starts.append(torch.cat([p.detach().double().reshape(-1) for p in module.parameters()]))
    return torch.stack(starts)
