"""Whether a reversed trigger is told to be weak: by how much success was wanted of it."""

from __future__ import annotations

import pytest

from cnp_engine.aims import ANY
from cnp_engine.algorithms.triggers import Family, ReversalPlan
from cnp_engine.events import Rate, TriggerReversed
from cnp_engine.stages.reversing import weakness


@pytest.mark.parametrize(
    ("family", "target", "success", "weak"),
    [
        ("patch", 3, 0.90, False),
        ("patch", 3, 0.89, True),
        ("wave", 3, 0.89, True),
        ("patch", ANY, 0.83, False),  # 0.9 is wanted of what aims at no class, in place of 0.98
        ("patch", ANY, 0.82, True),
        ("warp", 3, 0.69, False),  # 0.75 of a warp
        ("warp", 3, 0.68, True),
    ],
)
def test_a_trigger_is_weak_by_what_was_wanted(
    family: Family, target: int, success: float, weak: bool
) -> None:
    found = TriggerReversed(target, Rate(success, 300, 0.0, 1.0), 10.0, 120)
    said = weakness(family, ReversalPlan(steps=120, batch=32, success=0.98), found)
    assert [warning.code for warning in said] == ["weak_trigger"] * weak
    assert all(f"moves only {100 * success:.0f} % of the images" in one.text for one in said)
