"""Reading, merging and checking the configuration, and what each verb sees of it."""

import copy
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from entroscape.config.document import read_document
from entroscape.config.load import load_experiment, load_run, load_scale, merge, unknown_keys
from entroscape.config.schema import Experiment
from entroscape.config.settings import (
    AnalyseSettings,
    MergeSettings,
    PrepareSettings,
    SampleSettings,
    SearchSettings,
    TrainSettings,
    settings_for,
    settings_json,
    trained_variants,
    variants,
)
from entroscape.errors import ConfigError

CONFIG = Path(__file__).parents[2] / "config"
SCALES = ("smoke", "desktop", "paper")
DELETE = object()


@pytest.fixture
def config(tmp_path) -> Path:
    """A copy of the shipped configuration, to break."""
    return Path(shutil.copytree(CONFIG, tmp_path / "config"))


def change(path: Path, *keys: str | int, value: object) -> None:
    """Set or delete one value in a YAML file."""
    document = yaml.safe_load(path.read_text())
    place = document
    for key in keys[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    if value is DELETE:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_text(yaml.safe_dump(document))


def message_of(function, *arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message and "Value error" not in message and "Input should" not in message
    return message


# --- what is shipped -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_shipped_configuration_is_valid(scale):
    assert load_scale(scale, CONFIG).title == scale
    assert load_experiment("spiral", scale, CONFIG).model.reference_width == 6
    for path in (CONFIG / "experiments").glob("*.yaml"):
        assert load_experiment(path.stem, scale, CONFIG).title
    assert load_run(CONFIG).scale == "desktop"


def test_smoke_says_so_across_its_figures_and_the_others_do_not():
    assert [load_scale(scale, CONFIG).watermark for scale in SCALES] == ["SMOKE", None, None]


def test_experiment_file_is_the_paper_scale():
    description = load_experiment("spiral", "paper", CONFIG)
    assert description == Experiment.model_validate(yaml.safe_load((CONFIG / "experiments/spiral.yaml").read_text()))
    assert description.training.runs == 1000
    assert description.sampler.published.moves_per_cycle == 100_000
    assert (description.data.radius_min, description.data.radius_max, description.data.noise) == (1, 5, 0.1)


@pytest.mark.parametrize("path", sorted(CONFIG.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_value_is_marked_with_its_origin(path):
    origin = re.compile(r"#.*\[(paper|code|ours)\]")
    unmarked = [
        line
        for line in path.read_text().splitlines()
        if re.match(r"\s*(\w+: +[^#\s]|- )", line) and not origin.search(line)
    ]
    assert unmarked == []


# --- merging ---------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.lists(st.integers(), max_size=2))
TREES = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3),
    lambda below: st.dictionaries(KEYS, st.one_of(LEAVES, below), max_size=3),
    max_leaves=8,
)


def leaves(tree: dict, above: tuple = ()) -> dict[tuple, object]:
    """Dotted path -> value of everything that is no group with keys in it."""
    found = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found |= leaves(value, (*above, key))
        else:
            found[(*above, key)] = value
    return found


@given(base=TREES, override=TREES)
def test_merging_takes_every_value_of_the_override_and_keeps_the_rest(base, override):
    merged = leaves(merge(base, override))
    new, old = leaves(override), leaves(base)
    for path, value in new.items():
        if value != {}:
            assert merged[path] == value
    for path, value in merged.items():
        touched = any(path[: len(other)] == other or other[: len(path)] == path for other in new)
        assert touched or old[path] == value
    for path in old:
        replaced = any(path[: len(other)] == other or other[: len(path)] == path for other in new)
        assert replaced or path in merged


@given(base=TREES, override=TREES)
def test_merging_changes_neither_input_and_twice_is_once(base, override):
    before = copy.deepcopy((base, override))
    merged = merge(base, override)
    assert (base, override) == before
    assert merge(merged, override) == merged
    assert merge(base, {}) == base and merge({}, override) == override


@given(base=TREES, override=TREES)
def test_without_unknown_keys_merging_adds_no_key_to_a_group_both_have(base, override):
    if not list(unknown_keys(base, override)):
        assert merge(base, override).keys() == base.keys()


def test_lists_are_replaced_and_groups_merged(config):
    change(config / "scales/smoke.yaml", "experiments", "spiral", "model", value={"widths": [6, 9]})
    description = load_experiment("spiral", "smoke", config)
    assert description.model.widths == [6, 9]
    assert description.model.depth == 3


def test_merging_shares_nothing_with_its_inputs():
    base, override = {"a": {"b": [1]}}, {"c": [2]}
    merged = merge(base, override)
    merged["a"]["b"].append(3)
    merged["c"].append(3)
    assert base == {"a": {"b": [1]}} and override == {"c": [2]}


# --- mistakes in the experiment --------------------------------------------------------------------------------

WRONG_VALUES = [
    # keys, value, what the sentence says about it
    ("data.noise", -0.1, "= -0.1 is not allowed; it must be a number at least 0 (standard deviation"),
    ("data.noise", "0.1", '= "0.1" is not allowed; it must be a number'),
    ("data.noise", True, "= true is not allowed; it must be a number"),
    ("data.noise", None, "= null is not allowed; it must be a number"),
    ("data.noise", float("inf"), "= Infinity is not allowed; it must be a"),
    ("data.noise", float("nan"), "= NaN is not allowed; it must be a"),
    ("data.noise", [0.1], "= [0.1] is not allowed; it must be a number"),
    (
        "data.kind",
        "spiral",
        '= "spiral" is not allowed; it must be "digits", "house_prices", "image_pair", "modular", "sentences" or '
        '"spirals"',
    ),
    ("data.radius_max", 0.5, "= 0.5 is not allowed; it must be larger than radius_min = 1"),
    ("data.seed", -1, "= -1 is not allowed; it must be a whole number at least 0"),
    ("data", 3, "= 3 is not allowed; it must be a group of keys (kind, train_points_per_class"),
    ("model.depth", 0, "= 0 is not allowed; it must be a whole number at least 1 (number of hidden layers)"),
    ("model.depth", "6", '= "6" is not allowed; it must be a whole number'),
    ("model.depth", True, "= true is not allowed; it must be a whole number"),
    ("model.depth", 3.0, "= 3.0 is not allowed; it must be a whole number at least 1, written without a point"),
    ("model.depth", 2.5, "= 2.5 is not allowed; it must be a whole number at least 1 (number"),
    ("model.widths", [], "= [] is not allowed; it must be a list with at least 1 of: a whole number at least 1"),
    ("model.widths", 6, "= 6 is not allowed; it must be a list"),
    ("model.widths", [6, 6], "= [6, 6] is not allowed; it must differ from each other"),
    ("model.widths[2]", 0, "= 0 is not allowed; it must be a whole number at least 1"),
    ("model.reference_width", 7, "= 7 is not allowed; it must be one of widths = [4, 6, 8, 12, 16]"),
    ("study", "grok", '= "grok" is not allowed; it must be "entropy_advantage" or "grokking"'),
    ("title", 5, "= 5 is not allowed; it must be a text"),
    ("training.momentum", 1.0, "= 1.0 is not allowed; it must be a number at least 0 and below 1"),
    ("training.record_every", 10**9, "= 1000000000 is not allowed; it must be at most steps = "),
    ("training.search.learning_rates[1]", 0, "= 0 is not allowed; it must be a number above 0"),
    ("training.search.batch_sizes", [41], "= [41] is not allowed; it must be at most the 40 train points"),
    ("observables.ln_train_loss.bin_width", 0.3, "= 0.3 is not allowed; it must divide max - min = 7 into a whole"),
    ("observables.ln_train_loss.max", -9.0, "= -9.0 is not allowed; it must be larger than min = -6"),
    ("sampler.main.windows[1]", [-2, -1, 0], "= [-2, -1, 0] is not allowed; it must be [a number, a number]"),
    ("sampler.main.windows[1]", [-2], "= [-2] is not allowed; it must be [a number, a number]"),
    ("sampler.main.windows[1][0]", "x", '= "x" is not allowed; it must be a number'),
    ("sampler.main.windows", [[1, -1]], "it must be [lower, upper] pairs with lower < upper, but [1, -1] is not"),
    ("sampler.main.windows", [[-1, 1], [-3, -2]], "it must run from high to low loss and overlap, but [-1.0, 1.0]"),
    ("sampler.main.windows", [[-1.02, 1]], "it must have edges that are bin edges of observables.ln_train_loss"),
    ("sampler.main.windows", [[-1, 2]], "(-6 to 1 in steps of 0.05), but 2 is not"),
    ("sampler.main.replicas", 1, "= 1 is not allowed; it must be a whole number at least 2"),
    ("sampler.main.moves.explore", 1e6, "= 1000000.0 is not allowed; it must be a whole number at least 1, written"),
    ("sampler.main.step_size.initial", 0.7, "= 0.7 is not allowed; it must be at most max = 0.5"),
    ("sampler.main.step_size.acceptance_low", 0.8, "= 0.8 is not allowed; it must be below acceptance_high = 0.7"),
    ("sampler.main.step_size.shrink", 1.0, "= 1.0 is not allowed; it must be a number above 0 and below 1"),
    ("sampler.published.procedure", "cycle", '= "cycle" is not allowed; it must be "cycles"'),
    ("analysis.low_loss", [-2.0, -3.0], "= [-2.0, -3.0] is not allowed; it must be a [lower, upper] pair"),
    ("analysis.low_loss", [-9.0, -3.0], "= [-9.0, -3.0] is not allowed; it must lie within observables"),
    (
        "analysis.low_loss",
        [-3.03, -2.0],
        "= [-3.03, -2.0] is not allowed; it must have edges that are bin edges of",
    ),
]


def keys_of(dotted: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", dotted)]


@pytest.mark.parametrize(("key", "value", "text"), WRONG_VALUES)
def test_wrong_value_names_file_key_value_and_what_is_allowed(config, key, value, text):
    path = config / "experiments/spiral.yaml"
    change(path, *keys_of(key), value=value)
    message = message_of(load_experiment, "spiral", "paper", config)
    assert message.startswith(f"{path}: {key} = ")
    assert text in message


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("data.nois", "known keys are kind, train_points_per_class,"),
        ("nodel", "known keys are study, title, data, model,"),
        ("sampler.main.moves.explor", "known keys are explore, refine, production; did you mean explore?"),
        ("sampler.main.step_size.zzz", "known keys are initial, max, grow, shrink, acceptance_low, acceptance_high"),
        ("observables.ln_train_los", "known keys are ln_train_loss, y; did you mean ln_train_loss?"),
    ],
)
def test_unknown_key_lists_the_known_ones(config, key, text):
    path = config / "experiments/spiral.yaml"
    change(path, *key.split("."), value=1)
    message = message_of(load_experiment, "spiral", "paper", config)
    assert message.startswith(f"{path}: {key} is not a known key; ")
    assert text in message
    assert ("did you mean" in message) == ("zzz" not in key)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("model.depth", "it must be a whole number at least 1 (number of hidden layers)"),
        ("sampler.main.windows", "it must be a list with at least 1 of: [a number, a number]"),
        ("data.kind", 'it must be "digits", "house_prices", "image_pair", "modular", "sentences" or "spirals"'),
        ("observables", "it must be a group of keys (ln_train_loss, y)"),
    ],
)
def test_missing_key_says_what_it_must_be(config, key, text):
    path = config / "experiments/spiral.yaml"
    change(path, *key.split("."), value=DELETE)
    assert message_of(load_experiment, "spiral", "smoke", config).startswith(f"{path}: {key} is missing; {text}")


