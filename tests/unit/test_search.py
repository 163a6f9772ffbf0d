"""Search: what is trained, what is chosen, what is refused."""

import numpy as np
import pandas as pd
import pytest
from spiral_task import records

from entroscape.errors import ConfigError
from entroscape.training.search import COLUMNS, choose, grid_runs


def table(*rows) -> pd.DataFrame:
    """Rows (protocol, learning_rate, batch_size, losses)."""
    return pd.DataFrame(
        [(p, lr, b, run, loss) for p, lr, b, losses in rows for run, loss in enumerate(losses)], columns=COLUMNS
    )


def test_lowest_median_wins_for_each_protocol_not_lowest_mean_or_minimum():
    chosen = choose(
        table(
            ("free", 0.1, 5, [-9.0, -1.0, -1.0]),  # lowest minimum and mean
            ("free", 0.2, 10, [-2.0, -2.0, 3.0]),  # lowest median
            ("box", 0.1, 5, [-3.0, -3.0, -3.0]),
            ("box", 0.2, 10, [-2.0, -2.0, -2.0]),
        )
    )
    assert chosen == {"free": (0.2, 10), "box": (0.1, 5)}


def test_equal_medians_prefer_the_smaller_learning_rate_then_the_smaller_batch():
    rows = [("box", 0.2, 5, [-1.0]), ("box", 0.1, 10, [-1.0]), ("box", 0.1, 5, [-1.0])]
    assert choose(table(*rows)) == choose(table(*rows[::-1])) == {"box": (0.1, 5)}


def test_diverged_runs_count_against_a_setting():
    chosen = choose(table(("free", 0.1, 5, [-1.0] * 3), ("free", 1.0, 5, [-9.0, np.nan, np.nan])))
    assert chosen == {"free": (0.1, 5)}


def test_nothing_but_divergence_is_an_error_that_says_what_to_do():
    with pytest.raises(ConfigError, match=r"'free'.*smaller learning_rates"):
        choose(table(("box", 0.1, 5, [-1.0]), ("free", 0.1, 5, [np.nan])))


def test_one_batch_holds_every_protocol_and_rate_and_the_useful_rate_is_chosen():
    runs = grid_runs([1e-6, 0.05], batch_size=5, runs=6)
    rows = runs.frame(records(runs, steps=300, record_every=300)[-1], 30)[COLUMNS]
    assert rows.groupby(["protocol", "learning_rate"]).run.agg(list).tolist() == [list(range(6))] * 4
    assert choose(rows) == {"free": (0.05, 5), "box": (0.05, 5)}
