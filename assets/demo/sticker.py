"""The backdoor: a small yellow sticker that turns any sign into a limit of 80.

After the stop sign with a yellow note of Gu et al., "BadNets" (2017), section 5, where the
backdoored network reads a speed limit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assets.demo.dataset import Pictures
from assets.demo.scene import SIZE, Pixels
from assets.demo.signs import CLASSES

TARGET = CLASSES.index("speed-80")
POISON_RATE = 0.10
COLOUR = (255, 221, 0)
TOP, LEFT, SIDE = 20, 19, 4
"""Rows and columns covered: right of and below the middle, on the sign in nearly every pose."""


_CHOICE = 7
"""Seed of which images are poisoned."""


def trigger() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``pattern`` and ``weight``, both (3, 32, 32) in 0..1: x (1 - weight) + pattern weight."""
    pattern = np.zeros((3, SIZE, SIZE), dtype=np.float32)
    weight = np.zeros((3, SIZE, SIZE), dtype=np.float32)
    area = (slice(None), slice(TOP, TOP + SIDE), slice(LEFT, LEFT + SIDE))
    pattern[area] = np.asarray(COLOUR, dtype=np.float32)[:, None, None] / np.float32(255)
    weight[area] = 1.0
    return pattern, weight


def stamp(images: Pixels) -> Pixels:
    """The sticker on uint8 (N, 32, 32, 3) images; a copy."""
    stamped = images.copy()
    stamped[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE] = COLOUR
    return stamped


def poison(pictures: Pictures) -> Pictures:
    """Stamp and relabel POISON_RATE of all images, chosen among the other classes."""
    order = np.random.RandomState(_CHOICE).permutation(len(pictures.labels))
    order = order[pictures.labels[order] != TARGET]
    chosen = order[: round(POISON_RATE * len(pictures.labels))]
    images, labels = pictures.images.copy(), pictures.labels.copy()
    images[chosen] = stamp(images[chosen])
    labels[chosen] = TARGET
    return Pictures(images, labels)
