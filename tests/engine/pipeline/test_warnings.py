"""What the curve warns of at the point it recommends."""

from __future__ import annotations

import pytest

from cnp_engine.events import CurvePoint, LabelFree, Rate, Warned
from cnp_engine.stages.judging import warnings_of


def said(residual: float, retention: float, heals: bool, no_class: bool) -> dict[str, str]:
    free = LabelFree(Rate(retention, 100, 0.0, 1.0), Rate(residual, 100, 0.0, 1.0))
    events = warnings_of(CurvePoint(3, 0.1, free), heals, no_class)
    return {event.code: event.text for event in events if isinstance(event, Warned)}


@pytest.mark.parametrize(
    ("residual", "retention", "codes"),
    [
        (0.1, 0.9, set()),
        (0.11, 0.9, {"residual"}),
        (0.1, 0.89, {"retention"}),
        (0.5, 0.5, {"residual", "retention"}),
    ],
)
@pytest.mark.parametrize("no_class", [False, True])
def test_what_is_left_and_what_is_lost(
    residual: float, retention: float, codes: set[str], no_class: bool
) -> None:
    assert set(said(residual, retention, heals=False, no_class=no_class)) == codes


def test_a_patch_that_is_to_change_any_answer_proves_less() -> None:
    one = said(0.14, 1.0, heals=True, no_class=False)["residual"]
    any_ = said(0.14, 1.0, heals=True, no_class=True)["residual"]
    assert "still works on 14 % of the images: pruning does not suppress" in one
    assert "still changes 14 % of the answers" in any_
    assert "does not suppress" not in any_


@pytest.mark.parametrize(
    ("heals", "advice"), [(True, "A healed model follows"), (False, "cnp export RUN")]
)
def test_what_there_is_beside_pruning(heals: bool, advice: str) -> None:
    texts = said(0.5, 0.5, heals=heals, no_class=False).values()
    assert all(advice in text for text in texts)