def test_whole_numbers_do_for_numbers(config):
    change(config / "experiments/spiral.yaml", "data", "radius_max", value=6)
    assert load_experiment("spiral", "paper", config).data.radius_max == 6.0


def test_several_mistakes_are_counted(config):
    for key in ("noise", "radius_min", "seed"):
        change(config / "experiments/spiral.yaml", "data", key, value=-1)
    message = message_of(load_experiment, "spiral", "paper", config)
    assert "data.radius_min = -1 is not allowed" in message and message.endswith("(and 2 more)")


def test_long_values_are_shortened(config):
    change(config / "experiments/spiral.yaml", "model", "depth", value=list(range(1000)))
    message = message_of(load_experiment, "spiral", "paper", config)
    assert "model.depth = [0, 1, 2" in message and "... is not allowed" in message and len(message) < 400


# --- mistakes in a scale ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("model.depth", "x", '= "x" is not allowed; it must be a whole number'),
        ("model.widths[1]", 0, "= 0 is not allowed"),
        ("model.widths", [4, 8], "merged over"),
        ("model", 5, "= 5 is not allowed; it must be a group of keys"),
        ("data.noise", {"a": 1}, '= {"a": 1} is not allowed; it must be a number'),
        ("data.radius_max", 0.5, "= 0.5 is not allowed; it must be larger than radius_min = 1"),
        ("data.nose", 0.5, "is not a known key; known keys are kind, "),
        ("sampler.main.window", [[-1, 1]], "is not a known key; known keys are procedure, replicas"),
        ("dat", {"noise": 1}, "is not a known key; known keys are study, title, data"),
    ],
)
def test_mistake_of_a_scale_names_the_scale_file(config, key, value, text):
    path = config / "scales/smoke.yaml"
    change(path, "experiments", "spiral", *keys_of(key), value=value)
    message = message_of(load_experiment, "spiral", "smoke", config)
    assert message.startswith(str(path)) and text in message
    if "merged over" not in text:
        assert f"{path}: experiments.spiral.{key} " in message
    assert load_experiment("spiral", "paper", config)  # the experiment itself and other scales are not affected


