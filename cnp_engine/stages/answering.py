"""Answer a slider: the model with exactly k neurons pruned, as the curve measures it.

The same images, batches and definitions as the curve, asked through ``algorithms.prefix``; what was
answered once is known, and while nobody asks the neighbours of the last answer are thought about.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from cnp_engine import runtime
from cnp_engine.algorithms.metrics import GroundTruth, told
from cnp_engine.algorithms.overlay import pruned_mask
from cnp_engine.algorithms.prefix import Batch, Prefix
from cnp_engine.algorithms.pruning import Judge
from cnp_engine.errors import SettingInvalid
from cnp_engine.events import Evaluated, Measured
from cnp_engine.stages.material import Clock
from cnp_engine.stages.session import Session

BATCH = 250
"""As the curve has it: the same batches give the same bits."""

NEIGHBOURS = tuple(step for far in range(1, 9) for step in (far, -far))
"""How far from the last answer a slider may be next, the nearest first."""


def check(session: Session, k: int) -> None:
    """Raises SettingInvalid for a number of neurons that the network does not have."""
    if not 0 <= k <= session.neurons:
        raise SettingInvalid(
            f"{k} neurons cannot be pruned: the network has {session.neurons}.",
            f"Give a number from 0 to {session.neurons}.",
        )


class Answers:
    """Measures on the images that chose, and on the sample behind the curve's own figures.

    ``known`` are the answers so far, by k.
    """

    def __init__(self, session: Session) -> None:
        material = session.material
        device = material.network.device
        self._session = session
        self._judge = Judge(material.network, material.select, session.triggers.judges)
        self._sample = sample(session)
        self._order_N = session.scores.order_N.to(device)
        self._sets = [*self._judged(), *self._measured(device)]
        batches = [batch for batches in self._sets for batch in batches]
        self._prefix = Prefix(material.network, batches, runtime.cache_bytes(device))
        self.known: dict[int, Evaluated] = {}
        self._thought: tuple[int, Generator[None, None, None]] | None = None
        self._ahead = deque([session.curve.chosen.k])  # where a slider begins

    def evaluate(self, k: int) -> Evaluated:
        """Exact figures; at once where they are known."""
        clock = Clock()
        while not self._think(k):
            pass
        self._ahead = deque(
            n for step in NEIGHBOURS if 0 <= (n := k + step) <= self._session.neurons
        )
        return replace(self.known[k], seconds=clock.seconds)

    @property
    def held_bytes(self) -> int:
        """Memory of the activations that are kept."""
        return self._prefix.held_bytes

    def ponder(self) -> bool:
        """A moment's work on what may be asked next; False where there is none."""
        if self._ahead and self._think(self._ahead[0]):
            self._ahead.popleft()
        return bool(self._ahead)

    def _think(self, k: int) -> bool:
        """Go on by one batch; whether the answer is known now."""
        if k in self.known:
            return True
        if self._thought is None or self._thought[0] != k:
            self._thought = (k, self._steps(k))
        if next(self._thought[1], self) is self:
            self._thought = None
        return k in self.known

    def _steps(self, k: int) -> Generator[None, None, None]:
        """Ask about every batch, one at a time, and keep the answer."""
        clock, mask_N = Clock(), pruned_mask(self._order_N, k)
        said: list[Tensor] = []
        for number in range(sum(map(len, self._sets))):
            said.append(self._prefix.batch(number, mask_N))
            yield
        answers = [_joined([said.pop(0) for _ in batches], self._order_N) for batches in self._sets]
        judged = len(self._judge.sizes)
        point = self._judge.told(k, answers[:judged])
        measured = self._measure([answer.cpu() for answer in answers[judged:]])
        self.known[k] = Evaluated(k, point.label_free, measured, clock.seconds)

    def _measure(self, said: Sequence[Tensor]) -> Measured:
        if self._sample is None:
            return Measured()
        return told(self._sample, said[0], said[1] if len(said) > 1 else None)

    def _judged(self) -> list[list[Batch]]:
        """Of each set that chooses, its images in batches."""
        return [
            [
                Batch(part.stop - part.start, partial(self._judge.ask, number, part))
                for part in _parts(size)
            ]
            for number, size in enumerate(self._judge.sizes)
        ]

    def _measured(self, device: torch.device) -> list[list[Batch]]:
        """The sample as it is, and triggered where the attack is known."""
        sample = self._sample
        if sample is None:
            return []
        images, parts = sample.images_BCHW.to(device), _parts(len(sample.labels_B))

        def clean(part: slice) -> Tensor:
            return images[part].float() / 255

        def stamped(part: slice) -> Tensor:
            assert sample is not None
            assert sample.stamp is not None
            return sample.stamp(clean(part))

        kinds = [clean] if sample.stamp is None else [clean, stamped]
        return [
            [Batch(part.stop - part.start, partial(make, part)) for part in parts] for make in kinds
        ]


def sample(session: Session) -> GroundTruth | None:
    """The images behind the figures of the curve."""
    truth, config = session.evidence.truth, session.material.config
    if truth is None:
        return None
    return truth.subset(config.sweep.measured_images, runtime.generator(config.seed, "curve"))


def _parts(size: int) -> list[slice]:
    return [slice(start, min(size, start + BATCH)) for start in range(0, size, BATCH)]


def _joined(said: Sequence[Tensor], like: Tensor) -> Tensor:
    return torch.cat(list(said)) if said else like.new_empty(0, dtype=torch.int64)
