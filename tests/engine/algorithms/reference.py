"""METHOD sections 2 and 3 in float64 numpy, written from the formulas; none of our code is used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tests.engine.algorithms.nets import TinyNet

Array = NDArray[np.float64]
Factors = tuple[Array, Array]
"""What the BN weights and the BN biases are multiplied with, both (12,)."""


def array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().double().numpy())


@dataclass(frozen=True)
class Output:
    features: Array
    logits: Array


class Reference:
    """The arithmetic of ``TinyNet`` under any factors on its BN weights and biases."""

    def __init__(self, module: TinyNet) -> None:
        self.values = {key: array(value) for key, value in module.state_dict().items()}

    def __call__(
        self, x: Array, factors: Factors | None = None, batch_statistics: bool = False
    ) -> Output:
        def norm(name: str, index: int, values: Array) -> Array:
            part = slice(4 * index, 4 * index + 4)
            weight, bias = self.values[f"{name}.weight"], self.values[f"{name}.bias"]
            if factors is not None:
                weight, bias = weight * factors[0][part], bias * factors[1][part]
            if batch_statistics:
                others = tuple(axis for axis in range(values.ndim) if axis != 1)
                mean, variance = values.mean(others), values.var(others)
            else:
                mean = self.values[f"{name}.running_mean"]
                variance = self.values[f"{name}.running_var"]
            shape = (1, 4) + (1,) * (values.ndim - 2)
            scaled = (values - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-5)
            return np.asarray(scaled * weight.reshape(shape) + bias.reshape(shape))

        x = np.maximum(norm("bn1", 0, convolve(x, self.values["conv1.weight"], 1)), 0)
        x = np.maximum(norm("bn2", 1, convolve(x, self.values["conv2.weight"], 2)), 0)
        features = norm("bn3", 2, self.dense("mix", x.mean((2, 3))))
        logits = self.dense("linear", features)
        return Output(features, logits)

    def dense(self, name: str, values: Array) -> Array:
        return np.asarray(values @ self.values[f"{name}.weight"].T + self.values[f"{name}.bias"])


def convolve(x: Array, kernel: Array, stride: int) -> Array:
    """3x3, one pixel of zeros around."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    wanted = windows[:, :, ::stride, ::stride]
    return np.asarray(np.einsum("bchwij,ocij->bohw", wanted, kernel, optimize=True))


def factors_of(mask: Array, xi: Factors | None = None) -> Factors:
    """METHOD section 2: w -> w (m + xi_w), b -> b (1 + xi_b)."""
    if xi is None:
        return mask, np.ones_like(mask)
    return mask + xi[0], 1 + xi[1]


def cross_entropy(logits: Array, classes: NDArray[np.int64]) -> float:
    total = 0.0
    for row, index in zip(logits.tolist(), classes.tolist(), strict=True):
        top = max(row)
        total += top + math.log(sum(math.exp(value - top) for value in row)) - row[index]
    return total / len(logits)


def cosine(a: Array, b: Array) -> float:
    return float(sum(a * b) / math.sqrt(sum(a * a)) / math.sqrt(sum(b * b)))


def contrastive(
    clean: Array,
    stamped: Array,
    masked: Array,
    masked_stamped: Array,
    perturbed: Array,
    temperature: float,
) -> float:
    """METHOD section 3.3: mean over images and over the positives i of CE(similarities, i)."""
    total = 0.0
    for b in range(len(clean)):
        row = [
            cosine(masked[b], clean[b]) / temperature,
            cosine(masked_stamped[b], clean[b]) / temperature,
            cosine(perturbed[b], clean[b]) / temperature,
            cosine(perturbed[b], stamped[b]) / temperature,
            cosine(masked[b], stamped[b]) / temperature,
            cosine(masked_stamped[b], stamped[b]) / temperature,
        ]
        for positive in (0, 1, 2):
            total += math.log(sum(math.exp(value) for value in row)) - row[positive]
    return total / (3 * len(clean))


def gradient(function: Callable[[Array], float], at: Array, step: float = 1e-6) -> Array:
    """Central differences, one entry at a time."""
    found = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        shifted = at.copy()
        shifted[index] = at[index] + step
        above = function(shifted)
        shifted[index] = at[index] - step
        found[index] = (above - function(shifted)) / (2 * step)
    return found


def ascent(
    reference: Reference,
    x: Array,
    classes: NDArray[np.int64],
    mask: Array,
    start: Array,
    eps: float,
    batch_statistics: bool = False,
) -> Factors:
    """METHOD section 3.1: ``start`` (2, 12) plus eps times the sign of the gradient of the loss."""

    def loss(xi: Array) -> float:
        factors = factors_of(mask, (xi[0], xi[1]))
        return cross_entropy(reference(x, factors, batch_statistics).logits, classes)

    slope = gradient(loss, start)
    slope[np.abs(slope) < 1e-9] = 0
    xi = start + eps * np.sign(slope)
    return xi[0], xi[1]


@dataclass
class Adam:
    """Kingma & Ba 2015, algorithm 1."""

    lr: float
    beta1: float
    beta2: float
    first: Array
    second: Array
    count: int = 0

    @classmethod
    def start(cls, lr: float, beta1: float, beta2: float, shape: tuple[int, ...]) -> Adam:
        return cls(lr, beta1, beta2, np.zeros(shape), np.zeros(shape))

    def step(self, at: Array, slope: Array) -> Array:
        self.count += 1
        self.first = self.beta1 * self.first + (1 - self.beta1) * slope
        self.second = self.beta2 * self.second + (1 - self.beta2) * slope**2
        first = self.first / (1 - self.beta1**self.count)
        second = self.second / (1 - self.beta2**self.count)
        return at - self.lr * first / (np.sqrt(second) + 1e-8)
