"""The smallest triggers of all classes in one family, searched in as few batches as may be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cnp_engine.aims import ANY
from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.reversal import reverse
from cnp_engine.algorithms.triggers import SEARCHES, Family, Found, ReversalPlan, Trigger
from cnp_engine.events import Event, TargetSizes, finite


class ClassSearch:
    """The smallest trigger of every class in one family, or the one of ``ANY``.

    With restarts each has a share of the steps, and every class goes on from its best: a class that
    stands out does so early, unless its start was unlucky. All go on, for sizes are compared.
    """

    def __init__(
        self,
        family: Family,
        targets: Sequence[int],
        plan: ReversalPlan,
        restarts: int,
        at_once: int,
    ) -> None:
        self.family: Family = family
        self._targets = tuple(targets)
        self._best: dict[int, tuple[float, Trigger]] = {}
        kind = SEARCHES[family]
        early = plan.steps if restarts == 1 else max(1, plan.steps // kind.early)
        self._first = replace(plan, steps=early)
        self._rest = replace(plan, steps=plan.steps - early)
        self._groups = _even([t for t in self._targets for _ in range(restarts)], at_once)
        goes_on = self._rest.steps > 0 and kind.goes_on
        self._last = _even(self._targets, at_once) if goes_on else []
        self.steps = early * len(self._groups) + self._rest.steps * len(self._last)

    @property
    def first(self) -> int:
        """Searches in the first batch."""
        return len(self._groups[0])

    @property
    def passes(self) -> int:
        """Steps of one search, over all of them."""
        early, late = sum(map(len, self._groups)), sum(map(len, self._last))
        return self._first.steps * early + self._rest.steps * late

    @property
    def sizes(self) -> list[float]:
        """Of the smallest trigger of each."""
        return [self._best[t][0] for t in self._targets]

    @property
    def triggers(self) -> list[Trigger]:
        return [self._best[t][1] for t in self._targets]

    def run(
        self,
        network: MaskedNetwork,
        images_BCHW: Tensor,
        generator: torch.Generator,
        offset: int,
        total: int,
    ) -> Generator[Event, None, None]:
        """Search; what an earlier call has found is kept where it is smaller."""

        def look(found: Found) -> TargetSizes:
            sizes = {t: size for t, (size, _) in _better(self._best, found).items()}
            return forming(self.family, [sizes.get(t) for t in self._targets])

        def search(
            group: Sequence[int], plan: ReversalPlan, start: Sequence[Trigger] = ()
        ) -> Generator[Event, None, None]:
            nonlocal offset
            found = yield from reverse(
                network, images_BCHW, group, self.family, plan, generator, stage="target",
                offset=offset, total=total, look=None if ANY in group else look, start=start,
            )  # fmt: skip
            self._best = _better(self._best, found)
            offset += plan.steps

        for group in self._groups:
            yield from search(group, self._first)
        for group in self._last:
            yield from search(group, self._rest, [self._best[t][1] for t in group])


def _better(
    best: dict[int, tuple[float, Trigger]], found: Found
) -> dict[int, tuple[float, Trigger]]:
    """The smaller of what each class had and has found."""
    better = dict(best)
    for size, trigger in zip(found.sizes, found.triggers, strict=True):
        if trigger.target not in better or size < better[trigger.target][0]:
            better[trigger.target] = (size, trigger)
    return better


def _even(every: Sequence[int], most: int) -> list[list[int]]:
    """Groups of at most ``most``, as equal as can be."""
    count = math.ceil(len(every) / most)
    ends = [round(len(every) * number / count) for number in range(count + 1)]
    return [list(every[a:b]) for a, b in itertools.pairwise(ends)]


def forming(family: Family, sizes: Sequence[float | None]) -> TargetSizes:
    """Sizes as far as they are known; None is yet to come."""
    return TargetSizes(family, tuple(None if size is None else finite(size) for size in sizes))
