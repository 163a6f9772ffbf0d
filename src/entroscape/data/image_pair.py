"""Images of two look-alike classes: cats and dogs, or what stands in for them (arXiv:2503.13145, Task 3)."""

from pathlib import Path

import numpy as np

from entroscape.config.data import ImagePair
from entroscape.data import images, sources
from entroscape.data.arrange import balanced_order, split
from entroscape.data.dataset import TaskData
from entroscape.errors import ConfigError
from entroscape.random import generator

CLASSES = 2


def make(section: ImagePair, folder: Path = sources.FOLDER) -> TaskData:
    """Train and test images, as many of one class as of the other, with labels 0 and 1.

    Raises FileError for a missing or wrong file, ConfigError when it has too few images or not these classes.
    """
    pair = section.sources[section.source]
    pixels, labels = images.load(pair.images, folder)
    known = np.unique(labels)
    if not np.isin(pair.classes, known).all():
        raise ConfigError(
            f"data.sources.{section.source}.classes = {list(pair.classes)} must be two of the labels "
            f"{', '.join(map(str, known))}"
        )
    chosen = np.isin(labels, pair.classes)
    pixels, y = pixels[chosen], (labels[chosen] == pair.classes[1]).astype(np.int64)
    order = balanced_order(y, generator("image_pair", section.seed, "order"))
    train, test = split(len(order), section.train_points, section.test_points)
    x, y = images.inputs(pixels[order], section, train), y[order]
    provenance = {
        "what": f"images of two classes, {pair.title}, pixels {section.inputs}, squares of {section.pooling} averaged",
        **sources.provenance(section),
        "stand_in": f"{pair.title} in place of {pair.stand_in_for}" if pair.stand_in_for else "",
    }
    return TaskData(x[train], y[train], x[test], y[test], CLASSES, provenance)
