"""A first ranking on fewer images a step: believed where it is clear, else made again on all."""

from __future__ import annotations

import pytest
import torch

from cnp_engine.aims import ANY
from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.ranking import SURE, Ranking, rank, sure, with_any
from cnp_engine.algorithms.target import rank_classes
from cnp_engine.algorithms.triggers import Family, Patch, ReversalPlan
from cnp_engine.events import Progress
from tests.engine.algorithms.drive import finish
from tests.engine.algorithms.nets import (
    PLANTED_LAYERS,
    STRENGTH,
    TARGET,
    AllToAllNet,
    coloured,
    generator,
    masked,
    planted,
)

NAMES, STEPS = list("rgbk"), 40


def looked(
    network: MaskedNetwork,
    *,
    batch: int = 16,
    glance: int | None = None,
    threshold: float = 1.0,
    families: tuple[Family, ...] = ("patch", "blend"),
) -> tuple[Ranking, list[Progress]]:
    x, _ = coloured(32)
    search = rank_classes(
        network, x, NAMES, ReversalPlan(STEPS, batch), generator(2), glance=glance,
        threshold=threshold, eps=0.1, families=families,
    )  # fmt: skip
    ranking, said = finish(search)
    return ranking, [event for event in said if isinstance(event, Progress)]


@pytest.mark.parametrize("strength", [STRENGTH, 0.0])
def test_where_a_class_stands_out_or_none_does_fewer_images_decide(strength: float) -> None:
    few, steps = looked(planted(strength), batch=8, threshold=1.5)
    both, more = looked(planted(strength), glance=8, threshold=1.5)
    assert both.rows == few.rows
    assert both.suspects == few.suspects == ((TARGET,) if strength else ())
    assert len(more) == len(steps), "nothing was searched twice"


def test_a_class_that_is_near_the_threshold_is_left_to_all_images() -> None:
    network = planted(0.0)
    few, _ = looked(network, batch=8, threshold=9.0)
    near = few.rows[0].score + SURE[0] / 2
    once, steps = looked(network, threshold=near)
    both, more = looked(network, glance=8, threshold=near)
    assert [step.done for step in more] == list(range(1, len(more) + 1))
    assert {step.total for step in more[: 2 * STEPS]} == {2 * STEPS}
    assert len(more) == len(steps) + 2 * STEPS, "the patch for no class is left to the second"
    assert both.rows == once.rows != few.rows, "as if there had been no first look"


def test_a_patch_for_no_class_that_stands_out_is_searched_on_all_images_too() -> None:
    network = masked(AllToAllNet(), PLANTED_LAYERS)
    few, steps = looked(network, batch=8, families=("patch",))
    assert few.suspects == (ANY,)
    both, more = looked(network, glance=8, families=("patch",))
    assert both.suspects == (ANY,)
    assert both.rows != few.rows
    assert len(more) == 2 * len(steps)


@pytest.mark.parametrize("glance", [None, 16, 17])
def test_as_many_images_are_no_first_look(glance: int | None) -> None:
    network = planted(0.0)
    once, steps = looked(network, families=("blend",))
    score = once.rows[0].score
    threshold = score + SURE[0] / 2
    again, more = looked(network, glance=glance, threshold=threshold, families=("blend",))
    assert again.rows == once.rows
    assert len(more) == len(steps)


@pytest.mark.parametrize(
    ("octaves", "clear"),
    [(-1.0, True), (0.5, True), (0.7, False), (1.0, False), (1.5, False), (1.7, True)],
)
def test_what_is_clear_is_far_from_the_threshold(octaves: float, clear: bool) -> None:
    sizes: dict[Family, list[float]] = {"patch": [8 * 0.5**octaves, 8.0, 8.0, 8.0, 8.0]}
    if octaves < 0:
        sizes = {"patch": [8.0] * 5}
    ranking = rank("abcde", sizes, [0.2] * 5, {}, 1.0)
    assert sure(ranking, 1.0) is clear
    assert sure(ranking, 5.0)


@pytest.mark.parametrize(
    ("size", "pairing", "clear"),
    [
        (2.0, 1.0, False),  # two octaves under the median: it stands out
        (4.0, 1.0, False),  # one
        (2.0, 0.2, False),  # one class gets nearly all the answers
        (5.2, 1.0, False),  # 0.62
        (5.5, 1.0, True),  # 0.54
        (48.0, 1.0, True),
    ],
)
def test_a_patch_for_no_class_is_left_to_all_images_unless_it_is_large(
    size: float, pairing: float, clear: bool
) -> None:
    sizes = [6.0, 8.0, 8.0, 8.0, 8.0, 8.0, 9.0, 9.0]
    trigger = Patch(ANY, torch.zeros(3, 8, 8), torch.zeros(8, 8))
    ranking = rank("abcdefgh", {"patch": sizes}, [0.2] * 8, {}, 1.0)
    assert sure(ranking, 1.0)
    told = with_any(ranking, trigger, size, sizes, pairing, 1.0)
    assert sure(told, 1.0) is clear


@pytest.mark.parametrize(
    ("second", "clear"),
    [(1.4, True), (1.6, False), (1.8, False), (2.2, False), (2.3, True)],
)
def test_a_second_suspect_has_to_be_clear_as_well(second: float, clear: bool) -> None:
    """One stands out from six tenths of the first one's three octaves on."""
    sizes: dict[Family, list[float]] = {"patch": [1.0, 8 * 0.5**second, 8.0, 8.0, 8.0, 8.0]}
    ranking = rank("abcdef", sizes, [0.2] * 6, {}, 1.0)
    assert ranking.rows[0].score == pytest.approx(3.0)
    assert ranking.rows[1].score == pytest.approx(second)
    assert sure(ranking, 1.0) is clear
