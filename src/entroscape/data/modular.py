"""Arithmetic modulo a prime, the tasks of the grokking paper (arXiv:2505.11411, section 3.1)."""

from collections.abc import Callable

import numpy as np

from entroscape.config.data import ModularData, Operation
from entroscape.data.dataset import TaskData
from entroscape.random import generator

OPERATIONS: dict[Operation, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "add": lambda x, y: x + y,
    "square": lambda x, y: x**2 + y,
    "cubic": lambda x, y: x**3 + x * y**2 + y,
}


def make(section: ModularData) -> TaskData:
    """Train and test prompts (x, y), int64[N, 2], in a random order, and their answers."""
    pairs, answers = table(section.operation, section.modulus)
    train, test = split(section.modulus, section.train_points, section.seed)
    provenance = {
        "what": f"{section.operation} modulo {section.modulus}, all pairs (x, y), split at random",
        "source": "arXiv:2505.11411, section 3.1",
        "licence": "computed here",
        "stand_in": "",
        "settings": section.model_dump(mode="json"),
    }
    return TaskData(pairs[train], answers[train], pairs[test], answers[test], section.modulus, provenance)


def table(operation: Operation, modulus: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (x, y), int64[p^2, 2], y fastest, and their answers[p^2]."""
    x, y = np.divmod(np.arange(modulus**2), modulus)
    return np.stack([x, y], axis=1), OPERATIONS[operation](x, y) % modulus


def split(modulus: int, train_points: int, *names: str | int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the train and of the test pairs, in a random order that follows from the names."""
    order = generator("modular", *names).permutation(modulus**2)
    return order[:train_points], order[train_points:]
