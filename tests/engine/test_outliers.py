"""Octaves under the other classes, by hand, and what they count as where those differ."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence

import pytest

from cnp_engine.outliers import BY_CHANCE, USUAL, USUAL_COUNTS, counted, octaves

INF = math.inf


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        # median of the others' logarithms less one's own
        ([1, 8, 8, 8], [3, 0, 0, 0]),
        ([1, 2, 4, 8, 16], [2.5, 1.5, 0, -1.5, -2.5]),
        ([8, 4, 4, 2], [-1, 0, 0, 1]),
        ([27.0, 54.0, 54.0, 54.0], [1, 0, 0, 0]),
        # two tiny ones do not hide each other among six
        ([2, 2, 32, 32, 32, 32], [4, 4, 0, 0, 0, 0]),
        # no trigger found counts as the largest found
        ([16, 4, INF, 8], [-1, 2, -1, 1]),
        ([4, INF, INF, 32], [3, 0, 0, 0]),
        # nothing to compare with
        ([4, 4, 4], [0, 0, 0]),
        ([4, INF, INF], [0, 0, 0]),
        ([INF, INF], [0, 0]),
        ([3], [0]),
        ([], []),
        ([2, 8], [2, -2]),
        # an empty mask is as small as 1e-6 pixels
        ([0, 1, 1, 1], [math.log2(1e6), 0, 0, 0]),
    ],
)
def test_octaves_under_the_others(sizes: Sequence[float], told: Sequence[float]) -> None:
    assert octaves(sizes) == pytest.approx(list(told), abs=1e-5)


# Others that are alike, or too few to know how far they differ: nothing is taken off.
@pytest.mark.parametrize(
    "sizes", [[2, 8], [1, 8, 64], [1, 2, 8, 32, 128, 512], [2, *[32] * 8], [3], [], [INF, 2]]
)
def test_octaves_count_in_full_where_the_others_are_alike(sizes: Sequence[float]) -> None:
    assert counted(sizes) == octaves(sizes)


def test_they_count_less_by_what_the_spread_of_the_others_may_bring_about() -> None:
    """By hand: the others at 2 to 8 octaves, median 5, deviations 0, 1, 1, 2, 2, 3, 3: MAD 2.

    A spread of 2.9652 of seven, and the usual one of 0.25 as of five more: its square is
    (7 * 8.7924 + 5 * 0.0625) / 12 = 5.1549.
    """
    found = counted([2**-5.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
    z = 2.4977  # one of eight: the normal quantile of 1 - 0.05 / 8
    assert found[0] == pytest.approx(10 / (z * 2.27044), abs=1e-4)


def test_they_count_in_full_up_to_a_spread_of_an_octave() -> None:
    """The others at 3.1 to 3.7: MAD 0.2, with what is usual 0.278, so 2.498 * 0.278 octaves."""
    sizes = [2.0, *(2**log for log in (3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7))]
    assert counted(sizes)[0] == octaves(sizes)[0] == pytest.approx(2.4)


@pytest.mark.parametrize("seed", range(20))
def test_each_is_held_against_the_others_alone(seed: int) -> None:
    """Against the definition, class by class."""
    draws = random.Random(seed)
    logs = [round(draws.gauss(0, 1), draws.choice([1, 9])) for _ in range(draws.randint(7, 30))]
    z = statistics.NormalDist().inv_cdf(1 - BY_CHANCE / len(logs))
    wanted = []
    for index, log in enumerate(logs):
        others = logs[:index] + logs[index + 1 :]
        median = statistics.median(others)
        spread = 1.4826 * statistics.median(abs(other - median) for other in others)
        squares = len(others) * spread**2 + USUAL_COUNTS * USUAL**2
        moderated = math.sqrt(squares / (len(others) + USUAL_COUNTS))
        wanted.append((median - log) / max(1.0, z * moderated))
    assert counted([2**log for log in logs]) == pytest.approx(wanted)


@pytest.mark.parametrize("classes", [43, 200])
@pytest.mark.parametrize("spread", [0.5, 0.8, 1.5])
def test_with_many_classes_and_nothing_planted_few_stand_out(classes: int, spread: float) -> None:
    """Normal logarithms: by octaves alone most such networks would be called backdoored."""
    draws = random.Random(classes)
    every = [[2 ** draws.gauss(0, spread) for _ in range(classes)] for _ in range(200)]
    assert sum(max(octaves(sizes)) >= 1 for sizes in every) > 100
    assert sum(max(counted(sizes)) >= 1 for sizes in every) < 50


@pytest.mark.parametrize(("spread", "most"), [(0.25, 4), (0.35, 12), (0.5, 50), (0.8, 100)])
def test_of_ten_classes_few_stand_out_that_differ_little(spread: float, most: int) -> None:
    """Of 200: most clean networks show 0.35 at most; the more they differ the less is known."""
    draws = random.Random(10)
    every = [[2 ** draws.gauss(0, spread) for _ in range(10)] for _ in range(200)]
    assert sum(max(counted(sizes)) >= 1 for sizes in every) <= most
