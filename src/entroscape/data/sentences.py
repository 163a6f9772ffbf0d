"""Sentences and how positive people find them, as numbers from an embedding (arXiv:2503.13145, Task 4).

The paper names neither its texts nor its embedding. The texts here are those that VADER was validated on (Hutto and
Gilbert, ICWSM 2014).
"""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from entroscape.config.data import Sentences, SentenceTransformer, Tfidf
from entroscape.data import sources
from entroscape.data.arrange import split, standardised
from entroscape.data.dataset import TaskData
from entroscape.errors import ConfigError
from entroscape.random import generator

_MEMBERS = {
    "tweets": "hutto_ICWSM_2014/tweets_GroundTruth.txt",
    "movies": "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
    "products": "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
    "editorials": "hutto_ICWSM_2014/nytEditorialSnippets_GroundTruth.txt",
}
# Emoticons carry feeling, so marks between the words count as words; pieces of words do better from few sentences.
_TOKENS: dict[str, dict[str, Any]] = {
    "words": dict(token_pattern=r"(?u)\b\w+\b|[^\w\s]+", min_df=2),
    "characters": dict(analyzer="char_wb", ngram_range=(2, 4), min_df=3),
}


def make(section: Sentences, folder: Path = sources.FOLDER) -> TaskData:
    """Embedded sentences; targets are mean ratings, standardised on the train rows.

    The embedding sees all texts of the collections, but no rating. Raises FileError for a missing or wrong file,
    ConfigError for an embedding that cannot be computed or more rows than there are.
    """
    texts, ratings = _load(section, folder)
    order = generator("sentences", section.seed, "order").permutation(len(texts))
    train, test = split(len(texts), section.train_points, section.test_points)
    embedded = embed(texts, section.embedding, section.dimensions)[order]
    x = standardised(embedded, train) if section.inputs == "standardised" else embedded
    y = standardised(ratings[order], train)
    provenance = {
        "what": f"mean rating of sentences ({', '.join(section.collections)}), standardised on the train rows, from "
        f"{x.shape[1]} numbers each ({section.embedding.kind}, {section.inputs})",
        **sources.provenance(section),
        "stand_in": "",
    }
    return TaskData(x[train], y[train], x[test], y[test], None, provenance)


def embed(texts: list[str], embedding: Tfidf | SentenceTransformer, dimensions: int | None) -> np.ndarray:
    """float64[texts, dimensions], the leading directions of the embedding of all texts; raises ConfigError."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # sums in another order would change the last digits
        if isinstance(embedding, SentenceTransformer):
            return _trained(texts, embedding.model, dimensions)
        return _tfidf(texts, embedding.tokens, dimensions or 0)


def _tfidf(texts: list[str], tokens: str, dimensions: int) -> np.ndarray:
    """Term frequencies times inverse document frequencies, then their leading singular directions."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    terms = TfidfVectorizer(**_TOKENS[tokens], sublinear_tf=True).fit_transform(texts)
    most = min(terms.shape) - 1
    if dimensions > most:
        raise ConfigError(
            f"data.dimensions = {dimensions} must be at most {most}, what tfidf gives for these sentences"
        )
    return np.asarray(TruncatedSVD(dimensions, n_iter=7, random_state=0).fit_transform(terms), dtype=np.float64)


def _trained(texts: list[str], model: str, dimensions: int | None) -> np.ndarray:
    """Embedding by a trained network, and the leading principal directions of it."""
    try:
        from sentence_transformers import SentenceTransformer as Network
    except ImportError as error:
        raise ConfigError(
            "data.embedding.kind = sentence_transformer needs the package sentence-transformers, which is not "
            "installed: install it into the environment, or choose the embedding tfidf"
        ) from error
    try:
        network = Network(model, device="cpu")
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"data.embedding.model = {model!r} cannot be loaded ({reason}): give the folder of a model that is there, "
            "or choose the embedding tfidf"
        ) from error
    embedded = np.asarray(network.encode(texts, show_progress_bar=False), dtype=np.float64)
    if dimensions is None or dimensions == embedded.shape[1]:
        return embedded
    if dimensions > min(embedded.shape):
        raise ConfigError(f"data.dimensions = {dimensions} must be at most {embedded.shape[1]}, what {model!r} gives")
    centred = embedded - embedded.mean(axis=0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:dimensions].T


def _load(section: Sentences, folder: Path) -> tuple[list[str], np.ndarray]:
    """Texts and mean ratings float64[texts] of the collections; raises FileError."""
    source = section.sources[section.source].file
    texts: list[str] = []
    ratings: list[float] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(sources.read(source, folder))) as archive:
            for collection in section.collections:
                for line in _lines(archive, _MEMBERS[collection]):
                    _, rating, text = line.split("\t")
                    texts.append(text)
                    ratings.append(float(rating))
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise sources.unreadable(source, "the archive of rated sentences of VADER", folder) from error
    return texts, np.array(ratings)


def _lines(archive: tarfile.TarFile, member: str) -> list[str]:
    """Lines of a text in the archive; other line breaks than the file's own belong to the sentences."""
    file = archive.extractfile(member)
    if file is None:
        raise KeyError(member)
    return [line for line in file.read().decode("utf-8-sig").split("\r\n") if line]
