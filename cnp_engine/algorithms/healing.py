"""Heal: label-free self-distillation of a pruned network's BatchNorm neurons.

The pruned network learns to answer as the original does on clean images, and on those images
stamped with the reversed triggers to answer as the original would if it knew that the trigger's
target is not the answer (``untargeted``). Only weights and biases of BatchNorm learn, the
pruned weights staying 0: so few parameters give back as much as all of them do, and a hundred
images are not learnt by heart (docs/log.md has the tables). How much of what was learnt is taken,
``farthest`` says. Not part of the method: a stage beside it, judged by ``gains``.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.aims import ANY
from cnp_engine.algorithms.augment import cropped
from cnp_engine.algorithms.overlay import MaskedNetwork, Overlay
from cnp_engine.algorithms.pruning import Point, Strong, cost, one_image
from cnp_engine.algorithms.rates import wilson
from cnp_engine.algorithms.triggers import Trigger
from cnp_engine.events import Progress

SHARES = (0.25, 0.5, 0.75, 1.0)
"""How much of what was learnt is tried: the last of it helps least, and may bring some of the
backdoor back."""

TELL_EVERY = 10
"""Steps between two words of progress."""


@dataclass(frozen=True)
class HealPlan:
    """``lr`` falls to 0 in a line; ``batch`` clean images a step, each also stamped."""

    steps: int
    batch: int
    lr: float
    flip: bool


def heal(
    network: MaskedNetwork,
    mask_N: Tensor,
    images_BCHW: Tensor,
    triggers: Sequence[Strong],
    plan: HealPlan,
    generator: torch.Generator,
) -> Generator[Progress, None, MaskedNetwork]:
    """Train a copy of ``network`` with the neurons of ``mask_N`` 0 pruned; ``network`` teaches it.

    Images are float (B, 3, H, W) in [0, 1] on the network's device. Weights and biases of its
    BatchNorm layers learn, with Adam; pruned weights stay 0 and all else as it is. The loss is
    KL(original(x) || healed(x)) + KL(untargeted original(x) || healed(stamped x)), one trigger a
    step in turn.
    Returns the copy, its parameters frozen again.
    """
    student = network.twin()
    pruned = _pruned(student, mask_N)
    parameters = [
        student.module.get_parameter(f"{name}.{kind}").requires_grad_()
        for name, _ in student.overlay.layers
        for kind in ("weight", "bias")
    ]
    optimiser = torch.optim.Adam(parameters, lr=plan.lr)
    for step in range(plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = plan.lr * (1 - step / plan.steps)
        index_B = torch.randint(0, len(images_BCHW), (plan.batch,), generator=generator)
        x = cropped(images_BCHW[index_B.to(images_BCHW.device)], generator, flip=plan.flip)
        trigger, strength = triggers[step % len(triggers)]
        with torch.no_grad():
            wanted_BK = network(x).logits_BK.softmax(1)
        said = student(torch.cat([x, trigger.stamp(x, strength)])).logits_BK.log_softmax(1)
        clean, stamped = (
            F.kl_div(part, wanted, reduction="batchmean")
            for part, wanted in zip(
                said.chunk(2), (wanted_BK, untargeted(wanted_BK, trigger)), strict=True
            )
        )
        optimiser.zero_grad()
        torch.autograd.backward(clean + stamped)
        optimiser.step()
        with torch.no_grad():
            for weight, gone in pruned:
                weight[gone] = 0
        if (step + 1) % TELL_EVERY == 0 or step + 1 == plan.steps:
            loss = float((clean + stamped).detach())
            yield Progress("heal", step + 1, plan.steps, {"loss": loss})
    student.module.requires_grad_(False)
    student.overlay = Overlay(student.module, student.overlay.layers)  # of the weights as they are
    return student


def untargeted(answers_BK: Tensor, trigger: Trigger) -> Tensor:
    """What is wanted of images with the ``trigger`` on them, given the answers to them clean.

    ``answers_BK`` are probabilities. Of an image that is answered as another class, what its answer
    gives to the target goes to the other classes as they stand: what a stamped image still has of
    the target is more likely left of the backdoor than doubt. Images answered as the target stay as
    they are, and all do where the trigger aims at no class.
    """
    if trigger.target == ANY:
        return answers_BK
    wanted_BK = answers_BK.clone()
    others_B = trigger.others(answers_BK.argmax(1))
    wanted_BK[others_B, trigger.target] = 0
    return wanted_BK / wanted_BK.sum(1, keepdim=True)


def _pruned(network: MaskedNetwork, mask_N: Tensor) -> list[tuple[Tensor, Tensor]]:
    """BN weights of each layer with something pruned, set to 0 there, and where that is."""
    sizes = [channels for _, channels in network.overlay.layers]
    found: list[tuple[Tensor, Tensor]] = []
    for (name, _), part in zip(network.overlay.layers, torch.split(mask_N, sizes), strict=True):
        gone = part == 0
        if bool(gone.any()):
            weight = network.module.get_parameter(f"{name}.weight")
            weight[gone] = 0
            found.append((weight, gone))
    return found


def partly(
    network: MaskedNetwork, mask_N: Tensor, healed: MaskedNetwork, share: float
) -> MaskedNetwork:
    """A copy that has changed by a ``share`` of what healing has changed: 0 pruned alone, 1 all."""
    pruned, between = network.twin(), healed.twin()
    _pruned(pruned, mask_N)
    for name, _ in between.overlay.layers:
        for kind in ("weight", "bias"):
            now = between.module.get_parameter(f"{name}.{kind}")
            now.data = pruned.module.get_parameter(f"{name}.{kind}").lerp(now, share)
    between.overlay = Overlay(between.module, between.overlay.layers)
    return between


def farthest(before: Point, after: Sequence[Point], price: float, noise: float, views: int) -> int:
    """Which of ``after``, less to more of what was learnt, to take.

    The last of those that gain and cost at most ``noise`` more than the cheapest; the last of all
    where none gains.
    """
    costs = {
        index: _spent(point, price)
        for index, point in enumerate(after)
        if gains(before, point, price, noise, views)
    }
    if not costs:
        return len(after) - 1
    return max(index for index, spent in costs.items() if spent <= min(costs.values()) + noise)


def gains(before: Point, after: Point, price: float, noise: float, views: int = 1) -> bool:
    """Whether healing is worth it: cheaper, and hardly more residual.

    The cost is that of ``pruning.choose``, and a point of recovery is worth one of residual.
    ``before`` and ``after`` are of images that taught nothing. ``price`` of a point of retention in
    points of residual; ``noise``: residual that may be added. So may a single image, and what the
    interval of ``before`` does not tell from it: of 26 images none or three is all the same.
    ``views``: how many of each image the points count.
    """
    was = before.residual
    images = was.n // views
    known = wilson(round(was.value * images), images) or was
    most = max(was.value + noise, was.value + views * one_image(after), known.high)
    return _spent(after, price) < _spent(before, price) and after.residual.value <= most


def _spent(point: Point, price: float) -> float:
    return cost(point, price) + 1 - point.recovery.value
