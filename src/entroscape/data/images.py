"""Sets of images: reading their files, averaging pixels, scaling."""

import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

from entroscape.config.data import Cifar10Archive, IdxFiles, ImageData, MnistCsv
from entroscape.config.sources import Download, LocalFile, PackageFile
from entroscape.data import sources
from entroscape.data.arrange import standardised
from entroscape.errors import ConfigError

_MNIST_SIDE = 28
_CIFAR_SIDE, _CIFAR_CHANNELS = 32, 3
_CIFAR_BATCHES = [f"cifar-10-batches-py/data_batch_{n}" for n in range(1, 6)]


def load(section: MnistCsv | IdxFiles | Cifar10Archive, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8[N, C, H, W] and labels int64[N] in the order of the file; raises FileError."""
    if isinstance(section, MnistCsv):
        return _mnist_csv(section, folder)
    if isinstance(section, IdxFiles):
        return _idx_pair(section, folder)
    return _cifar10(section, folder)


def inputs(pixels: np.ndarray, section: ImageData, train: slice) -> np.ndarray:
    """Images float64[N, C, h, w] as the section wants them: pooled, and raw (0 to 255) or standardised.

    Standardised means that each channel has mean 0 and variance 1 over all pixels of the train images. Raises
    ConfigError when the squares that are averaged do not fill the image.
    """
    images = _pooled(pixels.astype(np.float64), section.pooling)
    return standardised(images, train, axis=(0, 2, 3)) if section.inputs == "standardised" else images


def _pooled(images: np.ndarray, side: int) -> np.ndarray:
    """Means over squares of `side` pixels."""
    n, channels, height, width = images.shape
    if height % side or width % side:
        raise ConfigError(
            f"data.pooling = {side} does not divide images of {height} x {width} pixels; take a number that does"
        )
    return images.reshape(n, channels, height // side, side, width // side, side).mean(axis=(3, 5))


def _mnist_csv(section: MnistCsv, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    content = sources.unzipped(sources.read(section.file, folder), section.file, folder)
    expected = f"lines of {_MNIST_SIDE**2} pixels from 0 to 255 and a label"
    try:
        table = pd.read_csv(io.BytesIO(content), header=None, dtype=np.int64).to_numpy()
    except (ValueError, UnicodeDecodeError) as error:
        raise sources.unreadable(section.file, expected, folder) from error
    if table.shape[1] != _MNIST_SIDE**2 + 1 or table.min() < 0 or table[:, :-1].max() > np.iinfo(np.uint8).max:
        raise sources.unreadable(section.file, expected, folder)
    return table[:, :-1].astype(np.uint8).reshape(-1, 1, _MNIST_SIDE, _MNIST_SIDE), table[:, -1]


def _idx_pair(section: IdxFiles, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels = _idx(section.images, 3, folder)
    labels = _idx(section.labels, 1, folder)
    if len(pixels) != len(labels):
        raise sources.unreadable(section.labels, f"the labels of the {len(pixels)} images beside it", folder)
    return pixels[:, None], labels.astype(np.int64)


def _idx(source: PackageFile | Download | LocalFile, dimensions: int, folder: Path) -> np.ndarray:
    """Array of bytes in an IDX file: two zeros, type 8, number of dimensions, sizes as big-endian words, the bytes."""
    content = sources.unzipped(sources.read(source, folder), source, folder)
    start = 4 + 4 * dimensions
    sizes = struct.unpack(f">{dimensions}I", content[4:start]) if len(content) >= start else ()
    if content[:4] != bytes([0, 0, 8, dimensions]) or int(np.prod(sizes)) != len(content) - start:
        raise sources.unreadable(source, f"an IDX file of bytes in {dimensions} dimensions", folder)
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)


def _cifar10(section: Cifar10Archive, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The 50,000 train images. The batches are pickles: `read` has verified the archive before they are opened."""
    content = sources.read(section.file, folder)
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            batches = [pickle.load(archive.extractfile(name), encoding="bytes") for name in _CIFAR_BATCHES]  # type: ignore[arg-type]
    except (tarfile.TarError, KeyError, pickle.UnpicklingError) as error:
        raise sources.unreadable(section.file, f"a tar with {_CIFAR_BATCHES[0]} and its sisters", folder) from error
    pixels = np.concatenate([batch[b"data"] for batch in batches])
    labels = np.concatenate([batch[b"labels"] for batch in batches])
    return pixels.reshape(-1, _CIFAR_CHANNELS, _CIFAR_SIDE, _CIFAR_SIDE), labels.astype(np.int64)
