"""Search: what is trained, what is chosen, what is refused."""

import numpy as np
import pandas as pd
import pytest
from spiral_task import problem, records

from entroscape.config.training import Search
from entroscape.errors import ConfigError
from entroscape.training.search import COLUMNS, choose, grid_runs, untrained

BOTH = ("free", "box")


def table(*rows, optimizer="sgd") -> pd.DataFrame:
    """Rows (protocol, learning_rate, batch_size, losses)."""
    return pd.DataFrame(
        [(optimizer, p, lr, b, run, loss) for p, lr, b, losses in rows for run, loss in enumerate(losses)],
        columns=COLUMNS,
    )


def search(rates, adam=None, runs=6) -> Search:
    return Search(runs=runs, steps=10, learning_rates=rates, adam_learning_rates=adam, batch_sizes=[5])


def test_lowest_median_wins_for_each_protocol_not_lowest_mean_or_minimum():
    chosen = choose(
        table(
            ("free", 0.1, 5, [-9.0, -1.0, -1.0]),  # lowest minimum and mean
            ("free", 0.2, 10, [-2.0, -2.0, 3.0]),  # lowest median
            ("box", 0.1, 5, [-3.0, -3.0, -3.0]),
            ("box", 0.2, 10, [-2.0, -2.0, -2.0]),
        )
    )
    assert chosen == {("sgd", "free"): (0.2, 10), ("sgd", "box"): (0.1, 5)}


def test_equal_medians_prefer_the_smaller_learning_rate_then_the_smaller_batch():
    rows = [("box", 0.2, 5, [-1.0]), ("box", 0.1, 10, [-1.0]), ("box", 0.1, 5, [-1.0])]
    assert choose(table(*rows)) == choose(table(*rows[::-1])) == {("sgd", "box"): (0.1, 5)}


def test_diverged_runs_count_against_a_setting():
    chosen = choose(table(("free", 0.1, 5, [-1.0] * 3), ("free", 1.0, 5, [-9.0, np.nan, np.nan])))
    assert chosen == {("sgd", "free"): (0.1, 5)}


def test_nothing_but_divergence_is_an_error_that_says_what_to_do():
    diverged = table(("box", 0.1, 5, [-1.0]), ("free", 0.1, 5, [np.nan]), ("free", 0.2, 5, [np.nan]))
    with pytest.raises(ConfigError, match=r"of sgd, protocol 'free', diverged.*smaller learning_rates"):
        choose(diverged)


def test_each_optimizer_has_its_own_choice():
    sgd = table(("box", 0.1, 5, [-1.0]), ("box", 0.2, 5, [-2.0]))
    adam = table(("box", 0.1, 5, [-1.0]), ("box", 0.2, 5, [0.0]), optimizer="adam")
    assert choose(pd.concat([adam, sgd])) == {("sgd", "box"): (0.2, 5), ("adam", "box"): (0.1, 5)}


def test_a_setting_without_alternative_is_taken_untrained():
    runs = grid_runs(search([3e-4]), ["sgd"], BOTH, 128, 1)
    assert choose(untrained(runs)) == {("sgd", "free"): (3e-4, 128), ("sgd", "box"): (3e-4, 128)}


def test_adam_has_rates_of_its_own_where_they_are_given():
    for adam, expected in ((None, [0.1]), ([0.01, 0.02], [0.01, 0.02])):
        runs = grid_runs(search([0.1], adam), ["sgd", "adam"], BOTH, 5, 3)
        rates = {name: sorted(set(runs.learning_rate[runs.optimizer == name])) for name in ("sgd", "adam")}
        assert rates == {"sgd": [0.1], "adam": expected}
        assert len(runs) == 2 * 3 * (1 + len(expected))


def test_adamw_has_the_rates_of_adam():
    for name in ("adam", "adamw"):
        assert search([0.1], [0.01, 0.02]).rates(name) == [0.01, 0.02] and search([0.1]).rates(name) == [0.1]


def test_protocols_are_those_of_the_networks_domain():
    assert problem().protocols == ("free", "box") and problem(shell=3.0).protocols == ("free", "shell")
    runs = grid_runs(search([0.1]), ["adamw"], ("free", "shell"), 5, 2)
    assert runs.protocol.tolist() == ["free", "free", "shell", "shell"]


def test_one_batch_holds_every_protocol_and_rate_and_the_useful_rate_is_chosen():
    runs = grid_runs(search([1e-6, 0.05]), ["sgd", "adam"], BOTH, 5, 6)
    rows = runs.frame(records(runs, steps=300, record_every=300)[-1])[COLUMNS]
    assert rows.groupby(["optimizer", "protocol", "learning_rate"]).run.agg(list).tolist() == [list(range(6))] * 8
    assert set(choose(rows).values()) == {(0.05, 5)} and len(choose(rows)) == 4
