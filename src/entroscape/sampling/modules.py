"""Which modules a procedure is made of.

They are imported on use, so that work on one procedure or network does not touch runs of another.
"""

TASKS = {"replica_exchange": "monte_carlo", "cycles": "monte_carlo", "molecular_dynamics": "dynamics"}


def sampler_modules(procedure: str, network: str) -> list[str]:
    """Names of the procedure's module, of the one that makes a problem of a task for it, and of others they import.

    Molecular dynamics imports the network by its kind; Monte Carlo has its own.
    """
    task = TASKS[procedure]
    models = [f"entroscape.models.{network}"] if task == "dynamics" else []
    return [f"entroscape.sampling.{procedure}", f"entroscape.sampling.task_{task}", *models]
