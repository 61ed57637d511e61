"""What can be asked of a training, and every way to be refused in one sentence."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cnp_engine.codec import decode, encode
from cnp_engine.errors import SettingInvalid
from cnp_engine.training.plan import ATTACKS, TrainingPlan, check
from cnp_tui import planting

PLAN = TrainingPlan("badnets", "demo")


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_and_its_clean_twin_can_be_asked_for(attack: str) -> None:
    plan = TrainingPlan(attack, "demo")
    assert check(plan) is plan
    assert check(dataclasses.replace(plan, rate=0.0)).clean


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"attack": "badnet"}, "Did you mean badnets?"),
        ({"attack": "xyz"}, "Known are badnets"),
        ({"rate": 1.5}, "--rate 1.5 is no share"),
        ({"rate": -0.1}, "is no share"),
        ({"rate": float("nan")}, "is no share"),
        ({"epochs": 0}, "--epochs 0 leaves nothing to do"),
        ({"images": 0}, "--images 0"),
        ({"width": 0}, "--width 0"),
        ({"width": 4}, "--width 4"),
        ({"lr": 0.0}, "--lr 0"),
        ({"lr": float("inf")}, "--lr inf"),
        ({"targets": (1, 1)}, "twice"),
        ({"targets": ()}, "none"),
        ({"goal": "some"}, "no goal"),
        ({"attack": "sig", "goal": "all-to-all"}, "keeps the labels"),
        ({"attack": "wanet", "targets": (0, 1)}, "a corner each"),
        ({"targets": (0, 1, 2, 3, 4)}, "four corners"),
        ({"targets": (0, 1), "options": {"corner": "top-left"}}, "a corner each"),
        ({"options": {"classes": 2}}, "no parameter of an attack"),
    ],
)
def test_what_cannot_be_meant_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingInvalid, match=r".+\. .+") as caught:
        check(dataclasses.replace(PLAN, **changed))
    assert said in str(caught.value)


def test_a_plan_survives_the_way_through_json() -> None:
    plan = TrainingPlan("blended", "demo", width=8, targets=(1,), options={"weight": 0.2})
    assert decode(TrainingPlan, encode(plan)) == plan


def _typed(**given: Any) -> TrainingPlan:
    standard: dict[str, Any] = {
        "attack": "badnets", "data": "demo", "target": "0", "option": [], "flip": None,
    }  # fmt: skip
    return planting.plan(**{**standard, **given})


def test_what_is_typed_becomes_a_plan() -> None:
    assert _typed(target="0,3").targets == (0, 3)
    plan = _typed(option=["side=2", "patch=white", 'corner="top-left"'])
    assert plan.options == {"side": 2, "patch": "white", "corner": "top-left"}
    assert not plan.flip, "signs are not mirrored"
    assert _typed(data="images").flip
    assert _typed(data="images").data.startswith("/")
    assert _typed(flip=True).flip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"target": "a"}, "--target 'a' is no class index"),
        ({"option": ["side"]}, "--option 'side' has no value"),
        ({"option": ["=2"]}, "has no value"),
    ],
)
def test_what_is_typed_wrong_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        _typed(**given)
    assert said in str(caught.value)