def test_value_that_a_scale_makes_impossible_names_both_files(config):
    change(config / "scales/smoke.yaml", "experiments", "spiral", "data", value={"radius_min": 9.0})
    message = message_of(load_experiment, "spiral", "smoke", config)
    assert message == (
        f"{config}/scales/smoke.yaml, merged over {config}/experiments/spiral.yaml: "
        "data.radius_max = 5.0 is not allowed; it must be larger than radius_min = 9"
    )


def test_scale_cannot_add_what_the_experiment_does_not_say(config):
    change(config / "scales/smoke.yaml", "experiments", "spiral", "data", value={"a": 1, "b": {"c": 2}})
    assert message_of(load_experiment, "spiral", "smoke", config).endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("keys", "value", "text"),
    [
        (
            ["titel"],
            "x",
            "titel is not a known key; known keys are title, watermark, experiments, step_size, courses; did",
        ),
        (["title"], DELETE, "title is missing; it must be a text"),
        (["watermark"], 1, "watermark = 1 is not allowed; it must be a text or null"),
        (["experiments"], [], "experiments = [] is not allowed; it must be a group of keys"),
        (["experiments", "spiral"], 3, "experiments.spiral = 3 is not allowed; it must be a group of keys"),
        (
            ["experiments", "spirl"],
            {},
            "experiments.spirl is not a known key; known keys are cat_dog, house_prices, ",
        ),
    ],
)
def test_mistake_in_the_scale_itself(config, keys, value, text):
    change(config / "scales/smoke.yaml", *keys, value=value)
    assert message_of(load_scale, "smoke", config).startswith(f"{config / 'scales/smoke.yaml'}: {text}")


