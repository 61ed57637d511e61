"""Which class a backdoor answers, if any: a ranking of all classes from several signals.

The reference's single signal, the growth of predictions under perturbed neurons, names wrong
classes (METHOD section 5). Here every class is reversed in both trigger families; a backdoored
class needs a far smaller trigger than the others do. Where none stands out, a patch is looked for
that changes every answer, whatever it becomes (``ANY``): an all-to-all backdoor has one for all
images and none for a class. The reference's votes are kept as a signal beside them, they do not
decide.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from cnp_engine.aims import ANY, ANY_NAME
from cnp_engine.algorithms import waves
from cnp_engine.algorithms.class_search import ClassSearch
from cnp_engine.algorithms.folding import folded
from cnp_engine.algorithms.overlay import MaskedNetwork, answers
from cnp_engine.algorithms.triggers import (
    KINDS,
    SEARCHES,
    Family,
    Patch,
    ReversalPlan,
    Trigger,
    Wave,
)
from cnp_engine.algorithms.triggers.warp import FAR
from cnp_engine.algorithms.votes import neuron_votes
from cnp_engine.events import Event, TargetRow, finite
from cnp_engine.outliers import counted, octaves

AT_ONCE = 16
"""Searches in one batch."""

NARROW = 0.5
"""A verdict that hangs on less than this beyond the threshold is looked into once more: sizes of
one search scatter by tenths of an octave."""

SURE = (0.4, 0.6)
"""A first look, on fewer images a step, is believed where its first class is more than so many
octaves under the threshold, or at least so many beyond it: sizes of fewer images scatter more."""

NEAR = (0.5, 0.75)
"""And where no other class has from so much to so much of the first one's octaves, which would
make it nearly a further suspect, or hardly one."""

CLEAR = 0.6
"""A further suspect stands out at least this far of the first one's octaves: a class that is close
to the target's trigger by nature (a yellow sign, a yellow sticker) is no second one."""

CLEAR_FAMILY = 0.6
"""The same for a further family of a suspect."""

CROWD = 0.5
"""A patch that sends more than this share of all images to one class is that class's."""

FEW = 128
"""Images on which that is looked at."""

BELOW = 0.75
"""Octaves that a patch for no class in particular is under the smallest of the classes' at least:
with many classes that one is far under their median."""


@dataclass(frozen=True)
class Ranking:
    """``rows`` best first; ``suspects`` are the classes that stand out, best first.

    ``families`` of a suspect are those its trigger stands out in; ``found`` are the triggers.
    """

    rows: tuple[TargetRow, ...]
    suspects: tuple[int, ...]
    margin: float
    families: dict[int, tuple[Family, ...]] = field(default_factory=dict)
    found: dict[tuple[Family, int], Trigger] = field(default_factory=dict)

    @property
    def suspicious(self) -> bool:
        return bool(self.suspects)

    def strongest_family(self, target: int) -> tuple[Family, ...]:
        """The family in which a class stands out most, for a class that is followed regardless."""
        row = next(row for row in self.rows if row.index == target)
        octaves = {f: _as_counted(row, f) for f in KINDS}
        known = {f: value for f, value in octaves.items() if value is not None}
        return (max(known, key=known.__getitem__) if known else Patch.family,)


def _as_counted(row: TargetRow, family: Family) -> float | None:
    """Octaves of a class in one family, as they count."""
    return row.signals.get(f"{family}_counted", row.signals.get(f"{family}_octaves"))


def median_of_others(rows: Sequence[TargetRow], index: int, family: Family) -> float | None:
    """Median trigger of all other classes, in the family's measure; None where unknown.

    Waves are not compared by size.
    """
    if family not in SEARCHES:
        return None
    others = (row for row in rows if row.index not in (index, ANY))
    measured, name = family == Patch.family, KINDS[family].measure
    sizes = [row.mask_l1 if measured else row.signals.get(name) for row in others]
    known = [size for size in sizes if size is not None]
    return statistics.median(known) if known else None


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
        if decides and Patch.family in families and not ranking.suspects:
            done, ranking = yield from look.anywhere(ranking, generator, done, threshold)
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
        self, ranking: Ranking, generator: torch.Generator, offset: int, threshold: float
    ) -> Generator[Event, None, tuple[int, Ranking]]:
        """``ranking`` with the patch for ``ANY``; and ``offset`` after."""
        network, total = self._network, offset + self._any.steps
        yield from self._any.run(network, self._images_BCHW, generator, offset, total)
        (trigger,), (size,), x = self._any.triggers, self._any.sizes, self._images_BCHW[:FEW]
        usual, share = (commonest(answers(network, images)) for images in (x, trigger.stamp(x)))
        sizes = next(s.sizes for s in self._searches if s.family == Patch.family)
        return total, with_any(ranking, trigger, size, sizes, share, usual, threshold)


def commonest(answers_B: Tensor) -> float:
    """Share of the class that is answered most."""
    return float(answers_B.bincount().max()) / len(answers_B)


