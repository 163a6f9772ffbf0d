"""Barriers, valleys and jumps of a landscape: whether anything stands between memorising and generalising.

All is read off bins whose S, relative to the best bin of their column, is known to `KNOWN_TO`, which several
independent units visited. A bin that is missing between others may hide a barrier, so a column counts only as far as
its bins hang together with the one of largest S. S differs by a drop D = S(i) - S(m) between two bins. From drops and
their correlated errors follow

- largest_drop: at fixed loss, the largest drop of S below what it has reached as the accuracy rises from the lowest
  that is known, a memorising one, to the best generalising bin; 0 where S only rises (a monotone profile). It also
  counts what S falls by where memorising states simply have more volume: it is no barrier;
- path_barrier: the barrier between the best memorising and the best generalising bin of the low-loss region, where the
  loss may change on the way. Of all paths over neighbouring bins the one whose lowest S is highest; how far that S lies
  below the lower of the two ends, min(S(start), S(goal)). 0 where S falls or rises all the way. A maximin path is a
  path in the tree that spans all bins with the largest sum of S;
- valley: at fixed loss, how far S falls between two maxima `APART` or more apart in accuracy, below the lower of them:
  a first-order transition has two phases of equal volume at one loss, with a valley between;
- jump: change of an equilibrium curve between two columns beyond that of the same distance on either side of them.

The first, third and last are largest values of many, so their intervals are those of `analysis.largest`. The barrier of
a path is set by the smaller of two drops in each bin, those from the start and from the goal: its interval follows from
a band that holds all of these at once, since it cannot fall when any of them rises. A first, wide band limits the
barrier and settles the bins that surely can be crossed below these limits or surely cannot; the second holds the drops
of the others. Where noise leaves open which bin is the best of its kind, the interval is that of all that may be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.special import stdtrit

from entroscape.analysis import families
from entroscape.analysis.largest import ASIDE, NOTHING, Bounds, band, bounds, deviations, errors
from entroscape.config.schema import Analysis
from entroscape.grid import Grid, dimensions
from entroscape.landscape import curves
from entroscape.landscape.cross_checks import KNOWN_TO
from entroscape.landscape.metric import ACCURACY, EDGE, Metric, judged_map, maps

APART = 0.2  # accuracy between two maxima that would be two phases
STEP = 0.1  # in ln L, half the distance over which an equilibrium curve may jump
FEWEST_UNITS = 4  # fewer give no idea of how noise is correlated
Bin = tuple[int, int]  # column and row


@dataclass(frozen=True)
class Profile:
    """S along the known rows of one column: entropy[rows] and the units' deviations[units, rows] from it."""

    column: int
    rows: np.ndarray  # numbers of the rows, each following the other
    entropy: np.ndarray
    noise: np.ndarray

    def between(self, first: int, last: int) -> "Profile":
        """The part from row `first` to row `last`, both by number and included."""
        part = (self.rows >= first) & (self.rows <= last)
        return Profile(self.column, self.rows[part], self.entropy[part], self.noise[:, part])

    def drops(self) -> np.ndarray:
        """D[i, m] = S(i) - S(m), in a row."""
        return np.asarray(self.entropy[:, None] - self.entropy).ravel()

    def drops_noise(self) -> np.ndarray:
        """Deviations of the drops, [units, rows^2]."""
        return np.asarray(self.noise[:, :, None] - self.noise[:, None, :]).reshape(len(self.noise), -1)


