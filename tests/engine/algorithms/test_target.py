"""The ranking: octaves by hand, the suspects and their families, the votes in float64."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cnp_engine.aims import ANY
from cnp_engine.algorithms.overlay import MaskedNetwork, answers
from cnp_engine.algorithms.ranking import (
    Ranking,
    any_in_doubt,
    median_of_others,
    narrow,
    paired,
    rank,
    with_any,
)
from cnp_engine.algorithms.target import rank_by_votes, rank_classes
from cnp_engine.algorithms.triggers import KINDS, SEARCHES, Family, Patch, ReversalPlan
from cnp_engine.algorithms.votes import ascend, neuron_votes
from cnp_engine.algorithms.waves import frequencies
from cnp_engine.events import FAMILIES, Progress, TargetRow
from tests.engine.algorithms.drive import finish
from tests.engine.algorithms.nets import (
    PLANTED_LAYERS,
    STRENGTH,
    TARGET,
    AllToAllNet,
    TinyNet,
    Untouched,
    coloured,
    generator,
    images,
    masked,
    planted,
)
from tests.engine.algorithms.reference import Reference, array, ascent

INF = math.inf


def ranked(patch: Sequence[float], blend: Sequence[float], threshold: float = 1.0) -> Ranking:
    names = [f"class {index}" for index in range(len(patch))]
    sizes: dict[Family, list[float]] = {"patch": list(patch), "blend": list(blend)}
    return rank(names, sizes, [0.25] * len(patch), {}, threshold)


@pytest.mark.parametrize(
    ("patch", "blend", "order", "suspects", "families"),
    [
        # stands out in both families
        ([8, 8, 1, 8], [0.4, 0.4, 0.1, 0.4], (2, 0, 1, 3), (2,), ("patch", "blend")),
        # in one
        ([8, 8, 8, 1], [0.4, 0.4, 0.4, 0.4], (3, 0, 1, 2), (3,), ("patch",)),
        ([8, 8, 8, 8], [0.1, 0.4, 0.4, 0.4], (0, 1, 2, 3), (0,), ("blend",)),
        # in both, but one far less: 4 octaves and 1.5
        ([16, 1, 16, 16], [8, 8 / 2**1.5, 8, 8], (1, 0, 2, 3), (1,), ("patch",)),
        # 3 and a little more than six tenths of it, and a little less
        ([8, 1, 8, 8], [8, 8 / 2**1.85, 8, 8], (1, 0, 2, 3), (1,), ("patch", "blend")),
        ([8, 1, 8, 8], [8, 8 / 2**1.75, 8, 8], (1, 0, 2, 3), (1,), ("patch",)),
        # the second is under the threshold itself
        ([2, 1, 2, 2], [8, 8 / 2**0.9, 8, 8], (1, 0, 2, 3), (1,), ("patch",)),
        # exactly at the threshold is enough; just under is not
        ([4, 4, 4, 2], [1, 1, 1, 1], (3, 0, 1, 2), (3,), ("patch",)),
        ([4, 4, 4, 2.01], [1, 1, 1, 1], (3, 0, 1, 2), (), ()),
        # two targets, the further out first
        ([32, 2, 32, 1, 32], [1] * 5, (3, 1, 0, 2, 4), (3, 1), ("patch",)),
        # the second far less out than the first: 2 octaves of 5, then 3
        ([32, 8, 32, 1, 32], [1] * 5, (3, 1, 0, 2, 4), (3,), ("patch",)),
        ([32, 4, 32, 1, 32], [1] * 5, (3, 1, 0, 2, 4), (3, 1), ("patch",)),
        # all alike: the order of the classes, and nobody is suspected
        ([4, 4, 4, 4], [1, 1, 1, 1], (0, 1, 2, 3), (), ()),
        ([INF] * 4, [INF] * 4, (0, 1, 2, 3), (), ()),
    ],
)
def test_suspects_and_the_families_they_stand_out_in(
    patch: Sequence[float],
    blend: Sequence[float],
    order: tuple[int, ...],
    suspects: tuple[int, ...],
    families: tuple[Family, ...],
) -> None:
    ranking = ranked(patch, blend)
    assert tuple(row.index for row in ranking.rows) == order
    assert ranking.suspects == suspects
    assert ranking.suspicious == bool(suspects)
    if suspects:
        assert ranking.families[suspects[0]] == families


def test_a_row_says_what_was_measured() -> None:
    ranking = ranked([8, 1, INF, 8], [0.4, 0.4, 0.1, INF])
    first, second = ranking.rows[:2]
    assert (first.index, first.name, first.score, first.anomaly) == (1, "class 1", 3.0, 3.0)
    assert (first.mask_l1, first.votes) == (1.0, 0.25)
    assert first.signals == {"patch_octaves": 3.0, "blend_octaves": 0.0, "strength": 0.4}
    assert (second.index, second.mask_l1) == (2, None), "no infinity leaves this room"
    assert second.score == pytest.approx(2.0, abs=1e-5)
    assert ranking.margin == pytest.approx(1.0, abs=1e-5)
    assert next(row for row in ranking.rows if row.index == 3).signals["strength"] is None


@pytest.mark.parametrize(
    ("index", "family", "median"),
    [(0, "patch", 40.0), (1, "patch", 30.0), (0, "blend", 0.2), (2, "blend", 0.15)],
)
def test_the_median_of_the_others_leaves_the_class_and_failures_out(
    index: int, family: Family, median: float
) -> None:
    ranking = ranked([5.0, 40.0, math.inf, 65.0, 30.0], [0.1, 0.3, 0.2, 0.1, 0.2])
    assert median_of_others(ranking.rows, index, family) == pytest.approx(median)


def test_no_sizes_have_no_median() -> None:
    rows = [TargetRow(index, str(index), 0.0) for index in range(3)]
    assert median_of_others(rows, 0, "patch") is None
    assert median_of_others(rows, 0, "blend") is None


@pytest.mark.parametrize(("index", "family"), [(1, "patch"), (2, "blend"), (0, "patch")])
def test_a_class_followed_regardless_has_its_strongest_family(index: int, family: str) -> None:
    assert ranked([8, 4, 8, 8], [0.4, 0.4, 0.2, 0.4]).strongest_family(index) == (family,)


def ranking_of(
    strength: float, restarts: int = 2, at_once: int = 16, network: MaskedNetwork | None = None
) -> Ranking:
    network, (x, _) = network or planted(strength), coloured(32)
    before = Untouched(network.module)
    plan = ReversalPlan(steps=60, batch=8)
    ranking, said = finish(
        rank_classes(
            network, x, list("rgbk"), plan, generator(2), threshold=1.0, eps=0.1,
            restarts=restarts, at_once=at_once,
        )
    )  # fmt: skip
    before.check()
    steps = [event for event in said if isinstance(event, Progress)]
    blend = plan.steps * math.ceil(4 / at_once)
    # all starts half of the way, then the four classes the other half
    first = plan.steps if restarts == 1 else plan.steps // 2
    patch = first * math.ceil(4 * restarts / at_once)
    patch += (plan.steps - first) * math.ceil(4 / at_once)
    warp = (plan.steps if restarts == 1 else plan.steps // 3) * math.ceil(4 * restarts / at_once)
    total = patch + blend + warp + len(frequencies(*x.shape[2:]))
    assert [step.done for step in steps] == list(range(1, len(steps) + 1))
    assert {(step.stage, step.total) for step in steps[:total]} == {("target", total)}
    # where no class is a suspect, a patch is looked for that changes every answer
    more = 0 if ranking.suspects not in ((), (ANY,)) else plan.steps
    assert len(steps) == total + more
    assert {step.total for step in steps[total:]} <= {len(steps)}
    return ranking


@pytest.mark.parametrize(("restarts", "at_once"), [(2, 16), (2, 3), (1, 16), (3, 1)])
def test_the_planted_class_is_the_suspect(restarts: int, at_once: int) -> None:
    ranking = ranking_of(STRENGTH, restarts, at_once)
    assert ranking.suspects == (TARGET,)
    assert ranking.families[TARGET] == ("patch", "blend")
    assert ranking.margin > 2
    assert set(ranking.found) == {(family, t) for family in KINDS for t in range(4)}
    for (family, t), trigger in ranking.found.items():
        assert (trigger.family, trigger.target) == (family, t)


def test_every_kind_of_trigger_has_a_name_in_the_settings() -> None:
    assert tuple(KINDS) == FAMILIES


@pytest.mark.parametrize("family", KINDS)
def test_a_ranking_may_keep_to_one_family(family: Family) -> None:
    network, (x, _) = planted(STRENGTH), coloured(32)
    ranking, said = finish(
        rank_classes(
            network, x, list("rgbk"), ReversalPlan(steps=30, batch=8), generator(2),
            threshold=1.0, eps=0.1, families=(family,),
        )
    )  # fmt: skip
    steps = [event for event in said if isinstance(event, Progress)]
    assert {step.label for step in steps} == {family}
    assert steps[-1].done == steps[-1].total == len(steps)
    patches = family == "patch" and not ranking.suspects
    assert set(ranking.found) == {(family, t) for t in range(4)} | (
        {("patch", ANY)} if patches else set()
    )
    assert {name for row in ranking.rows for name in row.signals if "octaves" in name} == {
        f"{family}_octaves"
    }
    assert (ranking.rows[0].mask_l1 is not None) is (family == "patch")


def test_its_clean_twin_has_no_suspect() -> None:
    ranking = ranking_of(0.0)
    assert ranking.suspects == ()
    assert ranking.rows[0].score < 0.6
    last = ranking.rows[-1]
    assert (last.index, last.name, last.votes) == (ANY, "any class", None)
    assert last.score < 0


@pytest.mark.parametrize("restarts", [1, 2])
def test_a_network_that_a_patch_makes_answer_the_next_class_each_time(restarts: int) -> None:
    network = masked(AllToAllNet(), PLANTED_LAYERS)
    ranking = ranking_of(0.0, restarts, network=network)
    first, second = ranking.rows[:2]
    assert ranking.suspects == (ANY,)
    assert ranking.families[ANY] == ranking.strongest_family(ANY) == ("patch",)
    assert (first.index, first.name) == (ANY, "any class")
    assert ranking.margin == pytest.approx(first.score - second.score)
    assert 0.7 < (first.signals["paired"] or 0.0) <= 1.0
    trigger, (x, labels) = ranking.found["patch", ANY], coloured(32, seed=9)
    assert trigger.target == ANY
    assert first.mask_l1 == pytest.approx(trigger.mask_l1)
    assert float((answers(network, trigger.stamp(x)) == (labels + 1) % 4).float().mean()) > 0.8
    # the median that it is held against later is that of the classes
    assert median_of_others(ranking.rows, 0, "patch") == statistics.median(
        row.mask_l1 for row in ranking.rows if row.index not in (0, ANY) and row.mask_l1
    )


@pytest.mark.parametrize(
    ("size", "pairing", "octaves", "score", "place"),
    [
        # the classes have 4, 8, 8, 8, 16 pixels, and 1, 0, 0, 0, -1 octaves
        (2.0, 1.0, 2.0, 2.0, 0),
        (2.0, 0.35, 2.0, 2.0, 0),
        (2.0, 0.34, 2.0, 0.0, 5),  # what sends images to a few classes is theirs
        (4.0, 1.0, 1.0, 0.0, 5),  # not smaller than each of them
        (3.9, 1.0, 1.04, 1.04, 0),
        (48.0, 1.0, -2.58, -2.58, 5),
        (48.0, 0.1, -2.58, -2.58, 5),
        (INF, 1.0, -3.0, -3.0, 5),  # the whole image, 64 pixels
    ],
)
def test_a_patch_for_any_class_is_smaller_than_theirs_and_pairs_them(
    size: float, pairing: float, octaves: float, score: float, place: int
) -> None:
    sizes = [4.0, 8.0, 8.0, 8.0, 16.0]
    ranking = ranked(sizes, [1.0] * 5, threshold=1.5)
    assert not ranking.suspects
    trigger = Patch(ANY, torch.zeros(3, 8, 8), torch.zeros(8, 8))
    told = with_any(ranking, trigger, size, sizes, pairing, 1.5)
    row = told.rows[place]
    assert row.index == ANY
    assert told.suspects == ((ANY,) if score > 1.5 else ())
    assert told.score_of(ANY) == row.score == row.anomaly == pytest.approx(score, abs=0.01)
    assert row.signals == {"patch_octaves": pytest.approx(octaves, abs=0.01), "paired": pairing}
    assert row.mask_l1 == (None if size == INF else size)
    assert told.margin == told.rows[0].score - told.rows[1].score
    assert [r for r in told.rows if r is not row] == list(ranking.rows)
    assert told.found["patch", ANY] is trigger


@pytest.mark.parametrize(
    ("size", "pairing", "suspects"),
    [
        (1.0, 1.0, (ANY,)),  # three octaves and two
        (2.0, 1.0, (0,)),
        (3.0, 1.0, (0,)),
        (1.0, 0.2, (0,)),
        (INF, 1.0, (0,)),
    ],
)
def test_a_class_that_hardly_stands_out_gives_way_to_what_stands_out_further(
    size: float, pairing: float, suspects: tuple[int, ...]
) -> None:
    sizes = [2.0, 8.0, 8.0, 8.0]
    ranking = ranked(sizes, [1.0] * 4)
    assert ranking.suspects == (0,)
    trigger = Patch(ANY, torch.zeros(3, 8, 8), torch.zeros(8, 8))
    assert with_any(ranking, trigger, size, sizes, pairing, 1.0).suspects == suspects


@pytest.mark.parametrize(
    ("size", "pairing", "doubt"),
    [
        (4.1, 1.0, True),  # 0.97 octaves
        (2.9, 1.0, True),  # 1.46, and half an octave beyond what is needed is clear
        (2.8, 1.0, False),  # 1.51
        (5.2, 1.0, True),  # 0.62
        (5.4, 1.0, False),  # 0.57: far from it
        (4.1, 0.36, True),
        (4.1, 0.34, False),  # theirs
    ],
)
def test_when_a_patch_for_any_class_is_in_doubt(size: float, pairing: float, doubt: bool) -> None:
    sizes = [8.0] * 10
    trigger = Patch(ANY, torch.zeros(3, 8, 8), torch.zeros(8, 8))
    told = with_any(ranked(sizes, [1.0] * 10), trigger, size, sizes, pairing, 1.0)
    assert any_in_doubt(told, 1.0) is doubt


def test_where_few_classes_can_be_reached_a_patch_for_any_class_is_held_against_those() -> None:
    """One that cannot be reached counts as the whole image there, which is no size of theirs."""
    trigger = Patch(ANY, torch.zeros(3, 32, 32), torch.zeros(32, 32))
    sizes = [4.0, 8.0, *[INF] * 8]
    told = with_any(ranked(sizes, [1.0] * 10), trigger, 100.0, sizes, 1.0, 1.0)
    assert ANY not in told.suspects
    assert told.score_of(ANY) == 0.0


def test_a_patch_for_any_class_stands_out_where_no_class_can_be_reached() -> None:
    ranking = ranked([INF] * 4, [1.0] * 4)
    trigger = Patch(ANY, torch.zeros(3, 8, 8), torch.zeros(8, 8))
    told = with_any(ranking, trigger, 4.0, [INF] * 4, 1.0, 1.0)
    assert told.suspects == (ANY,)
    assert told.rows[0].score == 4.0


@pytest.mark.parametrize(
    ("clean", "stamped", "share"),
    [
        ("abc", "bca", 1.0),  # each to the next
        ("abc", "bac", 2 / 3),  # one stays
        ("abc", "ccc", 1 / 3),  # all to one: that is the trigger of c
        ("abc", "cca", 2 / 3),  # and that one to another
        ("abcd", "bbdc", 3 / 4),
        ("ab", "ab", 0.0),
        ("aa", "bc", 1 / 2),
    ],
)
def test_how_far_every_class_is_sent_to_one_of_its_own(
    clean: str, stamped: str, share: float
) -> None:
    def answered(said: str) -> torch.Tensor:
        """Each image twice, one in either half."""
        return torch.tensor([ord(c) - ord("a") for c in said for _ in range(2)])

    assert paired(answered(clean), answered(stamped)) == pytest.approx(share)


def test_pairs_are_what_the_other_half_of_the_images_says() -> None:
    """Class 0 goes to 1 in one half and to 2 in the other: neither tells of a pair."""
    assert paired(torch.tensor([0, 0, 0, 0]), torch.tensor([1, 2, 1, 2])) == 0.0
    # of a class, two thirds of one half go to 1, and half of the other
    clean, stamped = [0, 0, 0, 0, 0, 0], [1, 1, 1, 2, 2, 1]
    assert paired(torch.tensor(clean), torch.tensor(stamped)) == pytest.approx((2 / 3 + 2 / 3) / 2)


@pytest.mark.parametrize(("classes", "images"), [(43, 70), (100, 70), (10, 70), (1000, 512)])
def test_few_images_of_a_class_pair_nothing_by_chance(classes: int, images: int) -> None:
    """Nine of ten images go to a few classes, whatever they were."""
    draws = generator(classes)
    for few in (3, 6, 8, 15):
        shares = []
        for _ in range(20):
            clean = torch.randint(classes, (images,), generator=draws)
            sent = torch.randint(min(few, classes), (images,), generator=draws)
            stays = torch.rand(images, generator=draws) < 0.1
            shares.append(paired(clean, torch.where(stays, clean, sent)))
        assert max(shares) < 0.3
        assert sum(shares) / len(shares) < 0.15


def test_a_patch_for_any_class_is_searched_twice_where_that_hangs_on_little() -> None:
    """Half an octave more than needed, or four tenths less; what stands out further counts."""
    network, (x, _) = masked(AllToAllNet(), PLANTED_LAYERS), coloured(32)
    plan = ReversalPlan(steps=24, batch=8)

    def at(threshold: float) -> tuple[Ranking, int]:
        search = rank_classes(
            network, x, list("rgbk"), plan, generator(0),
            threshold=threshold, eps=0.1, families=(Patch.family,),
        )  # fmt: skip
        ranking, said = finish(search)
        return ranking, sum(isinstance(event, Progress) for event in said)

    once, steps = at(1.5)
    assert once.suspects == (ANY,)
    score = once.score_of(ANY)
    assert score > 2.0
    for threshold, more in ((score - 0.1, 24), (score + 0.3, 24), (score + 0.5, 0)):
        again, taken = at(threshold)
        assert taken == steps + more
        assert (again.score_of(ANY) > score) == bool(more)


def sizes_of(ranking: Ranking, family: Family) -> list[float]:
    name = KINDS[family].measure
    known = {
        row.index: row.mask_l1 if family == "patch" else row.signals[name]
        for row in ranking.rows
        if row.index != ANY
    }
    return [known[t] or math.inf for t in sorted(known)]


def test_a_verdict_by_a_hair_is_looked_into_once_more() -> None:
    """In the families it hangs on, for all classes; what was found before counts where smaller."""
    network, (x, _) = planted(0.0), coloured(32)

    def at(threshold: float) -> tuple[Ranking, list[Progress]]:
        search = rank_classes(
            network, x, list("rgbk"), ReversalPlan(steps=30, batch=8), generator(2),
            threshold=threshold, eps=0.1,
        )  # fmt: skip
        ranking, said = finish(search)
        return ranking, [event for event in said if isinstance(event, Progress)]

    once, steps = at(1.0)
    score = once.rows[0].score
    assert 0 < score < 1.0
    (family,) = once.strongest_family(once.rows[0].index)
    assert family in SEARCHES
    twice, more = at(score - 0.01)
    first, last = steps[0].total, len(more) - 30
    assert last > first
    assert [step.done for step in more] == list(range(1, len(more) + 1))
    assert {step.total for step in more[first:last]} == {last}
    assert {step.label for step in more[first:last]} == {family}
    # and whether it is an all-to-all backdoor
    assert {(step.total, step.label) for step in more[last:]} == {(len(more), "patch")}
    for kind in SEARCHES:
        pairs = list(zip(sizes_of(once, kind), sizes_of(twice, kind), strict=True))
        assert all(new <= old for old, new in pairs)
        assert (kind == family) is any(new < old for old, new in pairs)


@pytest.mark.parametrize(
    ("scores", "families"),
    [
        ((0.9, 0.2), set()),
        ((1.1, 0.2), {"patch"}),
        ((1.6, 1.2), set()),
        ((1.4, 1.3), {"patch", "blend"}),
    ],
)
def test_only_what_hangs_on_little_is_doubtful(
    scores: tuple[float, float], families: set[Family]
) -> None:
    patch, blend = (0.5**score for score in scores)
    ranking = ranked([8 * patch, 8, 8, 8], [0.4, 0.4 * blend, 0.4, 0.4])
    assert narrow(ranking, 1.0) == families


@pytest.mark.parametrize("statistics", [False, True])
def test_the_perturbation_is_one_step_up_the_gradient_unprojected(statistics: bool) -> None:
    module, x, eps = TinyNet(), images(6), 0.4
    mask_N = torch.rand(12, generator=generator(8))
    said = masked(module)(x).logits_BK.argmax(1)
    got = ascend(masked(module), x, said, mask_N, eps, generator(3), batch_statistics=statistics)
    start = array((torch.rand((2, 12), generator=generator(3)) * 2 - 1) * eps)
    assert np.abs(start).max() <= eps
    wanted = ascent(
        Reference(module), array(x), said.numpy(), array(mask_N), start, eps, statistics
    )
    np.testing.assert_allclose(array(got.weight_N), wanted[0], atol=1e-6)
    np.testing.assert_allclose(array(got.bias_N), wanted[1], atol=1e-6)
    assert float(got.weight_N.abs().max()) > eps, "not projected back"
    assert not got.weight_N.requires_grad


@pytest.mark.parametrize(("count", "batch", "batches"), [(10, 128, 5), (10, 4, 5), (10, 3, 2)])
def test_votes_are_the_growth_of_each_class(count: int, batch: int, batches: int) -> None:
    """METHOD section 3.1, in float64, batch by batch with fresh noise."""
    module, x, eps = TinyNet(), images(count), 0.6
    votes = neuron_votes(masked(module), x, eps, generator(3), batch=batch, batches=batches)
    reference, draws, growth, seen = Reference(module), generator(3), np.zeros(3), 0
    for part in torch.split(x, batch)[:batches]:
        pixels = array(part)
        classes: NDArray[np.int64] = reference(pixels).logits.argmax(1)
        start = array((torch.rand((2, 12), generator=draws) * 2 - 1) * eps)
        xi = ascent(reference, pixels, classes, np.ones(12), start, eps)
        after = reference(pixels, (1 + xi[0], 1 + xi[1])).logits.argmax(1)
        for index in range(3):
            growth[index] += int((after == index).sum()) - int((classes == index).sum())
        seen += len(part)
    assert np.abs(growth).sum() > 0
    np.testing.assert_allclose(array(votes), growth / seen, atol=1e-6)
    assert float(votes.sum()) == pytest.approx(0, abs=1e-6)


def test_by_votes_a_class_is_always_named() -> None:
    network, x = masked(TinyNet()), images(10)
    ranking = rank_by_votes(network, x, ["a", "b", "c"], 0.6, generator(3))
    votes = neuron_votes(network, x, 0.6, generator(3)).tolist()
    assert [row.score for row in ranking.rows] == sorted(votes, reverse=True)
    first = ranking.rows[0]
    assert first.votes == max(votes)
    assert ranking.suspects == (votes.index(max(votes)),)
    assert ranking.families == {first.index: ("patch",)}
    assert ranking.strongest_family(first.index) == ("patch",)
    silent = rank_by_votes(network, x, ["a", "b", "c"], 0.0, generator(3))
    assert [row.index for row in silent.rows] == [0, 1, 2]
    assert silent.suspects == (0,)


def test_a_trigger_stamps_what_the_formula_says() -> None:
    trigger = Patch(0, torch.rand((3, 4, 4), generator=generator(1)),
                      torch.rand((4, 4), generator=generator(2)))  # fmt: skip
    x = images(2, size=4)
    got, pattern, mask = array(trigger.stamp(x)), array(trigger.pattern_CHW), array(trigger.mask_HW)
    np.testing.assert_allclose(got, (1 - mask) * array(x) + mask * pattern, atol=1e-6)


SPREAD = 1 / (2.4977 * 2.27044)
"""What an octave counts as among eight classes whose others differ by two (MAD)."""

OTHERS = [4, 8, 32, 32, 32, 128, 256]
"""Octaves 2, 3, 5, 5, 5, 7, 8: median 5, MAD 2."""


def test_octaves_count_less_where_the_other_classes_differ() -> None:
    found = ranked([1, *OTHERS], [1] * 8)
    first = found.rows[0]
    assert (first.index, first.signals["patch_octaves"]) == (0, 5.0)
    assert first.score == first.anomaly == pytest.approx(5 * SPREAD, abs=1e-4)
    assert first.signals["patch_counted"] == round(first.score, 4) < 1
    assert "blend_counted" not in first.signals
    assert found.suspects == ()
    assert ranked([0.5, *OTHERS], [1] * 8).suspects == (0,)


@pytest.mark.parametrize(
    ("patch", "blend", "families"),
    [
        # patches 6 octaves out count as 1.06, blends 4 in full: by octaves both are as good
        (0.5, 2**4, ("patch", "blend")),
        (0.5, 2**3, ("patch",)),
        # patches 5 octaves out count as 0.88: no evidence, nothing to be taught by, and no measure
        # for the others
        (1, 2**4, ("blend",)),
        (1, 2**1.5, ("blend",)),
    ],
)
def test_families_stand_out_by_what_counts(
    patch: float, blend: float, families: tuple[Family, ...]
) -> None:
    found = ranked([patch, *OTHERS], [1, *[blend] * 7])
    assert found.suspects == (0,)
    assert found.families[0] == families


def test_a_class_that_is_followed_regardless_is_so_in_the_family_that_counts_most() -> None:
    found = ranked([1, *OTHERS], [1, *[2**0.9] * 7])
    assert found.suspects == ()
    assert found.rows[0].signals["patch_octaves"] == 5.0
    assert found.strongest_family(0) == ("blend",)
