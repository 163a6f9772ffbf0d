"""Molecular dynamics that goes wrong: what the user is told, and that nothing on disk is lost."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from dynamics import advance, observe, settings, start
from spiral_task import DATA

from entroscape.config.data import SpiralData
from entroscape.config.settings import PrepareSettings, SampleSettings
from entroscape.errors import FileError, SamplingError
from entroscape.files import read_dataset, write_dataset
from entroscape.sampling import checkpoint, molecular_dynamics
from entroscape.sampling.dynamics import checks
from entroscape.verbs import prepare, sample

PARAMETERS = 22  # of one hidden layer of four neurons between two inputs and two classes
Y = dict(kind="smoothed_accuracy", slope=5.0, axis=dict(min=0.0, max=1.0, bin_width=0.1))


def sample_settings(windows=((-0.7, 0.5),), **changes) -> SampleSettings:
    return SampleSettings(
        experiment="spiral",
        variant="width-4",
        network=dict(depth=1, width=4, box_factor=2.0),
        train_points=None,
        seed=0,
        observables=dict(ln_train_loss=dict(min=-0.9, max=0.5, bin_width=0.1), y=Y),
        procedure=settings(windows, **dict(time_step=dict(initial=0.02, acceptance=None), factor=0.005) | changes),
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    """Data and start states, as the jobs before leave them."""
    folder = tmp_path_factory.mktemp("inputs")
    prepare.run(
        PrepareSettings(experiment="spiral", data=SpiralData(**DATA.provenance["settings"])), output=folder / "data.nc"
    )
    states = np.random.default_rng(0).uniform(-1, 1, (300, PARAMETERS))
    write_dataset(xr.Dataset({"theta": (("state", "parameter"), states)}), folder / "seeds.nc")
    return dict(data=folder / "data.nc", seeds=folder / "seeds.nc")


def run(inputs: dict[str, Path], folder: Path, which: SampleSettings | None = None) -> None:
    sample.run(
        which or sample_settings(),
        replica=0,
        **inputs,
        output=folder / "output.nc",
        checkpoint_path=folder / "run.npz",
        threads=1,
    )


def refusal(error: type[Exception], *args) -> str:
    with pytest.raises(error) as caught:
        run(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_without_mistakes_leaves_its_result_and_no_checkpoint(inputs, tmp_path):
    run(inputs, tmp_path)
    assert read_dataset(tmp_path / "output.nc").attrs["procedure"] == "molecular_dynamics"
    assert [path.name for path in tmp_path.iterdir()] == ["output.nc"]


def test_the_result_says_from_what_kind_of_state_each_walker_started(inputs, tmp_path):
    run(inputs, tmp_path)
    assert set(read_dataset(tmp_path / "output.nc")["start_kind"].to_numpy().ravel()) == {"given"}
    made, of_kinds = read_dataset(inputs["seeds"]), tmp_path / "of_kinds" / "seeds.nc"
    kinds = np.array(["sgd", "cooled", "perturbed"])[np.arange(made.sizes["state"]) % 3]
    write_dataset(made.assign(start_kind=("state", kinds)), of_kinds)
    run(inputs | dict(seeds=of_kinds), tmp_path / "again")
    found = read_dataset(tmp_path / "again" / "output.nc")["start_kind"].to_numpy().ravel().tolist()
    assert set(found[:3]) == {"sgd", "cooled", "perturbed"} and found[0] == found[3]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["x_train", "x_test"])
def test_data_that_are_not_finite_are_named_with_their_file(inputs, tmp_path, name, value):
    data = read_dataset(inputs["data"])
    array = data[name].to_numpy().copy()
    array[3, 1] = array[5, 0] = value
    path = tmp_path / "wrong" / "data.nc"
    write_dataset(data.assign({name: (data[name].dims, array)}), path)
    sentence = refusal(FileError, inputs | dict(data=path), tmp_path)
    assert sentence == (
        f"{path} holds 2 values of {name} that are not finite: look at the source of the data, then delete the file "
        "and run `prepare` for spiral again"
    )
    assert not (tmp_path / "output.nc").exists()


def test_start_states_of_another_network_are_refused(inputs, tmp_path):
    write_dataset(xr.Dataset({"theta": (("state", "parameter"), np.zeros((5, 30)))}), tmp_path / "seeds.nc")
    sentence = refusal(FileError, inputs | dict(seeds=tmp_path / "seeds.nc"), tmp_path)
    assert "seeds.nc holds no states of a network of 22 parameters: delete it and run `train` for width-4" in sentence


def test_a_window_that_no_start_can_enter_is_named_with_what_to_do(inputs, tmp_path):
    sentence = refusal(SamplingError, inputs, tmp_path, sample_settings([(-0.6, 0.5), (-0.9, -0.5)]))
    assert sentence.startswith("no walker can enter the window ln L in [-0.9, -0.5]: the 300 start states have ln L in")
    assert "move or remove the window (sampler.main.windows), widen the axis (observables.y.axis)" in sentence
    assert sentence.endswith("or train longer (training.steps)")


def test_a_value_that_is_not_finite_in_the_walk_names_walker_quantity_and_remedy():
    def wrong(theta: torch.Tensor):
        at = observe(theta)
        return at._replace(y=torch.where(theta[:, 0] > 0.6, torch.nan, at.y))

    states = np.random.default_rng(0).uniform(-0.5, 0.5, (500, 7))
    problem, state = start(observe=wrong, states=states, walkers=3)
    with pytest.raises(SamplingError) as caught:
        advance(problem, state)
    walker = int((~torch.isfinite(state.coordinates[1])).nonzero()[0, 0])
    steps = (state.steps + 1) * 5
    assert steps > 5
    assert str(caught.value) == (
        f"walker {walker} of the window ln L in [-1, 1] has values of ln_train_loss and smoothed_accuracy that are not "
        f"finite after {steps} steps of 0.05: look for such values in the data, or use precision: float64 or a lower "
        "time_step.initial in the sampler's section"
    )


def test_a_coordinate_that_is_not_finite_at_the_last_step_is_named_by_itself():
    problem, state = start(walkers=3)
    advance(problem, state, 2)
    state.coordinates[1, 2] = torch.nan
    with pytest.raises(SamplingError, match=r"walker 2 of .* has values of smoothed_accuracy that are not finite"):
        checks.check_walkers(problem, state)


@pytest.mark.parametrize("broken", [0, 5])
def test_the_walker_that_is_named_is_the_one_that_went_wrong(broken):
    """Though its window would have exchanged it in the same round."""
    problem, state = start([(-0.5, 1.0), (-1.0, 0.5)], walkers=3)
    advance(problem, state, 2)
    state.velocity[broken] = 1e9
    with pytest.raises(SamplingError, match=rf"walker {broken % 3} of the window ln L in .*runs away") as caught:
        advance(problem, state, 1)
    assert ("[-0.5, 1]" if broken < 3 else "[-1, 0.5]") in str(caught.value)


@pytest.mark.parametrize("integrator", ["baoab", "first_order"])
def test_a_diverging_step_names_walker_temperature_and_remedy_and_leaves_the_checkpoint(
    inputs, tmp_path, monkeypatch, integrator
):
    """The step becomes huge after six rounds; by then a checkpoint has been written after each."""
    step, saved = molecular_dynamics.step, []

    def growing(problem, state, pool):
        if state.steps == 6:
            saved.append((tmp_path / "run.npz").read_bytes())
            state.time_step *= 1e4
            state.velocity *= 10
        return step(problem, state, pool)

    monkeypatch.setattr(molecular_dynamics, "step", growing)
    which = sample_settings(integrator=integrator, checkpoint_seconds=1e-9)
    sentence = refusal(SamplingError, inputs, tmp_path, which)
    assert sentence.startswith("walker ") and " of the window ln L in [-0.7, 0.5] runs away: " in sentence
    heat = float(sentence.split("kinetic temperature ")[1].split(" kT")[0])
    assert heat > 20 or not np.isfinite(heat)
    assert sentence.endswith("lower time_step.initial, or factor, in the sampler's section")
    assert not (tmp_path / "output.nc").exists()
    assert (tmp_path / "run.npz").read_bytes() == saved[0], "the checkpoint from before is still there"
    monkeypatch.undo()
    run(inputs, tmp_path, which)
    unbroken = tmp_path / "unbroken"
    run(inputs, unbroken, which)
    assert (tmp_path / "output.nc").read_bytes() == (unbroken / "output.nc").read_bytes()


def test_a_huge_configured_step_is_found_out_at_once(inputs, tmp_path):
    sentence = refusal(
        SamplingError, inputs, tmp_path, sample_settings(time_step=dict(initial=50.0, acceptance=None), factor=1.0)
    )
    assert "runs away: kinetic temperature" in sentence and "steps of 50; lower time_step.initial" in sentence


def test_a_window_without_a_visit_in_a_stage_is_named_when_the_stage_ends():
    problem, state = start([(-0.25, 1.0), (-1.0, 0.5)], time_step=dict(initial=1e-6, acceptance=None))

    def beyond(theta):  # the second window's walkers are above it, and too slow to come back
        at = observe(theta)
        return at._replace(x=torch.cat([at.x[:4], at.x[4:] + 2]))

    advance(problem, state, 7)
    problem = dataclasses.replace(problem, observe=beyond)
    state.visits.zero_()
    with pytest.raises(SamplingError) as caught:
        advance(problem, state, 2)
    assert "no walker was inside the window ln L in [-1, 0.5] at any step of the stage explore" in str(caught.value)
    assert state.steps == 8


def test_a_checkpoint_keeps_every_field_and_goes_on_as_the_original(tmp_path):
    problem, state = start([(-0.25, 1.0), (-1.0, 0.5)], precision="float32")
    advance(problem, state, 20)  # into production
    checkpoint.save(tmp_path / "run.npz", state, {"run": 1})
    loaded = checkpoint.load(tmp_path / "run.npz", molecular_dynamics.State, {"run": 1})
    advance(problem, state)
    advance(problem, loaded)
    assert loaded.steps == state.steps == problem.steps
    for name, value in vars(state).items():
        if isinstance(value, torch.Tensor):
            assert value.stride() == getattr(loaded, name).stride(), f"sums of {name} run in another order"
            assert value.dtype == getattr(loaded, name).dtype, name
            torch.testing.assert_close(getattr(loaded, name), value, rtol=0, atol=0, msg=name)
    assert torch.equal(loaded.generators[0].get_state(), state.generators[0].get_state())
