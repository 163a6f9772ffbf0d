"""How often honest problems pass the criterion of convergence, and what its numbers are there.

    PYTHONPATH=src:tests/exact:tests/statistics python tests/statistics/pass_rates.py [--runs 40] [problem ...]

No test: the problems are those of `intervals`, sampled as there, and each landscape is judged. To be asked before and
after the criterion is changed. r_hat_s to p_differ are taken from the walkers' histograms, whatever the landscape
carries (`walker_disagreement`).
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import intervals
import numpy as np
import pandas as pd
import whole_runs
import xarray as xr
from disagreement import walker_disagreement

from entroscape.landscape import convergence
from entroscape.landscape.merge import merge

SHOWN = (
    "r_hat",
    "r_hat_s",
    "r_hat_y",
    "f_s",
    "f_y",
    "p_differ",
    "error",
    "drift",
    "mismatch",
    "round_trips",
    "replicas_alike",
)


@contextmanager
def walkers_looked_at() -> Iterator[None]:
    """Within it, landscapes that the problems merge carry what `walker_disagreement` says of their runs."""

    def merged(runs: list[xr.Dataset]) -> xr.Dataset:
        return merge(runs).assign_attrs(walker_disagreement(runs))

    with mock.patch.object(whole_runs, "merge", merged), mock.patch.object(intervals, "merge", merged):
        yield


def judged(landscapes: Callable[[int, int], Iterator[xr.Dataset]], runs: int, seed: int) -> pd.DataFrame:
    """A row per landscape: passes, failed (names of checks) and the numbers behind them."""
    rows = []
    with walkers_looked_at():
        for landscape in landscapes(runs, seed):
            verdict = convergence.judge(landscape)
            failed = list(verdict.checks["check"][~verdict.checks["passed"].astype(bool)])
            rows.append({"passes": verdict.passes, "failed": failed} | landscape.attrs | verdict.numbers)
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
        beyond = {name: (table[name] > 1.1).sum() for name in ("r_hat_s", "r_hat_y") if name in table}
        beyond["either"] = (table.filter(like="r_hat_") > 1.1).any(axis=1).sum()
        print("R-hat beyond 1.1: " + ", ".join(f"{name} {count}" for name, count in beyond.items()))
        print(f"p_differ below 0.001: {(table['p_differ'] < 0.001).sum()}")
        numbers = table[[column for column in SHOWN if column in table]].astype(float)
        quantiles = numbers.quantile([0.0, 0.05, 0.5, 0.95, 1.0]).rename_axis("quantile")
        with pd.option_context("display.width", 160, "display.float_format", lambda value: f"{value:.3g}"):
            print(quantiles.T.assign(unknown=np.isnan(numbers).sum()).to_string(), flush=True)


if __name__ == "__main__":
    main()
