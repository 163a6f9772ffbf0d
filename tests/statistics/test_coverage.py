"""Do 90 % intervals hold the truth in 90 % of many runs? `make statistics` asks with other seeds, and more of them."""

import intervals
import pandas as pd
import pytest

pytestmark = pytest.mark.statistics

LOWEST, HIGHEST = 0.85, 0.95
FEWEST_AGREE = 0.91  # of 100 runs 3 should not, and more than 8 once in 300


def honest(table: pd.DataFrame) -> bool:
    """Whether every coverage lies within its bounds."""
    agreement = table["quantity"] == intervals.AGREEMENT
    intervals_hold = table["coverage"][~agreement].between(LOWEST, HIGHEST)
    return bool(intervals_hold.all() and (table["coverage"][agreement] > FEWEST_AGREE).all())


@pytest.mark.parametrize("name", intervals.PROBLEMS)
def test_intervals_hold_the_truth_as_often_as_they_claim(name, runs, seed, show):
    table = intervals.table(name, runs, seed)
    show(table)
    if not honest(table):  # among thirty coverages of 100 runs one misses a bound by chance at times
        table = intervals.table(name, 4 * runs, seed)
        show(table)
    assert honest(table)
