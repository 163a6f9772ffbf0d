"""Data sets: what may stand under `data` in an experiment."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from entroscape.config.section import Count, Positive, Probability, Section, Seed
from entroscape.config.sources import Download, LocalFile, PackageFile, Source

File = PackageFile | Download | LocalFile
Inputs = Annotated[
    Literal["raw", "standardised"],
    Field(description="raw: as they are; standardised: mean 0 and variance 1 on the train points"),
]


class SpiralData(Section):
    """Two noisy spirals, one per class."""

    kind: Literal["spirals"]
    train_points_per_class: Count = Field(description="points of each class to learn from")
    test_points_per_class: Count = Field(description="points of each class the accuracy is measured on")
    radius_min: Positive = Field(description="smallest distance from the origin")
    radius_max: Positive = Field(description="largest distance from the origin")
    angle_per_radius: Positive = Field(description="winding: angle = angle_per_radius * radius + pi * class")
    noise: Annotated[float, Field(ge=0)] = Field(description="standard deviation of the noise on both coordinates")
    seed: Seed = Field(description="seed of radii and noise")

    @property
    def train_points(self) -> int:
        """Number of train points."""
        return 2 * self.train_points_per_class

    def used(self) -> Self:
        """The section without what its data do not depend on."""
        return self

    def files(self) -> list[File]:
        """The files that the data are made from."""
        return []

    @model_validator(mode="after")
    def _radii_ordered(self) -> Self:
        if self.radius_max <= self.radius_min:
            raise ValueError(f"radius_max must be larger than radius_min = {self.radius_min:g}")
        return self


Operation = Literal["add", "square", "cubic"]


class ModularData(Section):
    """Arithmetic modulo a number: every pair (x, y) is a prompt, some of them to learn from, the others to test."""

    kind: Literal["modular"]
    operation: Operation = Field(description="add: x + y; square: x^2 + y; cubic: x^3 + x y^2 + y")
    modulus: Annotated[int, Field(ge=2)]
    train_fraction: Probability = Field(description="of all pairs, rounded down")
    seed: Seed = Field(description="seed of the split")

    @property
    def train_points(self) -> int:
        """Number of train prompts."""
        return int(self.train_fraction * self.modulus**2)

    def used(self) -> Self:
        """The section without what its data do not depend on."""
        return self

    def files(self) -> list[File]:
        """The files that the data are made from."""
        return []

    @model_validator(mode="after")
    def _both_parts(self) -> Self:
        if self.train_points < 1:
            raise ValueError(f"train_fraction must leave at least one of the {self.modulus**2} pairs to learn from")
        return self


class FileData(Section):
    """What data made from files have in common: several sources may be described, `source` names the one in use."""

    kind: str
    source: str = Field(description="name of the one of `sources` that is used")
    sources: Any
    seed: Seed = Field(description="seed of the order of the rows, the first of which become the train points")

    def used(self) -> Self:
        """The section without what its data do not depend on: the other sources."""
        return self.model_copy(update={"sources": {self.source: self.sources[self.source]}})

    def files(self) -> list[File]:
        """The files that the data are made from."""
        return list(_files_in(self.sources[self.source]))

    @model_validator(mode="after")
    def _source_known(self) -> Self:
        if self.source not in self.sources:
            raise ValueError(f"source must be one of the keys of sources: {', '.join(self.sources)}")
        return self


class AmesPickle(Section):
    """The Ames housing sales as a pickled data frame, compressed with xz."""

    format: Literal["ames_pickle"]
    file: Source

    @model_validator(mode="after")
    def _pickle_known(self) -> Self:
        if self.file.checksum is None:
            raise ValueError("file.checksum must be given: reading a pickle runs what is in it")
        return self


class KaggleCsv(Section):
    """The files of Kaggle's competition "House Prices"; the second one only adds levels of categories."""

    format: Literal["kaggle_csv"]
    train: Source
    test: Source


