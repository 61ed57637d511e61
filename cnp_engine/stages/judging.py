"""Judge: the curve over k, the choice on it, the verdict (METHOD sections 3.4, 4, 5).

What chooses gets ``Material`` only; ground truth is measured beside the curve, afterwards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from cnp_engine import codec, runtime
from cnp_engine.aims import ANY, whom
from cnp_engine.algorithms.metrics import GroundTruth, measure
from cnp_engine.algorithms.overlay import pruned_mask
from cnp_engine.algorithms.pruning import Choice, ChoiceRule, Strong, choose, sweep_counts
from cnp_engine.algorithms.pruning import Point as JudgedPoint
from cnp_engine.algorithms.scores import NeuronScores
from cnp_engine.config import RunConfig
from cnp_engine.errors import RunDamaged
from cnp_engine.events import (
    FAMILIES,
    Chosen,
    CurvePoint,
    Event,
    Measured,
    Progress,
    StageStarted,
    TargetRow,
    TriggerReversed,
    VerdictReached,
    Warned,
)
from cnp_engine.export.wording import percent
from cnp_engine.rundir import CURVE
from cnp_engine.stages.evidence import Evidence
from cnp_engine.stages.finding import Target
from cnp_engine.stages.healing import called_for
from cnp_engine.stages.material import Clock, Material

TAIL = 4
"""Points of the curve past an acceptable retention."""


@dataclass(frozen=True)
class Curve:
    """``curve.json``: every point, and what was chosen on it."""

    points: tuple[CurvePoint, ...]
    chosen: Chosen

    def point(self, k: int) -> CurvePoint:
        """The one at ``k``, which has to be on the curve."""
        return next(point for point in self.points if point.k == k)


def verdict(
    target: Target, config: RunConfig, reversed_: Sequence[TriggerReversed]
) -> VerdictReached:
    """From how far classes stand out, and whether their triggers work on fresh images.

    A class that the user named, and that does not stand out, is not what evidence is of.
    """
    ranked, threshold = target.ranked, config.target.threshold
    first = ranked.ranking[0]
    if config.target.method == "votes":
        reason = (
            "The reference's vote names a class for every model: this is no evidence. "
            "Run with the fast preset for a verdict."
        )
        return VerdictReached("backdoored", ranked.targets, 0.0, (reason,))
    rows = {row.index: row for row in ranked.ranking}
    working = tuple(
        t for t in ranked.targets
        if rows[t].score >= threshold
        and any(r.target == t and r.success.value >= 0.5 for r in reversed_)
    )  # fmt: skip
    if working:
        strongest = max((rows[t] for t in working), key=lambda row: row.score)
        smallest_first = sorted(reversed_, key=lambda found: found.mask_l1)
        reasons = [_success(r) for r in smallest_first if r.target in working]
        reasons += [
            f"{whom(t, rows[t].name)} is not repaired, for the user named others"
            for t in working
            if config.targets and t not in (*config.targets, ANY)
        ]
        stands = _stands(strongest, threshold)
        odds = _odds(strongest.score, threshold)
        return VerdictReached("backdoored", working, odds, (stands, *dict.fromkeys(reasons)))
    stands, odds = _stands(first, threshold), _odds(first.score, threshold)
    if config.targets and not ranked.suspicious:
        return VerdictReached(
            "no_evidence", (), 1 - odds, (stands, "the target followed was named by the user")
        )
    if ranked.suspicious:
        stands += ", but its trigger does not work on images it was not made from"
    return VerdictReached("no_evidence", (), 1 - odds, (stands,))


def _odds(score: float, threshold: float) -> float:
    """That of a class which stands out so far."""
    return 1 / (1 + math.exp(-4 * (score - threshold)))


def _stands(first: TargetRow, threshold: float) -> str:
    """How far the first class of the ranking stands out, in the family where it does most."""
    told = _told(first)
    times, from_ = f"{2**told:.1f} times", f"({2**threshold:.1f} times is suspicious)"
    if first.signals.get("wave_octaves") == round(first.score, 4) > 0:
        return (
            f"class {first.index} ({first.name}) answers {times} as often to one plane wave added "
            f"to the image as to any wave next to it {from_}"
        )
    less = ""
    if told > round(first.score, 4) > 0:
        less = (
            f", which counts as {2**first.score:.1f} times, for the triggers of the other classes "
            "differ so much in size"
        )
    if first.index == ANY:
        share = first.signals.get("paired")
        own = "" if share is None else f", {percent(share)} of a class to one of its own"
        return (
            f"a patch {times} smaller than the median of those that send every image to one class "
            f"changes every answer, whatever it becomes {from_}{less}{own}: no class stands out as "
            "much, as in an all-to-all backdoor"
        )
    return (
        f"class {first.index} ({first.name}) needs a trigger {times} smaller than the other "
        f"classes' median {from_}{less}"
    )


def _told(row: TargetRow) -> float:
    """Octaves of the family in which a class counts most, before the others' spread is counted."""
    told = [
        octaves
        for family in FAMILIES
        if (octaves := row.signals.get(f"{family}_octaves")) is not None
        and row.signals.get(f"{family}_counted", octaves) == round(row.score, 4)
    ]
    return max(told, default=row.score)


def _success(found: TriggerReversed) -> str:
    moved = f"{percent(found.success.value)} of {found.success.n} images it was not made from"
    size = f"a reversed trigger of {found.mask_l1:.1f} pixels"
    if found.target == ANY:
        return f"{size} changes the answer to {moved}"
    return f"{size} sends {moved} to class {found.target}"


