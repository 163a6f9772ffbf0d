"""Networks as functions of a walker batch of parameters theta[W, P]."""

import importlib
from functools import partial

import torch

from entroscape.config.settings import NetworkSettings
from entroscape.data.dataset import TaskData
from entroscape.domains import Box, Domain, Shell
from entroscape.models.layout import ParameterLayout, box_half_width
from entroscape.models.network import Network
from entroscape.models.start import draw

__all__ = ["Network", "make_network"]


def make_network(settings: NetworkSettings, data: TaskData) -> Network:
    """The network of one variant, its input and output sizes taken from the data.

    Raises ConfigError for data that this kind of network cannot take.
    """
    # imported on use, so that work on one kind depends on that one alone (entroscape.verbs.code)
    module = importlib.import_module(f"entroscape.models.{settings.kind}")
    outputs = 1 if data.classes is None else data.classes
    layout, logits, prepare = module.build(settings, data.x_train.shape[1:], outputs)
    initial = partial(draw, layout=layout, start=settings.start)
    tokens = outputs if settings.kind == "transformer" else None
    return Network(layout, logits, _domain(settings, layout), initial, prepare, tokens)


def _domain(settings: NetworkSettings, layout: ParameterLayout) -> Domain:
    """Where the parameters live, in float64."""
    if settings.shell is not None:
        return Shell(torch.tensor(settings.shell.norm, dtype=torch.float64), settings.shell.motion)
    assert settings.box_rule is not None and settings.box_factor is not None, "the configuration sees to it"
    return Box(box_half_width(settings.box_rule, settings.box_factor, settings.width, layout))
