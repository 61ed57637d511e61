"""Which class a backdoor answers, if any: a ranking of all classes from several signals.

The reference's single signal, the growth of predictions under perturbed neurons, names wrong
classes (METHOD section 5). Here every class is reversed in every trigger family; a backdoored
class needs a far smaller trigger than the others do (``algorithms.ranking``). Where none stands
out by much, a patch is looked for that changes every answer, whatever it becomes (``ANY``): an
all-to-all backdoor has one for all images and none for a class. The reference's votes are kept as
a signal beside them, they do not decide.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cnp_engine.aims import ANY
from cnp_engine.algorithms import waves
from cnp_engine.algorithms.class_search import ClassSearch
from cnp_engine.algorithms.folding import folded
from cnp_engine.algorithms.overlay import MaskedNetwork, answers
from cnp_engine.algorithms.ranking import (
    Ranking,
    any_in_doubt,
    narrow,
    paired,
    rank,
    stands_clear,
    sure,
    with_any,
)
from cnp_engine.algorithms.triggers import (
    KINDS,
    SEARCHES,
    Family,
    Patch,
    ReversalPlan,
    Wave,
)
from cnp_engine.algorithms.votes import neuron_votes
from cnp_engine.events import Event, TargetRow

AT_ONCE = 16
"""Searches in one batch."""

FEW = 512
"""Images on which it is looked at where a patch for ``ANY`` sends the classes."""


def rank_classes(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    names: Sequence[str],
    plan: ReversalPlan,
    generator: torch.Generator,
    *,
    threshold: float,
    eps: float,
    glance: int | None = None,
    restarts: int = 2,
    at_once: int = AT_ONCE,
    wave_images: int = 24,
    families: Collection[Family] = tuple(KINDS),
) -> Generator[Event, None, Ranking]:
    """Reverse every class in every one of ``families`` and rank them. Returns :class:`Ranking`.

    ``threshold``: octaves under the median of the others from which a class is a suspect; families
    in which one is so by little are searched again for all classes, and the smaller trigger of each
    counts. ``glance``: images a step of a first look, which is believed where it is clear; None, or
    as many as the plan's, is none. ``restarts``: starts of every class's patch and warp.
    ``at_once``: searches in a batch. ``wave_images``: images on which plane waves are tried.
    """
    least = plan.batch if glance is None else min(glance, plan.batch)
    unmasked = folded(network, images_BCHW)
    looks = [
        _Look(unmasked, images_BCHW, names, replace(plan, batch=batch), restarts, at_once, families)
        for batch in sorted({least, plan.batch})
    ]
    size = (int(images_BCHW.shape[2]), int(images_BCHW.shape[3]))
    tried = len(waves.frequencies(*size)) if Wave.family in families else 0
    peaks: list[waves.Peak] = []
    done, start = 0, generator.get_state()
    for look in looks:
        generator.set_state(start)  # a second look finds what it would find without the first
        more = 0 if peaks else tried
        done = yield from look.search(generator, done, families, also=more)
        if more:
            peaks = yield from waves.peaks(
                unmasked, images_BCHW, len(names), count=wave_images, offset=done, total=done + more
            )
        done += more
        votes = neuron_votes(network, images_BCHW, eps, generator).tolist()
        ranking = look.ranked(votes, peaks, threshold)
        last = look is looks[-1]
        if last and (doubtful := narrow(ranking, threshold)):
            done = yield from look.search(generator, done, doubtful)
            ranking = look.ranked(votes, peaks, threshold)
        decides = last or sure(ranking, threshold)
        if decides and Patch.family in families and not stands_clear(ranking, threshold):
            done, ranking = yield from look.anywhere(ranking, generator, done, threshold, last)
        if decides and sure(ranking, threshold):
            break
    return ranking


class _Look:
    """All classes searched with one plan, in those of ``families`` that are searched."""

    def __init__(
        self,
        network: MaskedNetwork,
        images_BCHW: Tensor,
        names: Sequence[str],
        plan: ReversalPlan,
        restarts: int,
        at_once: int,
        families: Collection[Family],
    ) -> None:
        self._network, self._images_BCHW, self._names = network, images_BCHW, names
        every = _searches(len(names), plan, restarts, at_once)
        self._searches = [search for search in every if search.family in families]
        self._any = ClassSearch(Patch.family, (ANY,), plan, restarts, at_once)

    def search(
        self,
        generator: torch.Generator,
        offset: int,
        families: Collection[Family],
        also: int = 0,
    ) -> Generator[Event, None, int]:
        """What an earlier call has found is kept where it is smaller. Returns ``offset`` after.

        ``also``: steps that the total counts beside those of the searches.
        """
        searches = [search for search in self._searches if search.family in families]
        total = offset + sum(search.steps for search in searches) + also
        for search in searches:
            yield from search.run(self._network, self._images_BCHW, generator, offset, total)
            offset += search.steps
        return offset

    def ranked(
        self, votes: Sequence[float], peaks: Sequence[waves.Peak], threshold: float
    ) -> Ranking:
        """The classes by what has been found so far."""
        sizes = {search.family: search.sizes for search in self._searches}
        found = {
            (s.family, t): trigger for s in self._searches for t, trigger in enumerate(s.triggers)
        }
        found |= {(Wave.family, t): peak.trigger for t, peak in enumerate(peaks)}
        return rank(self._names, sizes, votes, found, threshold, peaks)

    def anywhere(
        self,
        ranking: Ranking,
        generator: torch.Generator,
        offset: int,
        threshold: float,
        last: bool,
    ) -> Generator[Event, None, tuple[int, Ranking]]:
        """``ranking`` with the patch for ``ANY``, in the last look searched twice where that hangs
        on little; and ``offset`` after."""
        network, x = self._network, self._images_BCHW[:FEW]
        sizes = next(s.sizes for s in self._searches if s.family == Patch.family)
        clean, found = answers(network, x), list[Ranking]()
        while not found or (last and len(found) == 1 and any_in_doubt(found[0], threshold)):
            total = offset + self._any.steps
            yield from self._any.run(network, self._images_BCHW, generator, offset, total)
            offset = total
            (trigger,), (size,) = self._any.triggers, self._any.sizes
            pairing = paired(clean, answers(network, trigger.stamp(x)))
            found.append(with_any(ranking, trigger, size, sizes, pairing, threshold))
        return offset, max(found, key=lambda told: told.score_of(ANY))


def searched(classes: int, plan: ReversalPlan, restarts: int) -> tuple[int, int]:
    """What a ranking takes where a class stands out: searches in its first batch, and steps of one
    search in all."""
    searches = _searches(classes, plan, restarts, AT_ONCE)
    return searches[0].first, sum(search.passes for search in searches)


def _searches(classes: int, plan: ReversalPlan, restarts: int, at_once: int) -> list[ClassSearch]:
    return [
        ClassSearch(family, range(classes), plan, restarts if kind.restarts else 1, at_once)
        for family, kind in SEARCHES.items()
    ]


def rank_by_votes(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    names: Sequence[str],
    eps: float,
    generator: torch.Generator,
) -> Ranking:
    """The reference's own ranking, METHOD section 3.1: it always names a class."""
    votes = neuron_votes(network, images_BCHW, eps, generator).tolist()
    rows = [TargetRow(i, name, votes[i], votes=votes[i]) for i, name in enumerate(names)]
    rows.sort(key=lambda row: (-row.score, row.index))
    margin = rows[0].score - rows[1].score if len(rows) > 1 else 0.0
    first = rows[0].index
    return Ranking(tuple(rows), (first,), margin, {first: ("patch",)})
