"""The curve's points, what is judged at each, and the pruned weights themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cnp_engine.aims import ANY
from cnp_engine.algorithms.overlay import pruned_mask
from cnp_engine.algorithms.pruning import (
    NOTHING,
    Judge,
    Strong,
    cost,
    prune_state,
    pruned_neurons,
    sweep_counts,
)
from cnp_engine.algorithms.triggers import Blend, Patch
from cnp_engine.events import Rate
from tests.engine.algorithms.masks import checkerboard_trigger, some_triggers
from tests.engine.algorithms.nets import (
    DETECTOR,
    PLANTED_LAYERS,
    TARGET,
    TINY_LAYERS,
    AllToAllNet,
    PlantedNet,
    TinyNet,
    Untouched,
    bits,
    coloured,
    generator,
    images,
    masked,
    planted,
)


@pytest.mark.parametrize(
    ("neurons", "under_half", "fraction", "last", "dense"),
    [
        (4800, 10, 0.05, 240, 24),  # never less than two dozen
        (4800, 24, 0.05, 240, 36),  # half as many again as the masks would take
        (2400, 31, 0.05, 120, 46),
        (2400, 400, 0.05, 120, 120),
        (480, 3, 0.05, 24, 24),
        (200, 3, 0.05, 10, 10),
        (12, 3, 0.05, 1, 1),
        (12, 12, 1.0, 12, 12),
        (4800, 0, 0.0, 1, 1),
    ],
)
def test_every_k_where_the_choice_falls_and_wider_steps_to_the_end(
    neurons: int, under_half: int, fraction: float, last: int, dense: int
) -> None:
    counts = sweep_counts(neurons, under_half, fraction)
    assert counts[0] == 0
    assert counts[-1] == last
    assert counts == sorted(set(counts))
    assert counts[: dense + 1] == list(range(dense + 1))
    assert len(counts) <= dense + 1 + 14


@pytest.mark.parametrize(
    ("neurons", "fraction", "step", "counts"),
    [
        (4800, 0.05, 0.0025, list(range(0, 241, 12))),  # METHOD section 3.4
        (2400, 0.05, 0.0025, list(range(0, 121, 6))),
        (400, 0.05, 0.0025, list(range(21))),
        # a step that is no whole part of the end, a step beyond it, and few neurons
        (1000, 0.05, 0.02, [0, 20, 40, 50]),
        (1000, 0.05, 0.2, [0, 50]),
        (20, 0.05, 0.0025, [0, 1]),
    ],
)
def test_steps_of_the_reference(
    neurons: int, fraction: float, step: float, counts: list[int]
) -> None:
    assert sweep_counts(neurons, 30, fraction, step) == counts


def brute_force(
    module: TinyNet, x: Tensor, triggers: list[Strong], closed: list[int]
) -> tuple[float, list[tuple[int, int]], list[tuple[int, int]]]:
    """Retention, and of each trigger (hits, of how many) for residual and recovery."""
    pruned = TinyNet()
    pruned.load_state_dict(module.state_dict())
    for flat in closed:
        name, channel = TINY_LAYERS[flat // 4][0], flat % 4
        pruned.get_submodule(name).get_parameter("weight")[channel] = 0
    kept = 0
    residual, recovery = [[0, 0] for _ in triggers], [[0, 0] for _ in triggers]
    for image in x:
        said = int(module(image[None]).argmax())
        kept += int(pruned(image[None]).argmax()) == said
        for number, (trigger, strength) in enumerate(triggers):
            if said == trigger.target:
                continue
            after = int(pruned(trigger.stamp(image[None], strength)).argmax())
            for count, hit in ((residual, trigger.target), (recovery, said)):
                count[number][0] += after == hit
                count[number][1] += 1
    pairs = [[(hits, of) for hits, of in counts] for counts in (residual, recovery)]
    return kept / len(x), pairs[0], pairs[1]


@pytest.mark.parametrize("worst_first", [True, False])
@pytest.mark.parametrize("k", [0, 1, 8, 12])
def test_a_point_is_what_brute_force_counts(k: int, worst_first: bool) -> None:
    """Triggers of two targets; the worst residual and the worst recovery are told."""
    module, x = TinyNet(), images(20)
    darkness = Blend(2, torch.zeros(3, 8, 8), torch.full((8, 8), 0.5))
    triggers = [some_triggers()[0], (darkness, 1.0)][:: 1 if worst_first else -1]
    order_N = torch.randperm(12, generator=generator(4))
    network, before = masked(module), Untouched(module)
    point = Judge(network, x, triggers).point(k, order_N)
    before.check()
    retention, residual, recovery = brute_force(module, x, triggers, order_N[:k].tolist())
    assert k < 8 or len({hits / n for hits, n in residual}) == 2
    assert len({hits / n for hits, n in recovery}) == 2
    assert point.k == k
    assert (point.retention.value, point.retention.n) == (retention, 20)
    assert (retention == 1) == (k == 0)
    for told, counts, worst in (
        (point.residual, residual, max),
        (point.recovery, recovery, min),
    ):
        assert (told.value, told.n) in [(hits / n, n) for hits, n in counts]
        assert told.value == worst(hits / n for hits, n in counts)
    assert point.label_free.residual == point.residual
    assert point.label_free.retention == point.retention
    assert point.label_free.recovery == point.recovery


@pytest.mark.parametrize(
    ("closed", "residual", "recovery", "retention"),
    [([], 1.0, 0.0, 1.0), ([DETECTOR], 0.0, 1.0, 1.0), ([2], 1.0, 0.0, 0.75)],
)
def test_the_planted_backdoor_is_judged_as_it_is(
    closed: list[int], residual: float, recovery: float, retention: float
) -> None:
    """Closing the blue detector makes a quarter of the images dark, and leaves the backdoor."""
    x, _ = coloured(40)
    order_N = torch.tensor(closed + [n for n in range(8) if n not in closed])
    point = Judge(planted(), x, [(checkerboard_trigger(), 1.0)]).point(len(closed), order_N)
    assert (point.retention.value, point.residual.value) == (retention, residual)
    assert point.recovery.value == recovery
    assert point.residual.n == 30, "images answered as the target already do not count"


@pytest.mark.parametrize(
    ("closed", "residual", "recovery", "retention"),
    [
        ([], 1.0, 0.0, 1.0),
        ([DETECTOR], 0.0, 1.0, 1.0),
        ([2], 1.0, 0.0, 0.75),  # blue images are dark now, and red when stamped
        ([2, DETECTOR], 0.0, 0.75, 0.75),
    ],
)
def test_a_trigger_that_aims_at_no_class_is_judged_by_what_it_changes(
    closed: list[int], residual: float, recovery: float, retention: float
) -> None:
    """Beside the pruned network's own clean answers, on every image."""
    x, _ = coloured(40)
    order_N = torch.tensor(closed + [n for n in range(8) if n not in closed])
    anyone = replace(checkerboard_trigger(), target=ANY)
    network = masked(AllToAllNet(), PLANTED_LAYERS)
    point = Judge(network, x, [(anyone, 1.0)]).point(len(closed), order_N)
    assert (point.retention.value, point.residual.value) == (retention, residual)
    assert point.recovery.value == recovery
    assert point.residual.n == 40