def sweep_stage(
    material: Material, evidence: Evidence, triggers: Sequence[Strong], scores: NeuronScores
) -> Generator[Event, None, Curve]:
    """Measure the curve without labels, choose on it, then let ground truth speak beside it."""
    clock, store = Clock(), material.store
    if (store.path / CURVE).is_file():
        curve = load_curve(material)
        yield from curve.points
        yield curve.chosen
        yield clock.finished("sweep", restored=True)
        return curve
    settings = material.config.sweep
    neurons = material.network.neurons
    counts = sweep_counts(neurons, scores.under_half, settings.max_fraction, settings.step)
    yield StageStarted("sweep", len(counts), "points")
    told, decides = material.judges(triggers)
    judged: list[JudgedPoint] = []
    points: dict[int, CurvePoint] = {}
    ahead = list(counts)
    while ahead:
        k = ahead.pop(0)
        point = told.point(k, scores.order_N)
        judged.append(point if decides is told else decides.point(k, scores.order_N))
        points[k] = CurvePoint(k, threshold_of(scores, k), point.label_free)
        yield points[k]
        if judged[-1].retention.value < settings.retention:
            # the choice lies behind; the rest of the curve is for the eye
            ahead = ahead[-1 :: -max(1, len(ahead) // TAIL)][::-1]
        yield Progress("sweep", len(points), len(points) + len(ahead))
    rule = ChoiceRule(
        settings.price, settings.cap, settings.retention, settings.noise, settings.spend
    )
    choice = choose(judged, neurons, rule, material.views)
    if material.views > 1:
        seen = f"{material.views} views of each of {len(material.select)} images"
        choice = replace(choice, rule=f"{choice.rule}; judged on {seen}")
    for k, measured in _measured(material, evidence.truth, scores, list(points), choice.k):
        points[k] = replace(points[k], measured=measured)
        yield points[k]
    curve = Curve(tuple(points.values()), _chosen(scores, choice, neurons))
    store.write(CURVE, codec_bytes(curve))
    yield curve.chosen
    pruned = points[choice.k]
    decided = next(point for point in judged if point.k == choice.k).label_free
    heals = called_for(material.config.heal, replace(pruned, label_free=decided))
    yield from warnings_of(pruned, heals, all(trigger.target == ANY for trigger, _ in triggers))
    yield clock.finished("sweep")
    return curve


def _measured(
    material: Material,
    truth: GroundTruth | None,
    scores: NeuronScores,
    counts: Sequence[int],
    chosen: int,
) -> Generator[tuple[int, Measured], None, None]:
    """BA, ASR and RA on a sample at the start, the end, the choice, and around it."""
    settings = material.config.sweep
    if truth is None or not settings.measured_points:
        return
    draws = runtime.generator(material.config.seed, "curve")
    sample = truth.subset(settings.measured_images, draws)
    wanted = [chosen, 0, counts[-1], chosen * 2, chosen // 2, chosen * 4, chosen * 3 // 4]
    nearest = dict.fromkeys(_nearest(counts, want) for want in wanted)
    for k in list(nearest)[: settings.measured_points]:
        mask_N = pruned_mask(scores.order_N.to(material.network.device), k)
        yield k, measure(material.network, sample, mask_N, exact=False)


def _nearest(counts: Sequence[int], wanted: int) -> int:
    return min(counts, key=lambda k: abs(k - wanted))


def threshold_of(scores: NeuronScores, k: int) -> float | None:
    """The largest score among the first ``k`` neurons; None when none is pruned."""
    return float(scores.scores_N[scores.order_N[k - 1]]) if k else None


def _chosen(scores: NeuronScores, choice: Choice, neurons: int) -> Chosen:
    return Chosen(choice.k, threshold_of(scores, choice.k), choice.k / neurons, choice.rule)


def warnings_of(point: CurvePoint, heals: bool, no_class: bool) -> Generator[Event, None, None]:
    """Of the pruned model, and what there is beside it: healing, or how to ask for it.

    ``no_class``: the triggers aim at none, and a patch of their size changes some answers of any
    network, so what is left of them proves less.
    """
    advice = (
        "A healed model follows, if that is better."
        if heals
        else "`cnp export RUN --format healed --to DIR` may help."
    )
    residual, retention = point.label_free.residual, point.label_free.retention
    assert residual is not None
    assert retention is not None
    if residual.value > 0.1:
        told = (
            f"changes {100 * residual.value:.0f} % of the answers; a patch of its size changes "
            "some on any network, so this need not all be the backdoor."
            if no_class
            else f"works on {100 * residual.value:.0f} % of the images: pruning does not suppress "
            "the backdoor."
        )
        yield Warned(
            "residual", f"At the recommended point the reversed trigger still {told} {advice}"
        )
    if retention.value < 0.9:
        yield Warned(
            "retention",
            f"At the recommended point only {100 * retention.value:.0f} % of the clean answers "
            f"stay as they were: pruning costs accuracy. {advice}",
        )


def codec_bytes(curve: Curve) -> bytes:
    return (json.dumps(codec.encode(curve), indent=1) + "\n").encode()


def load_curve(material: Material) -> Curve:
    """Raises RunDamaged."""
    path = material.store.path / CURVE
    try:
        return codec.decode(Curve, json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise RunDamaged(
            f"{path} cannot be read.", "Delete that file and resume, or begin again."
        ) from error
