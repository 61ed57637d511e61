"""Which preprocessing a checkpoint was trained with, told without labels.

Two signals, neither of which needs to know what a picture shows:

- the first BatchNorm layer remembers mean and variance of what it saw in training; under the
  right preprocessing, clean images give the same (a Gaussian divergence a channel);
- predictions are surest under it (entropy): what tells RGB from BGR, which the first hardly does.

Augmentation shifts the remembered statistics (padding and cutout darken) by more than two similar
preprocessings differ. So each is tried on images as they are, cropped, and cut out; the best
counts. A network trained with cutout: right and sure so, unsure without.
Later layers add cost and no separation: divergence of the runner-up over that of the truth is
16 in the first layer and 11 over the first three (badnet_w32 as if trained on ``cifar10``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnp_engine.algorithms.overlay import logits_of
from cnp_engine.data.preprocessing import KNOWN, Normalize, parse_normalize
from cnp_engine.errors import NormalizeUnsure

__all__ = ["KNOWN", "Normalize", "NormalizeGuess", "infer_normalize", "parse_normalize"]

PIXELS = 256 * 32 * 32
"""Pixels looked at in the first layers: 256 images of 32x32, fewer of larger ones."""

FEWEST, MOST = 32, 256
PREDICTED = 96
"""Images predicted for entropy and agreement: these passes cost nearly all of the time."""

SHORTLIST = 4
"""Statistics of the nine known, and then candidates, that are looked at closely."""

HOPELESS = 40.0
"""A divergence this many times the smallest is not looked at further."""

DIVERGENCE_POWER, ENTROPY_POWER = 2.0, 6.0
"""score = -2 ln(divergence) - 6 ln(entropy): a factor e in divergence, or 40 % in entropy,
each count a factor of 7 to 10 between two candidates."""

SURE = 0.9
FITS = 0.1
"""Largest divergence at which the best candidate is believed; above it none fits, and the
confidence falls in proportion."""

CONFLICT = 2.0
"""The signals contradict each other where the best candidate's divergence is this many times the
smallest: a network with weights of no sense is surest wherever contrast is highest."""

SAME, NEARLY_SAME, CLOSE = 0.98, 0.95, 2.0
"""Two candidates are the same for every purpose here from 98 % equal predictions, or from 95 %
where their divergences are also within a factor of two (BA then differs by under 0.5 points)."""

HEADS = {"cifar100": 100, "gtsrb": 43, "tiny-imagenet": 200}
"""Statistics of one data set, and its number of classes."""

FOREIGN = 2.0
"""Taken off the score of statistics of a data set that has not the network's number of classes."""


@dataclass(frozen=True)
class NormalizeGuess:
    """best: first of ``candidates`` (name, score; higher is likelier). confidence in 0..1.

    unsure: the flag must be asked for. notice: one sentence where close candidates agree anyway.
    """

    best: Normalize
    confidence: float
    candidates: tuple[tuple[str, float], ...]
    unsure: bool
    notice: str | None = None

    def require(self) -> Normalize:
        """``best``, or NormalizeUnsure where it could not be told."""
        if not self.unsure:
            return self.best
        names = " or ".join(name for name, _ in self.candidates[:2])
        raise NormalizeUnsure(
            f"The preprocessing of this model could not be told from the images "
            f"(most likely {names}; confidence {100 * self.confidence:.0f} %).",
            "Say it with --normalize, such as none, cifar10, imagenet, cifar10-bgr or m,m,m/s,s,s.",
        )


@dataclass(frozen=True)
class _Fit:
    """One candidate: divergence of the first layer; entropy, predictions (N,), class count."""

    normalize: Normalize
    divergence: float
    entropy: float = math.nan
    predictions: Tensor | None = None
    classes: int = 0

    @property
    def score(self) -> float:
        entropy = max(self.entropy, 1e-3)
        score = -DIVERGENCE_POWER * math.log(self.divergence) - ENTROPY_POWER * math.log(entropy)
        home = HEADS.get(self.normalize.name.removesuffix("-bgr"), self.classes)
        return score if home == self.classes else score - FOREIGN


