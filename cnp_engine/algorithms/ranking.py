"""What the sizes of reversed triggers say: the order of the classes, and which of them stand out.

No trigger is searched here, and no network is asked: ``algorithms.target`` does that.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cnp_engine.aims import ANY, ANY_NAME
from cnp_engine.algorithms import waves
from cnp_engine.algorithms.triggers import KINDS, SEARCHES, Family, Patch, Trigger, Wave
from cnp_engine.algorithms.triggers.warp import FAR
from cnp_engine.events import TargetRow, finite
from cnp_engine.outliers import counted, octaves

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

PAIRED = 0.35
"""Of a patch for no class in particular, what it is ``paired`` at least. An all-to-all backdoor
sends every class to one of its own; what changes every answer of a network without one sends them
to a few classes, whose triggers it is (docs/log.md: 0.5 to 0.9, and 0.2 at most). Of five classes
or fewer two are as much: there it tells that it is smaller than the patch of each of them."""


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

    def score_of(self, index: int) -> float:
        return next(row.score for row in self.rows if row.index == index)

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


def paired(clean_B: Tensor, stamped_B: Tensor) -> float:
    """How far a trigger sends every class to another one of its own.

    By the answers to images without and with it, int64 (B,): each class is paired with one, no two
    with the same, the largest share first. On one half of the images, for what that share is, on
    the other half, does not gain by having been the largest; mean over classes and both ways.
    """
    before_B, after_B = clean_B.cpu(), stamped_B.cpu()
    classes = 1 + int(torch.cat([before_B, after_B]).max())
    counts_2KK = torch.zeros(2, classes, classes)
    half_B = torch.empty_like(before_B)
    half_B[before_B.argsort(stable=True)] = torch.arange(len(before_B)) % 2  # of every class
    counts_2KK.index_put_((half_B, before_B, after_B), torch.ones(len(before_B)), accumulate=True)
    shares = [_sent(counts_2KK[half], _pairs(counts_2KK[1 - half])) for half in (0, 1)]
    return sum(shares) / 2


def _pairs(counts_KK: Tensor) -> dict[int, int]:
    """Each class with where most of it goes, the largest shares first."""
    shares_KK = counts_KK / counts_KK.sum(1, keepdim=True).clamp(min=1)
    every = [(-float(shares_KK[a, b]), a, b) for a, b in counts_KK.nonzero().tolist() if a != b]
    pairs: dict[int, int] = {}
    for _, one, other in sorted(every):
        if one not in pairs and other not in pairs.values():
            pairs[one] = other
    return pairs


def _sent(counts_KK: Tensor, pairs: dict[int, int]) -> float:
    """Share of a class that goes where it is paired with, mean over those there are images of."""
    sizes_K = counts_KK.sum(1)
    sources = sizes_K.nonzero().flatten().tolist()
    sent = [float(counts_KK[a, pairs[a]] / sizes_K[a]) for a in sources if a in pairs]
    return sum(sent) / max(1, len(sources))


def with_any(
    ranking: Ranking,
    trigger: Trigger,
    size: float,
    sizes: Sequence[float],
    pairing: float,
    threshold: float,
) -> Ranking:
    """A ranking with the patch that changes every answer among the classes.

    ``size`` of that patch and of the classes' (``sizes``), infinite where none works: that counts
    as the whole image. ``pairing``: how far it is ``paired``. Where it is smaller than the patch of
    any class, paired, and stands out further than every class does, it is the only suspect.
    """
    whole, pairing = float(trigger.mask_HW.numel()), round(pairing, 4)
    every = [min(one, whole) for one in (size, *sizes)]
    stands = counted(every)[0]
    of_none = every[0] < min(every[1:]) and pairing >= PAIRED
    score = stands if of_none else min(stands, 0.0)
    signals = _octaves({Patch.family: octaves(every)}, {Patch.family: counted(every)}, 0)
    row = TargetRow(
        ANY, ANY_NAME, score, finite(size), anomaly=score,
        signals=signals | {"paired": pairing},
    )  # fmt: skip
    rows = tuple(sorted((*ranking.rows, row), key=lambda r: (-r.score, r is row, r.index)))
    return Ranking(
        rows,
        (ANY,) if rows[0] is row and score >= threshold else ranking.suspects,
        rows[0].score - rows[1].score,
        ranking.families | {ANY: (Patch.family,)},
        ranking.found | {(Patch.family, ANY): trigger},
    )


def any_in_doubt(ranking: Ranking, threshold: float) -> bool:
    """Whether it hangs on little if a patch for no class in particular stands out."""
    row = next(row for row in ranking.rows if row.index == ANY)
    stands = _as_counted(row, Patch.family) or 0.0
    close = threshold - SURE[0] <= stands < threshold + NARROW
    return close and (row.signals["paired"] or 0.0) >= PAIRED


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


def stands_clear(ranking: Ranking, threshold: float) -> bool:
    """Whether a class stands out by so much that chance would not undo it."""
    return ranking.rows[0].score >= threshold + NARROW


def narrow(ranking: Ranking, threshold: float) -> set[Family]:
    """Families in which a class is a suspect, where none of them stands out by much."""
    if stands_clear(ranking, threshold):
        return set()
    return {family for target in ranking.suspects for family in ranking.families[target]}


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
