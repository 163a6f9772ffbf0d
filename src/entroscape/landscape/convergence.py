"""How far a landscape can be trusted: numbers of its convergence, and a verdict."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr

from entroscape.landscape.cross_checks import (
    KNOWN_TO,
    agreement,
    agreement_dof,
    deviation,
    overlaps,
    rms,
    share_expected,
    share_within,
)
from entroscape.landscape.mixing import replicas_alike

# The criterion of the verdict. A landscape of windows passes if all of these hold; what cannot be told, such as the
# mismatch of a single window, does not count. They are generous on purpose: bins of one map are correlated, so a ratio
# of errors fluctuates far more than its number of bins suggests.
FALSE_ALARMS = 0.03  # of honest maps, whose replicas count as different: two times four walkers can be told to 1 in 35
LARGEST_DRIFT = 2.0  # rms of S(half of the production) - S(all) over known bins, in units of what their errors allow
LARGEST_MISMATCH = 2.0  # rms difference of two windows in their overlap, in units of what its errors allow
FEWEST_ROUND_TRIPS = 1  # between the ends of the range, in each replica
LARGEST_ERROR = 0.5  # median error of S: volumes known to a factor 1.6


def unknown(landscape: xr.Dataset) -> np.ndarray:
    """Bins that were visited but whose S is not known to `KNOWN_TO`, bool[columns, rows].

    Their error is larger, or there is none: fewer than two independent units came by.
    """
    error = landscape["entropy_err"].to_numpy()
    return np.asarray(landscape["visited"].to_numpy() & ~(error <= KNOWN_TO))


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
        """Whether every check does."""
        return bool(self.checks["passed"].all())

    @cached_property
    def sentence(self) -> str:
        """What is wrong, as in "not converged: replicas agree ..."; "" if nothing is."""
        failed = self.checks["sentence"][~self.checks["passed"].astype(bool)]
        return f"not converged: {'; '.join(failed)}" if len(failed) else ""


def judge(landscape: xr.Dataset) -> Verdict:
    """The verdict on one landscape, by the criterion at the top of this module."""
    columns = ["check", "value", "wanted", "passed", "sentence"]
    if "window_edges" not in landscape:
        return Verdict(pd.DataFrame(columns=columns), {})
    numbers = diagnostics(landscape)
    rows = [row for row in _checks(numbers) if np.isfinite(row[1])]
    return Verdict(pd.DataFrame(rows, columns=columns), numbers)


def _checks(found: dict[str, float]) -> list[tuple]:
    alike, drift, mismatch = found["replicas_alike"], found["drift"], found["mismatch"]
    trips, error = found["round_trips"], found["error"]
    return [
        (
            "replicas agree",
            alike,
            FALSE_ALARMS,
            alike > FALSE_ALARMS,
            f"replicas differ more than walkers dealt out to them by chance (p = {alike:.2g})",
        ),
        (
            "map at rest",
            drift,
            LARGEST_DRIFT,
            drift <= LARGEST_DRIFT,
            f"S after half of the production is off by {drift:.1f} times what its errors allow",
        ),
        (
            "windows agree",
            mismatch,
            LARGEST_MISMATCH,
            mismatch <= LARGEST_MISMATCH,
            f"windows differ in an overlap by {mismatch:.1f} times what their errors allow",
        ),
        (
            "round trips",
            trips,
            FEWEST_ROUND_TRIPS,
            trips >= FEWEST_ROUND_TRIPS,
            "a replica without a round trip between the ends",
        ),
        (
            "error of S",
            error,
            LARGEST_ERROR,
            error <= LARGEST_ERROR,
            f"median error of S {error:.2f}, {LARGEST_ERROR:g} wanted",
        ),
    ]


def diagnostics(landscape: xr.Dataset) -> dict[str, float]:
    """Numbers that the verdict rests on, and some that it does not; nan where a landscape does not have them.

    within_2_sigma, within_2_sigma_expected: share of bins in which replicas agree, and Student's t for it;
    replicas_alike: p that they differ by chance (`entroscape.landscape.mixing`); drift: rms of S(half of the
    production) - S(all) over what the errors allow; mismatch: largest of the overlaps, likewise; round_trips: fewest of
    a replica; error: median error of S.
    round_trips_of_a_walker: mean; r_hat: largest of a window (`entroscape.landscape.mixing`); independent_visits: of a
    bin, median, 1 / error^2, since n of them know ln n to 1 / sqrt(n); unknown: share of visited bins that count as
    not known; spread: median standard deviation of S between single ladders; flatness: smallest of a window;
    temperature: kinetic temperature of the tensor in which a time step that is too long takes it farthest from 1;
    deposits: rms of S from the deposits alone - S; long_run: rms difference of one replica from the first halves of
    two, over what its errors allow.
    """
    z = agreement(landscape)["z"].to_numpy()
    moved = deviation(landscape)
    half = moved[(moved["window"] == -1) & (moved["share"] < 1)]
    half = half.iloc[(half["share"] - 0.5).abs().argsort().to_numpy()[:1]]
    table = overlaps(landscape)
    trips = landscape["round_trips"].sum("configuration").to_numpy()
    error = landscape["entropy_err"].to_numpy()
    median = float(np.median(error[np.isfinite(error)])) if np.isfinite(error).any() else np.nan
    return {
        "within_2_sigma": share_within(z),
        "within_2_sigma_expected": share_expected(agreement_dof(landscape)) if np.isfinite(z).any() else np.nan,
        "replicas_alike": replicas_alike(landscape["entropy_left_out"].to_numpy(), landscape.sizes["replica"]),
        "drift": float((half["rms"] / half["expected"]).iloc[0]) if len(half) else np.nan,
        "mismatch": float((table["rms_in_errors"] / table["expected"].fillna(1.0)).max()),
        "round_trips": float(trips.min()),
        "error": median,
        "round_trips_of_a_walker": float(landscape["round_trips"].mean()),
        "r_hat": float(landscape["r_hat"].max()) if "r_hat" in landscape else np.nan,
        "independent_visits": median**-2,
        "unknown": float(unknown(landscape).sum() / landscape["visited"].to_numpy().sum()),
        "spread": median * float(np.sqrt(landscape.sizes["unit"])),
        "flatness": float(landscape["flatness"].min()) if "flatness" in landscape else np.nan,
        "temperature": _temperature(landscape),
        "deposits": _off_by_deposits(landscape),
        "long_run": _long_run(landscape),
    }


def _temperature(landscape: xr.Dataset) -> float:
    """Mean kinetic temperature over replicas, in the tensor and window where it is farthest from 1; nan if unknown."""
    if "kinetic_temperature" not in landscape:
        return np.nan
    means = landscape["kinetic_temperature"].mean("replica").to_numpy().ravel()
    return float(means[np.abs(means - 1).argmax()])


def _off_by_deposits(landscape: xr.Dataset) -> float:
    """What production has corrected: rms of S from the deposits alone - S, over bins known to `KNOWN_TO`."""
    if "entropy_deposits" not in landscape:
        return np.nan
    with np.errstate(invalid="ignore"):
        difference = (landscape["entropy_deposits"] - landscape["entropy"]).to_numpy()
    difference = difference[np.isfinite(difference) & (landscape["entropy_err"].to_numpy() <= KNOWN_TO)]
    return rms(difference - difference.mean()) if len(difference) else np.nan


def _long_run(landscape: xr.Dataset) -> float:
    """One long run against replicas: the first of two against both up to half of the production, as long in all.

    They share a half of the first; what is left of the difference has the variance of one replica.
    """
    if landscape.sizes["replica"] != 2 or landscape.sizes["block"] % 2:
        return np.nan
    single, error = (landscape[name][0].to_numpy() for name in ("entropy_replica", "entropy_replica_err"))
    with np.errstate(invalid="ignore"):
        difference = single - landscape["entropy_until"][landscape.sizes["block"] // 2 - 1].to_numpy()
    known = np.isfinite(difference) & (error <= KNOWN_TO)
    return rms(difference[known] - difference[known].mean()) / rms(error[known]) if known.any() else np.nan


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
    trips = landscape["round_trips"].sum("configuration").to_numpy()
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
        "round trips, fewest of a replica": int(trips.min()),
        "round trips of a walker, mean": found["round_trips_of_a_walker"],
        "R̂ of S between walkers, largest of a window": found["r_hat"],
        "independent visits of a bin, median": found["independent_visits"],
        "share of bins whose S is not known to 1": found["unknown"],
        "flatness, lowest of a window": found["flatness"],
        "kinetic temperature farthest from 1, of a tensor": found["temperature"],
        "converged": "yes" if verdict.passes else "no",
    }
