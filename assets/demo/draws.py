"""Random numbers whose stream numpy promises never to change."""

from __future__ import annotations

import numpy as np

from assets.demo.shapes import Array


class Draws:
    """One image's own stream, so that any image can be drawn again alone.

    ``numpy.random.RandomState`` is used because its stream is frozen (NEP 19); that of
    ``numpy.random.Generator`` may change with a release of numpy.
    """

    def __init__(self, *key: int) -> None:
        self._state = np.random.RandomState(list(key))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(self._state.random_sample())

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def below(self, bound: int) -> int:
        return int(self._state.randint(0, bound))

    def uniforms(self, *shape: int) -> Array:
        return np.asarray(self._state.random_sample(shape), dtype=np.float64)

    def normals(self, *shape: int) -> Array:
        return np.asarray(self._state.normal(size=shape), dtype=np.float64)