class HousePrices(FileData):
    """Regression of the log price of houses."""

    kind: Literal["house_prices"]
    sources: dict[str, Annotated[AmesPickle | KaggleCsv, Field(discriminator="format")]]
    train_points: Count | None = Field(description="null: the first half of the shuffled rows")
    test_points: Count | None = Field(description="from the end of the shuffled rows; null: the second half")
    features: Count | None = Field(
        description="how many columns to keep, those with the largest correlation with the target; null: all"
    )


class MnistCsv(Section):
    """Digits as lines of 784 pixels and a label, compressed with gzip."""

    format: Literal["mnist_csv"]
    file: Source


class IdxFiles(Section):
    """Images and labels in the IDX format of MNIST, compressed with gzip or not."""

    format: Literal["idx"]
    images: Source
    labels: Source


class Cifar10Archive(Section):
    """CIFAR-10 as published for Python: a tar of pickles."""

    format: Literal["cifar10_archive"]
    file: Source

    @model_validator(mode="after")
    def _pickle_known(self) -> Self:
        if self.file.checksum is None:
            raise ValueError("file.checksum must be given: reading a pickle runs what is in it")
        return self


Images = Annotated[MnistCsv | IdxFiles | Cifar10Archive, Field(discriminator="format")]


class ImageData(FileData):
    """What tasks on images have in common."""

    train_points: Count
    test_points: Count
    pooling: Count = Field(description="squares of this side are averaged into one pixel; 1: images as they are")
    inputs: Inputs


class Digits(ImageData):
    """All classes of a set of images."""

    kind: Literal["digits"]
    sources: dict[str, Images]


class PairSource(Section):
    """Two classes of a set of images."""

    title: str = Field(description="what the two classes are, in a few words")
    stand_in_for: str | None = Field(None, description="published data in whose place these stand, if any")
    classes: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = Field(
        description="their labels in the file; they become 0 and 1"
    )
    images: Images

    @model_validator(mode="after")
    def _two_classes(self) -> Self:
        if self.classes[0] == self.classes[1]:
            raise ValueError("classes must be two different labels")
        return self


class ImagePair(ImageData):
    """Two look-alike classes of a set of images."""

    kind: Literal["image_pair"]
    sources: dict[str, PairSource]


class VaderArchive(Section):
    """Sentences with the mean of twenty people's ratings, as published with VADER."""

    format: Literal["vader_archive"]
    file: Source


class Tfidf(Section):
    """Weighted counts of words, projected onto their leading directions (latent semantic analysis)."""

    kind: Literal["tfidf"]
    tokens: Literal["words", "characters"] = Field(
        description="what is counted: words and marks, or pieces of 2 to 4 characters within words"
    )


class SentenceTransformer(Section):
    """Embeddings by a trained network; needs the package sentence-transformers."""

    kind: Literal["sentence_transformer"]
    model: str = Field(description="name of a model that the package can load, or the folder of one")


class Sentences(FileData):
    """Regression of the mean rating of sentences, from an embedding."""

    kind: Literal["sentences"]
    sources: dict[str, VaderArchive]
    collections: Annotated[list[Literal["tweets", "movies", "products", "editorials"]], Field(min_length=1)]
    embedding: Annotated[Tfidf | SentenceTransformer, Field(discriminator="kind")]
    dimensions: Count | None = Field(
        description="numbers per sentence: the leading directions of the embedding; null: all it has (not for tfidf)"
    )
    train_points: Count | None = Field(description="null: the first half of the shuffled rows")
    test_points: Count | None = Field(description="from the end of the shuffled rows; null: the second half")
    inputs: Inputs

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if len(set(self.collections)) < len(self.collections):
            raise ValueError("collections must differ from each other")
        if self.embedding.kind == "tfidf" and self.dimensions is None:
            raise ValueError("dimensions must be a number for the embedding tfidf, which has none of its own")
        return self


Data = Annotated[SpiralData | ModularData | HousePrices | Digits | ImagePair | Sentences, Field(discriminator="kind")]


def _files_in(section: Section) -> Iterator[File]:
    """Every source in a section, depth first."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, File):
            yield value
        elif isinstance(value, Section):
            yield from _files_in(value)
