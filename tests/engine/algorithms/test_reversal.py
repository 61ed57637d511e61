"""Trigger reversal: against float64 arithmetic, and on a network whose backdoor is known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from cnp_engine.aims import ANY
from cnp_engine.algorithms.overlay import answers
from cnp_engine.algorithms.reversal import draw, leaving, reverse, success
from cnp_engine.algorithms.triggers import Blend, Family, ReversalPlan
from cnp_engine.algorithms.triggers.patch import PatchSearch
from tests.engine.algorithms.drive import finish, result
from tests.engine.algorithms.masks import checkerboard_trigger
from tests.engine.algorithms.nets import (
    DETECTOR,
    PLANTED_LAYERS,
    STRENGTH,
    TARGET,
    AllToAllNet,
    PlantedNet,
    TinyNet,
    Untouched,
    coloured,
    generator,
    images,
    masked,
    planted,
)
from tests.engine.algorithms.reference import (
    Adam,
    Array,
    Reference,
    array,
    cross_entropy,
    gradient,
)

CLASSES = (0, 1, 2, 3)
PLAN = ReversalPlan(steps=60, batch=8)


@pytest.mark.parametrize(("family", "smaller"), [("patch", 8.0), ("blend", 3.0)])
def test_the_planted_class_needs_the_smallest_trigger(family: Family, smaller: float) -> None:
    network, (fresh, labels_B) = planted(), coloured(40, seed=9)
    before = Untouched(network.module)
    x, _ = coloured(32)
    found = result(reverse(network, x, CLASSES, family, PLAN, generator(5)))
    before.check()
    assert [trigger.target for trigger in found.triggers] == list(CLASSES)
    assert {trigger.family for trigger in found.triggers} == {family}
    assert found.steps == PLAN.steps
    size = found.sizes[TARGET]
    assert all(smaller * size < found.sizes[index] for index in CLASSES if index != TARGET)

    trigger = found.triggers[TARGET]
    rate = success(network, trigger, fresh, labels_B)
    assert rate is not None
    assert (rate.n, rate.value > 0.9) == (30, True)
    closed = torch.ones(8)
    closed[DETECTOR] = 0
    without = success(network, trigger, fresh, labels_B, closed)
    assert without is not None
    assert without.value < 0.1, "it leans on the planted neuron"


@pytest.mark.parametrize("family", ["patch", "blend"])
def test_triggers_are_images_and_their_sizes_what_they_say(family: Family) -> None:
    x, _ = coloured(32)
    found = result(reverse(planted(), x, CLASSES, family, PLAN, generator(5)))
    for trigger, size in zip(found.triggers, found.sizes, strict=True):
        assert trigger.pattern_CHW.shape == (3, 8, 8)
        assert trigger.mask_HW.shape == (8, 8)
        for values in (trigger.pattern_CHW, trigger.mask_HW):
            assert float(values.min()) >= 0
            assert float(values.max()) <= 1
            assert not values.requires_grad
        if family == "blend":
            assert bool((trigger.mask_HW == trigger.mask_HW[0, 0]).all())
        if math.isfinite(size):
            said = trigger.mask_l1 if family == "patch" else float(trigger.mask_HW[0, 0])
            assert size == pytest.approx(said, rel=1e-5)


def test_a_class_that_no_trigger_reaches_has_no_size() -> None:
    module, (x, _) = PlantedNet(), coloured(32)
    module.linear.bias[3] = -1000.0
    network = masked(module, PLANTED_LAYERS)
    found = result(reverse(network, x, [3, TARGET], "patch", PLAN, generator(5)))
    assert found.sizes[0] == math.inf
    assert found.triggers[0].target == 3
    assert math.isfinite(found.sizes[1])


@pytest.mark.parametrize("family", ["patch", "blend"])
def test_draws_come_from_the_generator_alone(family: Family) -> None:
    plan = ReversalPlan(steps=8, batch=4)
    network, (x, _) = planted(), coloured(32)
    before = torch.random.get_rng_state()
    first, again, other = (
        result(reverse(network, x, CLASSES, family, plan, draws))
        for draws in (generator(5), generator(5), generator(6))
    )
    assert torch.equal(torch.random.get_rng_state(), before), "no global draw"
    for one, two, three in zip(first.triggers, again.triggers, other.triggers, strict=True):
        assert torch.equal(one.pattern_CHW, two.pattern_CHW)
        assert torch.equal(one.mask_HW, two.mask_HW)
        assert not torch.equal(one.pattern_CHW, three.pattern_CHW)


class FixedLambda:
    """METHOD section 3.2 in float64: x^ = (1 - s) x + s p, CE + lambda sum |s|, Adam, clamp."""

    def __init__(self, module: TinyNet, target: int, plan: ReversalPlan, seed: int) -> None:
        self.reference, self.target, self.plan = Reference(module), target, plan
        self.draws = generator(seed)
        self.pattern = array(torch.rand((1, 3, 8, 8), generator=self.draws))[0]
        self.mask = array(torch.rand((1, 1, 8, 8), generator=self.draws))[0]
        self.adam = Adam.start(plan.lr, 0.9, 0.999, (4, 8, 8))
        self.clamped = 0

    def stamped(self, x: Array, both: Array) -> Array:
        return np.asarray((1 - both[3]) * x + both[3] * both[:3])

    def loss(self, x: Array, both: Array) -> float:
        classes: NDArray[np.int64] = np.full(len(x), self.target)
        return cross_entropy(self.reference(self.stamped(x, both)).logits, classes)

    def step(self, images_BCHW: torch.Tensor) -> dict[str, float]:
        plan = self.plan
        index = torch.randint(0, len(images_BCHW), (plan.batch,), generator=self.draws)
        x = array(images_BCHW[index])
        if plan.flip:
            mirrored = torch.rand(plan.batch, generator=self.draws) < 0.5
            x[mirrored.numpy()] = x[mirrored.numpy()][..., ::-1]
        both = np.concatenate([self.pattern, self.mask])
        said = self.reference(self.stamped(x, both)).logits.argmax(1)
        values = {
            "loss": self.loss(x, both),
            "share": float((said == self.target).mean()),
            "mask_l1": float(np.abs(both[3]).sum()),
        }
        # |s| is s, which is never negative; differences across 0 would see the kink
        slope = gradient(lambda at: self.loss(x, at) + plan.weight * float(at[3].sum()), both)
        moved = self.adam.step(both, slope)
        self.clamped += int(((moved < 0) | (moved > 1)).sum())
        both = np.clip(moved, 0, 1)
        self.pattern, self.mask = both[:3], both[3:]
        return values


@pytest.mark.parametrize(("target", "flip"), [(0, False), (0, True), (2, False)])
def test_without_adaptation_it_is_the_fixed_lambda_of_the_reference(
    target: int, flip: bool
) -> None:
    """Also: from a uniform start, and the last state is kept, whatever came before.

    Class 2 is reached by the very first trigger, which is smaller than the last.
    """
    module, x = TinyNet(), images(6)
    plan = ReversalPlan(
        steps=3, batch=2, lr=0.1, weight=0.01, adapt=False, flip=flip, uniform_start=True
    )
    found, steps = finish(reverse(masked(module), x, [target], "patch", plan, generator(4)))
    walk = FixedLambda(module, target, plan, 4)
    values = [walk.step(x) for _ in range(3)]
    for step, wanted in zip(steps, values, strict=True):
        assert step.values["loss"] == pytest.approx(wanted["loss"], rel=1e-4)
        assert step.values["mask_l1"] == pytest.approx(wanted["mask_l1"], rel=1e-4)
    shares = [row["share"] for row in values]
    assert shares == [1, 1, 1] if target == 2 else len(set(shares)) > 1
    running = shares[0]
    for step, now in zip(steps[1:], shares[1:], strict=True):
        running = 0.8 * running + 0.2 * now
        assert step.values["success"] == pytest.approx(running, rel=1e-5)
    assert walk.clamped > 10
    trigger = found.triggers[0]
    np.testing.assert_allclose(array(trigger.pattern_CHW), walk.pattern, atol=1e-5)
    np.testing.assert_allclose(array(trigger.mask_HW), walk.mask[0], atol=1e-5)
    assert found.sizes[0] == pytest.approx(trigger.mask_l1, rel=1e-6)


def test_adaptation_keeps_the_smallest_that_worked() -> None:
    """Of all steps, not the last: the size reported is the least whose running success sufficed."""
    x, _ = coloured(32)
    found, steps = finish(reverse(planted(), x, [TARGET], "patch", PLAN, generator(5)))
    sufficient = [
        step.values["mask_l1"] for step in steps if step.values["success"] >= PLAN.success
    ]
    assert found.sizes[0] == pytest.approx(min(sufficient), rel=1e-6)
    assert found.triggers[0].mask_l1 == pytest.approx(min(sufficient), rel=1e-6)
    assert steps[-1].values["mask_l1"] != pytest.approx(min(sufficient), rel=1e-6)


@pytest.mark.parametrize(
    ("target", "strength", "taken"), [(TARGET, STRENGTH, 0.97), (3, 0.0, 1.02)]
)
def test_a_blend_grows_weaker_where_it_works_and_stronger_where_it_fails(
    target: int, strength: float, taken: float
) -> None:
    """From the sixth step on, 3 % down or 2 % up, between 0.005 and 0.6."""
    x, _ = coloured(32)
    plan = ReversalPlan(steps=40, batch=8, success=0.9)
    _, steps = finish(reverse(planted(strength), x, [target], "blend", plan, generator(5)))
    rows = [(step.values["success"], step.values["strength"]) for step in steps]
    assert [at for _, at in rows[:6]] == [pytest.approx(0.2)] * 6
    seen = set()
    for (rate, at), (_, then) in pairwise(rows[5:]):
        factor = 0.97 if rate > 0.94 else 1.02 if rate < 0.85 else 1.0
        seen.add(factor)
        assert then == pytest.approx(min(0.6, max(0.005, at * factor)), rel=1e-5)
    assert taken in seen


@pytest.mark.parametrize(("family", "budget"), [("patch", 12.0), ("patch", 30.0), ("blend", 0.3)])
def test_a_grown_trigger_uses_its_budget_and_is_the_stronger_for_it(
    family: Family, budget: float
) -> None:
    network, (x, _), (fresh, labels_B) = planted(), coloured(32), coloured(40, seed=9)
    plan = replace(PLAN, steps=120)
    small = result(reverse(network, x, [TARGET], family, plan, generator(5)))
    grown = result(
        reverse(network, x, [TARGET], family, replace(plan, budget=budget), generator(5))
    )
    assert small.sizes[0] < grown.sizes[0] <= 1.25 * budget
    if family == "blend":
        assert grown.sizes[0] == pytest.approx(budget)
    weak = 0.3  # both stamped too faintly to work always: what a trigger has in reserve shows
    rates = [
        success(network, found.triggers[0], fresh, labels_B, strength=weak)
        for found in (small, grown)
    ]
    assert rates[0] is not None
    assert rates[1] is not None
    assert rates[1].value >= rates[0].value


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([30, 9, 11], 11),  # the last state
        ([30, 9, 12.4], 12.4),  # a quarter more is near
        ([30, 9, 11, 3, 60], 11),  # a leap: the last that was near
        ([30, 11, 9, 20, 60], 9),
        ([30, 2, 3, 1, 60], 3),  # none was near: the nearest
        ([50, 40, 30, 60], 30),
        ([30, 2, 15], 15),  # which may be the last
        ([10, 3, 60], 3),  # not what it starts from
        ([10, 60], 60),
        ([30, 11, 2], 2),  # under it, as strong as it got
    ],
)
def test_a_grown_trigger_is_not_one_that_has_just_leapt_beyond_its_budget(
    sizes: list[float], kept: float
) -> None:
    x, _ = coloured(4)
    plan = ReversalPlan(steps=len(sizes), batch=2, budget=10.0)
    search = PatchSearch([TARGET], x.shape[1:], plan, generator(), x.device)
    for step, size in enumerate(sizes):
        with torch.no_grad():
            search.mask.fill_(size / search.mask[0].numel())
        if step < len(sizes) - 1:  # the last is what the last step has left, unseen
            search.keep_best(torch.ones(1), step == 0)
    found = search.result(True, len(sizes))
    assert found.sizes[0] == pytest.approx(kept)
    assert found.triggers[0].mask_l1 == pytest.approx(kept)


def test_progress_is_placed_within_its_stage() -> None:
    plan = ReversalPlan(steps=3, batch=2)
    x, _ = coloured(4)

    def places(**where: Any) -> list[tuple[str, int, int, str]]:
        _, steps = finish(reverse(planted(), x, [0], "blend", plan, generator(), **where))
        assert all(set(step.values) == {"loss", "success", "strength"} for step in steps)
        return [(step.stage, step.done, step.total, step.label) for step in steps]

    assert places() == [("trigger", n, 3, "blend") for n in (1, 2, 3)]
    assert places(stage="target", offset=6, total=12) == [
        ("target", n, 12, "blend") for n in (7, 8, 9)
    ]


@pytest.mark.parametrize(
    ("strength", "wanted"),
    # mask 0.4, pattern 1, image 0.5: x + min(1, 0.4 s) (1 - x)
    [(0.0, 0.5), (0.5, 0.6), (1.0, 0.7), (2.0, 0.9), (2.5, 1.0), (9.0, 1.0)],
)
def test_strength_scales_the_mask_up_to_one(strength: float, wanted: float) -> None:
    trigger = Blend(0, torch.ones(3, 2, 2), torch.full((2, 2), 0.4))
    stamped = trigger.stamp(torch.full((2, 3, 2, 2), 0.5), strength)
    torch.testing.assert_close(stamped, torch.full((2, 3, 2, 2), wanted))
    assert trigger.mask_l1 == pytest.approx(1.6)


def test_draw_takes_with_replacement_and_mirrors_about_half() -> None:
    x = images(5)
    batch = draw(x, ReversalPlan(1, 400), generator(1))
    plain = draw(x, ReversalPlan(1, 400, flip=False), generator(1))
    kept = sum(bool((row == x).flatten(1).all(1).any()) for row in batch)
    mirrored = sum(bool((row.flip(2) == x).flatten(1).all(1).any()) for row in batch)
    assert kept + mirrored == 400
    assert 160 < mirrored < 240
    assert all(bool((row == x).flatten(1).all(1).any()) for row in plain)
    assert len({tuple(row.flatten().tolist()) for row in plain}) == 5


def test_draw_moves_every_image_to_a_place_of_its_own() -> None:
    """By an eighth of the height at most, on black: few images become many."""
    x = images(3, size=8)
    wide = F.pad(x, (1,) * 4)
    windows = {
        tuple(wide[n, :, i : i + 8, j : j + 8].flatten().tolist()): (n, i, j)
        for n in range(3) for i in range(3) for j in range(3)
    }  # fmt: skip
    plan = ReversalPlan(1, 400, flip=False, shift=0.125)
    places = [windows[tuple(row.flatten().tolist())] for row in draw(x, plan, generator(1))]
    assert len(set(places)) == 27, "every image at every place"


def test_success_counts_only_images_of_other_classes() -> None:
    network, (x, labels_B) = planted(), coloured(10)
    trigger = checkerboard_trigger()
    original = answers(network, x)
    assert torch.equal(original, labels_B)
    full = success(network, trigger, x, original)
    assert full is not None
    assert (full.value, full.n) == (1.0, 7)  # classes 0 1 2 3 0 1 2 3 0 1
    weak = success(network, trigger, x, original, strength=0.0)
    assert weak is not None
    assert (weak.value, weak.n) == (0.0, 7)
    own = original == TARGET
    assert success(network, trigger, x[own], original[own]) is None


def test_success_of_a_trigger_that_aims_at_no_class_counts_every_change() -> None:
    network, (x, labels_B) = masked(AllToAllNet(), PLANTED_LAYERS), coloured(10)
    trigger = replace(checkerboard_trigger(), target=ANY)
    full = success(network, trigger, x, labels_B)
    assert full is not None
    assert (full.value, full.n) == (1.0, 10)
    pruned = torch.ones(8)
    pruned[DETECTOR] = 0
    none = success(network, trigger, x, labels_B, pruned)
    assert none is not None
    assert (none.value, none.n) == (0.0, 10)


def test_leaving_an_answer_has_a_gradient_however_sure_it_is() -> None:
    logits = torch.tensor([[200.0, 0.0, 1.0], [0.0, 1.0, -2.0]], requires_grad=True)
    loss = leaving(logits, torch.tensor([0, 1]))
    p = logits.detach().double()[1].softmax(0)
    assert loss[1].item() == pytest.approx(-math.log(1 - float(p[1])), rel=1e-5)
    assert loss[0].item() == pytest.approx(200 - math.log(1 + math.e), rel=1e-5)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0, 0].item() == pytest.approx(1.0)
    assert torch.isfinite(logits.grad).all()


def test_a_search_that_aims_at_no_class_finds_what_changes_every_answer() -> None:
    x, _ = coloured(32)
    plan = ReversalPlan(60, 8)
    wanted = [ANY, ANY]
    found, _ = finish(
        reverse(masked(AllToAllNet(), PLANTED_LAYERS), x, wanted, "patch", plan, generator(4))
    )
    clean, _ = finish(reverse(planted(0.0), x, wanted, "patch", plan, generator(4)))
    assert [trigger.target for trigger in found.triggers] == wanted
    assert max(found.sizes) < 0.7 * min(clean.sizes)


@pytest.mark.parametrize(
    ("target", "success", "wanted"),
    [(ANY, 0.98, 0.9), (ANY, 0.8, 0.8), (TARGET, 0.98, 0.98)],
)
def test_of_a_trigger_that_aims_at_no_class_less_is_wanted(
    target: int, success: float, wanted: float
) -> None:
    plan = ReversalPlan(1, 4, success=success)
    size, device = torch.Size((3, 8, 8)), torch.device("cpu")
    assert PatchSearch([target], size, plan, generator(), device).wanted == wanted


@pytest.mark.parametrize(("family", "moves"), [("patch", True), ("blend", True), ("warp", False)])
def test_images_are_moved_for_all_but_warps(family: Family, moves: bool) -> None:
    """What moving brings in, a black edge, is itself what a warp changes."""

    def size(shift: float) -> float:
        plan = ReversalPlan(12, 8, shift=shift)
        steps = reverse(planted(), coloured(40)[0], [TARGET], family, plan, generator(0))
        found = result(steps)
        return float(found.triggers[0].stamp(coloured(4)[0]).double().sum())

    assert (size(0.25) != size(0.0)) is moves
