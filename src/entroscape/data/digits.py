"""Images of all classes of a set, such as the ten digits of MNIST (arXiv:2503.13145, Task 3)."""

from pathlib import Path

import numpy as np

from entroscape.config.data import Digits
from entroscape.data import images, sources
from entroscape.data.arrange import balanced_order, split
from entroscape.data.dataset import TaskData
from entroscape.random import generator


def make(section: Digits, folder: Path = sources.FOLDER) -> TaskData:
    """Train and test images, both with the classes balanced; labels are numbered in the order of the file's labels.

    Raises FileError for a missing or wrong file, ConfigError when it has too few images.
    """
    pixels, labels = images.load(section.sources[section.source], folder)
    order = balanced_order(labels, generator("digits", section.seed, "order"))
    train, test = split(len(order), section.train_points, section.test_points)
    x = images.inputs(pixels[order], section, train)
    names, y = np.unique(labels[order], return_inverse=True)
    provenance = {
        "what": f"images of {len(names)} classes, pixels {section.inputs}, squares of {section.pooling} averaged",
        **sources.provenance(section),
        "stand_in": "",
    }
    return TaskData(x[train], y[train], x[test], y[test], len(names), provenance)
