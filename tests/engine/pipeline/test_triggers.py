"""Triggers between the stages: how large the grown ones are, and who is judged by what."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from cnp_engine.algorithms.triggers import Family, Found, Trigger, made
from cnp_engine.events import TargetRow
from cnp_engine.stages.reversing import Triggers, grown_size


def trigger(family: Family = "patch", target: int = 0, strength: float = 0.5) -> Trigger:
    return made(family, target, torch.zeros(3, 8, 8), torch.full((8, 8), strength))


def rows(patch: list[float | None], blend: list[float | None]) -> list[TargetRow]:
    return [
        TargetRow(index, str(index), 0.0, mask_l1=size, signals={"strength": strength})
        for index, (size, strength) in enumerate(zip(patch, blend, strict=True))
    ]


@pytest.mark.parametrize(
    ("family", "own", "others", "size"),
    [
        ("patch", (4.0, 9.0), [4.0, 16.0, 64.0, 36.0], 12.0),
        ("blend", (0.02,), [0.02, 0.08, 0.08, 0.09], 0.04),
        (
            "patch",
            (50.0,),
            [50.0, 16.0, 20.0, 18.0],
            50.0,
        ),  # followed all the same
        ("patch", (4.0,), [4.0, None, None, None], 4.0),
        ("patch", (math.inf,), [None, 50.0, 50.0, 50.0], 40.0),  # 64 pixels at 0.5 are 32
        ("blend", (math.inf,), [None, 0.1, 0.1, 0.1], 0.5),
    ],
)
def test_a_grown_trigger_is_half_way_to_what_other_classes_need(
    family: Family, own: tuple[float, ...], others: list[float | None], size: float
) -> None:
    none: list[float | None] = [None] * 4
    ranking = rows(others, none) if family == "patch" else rows(none, others)
    found = Found((trigger(family),) * len(own), own, 1)
    assert grown_size(ranking, 0, found) == pytest.approx(size)


def test_grown_triggers_judge_and_where_there_are_none_the_teachers_do() -> None:
    strong = tuple((trigger(target=target), 1.0) for target in (1, 2, 1))
    grown = tuple((trigger(target=target, strength=0.9), 1.0) for target in (2, 1))
    both = Triggers(strong, grown)
    assert both.judges == grown
    assert replace(both, grown=()).judges == strong
    aimed = both.aimed_at([1])
    assert aimed.strong == (strong[0], strong[2])
    assert aimed.judges == (grown[1],)
