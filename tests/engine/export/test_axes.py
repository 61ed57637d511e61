"""Scales, ticks, and labels that do not lie over each other."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnp_engine.export.axes import Scale, spread, tick_label


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 100, 0, 1), [0, 20, 40, 60, 80, 100]),
        (Scale(0, 1, 0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (Scale(1.31, 2.3, 0, 1), [1.4, 1.6, 1.8, 2.0, 2.2]),
        (Scale(3, 3, 0, 1), [3]),
        (Scale(0, 120, 0, 1, "log"), [0, 1, 2, 5, 10, 20, 50, 100]),
        (Scale(0, 4000, 0, 1, "log"), [0, 1, 10, 100, 1000]),
        (Scale(0, 0, 0, 1, "log"), [0]),
    ],
)
def test_ticks_are_round_and_within(scale: Scale, ticks: list[float]) -> None:
    assert scale.ticks() == pytest.approx(ticks)


@pytest.mark.parametrize("kind", ["linear", "log"])
def test_ends_map_to_ends(kind: str) -> None:
    scale = Scale(0, 240, 50, 650, "log" if kind == "log" else "linear")
    assert scale(0) == pytest.approx(50)
    assert scale(240) == pytest.approx(650)
    assert 50 < scale(1) < scale(24) < 650
    assert (scale(24) > 350) == (kind == "log")


@given(st.lists(st.floats(0, 300), max_size=8))
def test_spread_keeps_distance_order_and_bounds(wanted: list[float]) -> None:
    placed = spread(wanted, 16, 0, 300)
    ordered = sorted(placed)
    assert all(-1e-9 <= place <= 300 + 1e-9 for place in placed)
    assert all(b - a >= 16 - 1e-6 for a, b in itertools.pairwise(ordered))
    assert [w for _, w in sorted(zip(placed, wanted, strict=True))] == sorted(wanted)


def test_spread_leaves_alone_what_has_room() -> None:
    assert spread([200.0, 10.0, 100.0], 16, 0, 300) == [200.0, 10.0, 100.0]


@pytest.mark.parametrize(("value", "text"), [(1200, "1,200"), (0.25, "0.25"), (-0.0, "0")])
def test_tick_labels(value: float, text: str) -> None:
    assert tick_label(value).removeprefix("-") == text