def test_where_there_is_nothing_to_count() -> None:
    x, labels_B = coloured(40)
    own, trigger = x[labels_B == TARGET], (checkerboard_trigger(), 1.0)
    alone = Judge(planted(), own, [trigger]).point(0, torch.arange(8))
    assert alone.residual == alone.recovery == NOTHING == Rate(0.0, 0, 0.0, 1.0)
    none = Judge(planted(), x, []).point(0, torch.arange(8))
    assert none.residual == none.recovery == NOTHING
    # beside a trigger that does count, the empty one is no worst recovery
    other = (Patch(3, torch.zeros(3, 8, 8), torch.zeros(8, 8)), 1.0)
    both = Judge(planted(), own, [trigger, other]).point(0, torch.arange(8))
    assert (both.residual.value, both.residual.n) == (0.0, 10)
    assert (both.recovery.value, both.recovery.n) == (1.0, 10)


@pytest.mark.parametrize("worst_first", [True, False])
@pytest.mark.parametrize("k", [0, 1, 5, 8, 12])
def test_a_price_is_the_cost_or_that_it_is_not_less(k: int, worst_first: bool) -> None:
    module, x = TinyNet(), images(20)
    darkness = Blend(2, torch.zeros(3, 8, 8), torch.full((8, 8), 0.5))
    triggers = [some_triggers()[0], (darkness, 1.0)][:: 1 if worst_first else -1]
    order_N = torch.randperm(12, generator=generator(4))
    network = masked(module)
    asked = Judge(network, x, triggers)
    exact = cost(asked.point(k, order_N), 4.0)
    mask_N = pruned_mask(order_N, k)
    for _ in range(3):  # in another order of the triggers the next time
        assert asked.priced(mask_N, 4.0) == exact
        assert asked.priced(mask_N, 4.0, under=exact + 1e-9) == exact
        assert asked.priced(mask_N, 4.0, under=exact) == math.inf
        assert asked.priced(mask_N, 4.0, under=exact / 2) == math.inf


