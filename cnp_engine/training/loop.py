"""One training: SGD on a one-cycle schedule, as a generator of progress that can be resumed.

All randomness is drawn on the CPU from one generator, so that a resumed training goes on as it
would have; images stay on the device as uint8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnp_engine.algorithms.augment import views
from cnp_engine.training.plan import TrainingPlan
from cnp_engine.training.poisoning import Poison

MOMENTUM = 0.9
RISE = 0.2
"""Share of the steps on which the learning rate rises."""

TELL_EVERY = 20
"""Steps between two words of progress: reading the loss makes a device wait."""


@dataclass(frozen=True)
class Pictures:
    """Training images uint8 (N, 3, H, W) and labels int64 (N,), both on the device."""

    images_NCHW: Tensor
    labels_N: Tensor

    def __len__(self) -> int:
        return len(self.labels_N)


@dataclass(frozen=True)
class Step:
    """``loss`` and ``accuracy`` (share) on the batches since the last word, as they were fed."""

    done: int
    total: int
    epoch: int
    loss: float
    accuracy: float


@dataclass
class State:
    """Everything a later process needs: weights, momentum, the attack's tensors, the generator."""

    epoch: int = 0
    tensors: dict[str, Tensor] = field(default_factory=dict)


def rate_at(plan: TrainingPlan, step: int, steps: int) -> float:
    """Up in a line, down along a cosine."""
    rise = max(1.0, RISE * steps)
    if step < rise:
        return plan.lr * (step + 1) / rise
    return plan.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


def train(
    network: nn.Module,
    pictures: Pictures,
    poison: Poison,
    plan: TrainingPlan,
    preprocess: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    autocast: torch.dtype | None,
    state: State | None = None,
) -> Generator[Step | State, None, None]:
    """Fit ``network``, on its device and in channels-last, in place; leaves it in eval mode.

    Yields progress, and after every epoch a State to be saved. Raises ArithmeticError where the
    loss is no longer a number.
    """
    device = pictures.images_NCHW.device
    batch = min(plan.batch, len(pictures))
    per_epoch = len(pictures) // batch
    steps = per_epoch * plan.epochs
    optimiser = torch.optim.SGD(
        network.parameters(), lr=plan.lr, momentum=MOMENTUM, nesterov=True,
        weight_decay=plan.decay,
    )  # fmt: skip
    first = 0
    if state is not None:
        _restore(state, network, optimiser, poison, generator)
        first = state.epoch
    network.train()
    sums, since = torch.zeros(2, device=device), 0
    for epoch in range(first, plan.epochs):
        order_N = torch.randperm(len(pictures), generator=generator)
        for i in range(per_epoch):
            done = epoch * per_epoch + i
            index_B = order_N[i * batch : (i + 1) * batch]
            at = index_B.to(device)
            x = views(pictures.images_NCHW[at], generator, flip=plan.flip)
            fed = poison.feed(x, pictures.labels_N[at], index_B, generator)
            for group in optimiser.param_groups:
                group["lr"] = rate_at(plan, done, steps)
            x = preprocess(fed.images_BCHW).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, autocast, enabled=autocast is not None):
                logits = network(x)
            loss = F.cross_entropy(logits.float(), fed.labels_B)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss if fed.extra is None else loss + fed.extra)
            optimiser.step()
            poison.step()
            right = (logits.detach().argmax(1) == fed.labels_B).float().mean()
            sums += torch.stack([loss.detach(), right])
            since += 1
            if since == TELL_EVERY or i == per_epoch - 1:
                loss_mean, accuracy = (sums / since).tolist()
                if not math.isfinite(loss_mean):
                    raise ArithmeticError(f"the loss is {loss_mean} in epoch {epoch + 1}")
                yield Step(done + 1, steps, epoch + 1, loss_mean, accuracy)
                sums.zero_()
                since = 0
        yield _state(epoch + 1, network, optimiser, poison, generator)
    network.eval()


def _state(
    epoch: int,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    poison: Poison,
    generator: torch.Generator,
) -> State:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for number, parameter in enumerate(network.parameters()):
        tensors[f"momentum.{number}"] = optimiser.state[parameter]["momentum_buffer"]
    tensors |= {f"poison.{name}": value for name, value in poison.tensors().items()}
    tensors["generator"] = generator.get_state()
    return State(epoch, {name: value.detach().cpu().clone() for name, value in tensors.items()})


def _restore(
    state: State,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    poison: Poison,
    generator: torch.Generator,
) -> None:
    def part(name: str) -> dict[str, Tensor]:
        start = f"{name}."
        return {
            key.removeprefix(start): value
            for key, value in state.tensors.items()
            if key.startswith(start)
        }

    network.load_state_dict(part("network"))
    momentum = part("momentum")
    for number, parameter in enumerate(network.parameters()):
        # a copy: in the parameter's own layout and device
        buffer = torch.empty_like(parameter).copy_(momentum[str(number)])
        optimiser.state[parameter]["momentum_buffer"] = buffer
    poison.restore(part("poison"))
    generator.set_state(state.tensors["generator"])
