"""Where tensors are worked on: the CPU, or a GPU where torch finds one."""

import torch

from entroscape.errors import ConfigError


def chosen(wanted: str) -> str:
    """The device itself for "auto", "cpu" or "cuda"; raises ConfigError where there is no GPU for "cuda"."""
    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise ConfigError("device: cuda is asked for, but torch finds no GPU here; use auto or cpu")
    return "cuda" if wanted != "cpu" and found else "cpu"


def wait(device: str) -> None:
    """Until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
