"""Whether a reversed trigger is told to be weak: by how much success was wanted of it."""

from __future__ import annotations

import pytest

from cnp_engine.aims import ANY
from cnp_engine.algorithms.triggers import Family, ReversalPlan
from cnp_engine.events import Rate, TriggerReversed
from cnp_engine.stages.reversing import weakness


@pytest.mark.parametrize(
    ("family", "target", "wanted", "success", "weak"),
    [
        ("patch", 3, 0.98, 0.91, False),
        ("patch", 3, 0.98, 0.90, True),
        ("wave", 3, 0.98, 0.90, True),
        ("patch", 3, 0.5, 0.46, False),
        ("patch", 3, 0.5, 0.45, True),
        ("patch", 3, 0.0, 0.0, False),
        ("patch", ANY, 0.98, 0.83, False),  # 0.9 is wanted at most of what aims at no class
        ("patch", ANY, 0.98, 0.82, True),
        ("patch", ANY, 0.8, 0.74, False),
        ("warp", 3, 0.98, 0.70, False),  # 0.75 of a warp
        ("warp", 3, 0.98, 0.68, True),
    ],
)
def test_a_trigger_is_weak_by_what_was_wanted(
    family: Family, target: int, wanted: float, success: float, weak: bool
) -> None:
    found = TriggerReversed(target, Rate(success, 300, 0.0, 1.0), 10.0, 120)
    said = weakness(family, ReversalPlan(steps=120, batch=32, success=wanted), found)
    assert [warning.code for warning in said] == ["weak_trigger"] * weak
    assert all(f"moves only {100 * success:.0f} % of the images" in one.text for one in said)
