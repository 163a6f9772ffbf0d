"""How far a landscape can be trusted: tables of what should agree if the sampler has converged, and a verdict."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import t as student

from entroscape.grid import dimensions
from entroscape.landscape import curves, jackknife
from entroscape.landscape.metric import maps

# The criterion of the verdict. A landscape of windows passes if all of these hold; what cannot be told, such as the
# mismatch of a single window, does not count. They are generous on purpose: bins of one map are correlated, so a share
# of bins or a ratio of errors fluctuates far more than its number of bins suggests.
FALSE_ALARMS = 0.01  # share of honest maps of which too few bins lie within 2 sigma of another replica
DRAWS = 1000  # pairs of replicas made up to learn how few that are
LARGEST_DRIFT = 2.0  # rms of S(half of the production) - S(all), in units of what the errors of S allow
LARGEST_MISMATCH = 2.0  # rms difference of two windows in their overlap, in units of what its errors allow
FEWEST_ROUND_TRIPS = 1  # between the ends of the range, in each replica
LARGEST_ERROR = 0.5  # median error of S: volumes known to a factor 1.6

KNOWN_TO = 1.0  # error of S beyond which a bin counts as not known: on maps, where it is hatched, and to barriers


def deviation(landscape: xr.Dataset) -> pd.DataFrame:
    """Root mean square of S(part of the production) - S(all of it): columns window, share, rms, expected, bins.

    window -1 stands for the whole map. `expected` follows from the reported errors alone: independent visits give
    error * sqrt((1 - f) / f) after a share f. Only bins that have an error and were visited by then are compared.
    """
    final, error = landscape["entropy"].to_numpy(), landscape["entropy_err"].to_numpy()
    blocks = landscape["entropy_until"].to_numpy()
    rows = []
    for window, inside in enumerate(_columns(landscape), start=-1):
        for number, until in enumerate(blocks, start=1):
            known = inside[:, None] & np.isfinite(error) & np.isfinite(until)
            share = number / len(blocks)
            expected = np.sqrt((1 - share) / share) * _rms(error[known])
            rows.append((window, share, _rms(until[known] - final[known]), expected, int(known.sum())))
    return pd.DataFrame(rows, columns=["window", "share", "rms", "expected", "bins"])


def agreement(landscape: xr.Dataset) -> pd.DataFrame:
    """Bin by bin difference of independent replicas: columns pair, those of the two dimensions, difference, error, z.

    Replicas are compared in pairs (first and second, third and fourth, ...), so that no replica counts twice. error
    (and z = difference / error) is nan where a replica alone has none, as with a single walker in each window.
    """
    found, errors = landscape["entropy_replica"].to_numpy(), landscape["entropy_replica_err"].to_numpy()
    if walkers(landscape) < 2:
        errors = np.full_like(errors, np.nan)
    x, y = dimensions(landscape)
    frames = []
    for pair, (first, second) in enumerate(zip(range(0, len(found), 2), range(1, len(found), 2), strict=False)):
        column, row = np.nonzero(np.isfinite(found[first]) & np.isfinite(found[second]))
        difference = found[first][column, row] - found[second][column, row]
        error = np.hypot(errors[first], errors[second])[column, row]
        frame = {
            "pair": pair,
            x: landscape[x].to_numpy()[column],
            y: landscape[y].to_numpy()[row],
            "difference": difference,
            "error": error,
            "z": difference / np.where(error > 0, error, np.nan),
        }
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


def unknown(landscape: xr.Dataset) -> np.ndarray:
    """Bins that were visited but whose S is not known to `KNOWN_TO`, bool[columns, rows].

    Their error is larger, or there is none: fewer than two independent units came by.
    """
    error = landscape["entropy_err"].to_numpy()
    return np.asarray(landscape["visited"].to_numpy() & ~(error <= KNOWN_TO))


def walkers(landscape: xr.Dataset) -> int:
    """Independent units of each replica: its walkers in a window, or 1 for the published procedure."""
    return landscape.sizes["unit"] // landscape.sizes["replica"]


def agreement_dof(landscape: xr.Dataset) -> int:
    """Degrees of freedom of z in `agreement`: each of the two errors comes from `walkers` units."""
    return 2 * (walkers(landscape) - 1)


def share_within(z: np.ndarray, limit: float = 2.0) -> float:
    """Share of |z| <= limit among the finite ones; nan if there are none."""
    z = z[np.isfinite(z)]
    return float((np.abs(z) <= limit).mean()) if len(z) else np.nan


def share_expected(dof: int, limit: float = 2.0) -> float:
    """Share within `limit` that Student's t with `dof` degrees of freedom predicts."""
    return float(1 - 2 * student.sf(limit, dof))


