"""Grid search for the training settings of one network; it looks at the train loss only."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from entroscape.config.training import Optimizer, Search
from entroscape.errors import ConfigError
from entroscape.training.baselines import Runs

SETTING = ["learning_rate", "batch_size"]
KIND = ["optimizer", "protocol"]
COLUMNS = [*KIND, *SETTING, "run", "ln_train_loss"]


def grid_runs(
    search: Search, optimizers: Sequence[Optimizer], protocols: Sequence[str], batch_size: int, runs: int
) -> Runs:
    """`runs` runs of every optimizer, protocol and learning rate at one batch size, to be trained as one batch."""
    settings = [(o, protocol, rate) for o in optimizers for protocol in protocols for rate in search.rates(o)]
    return Runs.grid(settings, batch_size, runs)


def untrained(runs: Runs) -> pd.DataFrame:
    """Rows of runs that there is no need to train, since nothing has to be chosen; their loss is not known."""
    columns = {
        "optimizer": runs.optimizer,
        "protocol": runs.protocol,
        "learning_rate": runs.learning_rate,
        "batch_size": runs.batch_size,
        "run": runs.run,
        "ln_train_loss": np.nan,
    }
    return pd.DataFrame(columns)[COLUMNS]


def choose(table: pd.DataFrame) -> dict[tuple[str, str], tuple[float, int]]:
    """(learning rate, batch size) of each (optimizer, protocol) with the lowest median final ln train loss.

    A diverged run counts as infinitely bad. Equal medians: the smaller learning rate, then the smaller batch. A
    setting without alternative is taken as it is. Raises ConfigError when no setting has a finite median.
    """
    table = table.assign(ln_train_loss=table.ln_train_loss.fillna(np.inf))
    medians = table.groupby([*KIND, *SETTING]).ln_train_loss.median().reset_index()
    chosen = {}
    for (optimizer, protocol), settings in medians.groupby(KIND):
        best = settings.sort_values(["ln_train_loss", *SETTING]).iloc[0]
        if len(settings) > 1 and best.ln_train_loss == np.inf:
            raise ConfigError(
                f"training.search: at least half of the runs of {optimizer}, protocol {protocol!r}, diverged at every "
                "setting; add smaller learning_rates"
            )
        chosen[str(optimizer), str(protocol)] = float(best.learning_rate), int(best.batch_size)
    return chosen
