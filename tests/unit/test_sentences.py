"""Rated sentences: reading, embedding, and what happens when an embedding is not to be had."""

import sys
from types import ModuleType

import numpy as np
import pytest
from small_sources import local, tarred, vader

from entroscape.config.data import Sentences
from entroscape.data.registry import make_data
from entroscape.data.sentences import embed
from entroscape.errors import ConfigError, FileError

GOOD, BAD = ["lovely", "great", "happy", "sun", ":)"], ["awful", "broken", "sad", "rain", ":("]


def rated(seed: int, count: int) -> list[tuple[float, str]]:
    """Sentences of four words; the rating is the number of good ones less the number of bad ones."""
    random = np.random.default_rng(seed)
    chosen = [random.choice(GOOD + BAD, 4) for _ in range(count)]
    return [(float(sum(1 if word in GOOD else -1 for word in words)), " ".join(words)) for words in chosen]


def section(folder, content=None, **changes) -> Sentences:
    if content is None:
        content = vader({"tweets": rated(0, 120), "movieReviewSnippets": rated(1, 40)})
    values = dict(
        kind="sentences",
        source="vader",
        sources={"vader": dict(format="vader_archive", file=local(folder / "v.tar.gz", content))},
        seed=1,
        collections=["tweets"],
        embedding=dict(kind="tfidf", tokens="words"),
        dimensions=6,
        train_points=None,
        test_points=None,
        inputs="standardised",
    )
    return Sentences(**values | changes)


def test_shapes_and_scales(tmp_path):
    data = make_data(section(tmp_path))
    assert data.x_train.shape == data.x_test.shape == (60, 6) and data.classes is None
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.x_train.std(axis=0), 1)
    np.testing.assert_allclose([data.y_train.mean(), data.y_train.std()], [0, 1], atol=1e-12)
    raw = make_data(section(tmp_path, inputs="raw"))
    assert np.all(np.linalg.norm(raw.x_train, axis=1) <= 1 + 1e-12)


def test_sentences_keep_their_ratings(tmp_path):
    """A plane through the embedded train points explains the ratings of the test points."""
    data = make_data(section(tmp_path, dimensions=9))
    plane = np.linalg.lstsq(np.c_[data.x_train, np.ones(60)], data.y_train, rcond=None)[0]
    residual = data.y_test - np.c_[data.x_test, np.ones(60)] @ plane
    assert residual.var() < 0.2 * data.y_test.var()


def test_collections_are_joined(tmp_path):
    data = make_data(section(tmp_path, collections=["tweets", "movies"]))
    assert len(data.y_train) + len(data.y_test) == 160


def test_equal_sections_give_equal_bytes_and_train_points_leave_the_test_set_alone(tmp_path):
    first, again, other = (make_data(section(tmp_path, seed=seed)) for seed in (1, 1, 2))
    assert first.x_train.tobytes() == again.x_train.tobytes() and first.y_train.tobytes() != other.y_train.tobytes()
    fewer = make_data(section(tmp_path, train_points=20, inputs="raw"))
    assert fewer.x_test.tobytes() == make_data(section(tmp_path, inputs="raw")).x_test.tobytes()
    assert len(fewer.y_train) == 20


def test_pieces_of_words(tmp_path):
    data = make_data(section(tmp_path, embedding=dict(kind="tfidf", tokens="characters"), dimensions=12))
    assert data.x_train.shape == (60, 12)


def test_too_many_dimensions_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"dimensions = 500 must be at most 9, what tfidf gives for these sentences"):
        make_data(section(tmp_path, dimensions=500))
    with pytest.raises(ValueError, match="dimensions must be a number for the embedding tfidf"):
        section(tmp_path, dimensions=None)
    with pytest.raises(ValueError, match="collections must differ"):
        section(tmp_path, collections=["tweets", "tweets"])


@pytest.mark.parametrize(
    "content",
    [b"no tar", tarred({"a": b"b"}), vader({"tweets": [(1.0, "two\ttabs")]})],
    ids=["no archive", "other files", "wrong columns"],
)
def test_an_archive_of_something_else_is_named(tmp_path, content):
    with pytest.raises(FileError, match="is not the archive of rated sentences of VADER"):
        make_data(section(tmp_path, content))


def test_line_breaks_within_a_sentence_belong_to_it(tmp_path):
    content = vader({"tweets": [(1.0, "one\x0btwo\x85three\nfour"), *rated(0, 39)]})
    data = make_data(section(tmp_path, content))
    assert len(data.y_train) + len(data.y_test) == 40


def test_missing_package_of_trained_embeddings_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match="needs the package sentence-transformers, which is not installed"):
        make_data(section(tmp_path, embedding=dict(kind="sentence_transformer", model="some")))


@pytest.fixture
def network(monkeypatch):
    """A package that embeds a text as five numbers, the numbers of its letters among them."""

    class Network:
        def __init__(self, model, device):
            if model != "letters":
                raise OSError(f"{model} is not here\nand more")

        def encode(self, texts, show_progress_bar):
            return np.array([[len(text), *map(text.count, "aeio")] for text in texts], dtype=np.float32)

    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = Network
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)


def trained(folder, model="letters", **changes) -> Sentences:
    return section(folder, embedding=dict(kind="sentence_transformer", model=model), inputs="raw", **changes)


def test_trained_embedding_as_it_is_or_its_leading_directions(tmp_path, network):
    whole = make_data(trained(tmp_path, dimensions=None))
    assert whole.x_train.shape == (60, 5)
    texts = [text for _, text in rated(0, 120)]
    every = embed(texts, trained(tmp_path).embedding, None)
    leading = embed(texts, trained(tmp_path).embedding, 2)
    values = np.linalg.svd(every - every.mean(axis=0))[1]
    np.testing.assert_allclose(np.linalg.norm(leading, axis=0), values[:2])


def test_a_model_that_cannot_be_loaded_or_is_too_small_is_named(tmp_path, network):
    with pytest.raises(ConfigError, match=r"data.embedding.model = 'other' cannot be loaded \(other is not here\)"):
        make_data(trained(tmp_path, "other"))
    with pytest.raises(ConfigError, match=r"data\.dimensions = 6 must be at most 5, what 'letters' gives"):
        make_data(trained(tmp_path, dimensions=6))