@torch.no_grad()
def infer_normalize(module: nn.Module, images_BCHW: Tensor) -> NormalizeGuess:
    """Which known preprocessing fits ``module`` (eval mode, no normalisation of its own).

    images_BCHW: uint8 RGB, a few hundred clean images on the module's device, in no order.
    """
    assert images_BCHW.dtype == torch.uint8, "images are uint8"
    assert not module.training, "statistics are compared in eval mode"
    height, width = images_BCHW.shape[2:]
    most = min(MOST, max(FEWEST, PIXELS // (height * width)))
    plain = images_BCHW[:most].float() / 255
    views = _views(plain)
    # The scale alone sets most of them apart, and a few images show it.
    glance = (plain[: max(FEWEST, most // 4)],)
    first = sorted(KNOWN.values(), key=lambda known: _divergence(module, known, glance))
    both = [order for known in first[:SHORTLIST] for order in (known, known.reversed())]
    closer = sorted(
        (_Fit(order, _divergence(module, order, views)) for order in both),
        key=lambda fit: fit.divergence,
    )
    bound = HOPELESS * closer[0].divergence
    likely = [fit for fit in closer[:SHORTLIST] if fit.divergence <= bound]
    fits = [_predict(module, fit, plain[:PREDICTED]) for fit in likely]
    return _guess(sorted(fits, key=lambda fit: -fit.score))


def _guess(fits: list[_Fit]) -> NormalizeGuess:
    best = fits[0]
    weights = [math.exp(fit.score - best.score) for fit in fits]
    same = [_same(fit, best) for fit in fits]
    confidence = sum(w for w, s in zip(weights, same, strict=True) if s) / sum(weights)
    smallest = min(fit.divergence for fit in fits)
    believed = min(FITS, CONFLICT * smallest)
    confidence *= min(1.0, believed / best.divergence)
    near = [f.normalize.name for f, s, w in zip(fits, same, weights, strict=True) if s and w > 0.1]
    notice = None
    if len(near) > 1:
        notice = (
            f"The preprocessings {' and '.join(near)} fit this model about equally and give the "
            f"same predictions; {near[0]} is used."
        )
    return NormalizeGuess(
        best=best.normalize,
        confidence=confidence,
        candidates=tuple((fit.normalize.name, fit.score) for fit in fits),
        unsure=confidence < SURE,
        notice=notice,
    )


def _same(a: _Fit, b: _Fit) -> bool:
    assert a.predictions is not None
    assert b.predictions is not None
    agreement = float((a.predictions == b.predictions).float().mean())
    low, high = sorted((a.divergence, b.divergence))
    return agreement >= (NEARLY_SAME if high <= CLOSE * low else SAME)


def _predict(module: nn.Module, fit: _Fit, images_BCHW: Tensor) -> _Fit:
    logits: Tensor = logits_of(module(fit.normalize(images_BCHW)))
    log_p = F.log_softmax(logits.float(), dim=1)
    entropy = float(-(log_p.exp() * log_p).sum(1).mean())
    return _Fit(fit.normalize, fit.divergence, entropy, logits.argmax(1), logits.shape[1])


def _divergence(module: nn.Module, normalize: Normalize, views: tuple[Tensor, ...]) -> float:
    """Smallest over ``views`` of the first BatchNorm layer's divergence, in 1e-5 to 1e3."""
    found = min(_first_divergence(module, normalize(view)) for view in views)
    # NaN, from inputs a network cannot take, counts as the worst fit.
    return max(found, 1e-5) if found < 1e3 else 1e3


class _FoundError(Exception):
    """Ends a forward pass whose remaining layers are of no interest."""

    def __init__(self, divergence: float) -> None:
        super().__init__()
        self.divergence = divergence


def _first_divergence(module: nn.Module, inputs: Tensor) -> float:
    """Infinite where no BatchNorm layer remembers anything."""
    with _stopping_at_first_norm(module):
        try:
            module(inputs)
        except _FoundError as found:
            return found.divergence
    return math.inf


@contextmanager
def _stopping_at_first_norm(module: nn.Module) -> Iterator[None]:
    def stop(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.modules.batchnorm._BatchNorm)
        raise _FoundError(_gaussian_divergence(layer, args[0]))

    # On all of them, since the order of definition need not be that of use.
    handles = [
        layer.register_forward_pre_hook(stop)
        for layer in module.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _gaussian_divergence(layer: nn.modules.batchnorm._BatchNorm, inputs: Tensor) -> float:
    """KL(images || remembered) of Gaussians, mean over channels."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    across = [d for d in range(inputs.ndim) if d != 1]
    var, mean = torch.var_mean(inputs.float(), dim=across)
    var, kept = var + layer.eps, layer.running_var + layer.eps
    shift = (mean - layer.running_mean) ** 2
    return float((0.5 * ((var + shift) / kept - 1 - (var / kept).log())).mean())


def _views(images_BCHW: Tensor) -> tuple[Tensor, ...]:
    """As they are; padded with black and cropped back; and with a black square (cutout) as well."""
    height, width = images_BCHW.shape[2:]
    pad = max(1, height // 8)
    padded = F.pad(images_BCHW, (pad, pad, pad, pad))
    crops = torch.empty_like(images_BCHW)
    for i, (top, left) in enumerate(_spread(len(crops), 2 * pad + 1, 2 * pad + 1)):
        crops[i] = padded[i, :, top : top + height, left : left + width]
    holes = crops.clone()
    for i, (row, column) in enumerate(_spread(len(holes), height, width)):
        rows = slice(max(0, row - height // 4), row + height // 4)
        holes[i, :, rows, max(0, column - width // 4) : column + width // 4] = 0
    return images_BCHW, crops, holes


def _spread(many: int, rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Places in a grid, evenly instead of at random: no seed, less noise.

    Golden section steps spread any number of them; coprime, so that none repeats early.
    """
    cells = rows * columns
    step = next(s for s in count(round(0.618 * cells)) if math.gcd(s, cells) == 1)
    return (divmod(i * step % cells, columns) for i in range(many))
