"""The choice on the curve, a table of curves: k, retention and residual at each point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from cnp_engine.algorithms.pruning import NOTHING, ChoiceRule, Point, choose
from cnp_engine.algorithms.rates import wilson
from cnp_engine.events import Rate

RULE = ChoiceRule(price=4.0, cap=0.03, retention=0.75, noise=0.02, spend=0.03)
N = 300
"""Images behind each rate of these curves."""

Curve = Sequence[tuple[int, float, float]]


def rate(value: float, n: int = N) -> Rate:
    counted = wilson(round(value * n), n)
    assert counted is not None
    return Rate(value, n, counted.low, counted.high)


def points(curve: Curve, n: int = N) -> list[Point]:
    return [Point(k, rate(kept, n), rate(left, n), NOTHING) for k, kept, left in curve]


def step_curve(
    falls_at: int, length: int = 40, floor: float = 0.0, slope: float = 0.0
) -> list[tuple[int, float, float]]:
    """Residual 1 before ``falls_at`` and ``floor`` from there; retention falls by ``slope``."""
    return [(k, 1 - slope * k, 1.0 if k < falls_at else floor) for k in range(length)]


def noisy_floor() -> Iterator[tuple[int, float, float]]:
    """A coarse trigger goes on as an adversarial patch: around 20 %, up and down by a point."""
    for k in range(60):
        yield k, 1 - 0.002 * k, 1.0 if k < 6 else 0.20 + 0.01 * (-1) ** k


# METHOD section 5: k = 24 is the knee; a residual of 1 % is never reached
PUBLISHED = [
    (0, 1.0, 1.0), (12, 0.953, 0.63), (24, 0.937, 0.32), (48, 0.903, 0.25), (96, 0.842, 0.17),
]  # fmt: skip

LUCKY = [
    (k, 1.0 if k <= 10 else 1 - 0.002 * (k - 10), 0.0 if k == 5 or k >= 10 else 0.5)
    for k in range(30)
]

# after the knee at 4 a point of retention buys three of residual: at a price of 4 not enough
LINGERING = [(k, 1 - 0.004 * k, 1.0 if k < 4 else 0.1 - 0.012 * (k - 4)) for k in range(12)]


@pytest.mark.parametrize(
    ("name", "curve", "neurons", "least", "most"),
    [
        ("as measured", PUBLISHED, 4800, 24, 24),
        ("sharp, and accuracy falls", step_curve(12, slope=0.003), 2400, 12, 13),
        ("sharp, and accuracy stays", step_curve(4), 2400, 4, 4),
        ("one lucky point is not believed", LUCKY, 4800, 10, 10),
        ("a floor that trembles", list(noisy_floor()), 4800, 6, 12),
        ("never suppressed", step_curve(99, slope=0.002), 4800, 0, 0),
        ("never suppressed, nothing lost", step_curve(99), 4800, 0, 0),
        ("nothing to suppress", step_curve(0, slope=0.001), 4800, 0, 0),
        ("retention collapses first",
         [(k, 1.0 if k < 5 else 0.1, 1.0 if k < 10 else 0.0) for k in range(40)], 4800, 0, 4),
        ("suppressed beyond the cap alone", step_curve(30, slope=0.001), 600, 0, 0),
        ("what lingers is followed as far as retention is spent", LINGERING, 2400, 11, 11),
        ("but not beyond the cap", LINGERING, 200, 6, 6),
        ("a small knee is looked beyond as well",
         [(k, 1 - 0.005 * k, (1.0, 0.06, 0.05, 0.04, 0.02, 0.01, 0.0)[min(k, 6)])
          for k in range(12)], 2400, 6, 6),
        ("the smallest k with the lowest residual",
         [(k, 1 - 0.001 * k, 1.0 if k < 10 else 0.02 if k < 14 else 0.0) for k in range(40)],
         2400, 14, 14),
        ("only the checkpoint itself", [(0, 1.0, 1.0)], 4800, 0, 0),
        ("a network of a few neurons", [(0, 1.0, 1.0), (1, 0.99, 0.0)], 12, 1, 1),
        # a WaNet model: two neurons carry it, and the third is one that the network needs
        ("what the next neuron would cost is its own affair",
         [(0, 1.0, 0.69), (1, 0.95, 0.36), (2, 0.9, 0.02), (3, 0.81, 0.03), (4, 0.82, 0.03),
          (5, 0.8, 0.02), (6, 0.76, 0.04)], 1200, 2, 2),
        ("nothing acceptable at all", [(0, 0.5, 1.0), (1, 0.4, 0.0)], 4800, 0, 0),
    ],
)  # fmt: skip
def test_choice(name: str, curve: Curve, neurons: int, least: int, most: int) -> None:
    choice = choose(points(curve), neurons, RULE)
    assert least <= choice.k <= most, f"{name}: {choice}"
    assert f"k = {choice.k}" in choice.rule


@pytest.mark.parametrize(
    ("changed", "k"),
    [
        ({}, 11),
        ({"cap": 0.002}, 4),
        ({"spend": 0.0}, 4),
        ({"spend": 0.005}, 5),
        ({"retention": 0.997}, 0),
        ({"noise": 0.0}, 11),
        ({"noise": 10.0}, 0),
        ({"price": 1.0}, 11),  # retention this cheap moves the knee itself
        ({"price": 300.0}, 0),  # even the drop of the backdoor is too dear
    ],
)
def test_every_setting_of_the_rule_counts(changed: dict[str, float], k: int) -> None:
    assert choose(points(LINGERING), 2400, replace(RULE, **changed)).k == k


@pytest.mark.parametrize(
    ("n", "falls_at", "most"), [(60, 1, 5), (60, 3, 6), (60, 9, 18), (20, 3, 20), (6, 3, 20)]
)
def test_few_images_move_the_choice_on_but_never_back(n: int, falls_at: int, most: int) -> None:
    """Rates are multiples of 1/n; every fifth or seventh point has one image wrong."""
    curve = [
        (k, 1 - (k % 7 == 6) / n, 1.0 if k < falls_at else (k % 5 == 4) / n) for k in range(30)
    ]
    assert falls_at <= choose(points(curve, n), 2400, RULE).k <= most


def test_of_few_images_one_may_be_spent() -> None:
    """Of 30, one is more than ``spend``; what it buys counts all the same."""
    kept = 29 / 30
    curve = [(0, 1.0, 1.0), (1, 1.0, 0.23), (2, kept, 0.2), (3, kept, 0.1), (4, 0.9, 0.0)]
    assert choose(points(curve, 30), 2400, RULE).k == 3


@pytest.mark.parametrize(("views", "k"), [(1, 2), (10, 3)])
def test_of_few_images_in_several_views_one_may_be_spent_as_well(views: int, k: int) -> None:
    """WaNet, a hundred clean images: the last of the backdoor is in the third neuron."""
    curve = [
        (0, 1.0, 0.35), (1, 0.967, 0.034), (2, 0.963, 0.023), (3, 0.940, 0.004),
        (4, 0.917, 0.0), (5, 0.873, 0.008),
    ]  # fmt: skip
    rule = replace(RULE, spend=0.025)
    assert choose(points(curve, 300), 1200, rule, views).k == k


@pytest.mark.parametrize("neurons", [1, 2, 10, 33, 400])
def test_the_cap_holds_for_any_network(neurons: int) -> None:
    """A curve that only ever gets better is followed to the cap, not beyond; one neuron may go."""
    curve = [(k, 1.0, max(0.0, 1 - k / 20)) for k in range(60)]
    assert choose(points(curve), neurons, RULE).k == max(1, int(neurons * RULE.cap))
