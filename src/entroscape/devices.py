"""Where tensors are worked on: the CPU, or a GPU where torch finds one."""

import itertools
import os
import tempfile
from pathlib import Path

import torch

from entroscape.errors import ConfigError


def chosen(wanted: str) -> str:
    """The device itself for "auto", "cpu" or "cuda"; raises ConfigError where there is no GPU for "cuda".

    Of several GPUs the current one becomes that which fewest processes of this user have chosen.
    """
    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise ConfigError("device: cuda is asked for, but torch finds no GPU here; use auto or cpu")
    if wanted == "cpu" or not found:
        return "cpu"
    if torch.cuda.device_count() > 1:
        _take_place()
    return "cuda"


def _take_place() -> None:
    """Take the first place that is free: one on each GPU, then a second on each. It is locked until this process ends.

    Jobs of a cluster see no other GPUs than theirs; those that Snakemake starts on one machine see all.
    """
    import fcntl  # which Windows lacks

    folder = Path(tempfile.gettempdir(), f"entroscape-gpus-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    # processes may see different GPUs, and then number them differently
    gpus = [torch.cuda.get_device_properties(number).uuid for number in range(torch.cuda.device_count())]
    places = ((place, number, gpu) for place in itertools.count() for number, gpu in enumerate(gpus))
    for place, number, gpu in places:
        handle = os.open(folder / f"{gpu}-{place}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        else:
            torch.cuda.set_device(number)
            return


def wait(device: str) -> None:
    """Until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
