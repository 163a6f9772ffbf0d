"""A sampler that is broken on purpose is caught: each line of a copy of the library is changed, and a test must fail.

The tests named pass with the library as it is; they are part of the other tiers.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from preloaded import preloaded
from project import ROOT, Edited

pytestmark = pytest.mark.mutation


class Mutation(NamedTuple):
    """In `module` (below src/entroscape) the text `line`, which is there once, becomes `broken`; `test` must fail."""

    module: str
    line: str
    broken: str
    test: str


KERNEL, INTEGRATORS, ROUND = (f"sampling/{name}.py" for name in ("kernel", "integrators", "dynamics/round"))
MUTATIONS = {
    "Monte Carlo: sign of the acceptance": Mutation(
        KERNEL,
        "gain = effective_entropy(entropy, ceiling, depth, column, row) - new",
        "gain = new - effective_entropy(entropy, ceiling, depth, column, row)",
        "exact/test_ising.py::test_number_of_states",
    ),
    "Monte Carlo: rejected moves not counted": Mutation(
        KERNEL,
        "            else:\n                reject(system)\n",
        "            else:\n                reject(system)\n                continue\n",
        "exact/test_ising.py::test_number_of_states",
    ),
    "Monte Carlo: moves out of the window not counted": Mutation(
        KERNEL,
        "        else:\n            reject(system)\n",
        "        else:\n            reject(system)\n            continue\n",
        "exact/test_ising.py::test_moves_out_of_the_window_count_the_present_bin_and_raise_it",
    ),
    "Monte Carlo: deposit doubled": Mutation(
        KERNEL,
        "effective_entropy(entropy, ceiling, depth, column, row) + factor",
        "effective_entropy(entropy, ceiling, depth, column, row) + 2 * factor",
        "exact/test_ising.py::test_moves_out_of_the_window_count_the_present_bin_and_raise_it",
    ),
    "Hamiltonian Monte Carlo: sign of the acceptance": Mutation(
        INTEGRATORS,
        "torch.nan_to_num((-gained).clamp(max=0)",
        "torch.nan_to_num(gained.clamp(max=0)",
        "unit/test_integrators.py::test_hmc_leaves_the_target_invariant_at_large_steps",
    ),
    "Hamiltonian Monte Carlo: every trajectory kept": Mutation(
        INTEGRATORS,
        "keep = uniform[:, 1] < probability",
        "keep = uniform[:, 1] < 2",
        "unit/test_integrators.py::test_hmc_leaves_the_target_invariant_at_large_steps",
    ),
    "Hamiltonian Monte Carlo: walkers do not turn round where a trajectory is dropped": Mutation(
        INTEGRATORS,
        "choose(keep, velocity, -start)",
        "choose(keep, velocity, start)",
        "unit/test_integrators.py::test_hmc_leaves_the_target_invariant_at_large_steps",
    ),
    "dynamics: sign of the force": Mutation(
        ROUND,
        "leaf, list(-slopes)",
        "leaf, list(slopes)",
        "unit/test_molecular_dynamics.py::test_the_force_is_minus_the_gradient_of_the_potential",
    ),
    "dynamics: deposit doubled": Mutation(
        ROUND,
        "problem.map.deposit(state.entropy, x, y, state.height)",
        "problem.map.deposit(state.entropy, x, y, 2 * state.height)",
        "unit/test_molecular_dynamics.py::test_each_deposit_adds_its_height_times_its_area",
    ),
    "dynamics: noise of the thermostat 1.1 times as large": Mutation(
        INTEGRATORS,
        "(1 - decay**2).sqrt() * fresh",
        "1.1 * (1 - decay**2).sqrt() * fresh",
        "unit/test_integrators.py::test_without_a_force_walkers_fill_the_box_evenly_at_the_temperature_of_the_bath",
    ),
    "dynamics, published step: noise of the thermostat 1.1 times as large": Mutation(
        INTEGRATORS,
        "noise = (2 * thermostat.friction * step).sqrt()",
        "noise = 1.1 * (2 * thermostat.friction * step).sqrt()",
        "unit/test_integrators.py::test_first_order_in_a_harmonic_potential_comes_near_the_temperature_of_the_bath",
    ),
    "dynamics: sign of the weight of a visit": Mutation(
        ROUND,
        "(energy - middle).exp()",
        "(middle - energy).exp()",
        "unit/test_molecular_dynamics.py::test_weighted_visits_estimate_the_volume_of_bins_without_bias",
    ),
    "errors: those of a single walker": Mutation(
        "landscape/jackknife.py",
        "(units - 1) / units * (spread**2)",
        "(units - 1) * (spread**2)",
        "unit/test_jackknife.py::test_error_of_a_mean_is_the_textbook_standard_error",
    ),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """A folder with a copy of the library: one for all, so that what a mutation leaves alone is compiled once."""
    folder = tmp_path_factory.mktemp("src")
    shutil.copytree(ROOT / "src/entroscape", folder / "entroscape", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def environment(library) -> Iterator[dict[str, str]]:
    """Variables with which bash tests that library."""
    with preloaded() as variables:
        yield os.environ | variables | {"PYTHONPATH": str(library), "ENTROSCAPE_CACHE_DIR": str(library / "cache")}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_sampler_is_caught(name, library, environment):
    mutation = MUTATIONS[name]
    module = library / "entroscape" / mutation.module
    assert module.read_text().count(mutation.line) == 1, f"{mutation.module} has changed: say here what to break now"
    command = ["bash", "-c", f"pytest -x -q -p no:cacheprovider -p no:hypothesispytest tests/{mutation.test}"]
    with Edited(module, mutation.line, mutation.broken):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 1, "the broken library passes, or the test could not be run"
    assert "AssertionError" in done.stdout and " failed" in done.stdout