@dataclass(frozen=True)
class Surface:
    """A landscape's S[columns, rows] with the deviations of each unit, and the accuracies of the rows.

    accuracy: the least of each row; at_most: the largest, the same where a row is a single attainable value.
    """

    entropy: np.ndarray
    noise: np.ndarray
    known: np.ndarray
    accuracy: np.ndarray
    at_most: np.ndarray

    @classmethod
    def of(cls, landscape: xr.Dataset) -> "Surface":
        """Surface of a landscape file over the true accuracy; bins without an error are not known.

        Nothing is known of a landscape whose states were not counted by their true accuracy.
        """
        judged = judged_map(landscape)
        if judged is None:
            columns, nothing = landscape.sizes[dimensions(landscape)[0]], np.empty(0)
            empty = np.empty((columns, 0))
            return cls(empty, np.empty((landscape.sizes["unit"], columns, 0)), empty.astype(bool), nothing, nothing)
        entropy, left_out = judged.entropy, judged.left_out
        known = np.isfinite(entropy) & np.isfinite(left_out).all(axis=0)
        if len(left_out) < FEWEST_UNITS:
            known = np.zeros_like(known)
        noise = np.zeros_like(left_out)
        if known.any():
            noise[:, known] = deviations(left_out[:, known])
        return cls(entropy, noise, known, judged.lower, judged.upper)

    def profile(self, column: int) -> Profile:
        """Known rows of a column that hang together with the best one; none if nothing is known there."""
        known = self.well_known(column)
        if not known.any():
            rows = np.zeros(0, dtype=int)
        else:
            best = int(np.where(known, self.entropy[column], -np.inf).argmax())
            closed = np.nonzero(~known)[0]
            first = max(closed[closed < best], default=-1) + 1
            last = min(closed[closed > best], default=len(known)) - 1
            rows = np.arange(first, last + 1)
        return Profile(column, rows, self.entropy[column, rows], self.noise[:, column, rows])

    def well_known(self, column: int) -> np.ndarray:
        """Rows of a column whose S is known to `KNOWN_TO`, relative to the best one there; bool[rows]."""
        known, noise = self.known[column], self.noise[:, column]
        if not known.any():
            return np.zeros_like(known)
        best = int(np.where(known, self.entropy[column], -np.inf).argmax())
        return np.asarray(known & (errors(noise - noise[:, [best]]) <= KNOWN_TO))

    def rise(self, column: int, settings: Analysis) -> Profile | None:
        """The column from its lowest known row to its best generalising one.

        None unless the former is memorising and the latter known.
        """
        profile = self.profile(column)
        memorising, generalising = (end[profile.rows] for end in self.ends(settings))
        if not generalising.any() or not memorising[0]:
            return None
        top = profile.rows[np.where(generalising, profile.entropy, -np.inf).argmax()]
        return profile.between(int(profile.rows[0]), int(top))

    def ends(self, settings: Analysis) -> tuple[np.ndarray, np.ndarray]:
        """Which rows are memorising and which generalise; none is the former where no such states are looked for."""
        memorising = -np.inf if settings.memorising is None else settings.memorising
        return self.at_most <= memorising + EDGE, self.accuracy >= settings.generalising - EDGE


def largest_drop(profiles: Sequence[Profile], levels: Sequence[float]) -> list[Bounds]:
    """Largest drop of S along any of these profiles, each from its memorising to its generalising end."""
    falls = [np.triu(np.ones((len(p.rows), len(p.rows)), dtype=bool)).ravel() for p in profiles]
    groups = [p.drops()[down] for p, down in zip(profiles, falls, strict=True)]
    return bounds(groups, [p.drops_noise()[:, down] for p, down in zip(profiles, falls, strict=True)], levels)


def valley(profiles: Sequence[Profile], accuracy: np.ndarray, levels: Sequence[float]) -> list[Bounds]:
    """Largest fall of S between two maxima of one profile that lie `APART`; `accuracy` is that of all rows."""
    profiles = [p for p in profiles if len(p.rows) and accuracy[p.rows[-1]] - accuracy[p.rows[0]] >= APART]

    def deepest(groups: Sequence[np.ndarray]) -> float:
        found = zip(groups, profiles, strict=True)
        return max(_valley(one.reshape(len(p.rows), -1), accuracy[p.rows]) for one, p in found)

    noises = [p.drops_noise() for p in profiles]
    return bounds([p.drops() for p in profiles], noises, levels, deepest, at_once=2)


def jump(curve: np.ndarray, left_out: np.ndarray, columns: int, levels: Sequence[float]) -> list[Bounds]:
    """Largest jump of a curve [columns] up or down; `columns` is half the distance over which it may happen."""
    found, noise = jumps(curve, left_out, columns)
    known = np.isfinite(found) & np.isfinite(noise).all(axis=0)
    if len(left_out) < FEWEST_UNITS or not known.any():
        return [NOTHING] * len(levels)
    both = np.concatenate([found[known], -found[known]]), np.concatenate([noise[:, known], -noise[:, known]], axis=1)
    return bounds([both[0]], [both[1]], levels)


