"""Grid search for the training settings of one network; it looks at the train loss only."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from entroscape.errors import ConfigError
from entroscape.training.baselines import PROTOCOLS, Runs

COLUMNS = ["protocol", "learning_rate", "batch_size", "run", "ln_train_loss"]


def grid_runs(learning_rates: Sequence[float], batch_size: int, runs: int) -> Runs:
    """`runs` runs of every (protocol, learning rate) at one batch size, to be trained as one batch."""
    return Runs.grid([(protocol, rate) for protocol in PROTOCOLS for rate in learning_rates], batch_size, runs)


def choose(table: pd.DataFrame) -> dict[str, tuple[float, int]]:
    """(learning rate, batch size) of each protocol with the lowest median final ln train loss.

    A diverged run counts as infinitely bad. Equal medians: the smaller learning rate, then the smaller batch.
    Raises ConfigError when no setting of a protocol has a finite median.
    """
    table = table.assign(ln_train_loss=table.ln_train_loss.fillna(np.inf))
    medians = table.groupby(["protocol", "learning_rate", "batch_size"]).ln_train_loss.median().reset_index()
    ranked = medians.sort_values(["ln_train_loss", "learning_rate", "batch_size"])
    best = ranked.drop_duplicates("protocol").sort_values("protocol")
    for protocol in best.protocol[best.ln_train_loss == np.inf]:
        raise ConfigError(
            f"training.search: at least half of the runs of protocol {protocol!r} diverged at every setting; "
            "add smaller learning_rates"
        )
    rows = zip(best.protocol, best.learning_rate, best.batch_size, strict=True)
    return {str(protocol): (float(rate), int(size)) for protocol, rate, size in rows}
