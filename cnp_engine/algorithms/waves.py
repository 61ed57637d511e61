"""Plane waves: a class that answers to one, and not to the waves next to it, was taught so.

A planted sinusoid (SIG, Barni et al. 2019) is no smaller than what disturbs a network anyway, so
its size does not give it away; how narrow the answer is does. A network that is sensitive to a
texture answers to a whole neighbourhood of waves. The map of answers over frequencies is that of
Yin et al., NeurIPS 2019 ("A Fourier Perspective on Model Robustness"); forward passes are enough.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork, answers
from cnp_engine.algorithms.triggers import Found, Trigger, Wave
from cnp_engine.events import Progress, Stage

AMPLITUDE = 32 / 255
"""Of the waves of the map, in [0, 1]: published ones have 20 to 40 grey levels."""

PHASES = 4
PERIOD = 4
"""Pixels a period takes more than: finer waves fall together with the strides of networks."""

WORKS = 0.5
"""Share of images that a wave has to move for its narrowness to mean anything."""

FEWEST = 1 / 16
"""A smaller share in the neighbourhood counts as this: so few images tell no less."""

Frequency = tuple[int, int]
"""Periods down and across the image; across is never negative, and down is not where it is 0."""


@dataclass(frozen=True)
class Peak:
    """The wave a class answers to most. ``octaves``: how much more than to any next to it."""

    octaves: float
    share: float
    trigger: Trigger


def frequencies(height: int, width: int) -> list[Frequency]:
    """All that are slower than ``PERIOD``, each once, the constant left out."""
    down, across = (max(1, math.ceil(side / PERIOD) - 1) for side in (height, width))
    every = [(f, g) for g in range(across + 1) for f in range(-down, down + 1)]
    return [(f, g) for f, g in every if g > 0 or f > 0]


def neighbours(frequency: Frequency) -> list[Frequency]:
    """The waves next to one, as ``frequencies`` writes them; some may be too fast for it."""
    f, g = frequency
    around = [(f + i, g + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    return [(a, b) if b > 0 or (b == 0 and a > 0) else (-a, -b) for a, b in around]


def wave(frequency: Frequency, phase: float, height: int, width: int) -> Tensor:
    """sin(2 pi (f i / H + g j / W) + phase) for row i and column j, (H, W) in [-1, 1]."""
    down = torch.arange(height)[:, None] * frequency[0] / height
    across = torch.arange(width) * frequency[1] / width
    return torch.sin(2 * math.pi * (down + across) + phase)


def as_trigger(target: int, wave_HW: Tensor, amplitude: float) -> Wave:
    pattern = (0.5 + 0.5 * wave_HW).expand(3, -1, -1).contiguous()
    return Wave(target, pattern, torch.full_like(wave_HW, amplitude))


def peaks(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    classes: int,
    *,
    count: int,
    stage: Stage = "target",
    offset: int = 0,
    total: int | None = None,
) -> Generator[Progress, None, list[Peak]]:
    """The peak of every class, on the first ``count`` images; a step is a frequency."""
    x = images_BCHW[:count]
    height, width = x.shape[2:]
    every = frequencies(height, width)
    original = answers(network, x)
    others = torch.stack([(original != c).sum() for c in range(classes)]).clamp(min=1)
    shares: dict[Frequency, Tensor] = {}
    for done, frequency in enumerate(every, 1):
        stamped = torch.cat([
            as_trigger(0, wave(frequency, 2 * math.pi * p / PHASES, height, width).to(x),
                       AMPLITUDE).stamp(x)
            for p in range(PHASES)
        ])  # fmt: skip
        said = answers(network, stamped).view(PHASES, len(x))
        moved = torch.stack([((said == c) & (original != c)).sum(1) for c in range(classes)])
        shares[frequency] = (moved / others[:, None]).cpu()  # (K, PHASES)
        yield Progress(stage, offset + done, total or len(every), label="wave")
    return [_peak(c, shares, height, width, x) for c in range(classes)]


def _peak(
    target: int, shares: dict[Frequency, Tensor], height: int, width: int, like: Tensor
) -> Peak:
    best = max(shares, key=lambda f: float(shares[f][target].max()))
    share = float(shares[best][target].max())
    around = [shares[f][target].max() for f in neighbours(best) if f in shares]
    beside = float(torch.stack(around).max()) if around else share
    octaves = math.log2(share / max(beside, FEWEST)) if share >= WORKS else 0.0
    phase = 2 * math.pi * int(shares[best][target].argmax()) / PHASES
    shape = wave(best, phase, height, width).to(like)
    return Peak(octaves, share, as_trigger(target, shape, AMPLITUDE))


def weakest(
    network: MaskedNetwork, images_BCHW: Tensor, trigger: Trigger, success: float, count: int
) -> Found:
    """The wave at the smallest amplitude with that success, ``count`` times; inf where none has."""
    original = answers(network, images_BCHW)
    x = images_BCHW[original != trigger.target]
    shape = 2 * trigger.pattern_CHW[0] - 1
    for levels in range(8, 65, 4):
        found = as_trigger(trigger.target, shape, levels / 255)
        if not len(x) or _share(network, x, found) >= success:
            return Found((found,) * count, (levels / 255,) * count, 1)
    return Found((trigger,) * count, (math.inf,) * count, 1)


def _share(network: MaskedNetwork, x: Tensor, trigger: Trigger) -> float:
    return float((answers(network, trigger.stamp(x)) == trigger.target).float().mean())
