"""What the rest of the library needs to know of a network."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Generator, Tensor

from entroscape.domains import Domain
from entroscape.models.layout import ParameterLayout

Logits = Callable[[Tensor, Tensor], Tensor]


def unchanged(x: Tensor) -> Tensor:
    """The points themselves: for networks that gain nothing from preparing them."""
    return x


@dataclass(frozen=True)
class Network:
    """A network as a function of a walker batch of parameters.

    logits: (theta[W, P], points) -> logits[W, N, C], in the dtype of theta; C = 1 for regression. The points are
    x[N, *shape], shared by all walkers, or x[W, N, *shape] of their own, or what `prepare` made of x[N, *shape].
    domain: where the parameters live, a box or a shell, in float64.
    initial: (generator, R) -> theta[R, P], float64: where training starts.
    prepare: x[N, *shape] -> points, all that `logits` computes of shared points alone; worth it for points that stay.
    tokens: how many tokens there are, for a network whose points are integers that it looks up; None for any other.
    """

    layout: ParameterLayout
    logits: Logits
    domain: Domain
    initial: Callable[[Generator, int], Tensor]
    prepare: Callable[[Tensor], Tensor] = unchanged
    tokens: int | None = None