# --- mistakes in config.yaml and on the command line -----------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "value", "text"),
    [
        (
            ["scale"],
            "dekstop",
            'scale = "dekstop" is not allowed; it must be one of desktop, paper, smoke; did you mean',
        ),
        (["scale"], 1, "scale = 1 is not allowed; it must be a text"),
        (["device"], "gpu", 'device = "gpu" is not allowed; it must be "auto", "cpu" or "cuda"'),
        (["gpu_share"], "shard", 'gpu_share = "shard" is not allowed; it must be a text or null (part of a GPU'),
        (["experiments"], [], "experiments = [] is not allowed; it must be a list with at least 1 of: a text"),
        (["experiments"], "spiral", 'experiments = "spiral" is not allowed; it must be a list'),
        (
            ["experiments"],
            ["spiral", "x"],
            'experiments[1] = "x" is not allowed; it must be one of cat_dog, house_prices',
        ),
        (
            ["devise"],
            "cpu",
            "devise is not a known key; known keys are scale, device, job_minutes, gpu_share, gpu_model, experiments,"
            " courses; did you mean device?",
        ),
    ],
)
def test_mistake_in_the_run(config, keys, value, text):
    shipped = load_run(config)
    change(config / "config.yaml", *keys, value=value)
    assert message_of(load_run, config).startswith(f"{config / 'config.yaml'}: {text}")
    shutil.copy(CONFIG / "config.yaml", config / "config.yaml")
    message = message_of(load_run, config, {**shipped.model_dump(), keys[0]: value})
    assert message.startswith(f"the command line (--config): {text}")


