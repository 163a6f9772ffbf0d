"""How far a landscape can be trusted: the criterion by which it counts as converged, and a verdict."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr

from entroscape.landscape.cross_checks import KNOWN_TO, walkers
from entroscape.landscape.diagnostics import diagnostics, rows_visited
from entroscape.landscape.mixing import r_hat_by_chance

# The criterion of the verdict. A landscape of windows passes if all of these hold; a check that cannot be made is not
# passed. Bounds on drift and mismatch are generous on purpose: bins of one map are correlated, so a ratio of errors
# fluctuates far more than its number of bins suggests.
FALSE_ALARMS = 0.03  # of honest maps whose replicas count as different, or whose R-hat of 1.1 is more by chance
LARGEST_DRIFT = 2.0  # rms of S(half of the production) - S(all) over known bins, in units of what their errors allow
LARGEST_MISMATCH = 2.0  # rms difference of two windows in their overlap, in units of what its errors allow
FEWEST_ROUND_TRIPS = 1  # between the ends of the range, and between the outer thirds of the rows, in each replica
LARGEST_R_HAT = 1.1  # of S and of the test metric, in any window (Gelman and Rubin's customary bound)
DIFFERENT = 0.001  # p below which walkers count as different from each other
LARGEST_ERROR = 0.5  # median error of S: volumes known to a factor 1.6
LARGEST_COLUMN_ERROR = KNOWN_TO  # of any column's volume against the largest column's

COLUMNS = ["check", "value", "wanted", "passed", "sentence"]
NOT_JUDGED = "not shown to have converged: there are no windows and no independent walkers to compare"


@dataclass(frozen=True)
class Verdict:
    """Whether a landscape has converged, from checks[check, value, wanted, passed, sentence]; none: not judged.

    numbers: the `diagnostics` that the checks were made of, none where there is nothing to judge.
    """

    checks: pd.DataFrame
    numbers: dict[str, float]

    @property
    def judged(self) -> bool:
        """Whether there is anything to judge: the published procedure has no windows, and only EA-8 says how it did."""
        return len(self.checks) > 0

    @property
    def passes(self) -> bool:
        """Whether there are checks and every one passes."""
        return self.judged and bool(self.checks["passed"].all())

    @cached_property
    def sentence(self) -> str:
        """What is wrong, as in "not converged: replicas agree ..."; "" if nothing is."""
        if not self.judged:
            return NOT_JUDGED
        failed = self.checks["sentence"][~self.checks["passed"].astype(bool)]
        return f"not converged: {'; '.join(failed)}" if len(failed) else ""


def judge(landscape: xr.Dataset) -> Verdict:
    """The verdict on one landscape, by the criterion at the top of this module.

    Checks that have no object are left out: windows that agree where there is a single one, crossings in the test
    metric where only one row was visited. A check whose number cannot be told is there, and does not pass.
    """
    if "window_edges" not in landscape:
        return Verdict(pd.DataFrame(columns=COLUMNS), {})
    numbers = diagnostics(landscape)
    several, rows = landscape.sizes["window"] > 1, rows_visited(landscape) > 1
    checks = [
        check
        for check in _checks(numbers, largest_r_hat(landscape))
        if (several or check[0] != "windows agree") and (rows or check[0] != "crossings in y")
    ]
    return Verdict(pd.DataFrame(checks, columns=COLUMNS), numbers)


def largest_r_hat(landscape: xr.Dataset) -> float:
    """`LARGEST_R_HAT`, and what chance adds to it where a landscape has few walkers."""
    return r_hat_by_chance(LARGEST_R_HAT, landscape.sizes["replica"], walkers(landscape), FALSE_ALARMS)


def _checks(found: dict[str, float], highest: float) -> Iterator[tuple[str, float, float, bool, str]]:
    """Rows of `Verdict.checks`; `highest`: R-hat that is allowed."""
    alike = found["replicas_alike"]
    sentence = _sentence(
        alike,
        "replicas differ more than walkers dealt out to them by chance (p = {:.2g})",
        "whether replicas agree (two with four walkers each are needed)",
    )
    yield "replicas agree", alike, FALSE_ALARMS, alike > FALSE_ALARMS, sentence
    yield _at_most(
        "map at rest",
        found["drift"],
        LARGEST_DRIFT,
        "S after half of the production is off by {:.1f} times what its errors allow",
        "whether the map is at rest",
    )
    yield _at_most(
        "windows agree",
        found["mismatch"],
        LARGEST_MISMATCH,
        "windows differ in an overlap by {:.1f} times what their errors allow",
        "whether windows agree (four walkers are needed)",
    )
    yield _at_least(
        "round trips",
        found["round_trips"],
        FEWEST_ROUND_TRIPS,
        "a replica without a round trip between the ends",
        "round trips",
    )
    yield _at_least(
        "crossings in y",
        found["round_trips_in_y"],
        FEWEST_ROUND_TRIPS,
        "a replica in which no walker went from low to high values of the test metric and back",
        "crossings in the test metric",
    )
    yield _at_most("R̂ of S", found["r_hat"], highest, "walkers disagree in S, R̂ = {:.2f}", "R̂ of S")
    yield _at_most("R̂ of y", found["r_hat_of_y"], highest, "walkers disagree in the test metric, R̂ = {:.2f}", "R̂ of y")
    yield _at_least(
        "walkers agree",
        found["walkers_alike"],
        DIFFERENT,
        "walkers of a window differ by more than each changes in time (p = {:.2g})",
        "whether walkers agree (two are needed, with visits in every quarter of production)",
    )
    yield _at_most(
        "time step",
        found["time_step"],
        1.0,
        "the time step is too long for S: where it is worst, {:.1f} times as many steps as may be would be rejected",
        "what the time step does to S",
    )
    yield _at_most(
        "error of S",
        found["error"],
        LARGEST_ERROR,
        f"median error of S {{:.2f}}, {LARGEST_ERROR:g} wanted",
        "the error of S",
    )
    yield _at_most(
        "error of columns",
        found["column_error"],
        LARGEST_COLUMN_ERROR,
        f"the volume at one loss against that at another is known to {{:.2f}}, {LARGEST_COLUMN_ERROR:g} wanted",
        "the error of a column's volume",
    )
    yield _at_least(
        "range covered",
        found["covered"],
        1.0,
        "{:.0%} of the range in ln L that was asked for was reached",
        "how much of the range was reached",
    )


def _at_most(check: str, value: float, bound: float, failing: str, what: str) -> tuple[str, float, float, bool, str]:
    return check, value, bound, value <= bound, _sentence(value, failing, what)


def _at_least(check: str, value: float, bound: float, failing: str, what: str) -> tuple[str, float, float, bool, str]:
    return check, value, bound, value >= bound, _sentence(value, failing, what)


def _sentence(value: float, failing: str, what: str) -> str:
    return f"not shown: {what}" if np.isnan(value) else failing.format(value)


def attributes(landscape: xr.Dataset) -> dict[str, float | str]:
    """The verdict and the numbers behind it, as a landscape file carries them; nothing where it is not judged."""
    verdict = judge(landscape)
    if not verdict.judged:
        return {}
    numbers = {f"convergence_{name}": value for name, value in verdict.numbers.items()}
    return {"converged": "yes" if verdict.passes else "no", "convergence": verdict.sentence} | numbers


def overview(landscapes: Sequence[xr.Dataset]) -> pd.DataFrame:
    """A row for each landscape that can be judged: name, diagnostics, passes, failed (names of checks), sentence."""
    rows = []
    for landscape in landscapes:
        verdict = judge(landscape)
        if verdict.judged:
            failed = verdict.checks["check"][~verdict.checks["passed"].astype(bool)]
            about = {"passes": verdict.passes, "failed": ", ".join(failed), "sentence": verdict.sentence}
            rows.append({"name": name(landscape)} | verdict.numbers | about)
    return pd.DataFrame(rows)


def name(landscape: xr.Dataset) -> str:
    """Experiment and variant, as in "house_prices width-8"; "landscape" if its attributes do not say."""
    settings = json.loads(landscape.attrs.get("settings", "{}"))
    known = [str(settings[key]) for key in ("experiment", "variant") if key in settings]
    return " ".join(known) or "landscape"


def summary(landscape: xr.Dataset) -> dict[str, float | str]:
    """Key numbers of one landscape, by what they are; those that a procedure does not have are left out."""
    error = landscape["entropy_err"].to_numpy()
    visited = landscape["visited"].to_numpy()
    known = np.isfinite(error)
    reached = landscape["ln_train_loss"].to_numpy()[visited.any(axis=1)]
    numbers: dict[str, float | str] = {
        "visited bins": int(visited.sum()),
        "of these without an error": int((visited & ~known).sum()),
        "lowest ln L reached (middle of bin)": float(reached.min()),
        "error of S, median": float(np.median(error[known])) if known.any() else np.nan,
        "error of S, largest": float(error[known].max()) if known.any() else np.nan,
    }
    verdict = judge(landscape)
    if not verdict.judged:
        return numbers
    found = verdict.numbers
    return numbers | {
        "spread of S between ladders, median": found["spread"],
        "bins where replicas differ by less than 2σ": found["within_2_sigma"],
        "the same, expected": found["within_2_sigma_expected"],
        "replicas differ by chance, p": found["replicas_alike"],
        "S after half of the production: rms change / what errors allow": found["drift"],
        "S of the deposits alone: rms change by production": found["deposits"],
        "one run against the first halves of two: rms difference / what errors allow": found["long_run"],
        "largest mismatch of an overlap / what errors allow": found["mismatch"],
        "lowest share of accepted exchanges": float(landscape["exchange_rate"].min())
        if landscape["exchange_rate"].size
        else np.nan,
        "round trips, fewest of a replica": found["round_trips"],
        "crossings in the test metric and back, fewest of a replica": found["round_trips_in_y"],
        "round trips of a walker, mean": found["round_trips_of_a_walker"],
        "R̂ of S between walkers, largest of a window": found["r_hat"],
        "R̂ of the test metric, largest of a window": found["r_hat_of_y"],
        "walkers differ by no more than each changes in time, p": found["walkers_alike"],
        "error of a column's volume against the largest, largest": found["column_error"],
        "steps that a test would reject, where it is worst / what may be": found["time_step"],
        "share of the range reached": found["covered"],
        "independent visits of a bin, median": found["independent_visits"],
        "share of bins whose S is not known to 1": found["unknown"],
        "flatness, lowest of a window": found["flatness"],
        "kinetic temperature farthest from 1, of a tensor": found["temperature"],
        "converged": "yes" if verdict.passes else "no",
    }
