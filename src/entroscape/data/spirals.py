"""Two noisy spirals, the arithmetic task of the entropy-advantage paper (arXiv:2503.13145, Task 1)."""

import numpy as np

from entroscape.config.data import SpiralData
from entroscape.data.dataset import TaskData
from entroscape.random import generator

CLASSES = 2


def make(section: SpiralData) -> TaskData:
    """Train points at random radii and test points at equally spaced ones, with noise on both.

    Radii and noise of each set come from random streams of their own: another number of train points
    leaves the test set as it is. The classes take turns, so that the first n train points are balanced.
    """
    low, high = section.radius_min, section.radius_max
    radii = generator("spirals", section.seed, "train radii").uniform(
        low, high, (CLASSES, section.train_points_per_class)
    )
    test_radii = np.tile(np.linspace(low, high, section.test_points_per_class), (CLASSES, 1))
    x_train, y_train = _points(radii, section, "train noise")
    x_test, y_test = _points(test_radii, section, "test noise")
    provenance = {
        "what": "two spirals, one per class: x = r cos(angle), y = r sin(angle), "
        "angle = angle_per_radius * r + pi * class, Gaussian noise on x and y",
        "source": "arXiv:2503.13145, Task 1",
        "licence": "drawn here",
        "stand_in": "",
        "settings": section.model_dump(mode="json"),
    }
    return TaskData(x_train, y_train, x_test, y_test, CLASSES, provenance)


def _points(radii: np.ndarray, section: SpiralData, role: str) -> tuple[np.ndarray, np.ndarray]:
    """Noisy points[classes * n, 2] and labels[classes * n] at radii[classes, n], the classes taking turns."""
    classes, n = radii.shape
    angles = section.angle_per_radius * radii + np.pi * np.arange(classes)[:, None]
    clean = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=-1).reshape(-1, 2)
    noise = generator("spirals", section.seed, role).normal(0.0, section.noise, clean.shape)
    in_turn = np.arange(classes * n).reshape(classes, n).T.ravel()
    return (clean + noise)[in_turn], np.repeat(np.arange(classes), n)[in_turn]