@pytest.mark.parametrize(
    ("path", "steps", "least"),
    [
        (
            ("main",),
            8_000_000,
            "8,000,001 with the published schedule, whose plateau ends with exploring and must not end",
        ),
        (("main",), 7_000_000, "8,000,001"),
        (("main",), 900_000, "1,000,000"),
        (("other_widths",), 8_000_000, "8,000,001"),
    ],
)
def test_a_scale_that_ends_the_plateau_before_its_rise_or_offset_is_refused(config, path, steps, least):
    """Deposits would grow beyond the plateau and then become negative, or be divided by zero."""
    keys = ("experiments", "house_prices", "sampler", *path, "steps", "explore")
    change(config / "scales" / "paper.yaml", *keys, value=steps)
    message = message_of(load_experiment, "house_prices", "paper", config)
    assert f"paper.yaml: {'.'.join(keys)} = {steps} is not allowed; it must be at least {least}" in message


def test_command_line_wins_over_the_file(config):
    assert load_run(config, {"scale": "smoke"}).scale == "smoke"
    assert load_run(config, {}).scale == load_run(config, load_run(config).model_dump()).scale == "desktop"


# --- files that are no configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: [1,\nc: 2\n", "line 4: not valid configuration, did not find expected ',' or ']'"),
        ("a: 1\nb: [1,\nc: 2\n", "while parsing a flow sequence that begins on line 2"),
        ("a: 1\n\tb: 2\n", "line 2: not valid configuration"),
        ("a: 1\nb: 2\na: 3\n", "line 3: not valid configuration, the key a appears twice"),
        ("a:\n  b: 1\n  b: 2\n", "line 3: not valid configuration, the key b appears twice"),
        ("a:\n  - {c: 1, c: 2}\n", "line 2: not valid configuration, the key c appears twice"),
        ("4: 1\n", "line 1: not valid configuration, keys must be plain texts"),
        ("[a, b]: 1\n", "line 1: not valid configuration, keys must be plain texts"),
        ("a: !!python/object:os.system x\n", "line 1: not valid configuration, could not determine a constructor"),
        ("a: !!binary aGk=\n", "a value refers to itself or has a tag"),
        ("a: &x [*x]\n", "a value refers to itself or has a tag"),
        ("a: *nowhere\n", "line 1: not valid configuration, found undefined alias"),
        ("", "must be a group of `key: value` lines, but the file is empty"),
        ("# only a comment\n", "must be a group of `key: value` lines, but the file is empty"),
        ("- a\n- b\n", 'must be a group of `key: value` lines, but the file holds ["a", "b"]'),
        ("just text\n", 'must be a group of `key: value` lines, but the file holds "just text"'),
        ("a: 1\n---\nb: 2\n", "not valid"),
    ],
)
def test_file_that_is_no_configuration(tmp_path, text, complaint):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    message = message_of(read_document, path)
    assert message.startswith(str(path)) and complaint in message


