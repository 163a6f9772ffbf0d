"""How often honest problems pass the criterion of convergence, and what its numbers are there.

    PYTHONPATH=src:tests/exact:tests/statistics python tests/statistics/pass_rates.py [--runs 40] [problem ...]

No test: the problems are those of `intervals`, sampled as there, and each landscape is judged. To be asked before and
after the criterion is changed.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator

import intervals
import numpy as np
import pandas as pd
import xarray as xr

from entroscape.landscape import convergence

SHOWN = (
    "r_hat",
    "r_hat_of_y",
    "walkers_alike",
    "error",
    "column_error",
    "drift",
    "mismatch",
    "round_trips",
    "round_trips_in_y",
    "replicas_alike",
)


def judged(landscapes: Callable[[int, int], Iterator[xr.Dataset]], runs: int, seed: int) -> pd.DataFrame:
    """A row per landscape: passes, failed (names of checks) and the numbers behind them."""
    rows = []
    for landscape in landscapes(runs, seed):
        verdict = convergence.judge(landscape)
        failed = list(verdict.checks["check"][~verdict.checks["passed"].astype(bool)])
        rows.append({"passes": verdict.passes, "failed": failed} | verdict.numbers)
    return pd.DataFrame(rows)


def main() -> None:
    """Print a table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=list(intervals.PROBLEMS), metavar="problem")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for name in given.problems:
        began = time.monotonic()
        table = judged(intervals.PROBLEMS[name].landscapes, given.runs, given.seed)
        failures = Counter(check for checks in table["failed"] for check in checks)
        print(f"\n{name}: {table['passes'].sum()} of {len(table)} pass ({time.monotonic() - began:.0f} s)")
        print("failed: " + (", ".join(f"{check} {count}" for check, count in failures.most_common()) or "none"))
        numbers = table[[column for column in SHOWN if column in table]].astype(float)
        quantiles = numbers.quantile([0.0, 0.05, 0.5, 0.95, 1.0]).rename_axis("quantile")
        with pd.option_context("display.width", 160, "display.float_format", lambda value: f"{value:.3g}"):
            print(quantiles.T.assign(unknown=np.isnan(numbers).sum()).to_string(), flush=True)


if __name__ == "__main__":
    main()
