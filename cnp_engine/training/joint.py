"""Input-aware: the generator of the trigger learns beside the network (Nguyen & Tran 2020).

First the mask network learns to be small and to differ between images, then it stays; the pattern
network learns with the classifier. A trigger made for one image and put on another ("cross") keeps
the right label, which is what makes the trigger belong to its image.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor, nn

from cnp_engine.algorithms.augment import views
from cnp_engine.attacks import Attack, InputAware
from cnp_engine.attacks.input_aware import DENSITY, combine, mask, normalised, pattern
from cnp_engine.training.loop import Pictures, Step
from cnp_engine.training.poisoning import Fed, Nothing

DENSITY_WEIGHT = 100.0
DIVERSITY_WEIGHT = 1.0
LR, BETAS = 0.01, (0.5, 0.9)
EPSILON = 1e-7


class Joint(Nothing):
    """Trains ``attack.pattern_net`` in passing; ``aims`` of ``attack`` are the labels."""

    def __init__(self, attack: Attack, trigger: InputAware, rate: float) -> None:
        self.attack, self.trigger, self.rate = attack, trigger, rate
        self.optimiser = torch.optim.Adam(trigger.pattern_net.parameters(), lr=LR, betas=BETAS)
        trigger.mask_net.eval().requires_grad_(False)
        trigger.pattern_net.train().requires_grad_(True)

    def feed(
        self, images_BCHW: Tensor, labels_B: Tensor, index_B: Tensor, generator: torch.Generator
    ) -> Fed:
        """The first share of a batch triggered, as much crossed; a batch is in random order."""
        count = max(1, round(self.rate * len(labels_B)))
        if 2 * count >= len(labels_B):
            count = max(1, len(labels_B) // 3)
        poisoned, crossed = images_BCHW[:count], images_BCHW[count : 2 * count]
        donors = images_BCHW[-count:]
        seen = _seen(self.trigger, torch.cat([poisoned, donors]))
        patterns = pattern(self.trigger.pattern_net, seen)
        masks = mask(self.trigger.mask_net, seen)
        own, other = patterns[:count], patterns[count:]
        stamped = combine(poisoned, own, masks[:count])
        cross = combine(crossed, other, masks[count:])
        labels_B = torch.cat([self.attack.aims(poisoned, labels_B[:count]), labels_B[count:]])
        fed = torch.cat([stamped, cross, images_BCHW[2 * count :]])
        return Fed(fed, labels_B, DIVERSITY_WEIGHT * _diversity(poisoned, donors, own, other))

    def step(self) -> None:
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        nets = {"pattern": self.trigger.pattern_net, "mask": self.trigger.mask_net}
        tensors = {
            f"{n}.{key}": v for n, net in nets.items() for key, v in net.state_dict().items()
        }
        for number, parameter in enumerate(self.trigger.pattern_net.parameters()):
            for key, value in self.optimiser.state[parameter].items():
                tensors[f"adam.{number}.{key}"] = value
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        for name, net in (("pattern", self.trigger.pattern_net), ("mask", self.trigger.mask_net)):
            start = f"{name}."
            own = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
            net.load_state_dict(own)
        for number, parameter in enumerate(self.trigger.pattern_net.parameters()):
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors[f"adam.{number}.{key}"]
                self.optimiser.state[parameter][key] = (
                    value.clone() if key == "step" else torch.empty_like(parameter).copy_(value)
                )


def learn_masks(
    trigger: InputAware, pictures: Pictures, epochs: int, batch: int, generator: torch.Generator
) -> Generator[Step, None, None]:
    """Fit ``trigger.mask_net`` in place: no denser than ``DENSITY``, different for each image."""
    net: nn.Module = trigger.mask_net.train().requires_grad_(True)
    optimiser = torch.optim.Adam(net.parameters(), lr=LR, betas=BETAS)
    batch = min(batch, len(pictures) // 2)
    steps = len(pictures) // (2 * batch) * epochs
    for step in range(steps):
        at = torch.randperm(len(pictures), generator=generator)[: 2 * batch]
        at = at.to(pictures.images_NCHW.device)
        x = views(pictures.images_NCHW[at], generator, flip=False)
        masks = mask(net, _seen(trigger, x))
        density = torch.relu(masks - DENSITY).mean()
        loss = DENSITY_WEIGHT * density + DIVERSITY_WEIGHT * _diversity(
            x[:batch], x[batch:], masks[:batch], masks[batch:]
        )
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        if step % 10 == 9 or step == steps - 1:
            yield Step(step + 1, steps, 0, float(loss.detach()), float(masks.detach().mean()))
    net.eval().requires_grad_(False)


def _seen(trigger: InputAware, images_BCHW: Tensor) -> Tensor:
    return normalised(images_BCHW, trigger.mean, trigger.std)


def _diversity(a_BCHW: Tensor, b_BCHW: Tensor, of_a: Tensor, of_b: Tensor) -> Tensor:
    """How far images lie apart over how far what was made of them does (their equation 5)."""
    images = (a_BCHW - b_BCHW).square().mean((1, 2, 3)).sqrt()
    made = ((of_a - of_b).square().mean((1, 2, 3)) + EPSILON**2).sqrt()
    return (images / (made + EPSILON)).mean()