@pytest.mark.parametrize(
    ("name", "function", "arguments"),
    [
        ("config.yaml", load_run, ()),
        ("scales/smoke.yaml", load_scale, ("smoke",)),
        ("experiments/spiral.yaml", load_experiment, ("spiral", "smoke")),
        ("scales/smoke.yaml", load_experiment, ("spiral", "smoke")),
    ],
)
def test_damage_is_reported_from_every_file(config, name, function, arguments):
    (config / name).write_text("scale: a\nscale: b\n")
    message = message_of(function, *arguments, config)
    assert message.startswith(f"{config / name}, line 2: ") and "scale appears twice" in message


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"a: 1\nb: \xff\n")
    assert "x.yaml, line 2: not UTF-8 text" in message_of(read_document, tmp_path / "x.yaml")


def test_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "x.yaml").mkdir()
    assert "x.yaml cannot be read (Is a directory)" in message_of(read_document, tmp_path / "x.yaml")


def test_missing_file_names_those_that_exist(config):
    message = message_of(load_experiment, "spirals", "smoke", config)
    assert "experiments/spirals.yaml does not exist" in message
    assert "experiments has cat_dog, " in message and message.endswith("did you mean spiral?")
    assert "scales has desktop, paper, smoke" in message_of(load_experiment, "spiral", "huge", config)
    assert "has no configuration files" in message_of(load_scale, "smoke", config / "nowhere")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), ("1.5e+3", 1500.0), ("-.5", -0.5), ("2.", 2.0), ("+3", 3), ("0", 0),
        ("100_000", 100_000), ("1_0.5", 10.5), ("010", "010"), ("0x10", "0x10"), ("1:30", "1:30"), ("on", "on"),
        ("no", "no"), ("True", "True"), ("true", True), ("false", False), ("null", None), ("~", None), ("", None),
        ("2024-01-01", "2024-01-01"), ("'6'", "6"), ("1e", "1e"), ("e5", "e5"), ("<<", "<<"),
        (".", "."), ("_1", "_1"),
    ],
)  # fmt: skip
def test_values_are_what_they_look_like(tmp_path, text, value):
    (tmp_path / "x.yaml").write_text(f"a: {text}\n")
    found = read_document(tmp_path / "x.yaml")["a"]
    assert found == value and type(found) is type(value)


# --- a shell in place of the box, and AdamW --------------------------------------------------------------------


@pytest.fixture
def on_shell(config) -> Path:
    """Configuration whose experiment mnist lives on a shell."""
    path = config / "experiments/mnist.yaml"
    for key, value in (("box_rule", DELETE), ("box_factor", DELETE), ("shell", {"norm": 30.0})):
        change(path, "model", key, value=value)
    return config


def test_a_shell_takes_the_place_of_the_box_in_all_verbs(on_shell):
    for verb in ("search", "train", "sample"):
        network = settings_for(verb, "mnist", "width-2", "paper", on_shell).network
        assert (network.box_rule, network.box_factor) == (None, None)
        assert (network.shell.norm, network.shell.motion) == (30.0, "geodesic")


@pytest.mark.parametrize(
    ("keys", "value", "text"),
    [
        (["model", "shell"], DELETE, "box_rule must be given, or shell in place of the box"),
        (["model", "shell"], {"norm": 0}, "model.shell.norm = 0 is not allowed"),
        (["model", "shell"], {"norm": 1, "motion": "x"}, 'must be "geodesic" or "rescaling"'),
        (["model", "box_factor"], 2, "it must be left out, or null, where shell is given"),
        (["sampler", "main", "masses"], "tensor", '= "tensor" is not allowed; it must be unit with model.shell'),
    ],
)
def test_what_a_shell_does_not_go_with(on_shell, keys, value, text):
    change(on_shell / "experiments/mnist.yaml", *keys, value=value)
    assert text in message_of(load_experiment, "mnist", "paper", on_shell)


