"""Networks as functions of a walker batch of parameters theta[W, P]."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from entroscape.config.settings import NetworkSettings
from entroscape.data.dataset import TaskData
from entroscape.models.layout import ParameterLayout, box_half_width
from entroscape.models.mlp import mlp_initial_scale, mlp_layout, mlp_logits


@dataclass(frozen=True)
class Network:
    """What training needs to know of a network.

    logits: (theta[W, P], x[N, D] or x[W, N, D]) -> logits[W, N, C].
    half_width: float64[P], the box. initial_scale: float64[P], parameters start uniform within +- this.
    """

    layout: ParameterLayout
    logits: Callable[[Tensor, Tensor], Tensor]
    half_width: Tensor
    initial_scale: Tensor


def make_network(settings: NetworkSettings, data: TaskData) -> Network:
    """The network of one variant, its input and output sizes taken from the data."""
    layout = mlp_layout((data.x_train.shape[1], *[settings.width] * settings.depth, data.classes))
    half_width = box_half_width(settings.box_factor, settings.width, layout)
    return Network(layout, partial(mlp_logits, layout=layout), half_width, mlp_initial_scale(layout))
