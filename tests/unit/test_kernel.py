"""The moves of one walker: what is recomputed, what is counted, what is raised, where it may go."""

import numpy as np
import pytest
import torch
from spiral_task import DATA
from walkers import GRID, box_states, build

from entroscape.data.dataset import TaskData
from entroscape.grid import Grid
from entroscape.models.mlp import mlp_layout, mlp_logits
from entroscape.observables import correct, ln_loss
from entroscape.sampling.compiled import njit
from entroscape.sampling.kernel import (
    OUTSIDE,
    accept,
    effective_entropy,
    locate,
    measure,
    measure_proposal,
    open_bin,
    propose,
    reject,
    run_walkers,
)

# depths 1 to 4, widths of every remainder by 4, one hidden unit, no hidden layer, up to five classes
SHAPES = [
    [2, 2],
    [2, 1, 2],
    [2, 3, 2],
    [2, 4, 4, 2],
    [2, 6, 6, 6, 2],
    [2, 5, 7, 3, 2, 2],
    [3, 5, 3],
    [1, 2, 9, 4],
    [4, 1, 1, 5],
]
FINE = Grid(x_min=-40.0, bin_width=1e-9, columns=10**11, rows=1)  # its columns are ln L to nine digits


def task(sizes, points=23, seed=0) -> TaskData:
    """Random points; as many as no vector register divides."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(2, points, sizes[0]))
    y = random.integers(0, sizes[-1], (2, points))
    return TaskData(x[0], y[0], x[1], y[1], sizes[-1], {})


def parameters(sizes) -> int:
    return mlp_layout(sizes).size


@njit
def wander(system, generator, moves, sigma, done):
    """Accept and reject at random, whatever the loss; `done` counts accepted, rejected, and moves out of the box."""
    for _ in range(moves):
        if propose(system, sigma, generator) == OUTSIDE:
            reject(system)
            done[2] += 1
            continue
        if generator.random() < 0.7:  # a move may be rejected before its test points are looked at, or after
            measure_proposal(system)
            if generator.random() < 0.8:
                accept(system)
                done[0] += 1
                continue
        reject(system)
        done[1] += 1


@njit
def present(system, bins):
    bins[0, 0], bins[0, 1] = measure(system)


def layers(system) -> list[np.ndarray]:
    """Present values of every layer behind the inputs, before and after the ReLU, for train and test points."""
    values = []
    for layer in range(1, len(system.sizes)):
        units = slice(system.units[layer], system.units[layer] + system.sizes[layer])
        values += [system.train_pre[system.front[layer], units], system.test_pre[system.front[layer], units]]
        if layer < len(system.sizes) - 1:
            values += [system.train_act[system.front[layer], units], system.test_act[system.front[layer], units]]
    return values


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_what_moves_leave_unchanged_stays_right(sizes):
    data = task(sizes)
    half_width = np.linspace(0.5, 2.0, parameters(sizes))
    moved, fresh = (build(FINE, sizes, half_width, data) for _ in range(2))
    bins, again, done = np.empty((1, 2), np.int64), np.empty((1, 2), np.int64), np.zeros(3, np.int64)
    locate(moved, np.random.default_rng(1).uniform(-half_width, half_width, (1, len(half_width))), bins)
    generator = np.random.default_rng(2)
    for _ in range(20):
        wander(moved, generator, 250, 0.7, done)
        assert (np.abs(moved.coordinates) <= half_width).all()
        present(moved, bins)
        locate(fresh, moved.coordinates[None], again)
        for incremental, whole in zip(layers(moved), layers(fresh), strict=True):
            np.testing.assert_allclose(incremental, whole, rtol=0, atol=1e-10)
        np.testing.assert_allclose(bins, again, atol=2)  # 2e-9 in ln L
        assert bins[0, 1] == again[0, 1]
    assert done.sum() == 5000 and (done > 200).all()


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("half_width", [0.5, 3.0])
def test_coordinates_are_those_of_the_observables(sizes, half_width):
    data, layout = task(sizes, seed=5), mlp_layout(sizes)
    states = box_states(300, half_width, parameters=layout.size)
    bins = np.empty((len(states), 2), dtype=np.int64)
    locate(build(FINE, sizes, half_width, data), states, bins)
    theta = torch.as_tensor(states)
    x, y = (torch.as_tensor(points) for points in (data.x_train, data.y_train))
    expected = ln_loss(mlp_logits(theta, x, layout), y).numpy()
    np.testing.assert_allclose(FINE.x_min + bins[:, 0] * FINE.bin_width, expected, rtol=0, atol=3e-9)
    x, y = (torch.as_tensor(points) for points in (data.x_test, data.y_test))
    np.testing.assert_array_equal(bins[:, 1], correct(mlp_logits(theta, x, layout), y).numpy())
    assert len(np.unique(bins[:, 1])) > 2


@pytest.mark.parametrize("classes", [2, 3])
def test_margins_of_a_thousand(classes):
    """exp(1000) overflows; the loss is then the margin of the wrong points, or nothing measurable."""
    x = np.array([[1.0], [-1.0]])
    data = TaskData(x, np.array([1, 0]), x, np.array([1, 0]), classes, {})
    system = build(Grid(x_min=0.0, bin_width=1e-6, columns=10**8, rows=3), [1, classes], 2000.0, data)
    weights = np.zeros((3, system.coordinates.size))
    weights[0, 1] = -1000.0  # both points wrong by 1000
    weights[1, [1, -classes]] = 1000.0, 900.0  # the second right by 100, the first by 100 as well
    weights[2, [1, -classes]] = 1000.0, 1500.0  # the first point wrong by 500, the second right by 2500
    weights[:, classes + 2 :] = -1900.0  # a third class takes no part
    bins = np.empty((3, 2), dtype=np.int64)
    locate(system, weights, bins)
    assert bins[0, 0] * 1e-6 == pytest.approx(np.log(1000), abs=2e-6)
    assert bins[1, 0] == OUTSIDE
    assert bins[2, 0] * 1e-6 == pytest.approx(np.log(500 / 2), abs=2e-6)
    assert bins[:, 1].tolist() == [0, 2, 1]


def test_a_thousand_points_do_not_overflow():
    """The logarithms are taken of products of factors up to 2, a product of all of them would be infinite."""
    data = task([1, 2], points=1600)
    system = build(FINE, [1, 2], 1.0, data)
    bins = np.empty((1, 2), dtype=np.int64)
    locate(system, np.zeros((1, 4)), bins)
    assert FINE.x_min + bins[0, 0] * FINE.bin_width == pytest.approx(np.log(np.log(2)), abs=3e-9)


def test_a_tie_is_wrong():
    data = task([2, 3], seed=1)
    system = build(FINE, [2, 3], 2.0, data)
    biases = [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    bins = np.empty((4, 2), dtype=np.int64)
    locate(system, np.hstack([np.zeros((4, 6)), biases]), bins)
    assert bins[:, 1].tolist() == [0, 0, (data.y_test == 0).sum(), 0]


class Run:
    """One slice of walkers on a map, with everything it left behind."""

    def __init__(self, *, moves=2000, sigma=0.3, factor=0.01, depth=8.0, window=(5, 14), walkers=3, half_width=1.0):
        self.system, self.window, self.depth = build(half_width=half_width), window, depth
        self.entropy = np.full((GRID.columns, GRID.rows), -np.inf)
        self.ceiling = np.full(GRID.columns, -np.inf)
        states = box_states(half_width=np.minimum(half_width, 1.0))
        bins = np.empty((len(states), 2), dtype=np.int64)
        locate(self.system, states, bins)
        inside = (bins[:, 0] >= window[0]) & (bins[:, 0] < window[1])
        self.walkers = states[inside][:walkers].copy()
        self.generator = np.random.default_rng(11)
        self.slice(moves, sigma, factor)

    def slice(self, moves=2000, sigma=0.3, factor=0.01):
        walkers = len(self.walkers)
        self.histograms = np.zeros((walkers, GRID.columns, GRID.rows), dtype=np.int64)
        self.report = np.zeros((walkers, 5), dtype=np.int64)
        run_walkers(
            self.system,
            self.generator,
            self.walkers,
            self.entropy,
            self.ceiling,
            self.histograms,
            self.window,
            moves,
            sigma,
            factor,
            self.depth,
            self.report,
        )
        return self

    def places(self) -> np.ndarray:
        bins = np.empty((len(self.walkers), 2), dtype=np.int64)
        locate(self.system, self.walkers, bins)
        return bins


def test_every_move_is_counted_inside_the_window_only():
    run = Run()
    np.testing.assert_array_equal(run.histograms.sum(axis=(1, 2)), 2000)
    columns = np.flatnonzero(run.histograms.sum(axis=(0, 2)))
    assert columns.min() == 5 and columns.max() < 14
    np.testing.assert_array_equal(np.isfinite(run.entropy), run.histograms.sum(axis=0) > 0)
    assert (run.report[:, 0] > 100).all() and (run.report[:, 0] < 1900).all()


def test_report_tells_where_each_walker_is_and_has_been():
    run = Run()
    np.testing.assert_array_equal(run.report[:, 1:3], run.places())
    for histogram, report in zip(run.histograms, run.report, strict=True):
        columns = np.flatnonzero(histogram.sum(axis=1))
        assert (report[3], report[4]) == (columns.min(), columns.max())


def test_no_walker_leaves_the_box_or_moves_what_is_fixed():
    half_width = np.linspace(0.3, 1.0, 22)
    run = Run(moves=20_000, sigma=0.8, half_width=half_width)
    assert (np.abs(run.walkers) <= half_width).all()
    assert (np.abs(run.walkers) > 0.8 * half_width).any()  # they do come close to the walls
    run.system = run.system._replace(movable=np.array([0, 21]))
    before = run.walkers.copy()
    run.slice()
    np.testing.assert_array_equal(run.walkers[:, 1:21], before[:, 1:21])
    assert (run.walkers[:, [0, 21]] != before[:, [0, 21]]).all()


def test_moves_out_of_the_box_count_the_present_bin_and_raise_it():
    run = Run(moves=0)
    before = run.walkers.copy()
    places = run.places()
    run.slice(moves=700, sigma=1e12, factor=0.125)
    np.testing.assert_array_equal(run.walkers, before)
    np.testing.assert_array_equal(run.report[:, 0], 0)
    for histogram, place in zip(run.histograms, places, strict=True):
        assert histogram[tuple(place)] == histogram.sum() == 700
    first = run.entropy[tuple(places[0])]
    if (places == places[0]).all(axis=1).sum() == 1:
        assert first == 700 * 0.125


def test_moves_out_of_the_window_count_the_present_bin():
    """A window of one column that is left by most moves: nothing is lost, nothing counted elsewhere."""
    run = Run(window=(9, 10), sigma=2.0)
    assert run.histograms[:, 9].sum() == run.histograms.sum() == 3 * 2000
    assert run.report[:, 0].sum() < 3000


def test_frozen_map_stays_as_it_is_and_closes_columns_without_an_entropy():
    run = Run(moves=3000)
    column = 7
    assert np.isfinite(run.ceiling[column])
    run.walkers = run.walkers[run.places()[:, 0] > column]  # the others would start where they may not be
    run.entropy[: column + 1], run.ceiling[: column + 1] = -np.inf, -np.inf
    entropy, ceiling = run.entropy.copy(), run.ceiling.copy()
    run.slice(moves=20_000, factor=0.0)
    np.testing.assert_array_equal(run.entropy, entropy)
    np.testing.assert_array_equal(run.ceiling, ceiling)
    assert run.histograms[:, : column + 1].sum() == 0
    assert run.histograms[:, column + 1 :].sum() == 20_000 * len(run.walkers) > 0


def test_frozen_map_without_a_floor_closes_every_bin_without_an_entropy():
    run = Run(moves=3000, depth=np.inf)
    closed = ~np.isfinite(run.entropy)
    run.slice(moves=20_000, factor=0.0)
    assert run.histograms[:, closed].sum() == 0


def test_equal_generators_give_equal_bits():
    one, two = Run(), Run()
    for name in ("walkers", "entropy", "ceiling", "histograms", "report"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_ceiling_is_the_best_of_each_column():
    run = Run()
    np.testing.assert_array_equal(run.ceiling, run.entropy.max(axis=1))


def test_entropy_counts_for_no_less_than_the_floor_of_its_column():
    entropy = np.array([[1.0, 9.0, -np.inf], [-np.inf, -np.inf, -np.inf]])
    ceiling = entropy.max(axis=1)
    assert effective_entropy(entropy, ceiling, 3.0, 0, 1) == 9.0
    assert effective_entropy(entropy, ceiling, 3.0, 0, 0) == 6.0
    assert effective_entropy(entropy, ceiling, 3.0, 0, 2) == 6.0
    assert effective_entropy(entropy, ceiling, 3.0, 1, 0) == -np.inf
    assert effective_entropy(entropy, ceiling, np.inf, 0, 0) == 1.0
    assert effective_entropy(entropy, ceiling, np.inf, 0, 2) == -np.inf


@pytest.mark.parametrize(
    ("depth", "column", "expected"),
    [
        (3.0, 0, 6.0),  # a known column: its floor
        (3.0, 2, 5.0),  # a new column: the lowest ceiling of the window
        (np.inf, 0, 1.0),  # without a floor: the lowest entropy of the window
        (np.inf, 2, 1.0),
    ],
)
def test_a_new_bin_opens_low(depth, column, expected):
    entropy = np.full((4, 3), -np.inf)
    entropy[0, :2], entropy[1, 0], entropy[3, 0] = (1.0, 9.0), 5.0, -50.0  # column 3 lies outside the window
    ceiling = entropy.max(axis=1)
    open_bin(entropy, ceiling, depth, 0, 3, column, 2)
    assert entropy[column, 2] == expected
    assert ceiling[column] == max(expected, [9.0, 5.0, -np.inf][column])


def test_the_first_bin_of_all_opens_at_zero():
    entropy, ceiling = np.full((2, 2), -np.inf), np.full(2, -np.inf)
    open_bin(entropy, ceiling, 3.0, 0, 2, 1, 1)
    assert entropy[1, 1] == ceiling[1] == 0.0 and np.isfinite(entropy).sum() == 1


def test_grid_bins_and_windows():
    assert GRID.window(-0.4, 0.5) == (5, 14)
    np.testing.assert_array_equal(GRID.column([-0.9001, -0.8999, 0.4999, 0.5001]), [-1, 0, 13, 14])
    np.testing.assert_allclose(GRID.x_centres[[0, -1]], [-0.85, 0.45])
    assert GRID.y_values[1] == 1 / len(DATA.y_test)
