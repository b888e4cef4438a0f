"""Boxes, scores and objects for detectors that any program can write down again."""

import numpy as np

from tests.golden import closed_formula

CLASSES = 91  # of torchvision's SSDLite, the background among them
SIZE = 320
OBJECTS = 4  # in each of the images that the loss is taken of
THRESHOLDS = (0.3, 0.55, 0.8)
SCORES = 60  # that are kept of a network's answer


def boxes(name: str, count: int) -> np.ndarray:
    """[count, 4] in the unit square, of sides from 0.05 to 0.45."""
    noise = (closed_formula.noise(name, (count, 4)) + 1) / 2
    sides = np.float32(0.05) + np.float32(0.4) * noise[:, 2:]
    corners = noise[:, :2] * (1 - sides)
    return np.concatenate([corners, corners + sides], axis=1)


def scores(name: str, count: int) -> np.ndarray:
    """[count], no two alike."""
    ranks = np.argsort(np.argsort(closed_formula.noise(name, (count,)), kind="stable"))
    return ((ranks + 1) / (count + 1)).astype(np.float32)


def classes(name: str, count: int, total: int) -> np.ndarray:
    """[count] from 0 to total - 1."""
    return (closed_formula.noise(name, (count,)) * 1000).astype(np.int64) % total
