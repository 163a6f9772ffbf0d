"""Which modules a procedure is made of.

They are imported on use, so that work on one procedure or network does not touch runs of another.
"""

import importlib
from types import ModuleType

TASKS = {"replica_exchange": "monte_carlo", "cycles": "monte_carlo", "molecular_dynamics": "dynamics"}


def sampler_modules(procedure: str, network: str) -> list[str]:
    """Names of the procedure's module, of the one that makes a problem of a task for it, and of others they import.

    Molecular dynamics imports the network by its kind; Monte Carlo has its own.
    """
    task = TASKS[procedure]
    models = [f"entroscape.models.{network}"] if task == "dynamics" else []
    return [f"entroscape.sampling.{procedure}", f"entroscape.sampling.task_{task}", *models]


def imported(procedure: str, network: str) -> tuple[ModuleType, ModuleType]:
    """The procedure, and what makes a problem of a task for it."""
    names = sampler_modules(procedure, network)
    return importlib.import_module(names[0]), importlib.import_module(names[1])