def jumps(curve: np.ndarray, left_out: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Rise of a curve towards lower loss about each column beyond what its slope explains, and deviations of it.

    (y(k-h) - y(k+h)) - ((y(k-3h) - y(k-h)) + (y(k+h) - y(k+3h))) / 2: nothing for a parabola, the whole of a jump
    within h columns. nan where a column that is needed is not known; [columns] and [units, columns].
    """
    h = columns

    def excess(y: np.ndarray) -> np.ndarray:
        found = np.full(y.shape, np.nan)
        if y.shape[-1] > 6 * h:
            far_low, low = y[..., : -6 * h], y[..., 2 * h : -4 * h]
            high, far_high = y[..., 4 * h : -2 * h], y[..., 6 * h :]
            found[..., 3 * h : -3 * h] = 1.5 * (low - high) - 0.5 * (far_low - far_high)
        return found

    return excess(curve), deviations(excess(left_out))


def path_barrier(
    surface: Surface, columns: np.ndarray, settings: Analysis, levels: Sequence[float]
) -> tuple[list[Bounds], np.ndarray]:
    """Barrier along the best path within some columns (bool), and the path's bins [steps, (column, row)].

    Nothing and no path where an end is not known or they do not hang together.
    """
    opened = np.array([surface.well_known(column) for column in range(len(columns))]) & columns[:, None]
    ends = [opened & rows for rows in surface.ends(settings)]
    if not all(end.any() for end in ends):
        return [NOTHING] * len(levels), np.zeros((0, 2), dtype=int)
    best = [candidates(surface, end, 0.0)[0] for end in ends]
    value, path = Way.between(surface, opened, *best).barrier(0.0)
    if not len(path):
        return [NOTHING] * len(levels), path
    return [Bounds(value, *_path_interval(surface, opened, ends, confidence)) for confidence in levels], path


def _path_interval(
    surface: Surface, opened: np.ndarray, ends: Sequence[np.ndarray], confidence: float
) -> tuple[float, float]:
    """Interval of the barrier between the best bins of both `ends`, each bool[columns, rows]."""
    units, risk, drops = len(surface.noise), 1 - confidence, 2 * int(opened.sum())
    starts, goals = (candidates(surface, end, band(2 * drops, units, ASIDE * risk)) for end in ends)
    ways = [Way.between(surface, opened, *pair) for pair in product(starts, goals)]
    sure = band((len(starts) + len(goals)) * drops, units, ASIDE * risk)
    least, most = _limits(ways, sure, 0.0, np.inf)
    undecided = sum(way.undecided(sure, least, most) for way in ways)
    factor = min(sure, band(4 * undecided, units, (1 - ASIDE) * risk))
    return _limits(ways, factor, least, most)


@dataclass(frozen=True)
class Way:
    """The drops from two bins, the ends of a way, to all others, and their errors, [2, columns, rows]."""

    drops: np.ndarray
    error: np.ndarray
    opened: np.ndarray
    start: Bin
    goal: Bin

    @classmethod
    def between(cls, surface: Surface, opened: np.ndarray, start: Bin, goal: Bin) -> "Way":
        """Way over bins that are open (bool[columns, rows])."""
        drops = [surface.entropy[end] - surface.entropy for end in (start, goal)]
        noise = [surface.noise[:, *end][:, None, None] - surface.noise for end in (start, goal)]
        return cls(np.array(drops), np.array([errors(one) for one in noise]), opened, start, goal)

    def below(self, shift: float) -> np.ndarray:
        """How far S of each bin lies below the lower end if all drops are `shift` errors larger; [columns, rows]."""
        return np.asarray((self.drops + shift * self.error).min(axis=0))

    def barrier(self, shift: float, least: float = 0.0, most: float = np.inf) -> tuple[float, np.ndarray]:
        """How far S must fall below the lower end on the way, known to lie between two limits, and the best path.

        Infinite, with an empty path, where the ends do not hang together.
        """
        below = np.where(self.opened, np.clip(self.below(shift), least, most), np.inf)
        path = best_path(-below, self.start, self.goal)
        return (float(below[tuple(path.T)].max()) if len(path) else np.inf), path

    def undecided(self, shift: float, least: float, most: float) -> int:
        """Number of bins that neither surely can be crossed within the limits nor surely cannot."""
        return int((self.opened & (self.below(shift) > least) & (self.below(-shift) < most)).sum())


def _limits(ways: Sequence[Way], factor: float, least: float, most: float) -> tuple[float, float]:
    """Barriers of all ways as low and as high as so many errors of the drops allow."""
    low = min(way.barrier(-factor, least, most)[0] for way in ways)
    return low, max(way.barrier(factor, least, most)[0] for way in ways)


def candidates(surface: Surface, among: np.ndarray, factor: float) -> list[Bin]:
    """Bins that may truly have the largest S among some (bool[columns, rows]): first the one that seems to.

    Those whose S is at most `factor` errors lower; of neighbours, between which nothing lies, only the best.
    """
    height = np.where(among, surface.entropy, -np.inf)
    best = _best(height)
    noise = surface.noise[:, *best][:, None, None] - surface.noise
    near = among & (height[best] - height <= factor * errors(noise))
    parts, count = label(near)
    peaks = [_best(np.where(parts == part, height, -np.inf)) for part in range(1, count + 1)]
    return [best, *(peak for peak in peaks if peak != best)]


def best_path(height: np.ndarray, start: tuple[int, int], goal: tuple[int, int]) -> np.ndarray:
    """Bins [steps, (column, row)] from start to goal over neighbours whose lowest height is highest; none if apart.

    Bins of height -inf are closed.
    """
    number = np.arange(height.size).reshape(height.shape)
    one = np.concatenate([number[:-1].ravel(), number[:, :-1].ravel()])
    other = np.concatenate([number[1:].ravel(), number[:, 1:].ravel()])
    lower = np.minimum(height.ravel()[one], height.ravel()[other])
    opened = np.isfinite(lower)
    one, other, lower = one[opened], other[opened], lower[opened]
    cost = lower.max(initial=0.0) - lower + 1.0  # edges of cost 0 would be none
    tree = minimum_spanning_tree(coo_array((cost, (one, other)), shape=(height.size, height.size)))
    first, last = number[start], number[goal]
    _, before = breadth_first_order(tree, first, directed=False)
    path = [last]
    while path[-1] != first and before[path[-1]] >= 0:
        path.append(before[path[-1]])
    if path[-1] != first:
        return np.zeros((0, 2), dtype=int)
    return np.array(np.unravel_index(path[::-1], height.shape)).T


def table(landscape: xr.Dataset, grid: Grid, settings: Analysis, levels: Sequence[float]) -> pd.DataFrame:
    """A row each, with an interval, of largest_drop and path_barrier at low loss, of valley and jump in all columns.

    Columns quantity, metric, value, error, units, dof, low, high, lower, upper, columns. low and high are the ends of
    the interval at the first of the levels of confidence, the lowest, low_2 and high_2 those at the second, and so on;
    error stands for (high - value) / Student's t, for reading; lower and upper are the edges in ln L of the columns
    used.
    """
    surface = Surface.of(landscape)
    region = (grid.x_centres > settings.low_loss[0]) & (grid.x_centres < settings.low_loss[1])
    everywhere = np.asarray(surface.known.any(axis=1))
    profiles = [surface.profile(int(column)) for column in np.nonzero(everywhere)[0]]
    rises = [rise for column in np.nonzero(region)[0] if (rise := surface.rise(int(column), settings)) is not None]
    climbed = np.isin(np.arange(grid.columns), [rise.column for rise in rises])
    metric, curve, left_out = equilibrium_of(landscape)
    name = Metric.of(landscape).judged
    path, along = path_barrier(surface, region, settings, levels)
    crossed = np.isin(np.arange(grid.columns), along[:, 0])
    jumped = jump(curve, left_out, half_step(grid), levels)
    rows = [
        _row("largest_drop", name, largest_drop(rises, levels), climbed, landscape, grid, levels[0]),
        _row("path_barrier", name, path, crossed, landscape, grid, levels[0]),
        _row("valley", name, valley(profiles, surface.accuracy, levels), everywhere, landscape, grid, levels[0]),
        _row("jump", metric, jumped, np.isfinite(curve), landscape, grid, levels[0]),
    ]
    return pd.DataFrame(rows)


def by_column(landscape: xr.Dataset, grid: Grid, settings: Analysis) -> pd.DataFrame:
    """largest_drop, valley and jump of each column alone: columns quantity, ln_train_loss, value, low, high."""
    surface = Surface.of(landscape)
    _, curve, left_out = equilibrium_of(landscape)
    return pd.DataFrame(
        [
            (quantity, grid.x_centres[column], *found)
            for column in range(grid.columns)
            for quantity, found in _of_column(surface, column, settings)
        ]
        + [
            ("jump", grid.x_centres[column], *found)
            for column, found in _jump_of_columns(curve, left_out, half_step(grid), settings.confidence)
        ],
        columns=["quantity", "ln_train_loss", "value", "low", "high"],
    )


def equilibrium_of(landscape: xr.Dataset) -> tuple[str, np.ndarray, np.ndarray]:
    """Metric that claims are about, its equilibrium curve [columns], and the curves without one unit."""
    metric = Metric.of(landscape)
    whole, left_out = maps(landscape)
    y = landscape[metric.name].to_numpy()

    def curve(one: np.ndarray) -> np.ndarray:
        return curves.equilibrium(one[0], one[1] if len(one) > 1 else y)

    with np.errstate(invalid="ignore", divide="ignore"):
        lines = np.array([curve(one) for one in left_out]).reshape(len(left_out), len(whole[0]))
        return (ACCURACY if len(whole) > 1 else metric.name), curve(whole), lines


def half_step(grid: Grid) -> int:
    """Columns in half the distance over which a curve may jump."""
    return max(1, round(STEP / grid.bin_width))


def _of_column(surface: Surface, column: int, settings: Analysis) -> Iterator[tuple[str, Bounds]]:
    rise = surface.rise(column, settings)
    if rise is not None:
        yield "largest_drop", largest_drop([rise], [settings.confidence])[0]
    (found,) = valley([surface.profile(column)], surface.accuracy, [settings.confidence])
    if np.isfinite(found.value):
        yield "valley", found


def _jump_of_columns(
    curve: np.ndarray, left_out: np.ndarray, columns: int, confidence: float
) -> Iterator[tuple[int, Bounds]]:
    """A signed jump at each column, with an interval as for a single number."""
    found, noise = jumps(curve, left_out, columns)
    sigma = errors(noise)
    if len(left_out) < FEWEST_UNITS:
        return
    factor = stdtrit(len(left_out) - 1, 0.5 + confidence / 2)
    for column in np.nonzero(np.isfinite(found) & np.isfinite(sigma))[0]:
        half = factor * sigma[column]
        yield int(column), Bounds(float(found[column]), float(found[column] - half), float(found[column] + half))


def _valley(drops: np.ndarray, accuracy: np.ndarray) -> float:
    """Depth of the deepest valley, given D[i, m] and the accuracy of the rows; at least 0."""
    rows = len(accuracy)
    below = np.tri(rows, dtype=bool).T  # i <= m
    right = np.where(below.T, drops, -np.inf)  # from a maximum at higher accuracy, [j, m]
    best = np.maximum.accumulate(right[::-1], axis=0)[::-1]  # from any beyond j
    partner = np.searchsorted(accuracy, accuracy + APART - 1e-12)
    exists = partner < rows
    depth = np.minimum(drops[exists], best[partner[exists]])
    return max(0.0, float(np.where(below[exists], depth, -np.inf).max(initial=0.0)))


def _best(height: np.ndarray) -> Bin:
    column, row = np.unravel_index(height.argmax(), height.shape)
    return int(column), int(row)


def _row(
    quantity: str,
    metric: str,
    levels: Sequence[Bounds],
    used: np.ndarray,
    landscape: xr.Dataset,
    grid: Grid,
    confidence: float,
) -> dict:
    units, found = landscape.sizes["unit"], levels[0]
    used = used if np.isfinite(found.value) else np.zeros_like(used)
    edges = grid.x_edges
    lower, upper = (edges[:-1][used].min(), edges[1:][used].max()) if used.any() else (np.nan, np.nan)
    return {
        "quantity": quantity,
        "metric": metric,
        "baseline": "",
        "value": found.value,
        "error": (found.high - found.value) / stdtrit(max(units - 1, 1), 0.5 + confidence / 2),
        "units": units,
        "dof": float(units - 1),
        **families.columns(levels),
        "lower": np.round(lower, 9),
        "upper": np.round(upper, 9),
        "columns": int(used.sum()),
    }
