"""The bias of integrators: a problem whose S is known, walkers under the exact map, and what is read off them."""

import numpy as np
import pytest
import torch

from entroscape.config.load import load_step_size
from entroscape.config.step_size import StepSizeStudy
from entroscape.errors import ConfigError, SamplingError
from entroscape.files import read_table
from entroscape.landscape.step_bias import bias
from entroscape.sampling.blocks import Blocks
from entroscape.sampling.exact_map import sample
from entroscape.verbs import step_size


def study(**changes) -> StepSizeStudy:
    values = dict(
        blocks=(12, 6),
        axis=dict(min=-2.0, max=-0.5, bin_width=0.5),
        walkers=128,
        duration=20.0,
        time_steps=[0.02, 0.1],
        friction=1.0,
        leapfrog_steps=5,
        jitter=0.2,
        confinement=4.0,
    )
    return StepSizeStudy(**(values | changes))


def test_volume_of_the_blocks_is_what_it_is_said_to_be():
    """Points uniform in the box, where it is small enough to be counted."""
    blocks = Blocks(3, 2)
    random = np.random.default_rng(1)
    at = blocks.observe(torch.from_numpy(random.uniform(-1, 1, (1_000_000, 5))))
    edges = np.arange(-2.0, 0.1, 0.5)
    counts = np.histogram2d(at.x.numpy(), at.y.numpy(), (edges, edges))[0]
    middles = (edges[1:] + edges[:-1]) / 2
    off = np.log(counts) - blocks.entropy(middles, middles)
    assert np.abs(off - off.mean()).max() < 5 / np.sqrt(counts.min())


def test_starts_are_uniform_in_both_coordinates():
    blocks = Blocks(7, 3)
    starts = torch.from_numpy(blocks.starts(4000, -2.0, -0.5, np.random.default_rng(2)))
    at = blocks.observe(starts)
    for values in at[:2]:
        assert values.min() >= -2 and values.max() < -0.5
        assert float(values.mean()) == pytest.approx(-1.25, abs=0.03)
    assert torch.isnan(at.accuracy).all()


def test_with_the_metropolis_test_no_bias_is_left_and_the_first_order_step_heats():
    exact, rough = (bias(*sample(study(), name, 0.06)) for name in ("hmc", "first_order"))
    assert abs(exact.kinetic_temperature - 1) < 4 * exact.kinetic_temperature_err
    assert exact.entropy_error < 2 * exact.entropy_noise
    assert rough.kinetic_temperature - 1 > 5 * rough.kinetic_temperature_err
    assert rough.entropy_error > 2 * rough.entropy_noise


def test_equal_calls_give_equal_numbers():
    short = study(duration=2.0, walkers=8)
    first, second = (sample(short, "baoab", 0.05) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_bias_of_visits_that_are_known():
    random = np.random.default_rng(3)
    expected = 1000 * np.array([[1.0, 1.0], [1.0, np.e]])
    visits = random.poisson(expected, (400, 2, 2)).astype(float)
    found = bias(visits, random.normal(1.1, 0.2, 400))
    off = np.array([0, 0, 0, 1.0])
    assert found.entropy_error == pytest.approx((off - off.mean()).std(), rel=0.02)
    assert found.kinetic_temperature == pytest.approx(1.1, abs=4 * found.kinetic_temperature_err)
    assert found.kinetic_temperature_err == pytest.approx(0.01, rel=0.2)
    assert found.entropy_noise == pytest.approx(1 / np.sqrt(400_000) * np.sqrt(3 / 4), rel=0.2)


def test_bin_that_nobody_visited_leaves_the_bias_unknown():
    visits = np.ones((5, 2, 2))
    visits[:, 0, 0] = 0
    found = bias(visits, np.ones(5))
    assert np.isnan(found.entropy_error) and found.kinetic_temperature == 1


def test_table_has_a_row_for_each_integrator_and_step_also_where_walkers_run_away(tmp_path, monkeypatch):
    def sampled(_study, integrator, time_step):
        if integrator == "first_order" and time_step > 0.05:
            raise SamplingError("walker 0 runs away")
        return np.ones((4, 2, 2)), np.linspace(0.9, 1.1, 4)

    monkeypatch.setattr(step_size, "sample", sampled)
    step_size.run(study(), output=tmp_path / "table.parquet")
    table = read_table(tmp_path / "table.parquet")
    assert list(table["integrator"]) == ["first_order"] * 2 + ["baoab"] * 2 + ["hmc"] * 2
    assert list(table["time_step"]) == [0.02, 0.1] * 3
    assert table["kinetic_temperature"].isna().tolist() == [False, True, False, False, False, False]
    assert "settings" in table.attrs


def test_axis_must_stay_inside_the_box_and_a_scale_may_change_parts():
    with pytest.raises(ValueError, match=r"axis\.max must be at most 0"):
        study(axis=dict(min=-1.0, max=0.5, bin_width=0.5))
    with pytest.raises(ValueError, match="time_steps must differ"):
        study(time_steps=[0.1, 0.1])
    assert load_step_size("smoke").duration < load_step_size("desktop").duration == load_step_size("paper").duration


def test_unknown_key_of_a_scale_is_named(tmp_path):
    (tmp_path / "scales").mkdir()
    (tmp_path / "scales/smoke.yaml").write_text("title: smoke\nexperiments: {}\nstep_size:\n  walker: 3\n")
    values = "walkers: 256\n" + "".join(
        f"{key}: {value}\n"
        for key, value in study().model_dump(mode="json").items()
        if key not in ("walkers", "axis", "blocks")
    )
    axis = "axis: {min: -2.0, max: -0.5, bin_width: 0.5}\nblocks: [4, 2]\n"
    (tmp_path / "step_size.yaml").write_text(values + axis)
    with pytest.raises(ConfigError, match=r"smoke\.yaml: step_size\.walker is not a known key"):
        load_step_size("smoke", tmp_path)
