"""Low-loss regions and thresholds follow rules that look neither at test data nor at a verdict."""

import itertools
import math

import pytest

from entroscape.config.load import load_experiment, load_run
from entroscape.config.schema import Experiment

SCALES = ("smoke", "desktop", "paper")
NAMES = load_run().experiments
COMPARED = [name for name in NAMES if name.startswith("modular_")]  # claims compare them with each other
CLASSES = {"spirals": 2, "image_pair": 2, "digits": 10}


def asked(experiment: Experiment) -> list[tuple[float, float]]:
    """(lowest, highest) ln L that each map of an experiment which claims look at asks for."""
    sampler = experiment.sampler
    sections = [sampler.main, *([sampler.other_widths] if sampler.other_widths is not None else [])]
    return [(min(low for low, _ in s.windows), max(high for _, high in s.windows)) for s in sections]


def lower_half(experiments: list[Experiment]) -> tuple[float, float]:
    """The lower half of the range in ln L that all maps of some experiments ask for, in whole bins."""
    ranges = list(itertools.chain.from_iterable(asked(one) for one in experiments))
    lower, upper = max(low for low, _ in ranges), min(high for _, high in ranges)
    width = max(one.observables.ln_train_loss.bin_width for one in experiments)
    return lower, lower + math.ceil((upper - lower) / 2 / width - 1e-9) * width


def classes(experiment: Experiment) -> int:
    data = experiment.data
    return data.modulus if data.kind == "modular" else CLASSES[data.kind]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NAMES)
def test_low_loss_is_the_lower_half_of_what_the_compared_maps_ask_for(name, scale):
    group = COMPARED if name in COMPARED else [name]
    expected = lower_half([load_experiment(one, scale) for one in group])
    assert load_experiment(name, scale).analysis.low_loss == pytest.approx(expected)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NAMES)
def test_generalising_is_half_way_from_chance_and_memorising_less_than_a_quarter(name, scale):
    experiment = load_experiment(name, scale)
    analysis = experiment.analysis
    if experiment.observables.y.kind == "ln_test_loss":
        assert analysis.generalising == pytest.approx(round(math.log(0.5), 1)), "half of the variance is explained"
        return
    chance = 1 / classes(experiment)
    assert analysis.generalising == pytest.approx(math.ceil(50 * (1 + chance) - 1e-9) / 100)
    if analysis.memorising is not None:
        assert analysis.memorising == pytest.approx(math.floor(100 * (chance + (1 - chance) / 4) + 1e-9) / 100)