def test_the_published_motion_goes_with_the_published_step_and_not_with_a_metropolis_test(on_shell):
    path = on_shell / "experiments/mnist.yaml"
    change(path, "model", "shell", "motion", value="rescaling")
    assert load_experiment("mnist", "paper", on_shell).model.shell.motion == "rescaling"
    change(path, "sampler", "main", "integrator", value="hmc")
    assert "it must be geodesic with the integrator hmc" in message_of(load_experiment, "mnist", "paper", on_shell)


def test_monte_carlo_knows_only_the_box(config):
    path = config / "experiments/spiral.yaml"
    for key, value in (("box_rule", DELETE), ("box_factor", DELETE), ("shell", {"norm": 30.0})):
        change(path, "model", key, value=value)
    assert "left out with sampler.kind wlmc, whose moves know" in message_of(load_experiment, "spiral", "paper", config)


def test_production_at_other_widths_holds_a_round(config):
    change(config / "experiments/house_prices.yaml", "sampler", "other_widths", "steps", "production", value=10)
    text = message_of(load_experiment, "house_prices", "paper", config)
    assert "other_widths.steps.production = 10 is not allowed; it must be at least main.steps_per_round = 1000" in text


def test_adamw_must_have_its_options(config):
    path = config / "experiments/spiral.yaml"
    change(path, "training", "optimizers", value=["adamw"])
    assert "adamw must be given, with weight_decay and betas" in message_of(load_experiment, "spiral", "paper", config)
    change(path, "training", "adamw", value={"weight_decay": 1.0, "betas": [0.9, 0.98]})
    for verb in ("search", "train"):
        assert settings(verb, config, scale="paper").adamw.betas == (0.9, 0.98)


# --- what verbs see --------------------------------------------------------------------------------------------

VERBS = {
    "prepare": PrepareSettings,
    "search": SearchSettings,
    "train": TrainSettings,
    "sample": SampleSettings,
    "merge": MergeSettings,
    "analyse": AnalyseSettings,
}


def settings(verb: str, config_dir: Path = CONFIG, variant: str = "width-6", scale: str = "desktop"):
    return settings_for(verb, "spiral", None if verb == "prepare" else variant, scale, config_dir)


def test_variants_are_the_widths_and_the_reference_width_by_other_samplers():
    description = load_experiment("spiral", "paper", CONFIG)
    found, sampler = variants(description), description.sampler
    widths = [f"width-{width}" for width in (4, 6, 8, 12, 16)]
    assert list(found) == [*widths, "width-6-published", "width-6-wlmd", "width-6-wlhmc"]
    assert [variant.width for variant in found.values()] == [4, 6, 8, 12, 16, 6, 6, 6]
    assert {found[name].procedure.procedure for name in widths} == {"replica_exchange"}
    assert found["width-6-published"].procedure == sampler.published
    assert found["width-6-wlmd"].procedure == sampler.compared.wlmd
    assert found["width-6-wlhmc"].procedure == sampler.compared.wlhmc
    assert found["width-6-wlmd"].observables.y == sampler.compared.y != found["width-6"].observables.y
    assert list(trained_variants(description)) == widths


def test_variants_of_molecular_dynamics_are_the_widths_and_the_train_set_sizes():
    description = load_experiment("mnist", "desktop", CONFIG)
    found, sampler = variants(description), description.sampler
    assert list(found) == ["width-2", "width-3", "width-4", "width-2-points-20", "width-2-points-40"]
    assert [variant.train_points for variant in found.values()] == [None, None, None, 20, 40]
    assert found["width-2"].procedure == sampler.main
    assert {tuple(found[name].procedure.windows) for name in list(found)[1:]} == {tuple(sampler.other_widths.windows)}
    assert list(trained_variants(description)) == list(found)


