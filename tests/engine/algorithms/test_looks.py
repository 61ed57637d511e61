"""What is shown of a search under way: pictures and sizes, which change nothing that is drawn."""

from __future__ import annotations

import base64

import pytest
import torch

from cnp_engine.algorithms.preview import preview
from cnp_engine.algorithms.reversal import LOOK_EVERY, reverse
from cnp_engine.algorithms.target import rank_classes
from cnp_engine.algorithms.triggers import Family, Found, Patch, ReversalPlan, smallest
from cnp_engine.events import Event, Progress, TargetSizes, TriggerPreview
from tests.engine.algorithms.drive import finish, result
from tests.engine.algorithms.nets import TARGET, coloured, generator, planted

PLAN = ReversalPlan(steps=20, batch=4, success=0.9)


@pytest.mark.parametrize("family", ["patch", "blend"])
def test_looking_changes_no_bit(family: Family) -> None:
    x, _ = coloured(32)
    seen: list[Found] = []

    def look(found: Found) -> Event:
        seen.append(found)
        return preview(smallest(found))

    draws = generator(5), generator(5)
    plain = result(reverse(planted(), x, [0, TARGET], family, PLAN, draws[0]))
    looked, said = finish(reverse(planted(), x, [0, TARGET], family, PLAN, draws[1], look=look))
    assert looked.sizes == plain.sizes
    for one, two in zip(looked.triggers, plain.triggers, strict=True):
        assert torch.equal(one.pattern_CHW, two.pattern_CHW)
        assert torch.equal(one.mask_HW, two.mask_HW)
    assert torch.equal(draws[0].get_state(), draws[1].get_state())
    kinds = [type(event) for event in said]
    assert [i for i, kind in enumerate(kinds) if kind is not Progress] == [8, 17]
    assert [found.steps for found in seen] == [LOOK_EVERY, 2 * LOOK_EVERY]


def test_the_picture_is_that_of_the_best_so_far() -> None:
    """The last look of a search of 16 steps shows what it returns."""
    x, _ = coloured(32)
    plan = ReversalPlan(steps=16, batch=4, success=0.9)
    found, said = finish(
        reverse(
            planted(), x, [TARGET], "patch", plan, generator(5),
            look=lambda found: preview(smallest(found)),
        )
    )  # fmt: skip
    assert said[-1] == preview(smallest(found))


def test_sizes_of_all_classes_form_family_by_family() -> None:
    x, _ = coloured(32)
    ranking, said = finish(
        rank_classes(
            planted(), x, "abcd", PLAN, generator(5), threshold=1.0, eps=0.4, restarts=2, at_once=3
        )
    )
    told = [event for event in said if isinstance(event, TargetSizes)]
    # eight starts in three groups and four classes in two; the blends' two groups look twice, and
    # warps with a third of 20 steps are done before anybody looks
    assert [event.family for event in told] == ["patch"] * 5 + ["blend"] * 4
    assert all(len(event.sizes) == 4 for event in told)
    assert told[0].sizes[3] is None, "its group has not begun"
    rows = {row.index: row for row in ranking.rows}
    for index, row in rows.items():
        at_last = told[4].sizes[index]
        assert (at_last is None) or row.mask_l1 is not None
        if at_last is not None and row.mask_l1 is not None:
            assert row.mask_l1 <= at_last + 1e-6
    assert any(size is not None for size in told[8].sizes)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((32, 32), (32, 32)),
        ((64, 64), (64, 64)),
        ((128, 128), (64, 64)),
        ((224, 112), (64, 32)),
        ((65, 1), (64, 1)),
    ],
)
def test_a_picture_is_small(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    height, _ = size
    mask = torch.zeros(size)
    mask[: height // 2] = 1
    trigger = Patch(2, torch.full((3, *size), 0.5), mask)
    picture = preview(trigger)
    assert (picture.target, picture.height, picture.width) == (2, *wanted)
    rgba = torch.tensor(list(base64.b64decode(picture.rgba))).view(*wanted, 4)
    assert bool((rgba[..., :3] == 128).all())
    assert rgba[..., 3].float().mean() / 255 == pytest.approx(float(mask.mean()), abs=0.01)
    assert isinstance(picture, TriggerPreview)