def with_any(
    ranking: Ranking,
    trigger: Trigger,
    size: float,
    sizes: Sequence[float],
    share: float,
    usual: float,
    threshold: float,
) -> Ranking:
    """A ranking in which no class stands out, with the patch that changes every answer among them.

    ``size`` of that patch and of the classes' (``sizes``), infinite where none works: that counts
    as the whole image. Where it is so much smaller than theirs, and smaller than each, it is the
    only suspect; a clean network's is several times as large. ``share`` of the commonest answer
    under it, and ``usual`` of the commonest on clean images.
    """
    whole = float(trigger.mask_HW.numel())
    every = [min(one, whole) for one in (size, *sizes)]
    alone = every[0] * 2**BELOW <= min(every[1:]) and share <= max(usual, CROWD)
    stands = counted(every)[0]
    score = stands if alone else min(stands, 0.0)
    signals = _octaves({Patch.family: octaves(every)}, {Patch.family: counted(every)}, 0)
    row = TargetRow(
        ANY, ANY_NAME, score, finite(size), anomaly=score,
        signals=signals | {"commonest": round(share, 4)},
    )  # fmt: skip
    rows = tuple(sorted((*ranking.rows, row), key=lambda row: (-row.score, row.index)))
    return Ranking(
        rows,
        (ANY,) if score >= threshold else (),
        rows[0].score - rows[1].score,
        ranking.families | {ANY: (Patch.family,)},
        ranking.found | {(Patch.family, ANY): trigger},
    )


def sure(ranking: Ranking, threshold: float) -> bool:
    """Whether every class is far from what would make it a suspect, on either side.

    A patch for no class, which has no others of its kind to be compared with, is never so.
    """
    first, *others = (row.score for row in ranking.rows)
    low, high = threshold - SURE[0], threshold + SURE[1]
    if low <= first < high:
        return False
    anywhere = next((row for row in ranking.rows if row.index == ANY), None)
    if anywhere is not None and (_as_counted(anywhere, Patch.family) or 0.0) >= low:
        return False
    near, clear = (share * first for share in NEAR)
    return not any(max(low, near) <= score < clear for score in others)


def narrow(ranking: Ranking, threshold: float) -> set[Family]:
    """Families in which a class is a suspect, where none of them stands out by much."""
    if not ranking.suspects or ranking.rows[0].score >= threshold + NARROW:
        return set()
    return {family for target in ranking.suspects for family in ranking.families[target]}


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


def rank(
    names: Sequence[str],
    sizes: dict[Family, list[float]],
    votes: Sequence[float],
    found: dict[tuple[Family, int], Trigger],
    threshold: float,
    peaks: Sequence[waves.Peak] = (),
) -> Ranking:
    """Order the classes by the family in which each stands out most.

    ``peaks``: the wave of each class, which stands out by being narrow, not by being small.
    """
    compared = {family: _comparable(family, values) for family, values in sizes.items()}
    told = {family: octaves(values) for family, values in compared.items()}
    counts = {family: counted(values) for family, values in compared.items()}
    if peaks:
        told[Wave.family] = counts[Wave.family] = [peak.octaves for peak in peaks]
    masks = sizes.get(Patch.family)
    rows = []
    for index, name in enumerate(names):
        best = max(values[index] for values in counts.values())
        signals = _octaves(told, counts, index)
        if peaks:
            signals[Wave.measure] = round(peaks[index].share, 4)
        signals |= {
            KINDS[f].measure: finite(v[index]) for f, v in sizes.items() if f != Patch.family
        }
        rows.append(
            TargetRow(
                index=index,
                name=name,
                score=best,
                mask_l1=finite(masks[index]) if masks else None,
                anomaly=best,
                votes=float(votes[index]),
                signals=signals,
            )
        )
    rows.sort(key=lambda row: (-row.score, row.index))
    least = max(threshold, rows[0].score * CLEAR)
    suspects = tuple(row.index for row in rows if row.score >= least)
    families = {row.index: _families(told, counts, row.index, threshold) for row in rows}
    margin = rows[0].score - rows[1].score if len(rows) > 1 else 0.0
    return Ranking(tuple(rows), suspects, margin, families, found)


def _comparable(family: Family, sizes: Sequence[float]) -> list[float]:
    """Few classes can be reached by a warp at all: one that cannot counts as far away."""
    return [min(size, FAR) for size in sizes] if family == "warp" else list(sizes)


def _octaves(
    told: dict[Family, list[float]], counts: dict[Family, list[float]], index: int
) -> dict[str, float | None]:
    """Signals of a class: its octaves in each family, and what they count as where that is less."""
    found: dict[str, float | None] = {}
    for family, values in told.items():
        found[f"{family}_octaves"] = round(values[index], 4)
        if counts[family][index] != values[index]:
            found[f"{family}_counted"] = round(counts[family][index], 4)
    return found


def _families(
    told: dict[Family, list[float]],
    counts: dict[Family, list[float]],
    index: int,
    threshold: float,
) -> tuple[Family, ...]:
    """Those in which a suspect stands out, as that counts, nearly as far as in the best of them.

    A family that only an adversarial pattern fills would teach the masks to prune what the
    network needs (docs/log.md has the table).
    """
    counts_in = {f: told[f][index] for f in told if counts[f][index] >= threshold}
    least = CLEAR_FAMILY * max(counts_in.values(), default=0.0)
    return tuple(f for f, octaves in counts_in.items() if octaves >= least)


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