def share_wanted(landscape: xr.Dataset, limit: float = 2.0) -> float:
    """Share within `limit` that all but `FALSE_ALARMS` of honest maps reach; nan where replicas have no errors.

    Bins of one map rise and fall together, the more so the smaller it is, so the share of a pair of replicas is spread
    far about its mean. How far follows from the walkers: pairs of replicas are made of random mixtures of the
    deviations of the real ones, which have the covariance of these and no difference but noise. Few walkers span few
    directions, so the limit is lower than that of as many bins with noise of their own.
    """
    known = np.isfinite(landscape["entropy_left_out"].to_numpy()).all(axis=0)
    count = walkers(landscape)
    if count < 2 or landscape.sizes["replica"] < 2 or not known.any():
        return np.nan
    units = landscape["entropy_left_out"].to_numpy()[:, known].astype(float)
    units = units.reshape(landscape.sizes["replica"], count, -1)[:2]
    units = units - units.mean(axis=1, keepdims=True)
    random, shares = np.random.default_rng(0), []
    for _ in range(DRAWS):
        mixed = random.normal(size=(2, count, count)) @ units
        mixed -= mixed.mean(axis=2, keepdims=True)  # replicas are compared up to a constant
        mean, variance = mixed.mean(axis=1), mixed.var(axis=1, ddof=1) / count
        shares.append(share_within((mean[0] - mean[1]) / np.sqrt(variance.sum(axis=0)), limit))
    return float(np.quantile(shares, FALSE_ALARMS))


def overlaps(landscape: xr.Dataset) -> pd.DataFrame:
    """A row per pair of neighbouring windows: lower and upper edge in ln L, mismatch of S and exchange rate.

    bins, rms, rms_in_errors, tilt, tilt_err as in the landscape; expected is what rms_in_errors should be, more than 1
    because the errors come from few units n: sqrt(v / (v - 2)) with v = n - 1, nan for n < 4. exchange_0,
    exchange_1, ...: accepted share of the exchanges that each replica attempted.
    """
    edges = landscape["window_edges"].to_numpy()
    table = pd.DataFrame({"overlap": np.arange(1, len(edges)), "lower": edges[:-1, 0], "upper": edges[1:, 1]})
    for name in ("bins", "rms", "rms_in_errors", "tilt", "tilt_err"):
        table[name] = landscape[f"overlap_{name}"].to_numpy()
    free = landscape.sizes["unit"] - 1
    table["expected"] = np.sqrt(free / (free - 2)) if free > 2 else np.nan
    for replica, rates in enumerate(landscape["exchange_rate"].to_numpy()):
        table[f"exchange_{replica}"] = rates
    return table


def comparison(landscape: xr.Dataset, other: xr.Dataset) -> pd.DataFrame:
    """Another landscape of the same network against this one, a row per column of either.

    The two must have bins of one width in ln L; their test metrics may differ. profile_difference: ln of the volume
    at each loss, other minus this, each relative to the column where this one is largest among those of both, so that
    the unknown constant drops out; equilibrium and equilibrium_other: mean of the judged metric; each with its standard
    error; bins and bins_other: visited ones.
    """
    x = [np.round(dataset["ln_train_loss"].to_numpy(), 9) for dataset in (landscape, other)]
    union, both = np.union1d(x[0], x[1]), np.intersect1d(x[0], x[1])
    heights = [curves.column_entropy(dataset["entropy"].to_numpy()) for dataset in (landscape, other)]
    height, height_other = (at[np.isin(one, both)] for at, one in zip(heights, x, strict=True))
    top = both[np.where(np.isfinite(height_other), height, -np.inf).argmax()] if len(both) else np.nan
    table, profile = pd.DataFrame({"ln_train_loss": union}), {}
    for name, dataset, columns in (("", landscape, x[0]), ("_other", other, x[1])):
        place = np.searchsorted(union, columns)
        found, left_out = maps(dataset)
        profile[name] = [_spread(v, place, union) for v in jackknife.of(_profile(columns == top), found, left_out)]
        value, error = jackknife.of(_judged_equilibrium(dataset), found, left_out)
        table[f"equilibrium{name}"] = _spread(value, place, union)
        table[f"equilibrium{name}_err"] = _spread(error, place, union)
        bins = _spread(dataset["visited"].to_numpy().sum(axis=1).astype(float), place, union)
        table[f"bins{name}"] = np.nan_to_num(bins).astype(int)
    with np.errstate(invalid="ignore"):
        difference = profile["_other"][0] - profile[""][0]
    table["profile_difference"] = np.where(np.isfinite(difference), difference, np.nan)
    table["profile_difference_err"] = np.hypot(profile["_other"][1], profile[""][1])
    return table[(table["bins"] > 0) | (table["bins_other"] > 0)].reset_index(drop=True)


