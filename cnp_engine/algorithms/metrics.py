"""What is measured against ground truth (METHOD section 6).

The only room where a true trigger, target or label may enter. Nothing here chooses anything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork, answers
from cnp_engine.algorithms.rates import share
from cnp_engine.attacks import NO_AIM, Attack
from cnp_engine.events import Measured
from cnp_engine.steps import result

BATCH = 250

CACHED = 64
"""Images whose float32 activations a processor's cache still holds: a quarter quicker than 250."""


@dataclass(frozen=True)
class GroundTruth:
    """Labelled test images, uint8 (N, 3, H, W), and the attack, where they are known."""

    images_BCHW: Tensor
    labels_B: Tensor
    attack: Attack | None = None

    @property
    def stamp(self) -> Callable[[Tensor], Tensor] | None:
        """Maps images in [0, 1] to triggered ones."""
        return None if self.attack is None else self.attack.stamp

    @functools.cached_property
    def aims_B(self) -> Tensor | None:
        """The class each image is to be answered once triggered, int64 (N,); `NO_AIM` for none."""
        if self.attack is None:
            return None
        parts = _batches(self, BATCH)
        return torch.cat([self.attack.aims(x.float() / 255, labels) for x, labels in parts])

    def subset(self, n: int, generator: torch.Generator) -> GroundTruth:
        """At most ``n`` images, drawn without replacement."""
        if n >= len(self.labels_B):
            return self
        chosen = torch.randperm(len(self.labels_B), generator=generator)[:n]
        return GroundTruth(self.images_BCHW[chosen], self.labels_B[chosen], self.attack)


def measure(
    network: MaskedNetwork,
    truth: GroundTruth,
    mask_N: Tensor | None = None,
    *,
    exact: bool = True,
    batch: int | None = None,
) -> Measured:
    """BA on clean images; ASR and RA on triggered ones that aim at another class than their own."""
    return result(measuring(network, truth, mask_N, exact=exact, batch=batch))


@torch.no_grad()
def measuring(
    network: MaskedNetwork,
    truth: GroundTruth,
    mask_N: Tensor | None = None,
    *,
    exact: bool = True,
    batch: int | None = None,
) -> Generator[int, None, Measured]:
    """``measure``, telling after every batch how many images are done."""
    cached = exact and network.device.type == "cpu"
    batch = batch or (CACHED if cached else BATCH)
    clean, stamped, done = [], [], 0
    for images, _ in _batches(truth, batch):
        x = images.to(network.device).float() / 255
        clean.append(answers(network, x, mask_N, exact=exact, batch=batch).cpu())
        if truth.stamp is not None:
            triggered = truth.stamp(x)
            stamped.append(answers(network, triggered, mask_N, exact=exact, batch=batch).cpu())
        done += len(images)
        yield done
    return told(truth, torch.cat(clean), torch.cat(stamped) if stamped else None)


def told(truth: GroundTruth, clean_B: Tensor, said: Tensor | None) -> Measured:
    """What the answers on clean and on triggered images, on the CPU, come to.

    An image that the attack does not trigger counts in no rate of triggered ones; asr_all, of all
    images, is then not measured.
    """
    labels = truth.labels_B
    ba = share(clean_B.eq(labels))
    aims = truth.aims_B
    if said is None or aims is None:
        return Measured(ba=ba)
    triggered = aims != NO_AIM
    others = triggered & (labels != aims)
    return Measured(
        ba=ba,
        asr=share(said[others] == aims[others]),
        ra=share(said[others] == labels[others]),
        asr_all=share(said == aims) if bool(triggered.all()) else None,
    )


def _batches(truth: GroundTruth, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(
        torch.split(truth.images_BCHW, batch), torch.split(truth.labels_B, batch), strict=True
    )