def test_what_would_not_change_that_a_price_is_too_high_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trigger that was suppressed worst is asked about first."""
    x, _ = coloured(40)
    closed = pruned_mask(torch.tensor([2, 0, 1, 3, 4, 5, 6, 7]), 1)
    fails = (Patch(0, torch.zeros(3, 8, 8), torch.zeros(8, 8)), 1.0)
    judge = Judge(planted(), x, [fails, (checkerboard_trigger(), 1.0)])
    asked: list[int] = []
    ask = judge.ask

    def counted(number: int) -> Tensor:
        asked.append(number)
        return ask(number)

    monkeypatch.setattr(judge, "ask", counted)
    for under, numbers in ((math.inf, [0, 1, 2]), (0.9, [0, 2]), (0.1, [0])):
        asked.clear()
        judge.priced(closed, 1.0, under)
        assert asked == numbers


def test_another_network_is_held_against_the_original() -> None:
    x, _ = coloured(40)
    module = PlantedNet()
    module.bn1.weight[DETECTOR] = 0
    judge = Judge(planted(), x, [(checkerboard_trigger(), 1.0)])
    by_mask = judge.point(1, torch.tensor([DETECTOR, 0, 1, 2, 4, 5, 6, 7]))
    assert judge.judge(1, None, masked(module, PLANTED_LAYERS)) == by_mask
    assert by_mask.residual.value == 0


@pytest.mark.parametrize("k", [0, 1, 5, 12])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_pruning_zeroes_those_weights_and_nothing_else(k: int, dtype: torch.dtype) -> None:
    state = {
        key: value.to(dtype) if value.is_floating_point() else value
        for key, value in TinyNet().state_dict().items()
    }
    before = {key: value.clone() for key, value in state.items()}
    order_N = torch.randperm(12, generator=generator(4))
    pruned = prune_state(state, TINY_LAYERS, order_N, k)
    assert list(pruned) == list(state)
    closed = set(order_N[:k].tolist())
    for key, value in pruned.items():
        assert torch.equal(bits(state[key]), bits(before[key])), "the original stays"
        layer, _, kind = key.rpartition(".")
        index = [name for name, _ in TINY_LAYERS].index(layer) if layer.startswith("bn") else -1
        hit = {flat - 4 * index for flat in closed if 0 <= flat - 4 * index < 4}
        if kind != "weight" or index < 0 or not hit:
            assert value is state[key], key
            continue
        assert value.dtype == dtype
        for channel in range(4):
            wanted = 0.0 if channel in hit else float(before[key][channel])
            assert float(value[channel]) == wanted


def test_keys_of_the_file_may_have_other_names() -> None:
    state = {f"net.{key}": value for key, value in TinyNet().state_dict().items()}
    pruned = prune_state(
        state, TINY_LAYERS, torch.arange(12), 1, key_of=lambda name: f"net.{name}.weight"
    )
    assert float(pruned["net.bn1.weight"][0]) == 0
    assert [key for key in state if pruned[key] is not state[key]] == ["net.bn1.weight"]


@pytest.mark.parametrize("k", [1, 4, 9, 12])
def test_the_pruned_weights_answer_as_the_mask_does_to_the_bit(k: int) -> None:
    module, x = TinyNet(), images(20)
    order_N = torch.randperm(12, generator=generator(k))
    under_mask = masked(module)(x, pruned_mask(order_N, k))
    pruned = TinyNet(seed=1)
    pruned.load_state_dict(prune_state(module.state_dict(), TINY_LAYERS, order_N, k))
    alone = masked(pruned)(x)
    assert torch.equal(alone.logits_BK, under_mask.logits_BK)
    assert torch.equal(alone.features_BD, under_mask.features_BD)
    assert not torch.equal(alone.logits_BK, masked(module)(x).logits_BK)


def test_pruned_neurons_are_named_in_order() -> None:
    order_N = torch.tensor([11, 4, 0, 3, 7, 1, 2, 5, 6, 8, 9, 10])
    named = list(pruned_neurons(TINY_LAYERS, order_N, 5))
    assert named == [("bn3", 3), ("bn2", 0), ("bn1", 0), ("bn1", 3), ("bn2", 3)]
    overlay = masked(TinyNet()).overlay
    everyone = list(pruned_neurons(TINY_LAYERS, order_N, 12))
    assert everyone == [overlay.locate(flat) for flat in order_N.tolist()]