def _profile(top: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Function of maps: ln of the volume at each loss less that of column `top`, [columns]; -inf where not visited."""

    def function(found: np.ndarray) -> np.ndarray:
        columns = curves.column_entropy(found[0])
        return np.asarray(columns - columns[top].sum())

    return function


def _judged_equilibrium(landscape: xr.Dataset) -> Callable[[np.ndarray], np.ndarray]:
    """Function of maps: mean of the judged metric at each loss, the true accuracy where that is known."""
    y_values = landscape[dimensions(landscape)[1]].to_numpy()
    return lambda found: curves.equilibrium(found[0], found[1] if len(found) > 1 else y_values)


def _spread(values: np.ndarray, place: np.ndarray, union: np.ndarray) -> np.ndarray:
    """Values at their places among all columns, nan elsewhere."""
    whole = np.full(len(union), np.nan)
    whole[place] = values
    return whole


def _columns(landscape: xr.Dataset) -> list[np.ndarray]:
    """Which columns belong to the whole map and to each window, bool[columns] each."""
    x = landscape["ln_train_loss"].to_numpy()
    windows = [(x > lower) & (x < upper) for lower, upper in landscape["window_edges"].to_numpy()]
    return [np.ones(len(x), dtype=bool), *windows]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.nan


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
    within, fewest = found["within_2_sigma"], found["within_2_sigma_wanted"]
    drift, mismatch, trips = found["drift"], found["mismatch"], found["round_trips"]
    error = found["error"]
    return [
        (
            "replicas agree",
            within,
            fewest,
            within >= fewest,
            f"replicas agree within 2σ in {within:.0%} of bins, {fewest:.0%} wanted",
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

    within_2_sigma, within_2_sigma_expected, within_2_sigma_wanted: share of bins in which replicas agree, Student's t
    for it, and the share that nearly all honest maps reach (`share_wanted`); drift: rms of S(half of the production) -
    S(all) over what the errors allow; mismatch: largest of the overlaps, likewise; round_trips: fewest of a replica;
    error: median error of S.
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
        "within_2_sigma_wanted": share_wanted(landscape),
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
    return _rms(difference - difference.mean()) if len(difference) else np.nan


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
    return _rms(difference[known] - difference[known].mean()) / _rms(error[known]) if known.any() else np.nan


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


def spread(landscape: xr.Dataset) -> pd.DataFrame:
    """By column, medians over its bins: ln_train_loss, error of S, spread (standard deviation) between ladders."""
    x, y = dimensions(landscape)
    error = landscape["entropy_err"].median(y).to_numpy()
    table = pd.DataFrame({x: landscape[x].to_numpy(), "error": error})
    return table.assign(spread=error * np.sqrt(landscape.sizes["unit"])).dropna(ignore_index=True)


def windows(landscape: xr.Dataset) -> pd.DataFrame:
    """A row per window: lower, upper (edges in ln L), flatness, the smallest of the replicas; nan if not reported."""
    edges = landscape["window_edges"].to_numpy()
    flat = landscape["flatness"].min("replica").to_numpy() if "flatness" in landscape else np.full(len(edges), np.nan)
    table = pd.DataFrame({"lower": edges[:, 0], "upper": edges[:, 1], "flatness": flat})
    return table.assign(window=np.arange(1, len(edges) + 1))


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
        "the same, of 99 in 100 honest maps": found["within_2_sigma_wanted"],
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
