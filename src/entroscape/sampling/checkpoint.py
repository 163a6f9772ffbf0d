"""Checkpoints of sampler states: written whole or not at all, read without executing code."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from entroscape.errors import UnusableFile
from entroscape.files import atomically, read_bytes
from entroscape.provenance import differences

StateT = TypeVar("StateT")
_TENSOR = "tensor:"  # begins the name of an array that was a tensor


def save(path: Path, state: Any, identity: dict) -> None:
    """Write a sampler state (a dataclass of integers, arrays, tensors and generators) as one npz file.

    Parameters
    ----------
    identity
        JSON-able description of the run; `load` refuses a checkpoint whose identity differs.
    """
    arrays: dict[str, Any] = {}
    plain: dict[str, Any] = {"identity": identity}
    for field in dataclasses.fields(state):
        value = getattr(state, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        elif isinstance(value, torch.Tensor):
            arrays[f"{_TENSOR}{field.name}"] = value.cpu().numpy()
        elif field.name == "generators":
            plain["generators"] = [_described(generator) for generator in value]
        else:
            plain[field.name] = value
    with atomically(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, plain=np.array(json.dumps(plain, sort_keys=True)), **arrays)


def load(path: Path, state_class: type[StateT], identity: dict, device: str = "cpu") -> StateT:
    """Read a state back, its tensors and their generators to `device`.

    Raises
    ------
    UnusableFile
        If the file is damaged, or was written by a run of another identity.
    FileError
        If it cannot be read.
    """
    content = read_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            plain = json.loads(str(stored["plain"]))
            arrays = {name: stored[name] for name in stored.files if name != "plain"}
        written_by = plain.pop("identity")
    except Exception as problem:  # garbled bytes raise a dozen types, zlib.error and NotImplementedError among them
        raise _unusable(path, f"is damaged ({problem})") from problem
    differing = differences(written_by, identity)
    if differing:
        raise _unusable(path, f"belongs to another run ({'; '.join(differing[:3])})")
    for name in [name for name in arrays if name.startswith(_TENSOR)]:
        arrays[name.removeprefix(_TENSOR)] = torch.from_numpy(arrays.pop(name)).to(device)
    absent = state_class.__annotations__.keys() - plain.keys() - arrays.keys()
    if absent:
        raise _unusable(path, f"is damaged (no {', '.join(sorted(absent))})")
    plain["generators"] = [_generator(state, device) for state in plain["generators"]]
    return state_class(**plain, **arrays)


def _unusable(path: Path, reason: str) -> UnusableFile:
    return UnusableFile(path, reason, "this run starts afresh")


def _described(generator: np.random.Generator | torch.Generator) -> dict:
    if isinstance(generator, torch.Generator):
        return {"torch": bytes(generator.get_state().numpy()).hex()}
    return dict(generator.bit_generator.state)


def _generator(state: dict, device: str) -> np.random.Generator | torch.Generator:
    if "torch" in state:
        generator = torch.Generator(device)
        generator.set_state(torch.frombuffer(bytearray.fromhex(state["torch"]), dtype=torch.uint8))
        return generator
    bit_generator = getattr(np.random, state["bit_generator"])()
    bit_generator.state = state
    return np.random.Generator(bit_generator)