@pytest.mark.parametrize("verb", VERBS)
def test_settings_survive_json(verb):
    made = settings(verb)
    text = settings_json(made)
    assert type(made) is VERBS[verb]
    document = json.loads(text)
    if verb in {"sample", "merge"}:  # untracked on purpose
        procedure = (made if verb == "sample" else made.sample).procedure
        stored = (document if verb == "sample" else document["sample"])["procedure"]
        assert not {"replicas", "checkpoint_seconds"} & stored.keys()
        stored |= {"replicas": procedure.replicas, "checkpoint_seconds": procedure.checkpoint_seconds}
    assert VERBS[verb].model_validate_json(json.dumps(document)) == made
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_settings_carry_the_values_of_the_scale():
    description = load_experiment("spiral", "smoke", CONFIG)
    assert settings("prepare", scale="smoke").data == description.data
    assert settings("search", scale="smoke").search == description.training.search
    train = settings("train", scale="smoke")
    assert (train.runs, train.steps) == (description.training.runs, description.training.steps)
    assert (train.network.width, train.network.depth, train.network.box_factor) == (6, 3, 2.0)
    assert settings("sample", scale="smoke").procedure == description.sampler.main
    assert settings("sample", variant="width-6-published", scale="smoke").procedure == description.sampler.published
    assert settings("analyse", scale="smoke").analysis == description.analysis


USED = {
    "data.noise": (0.2, {"prepare"}),
    "model.box_factor": (3.0, {"search", "train", "sample", "merge"}),
    "model.widths": ([6], set()),
    "training.momentum": (0.5, {"search", "train"}),
    "training.search.runs": (7, {"search"}),
    "training.runs": (77, {"train"}),
    "observables.ln_train_loss.min": (-7.0, {"train", "sample", "merge", "analyse"}),
    "sampler.main.moves.refine": (777, {"sample", "merge"}),
    "sampler.main.replicas": (9, set()),  # more of them leave those there are as they are
    "sampler.main.checkpoint_seconds": (7, set()),
    "sampler.published.cycles": (7, set()),
    "analysis.confidence": (0.9, {"analyse"}),
    "title": ("Other", set()),
}


@pytest.mark.parametrize("key", USED)
def test_a_key_changes_the_settings_of_those_that_use_it_only(config, key):
    value, users = USED[key]
    before = {verb: settings_json(settings(verb, config, scale="paper")) for verb in VERBS}
    change(config / "experiments/spiral.yaml", *key.split("."), value=value)
    after = {verb: settings_json(settings(verb, config, scale="paper")) for verb in VERBS}
    assert {verb for verb in VERBS if before[verb] != after[verb]} == users


def test_settings_do_not_depend_on_how_numbers_and_keys_are_written(config):
    path = config / "experiments/spiral.yaml"
    before = [settings_json(settings(verb, config)) for verb in VERBS]
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()), sort_keys=True))  # other order, no comments
    change(path, "data", "radius_max", value=5)
    assert [settings_json(settings(verb, config)) for verb in VERBS] == before


@pytest.mark.parametrize(
    ("verb", "variant", "text"),
    [
        ("sample", "width-7", "'width-7' is no variant of spiral to sample; there are width-4, width-6,"),
        ("sample", None, "there are width-4, width-6,"),
        ("train", "width-6-published", "'width-6-published' is no variant of spiral to train; there are width-4"),
        ("search", "width-6-published", "is no variant of spiral to search"),
        ("prepare", "width-6", "prepare takes no variant"),
        (
            "trian",
            "width-6",
            "'trian' is no verb; there are prepare, search, train, sample, merge, analyse; did you mean",
        ),
    ],
)
def test_settings_of_unknown_names_are_refused(verb, variant, text):
    assert text in message_of(settings_for, verb, "spiral", variant, "smoke", CONFIG)
