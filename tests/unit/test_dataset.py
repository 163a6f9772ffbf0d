"""The arrays of a task: what is refused before anything indexes with them."""

import numpy as np
import pytest

from entroscape.data.dataset import TaskData
from entroscape.errors import DataError

pytestmark = pytest.mark.unit
X, LABELS = np.zeros((4, 2)), np.array([0, 1, 1, 0])


def task(x=X, y=LABELS, classes: int | None = 2, **test) -> TaskData:
    return TaskData(x, y, test.get("x_test", x), test.get("y_test", y), classes, {})


def refusal(**changes) -> str:
    with pytest.raises(DataError) as caught:
        task(**changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("y", [LABELS, LABELS.astype(np.int8), LABELS.astype(np.uint8)])
def test_labels_of_classes_may_be_integers_of_any_kind(y):
    assert task(y=y).classes == 2


def test_tokens_and_targets_that_are_numbers_are_taken():
    assert task(x=X.astype(np.int64)).x_train.dtype.kind == "i"
    assert task(y=LABELS.astype(np.float64), classes=None).classes is None


@pytest.mark.parametrize("part", ["y", "y_test"])
def test_labels_that_are_not_numbered_from_zero_are_refused(part):
    sentence = refusal(**{part: LABELS + 1})
    assert sentence.endswith(
        "holds labels from 1 to 2, but those of 2 classes run from 0 to 1: number the classes from 0"
    )
    assert sentence.startswith("y_train" if part == "y" else "y_test")
    assert "labels from -1 to 1" in refusal(**{part: 2 * LABELS - 1})


@pytest.mark.parametrize("kind", [np.float64, bool])
def test_labels_that_are_not_integers_are_refused(kind):
    assert "but labels of classes are integers: convert them" in refusal(y=LABELS.astype(kind))


def test_labels_without_a_number_of_classes_are_refused():
    sentence = refusal(classes=None)
    assert sentence == (
        "y_train holds int64, but a task without classes has targets that are floats: convert them, or say how many "
        "classes there are"
    )


@pytest.mark.parametrize("classes", [0, 1])
def test_fewer_than_two_classes_are_refused(classes):
    assert f"a task of {classes} classes has nothing to tell apart" in refusal(y=0 * LABELS, classes=classes)


@pytest.mark.parametrize(
    "changes", [dict(y=LABELS[:3]), dict(y_test=LABELS[:, None]), dict(x_test=X[:0], y_test=LABELS[:0])]
)
def test_points_and_labels_must_be_as_many(changes):
    assert "give at least one point, and one label or target for each" in refusal(**changes)


def test_train_and_test_points_must_have_one_shape():
    assert "points of x_train have the shape (2,), but those of x_test (3,)" in refusal(x_test=np.zeros((4, 3)))


@pytest.mark.parametrize("x", [np.zeros((4, 1, 6, 6), dtype=np.uint8), X.astype(object)])
def test_points_that_are_neither_numbers_nor_tokens_are_refused(x):
    assert "give vectors and images as floats; only tokens are integers" in refusal(x=x)


@pytest.mark.parametrize("x", [np.zeros(4), np.zeros((4, 1, 2, 2, 2))])
def test_points_of_a_shape_that_no_file_holds_are_refused(x):
    assert "give vectors [N, D], sequences of vectors [N, T, D] or images [N, C, H, W]" in refusal(x=x)


def test_sequences_come_back_from_a_dataset():
    whole = task(x=np.arange(24.0).reshape(4, 3, 2))
    np.testing.assert_array_equal(TaskData.from_dataset(whole.to_dataset()).x_test, whole.x_test)


@pytest.mark.parametrize("classes", [2.0, "2"])
def test_a_number_of_classes_that_is_no_integer_is_refused(classes):
    assert "the number of classes must be an integer" in refusal(classes=classes)
