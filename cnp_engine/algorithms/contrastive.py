"""Contrastive mask optimisation, METHOD section 3.3: which neurons tie the trigger to its target.

Masked features of clean and stamped images are drawn to the original's clean features and pushed
from the original's stamped ones. Two schedules share the loss:

* the reference's: SGD on the masks, batch statistics, 1,200 steps;
* the fast one: Adam, running statistics (those the repaired model will use), and a regulariser
  that makes masks binary and few. Without it a soft mask that works says little about which
  neurons to *remove*: docs/log.md has the table.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.triggers import Trigger
from cnp_engine.algorithms.votes import ascend
from cnp_engine.events import Progress

POSITIVES = 3
"""Similarities 0..2 are the positives of METHOD section 3.3, 3..5 the negatives."""


@dataclass(frozen=True)
class Features:
    """The five features of one batch, each (B, D): METHOD section 3.3 names them z."""

    clean: Tensor
    stamped: Tensor
    masked_clean: Tensor
    masked_stamped: Tensor
    perturbed: Tensor


def contrastive_loss(features: Features, temperature: float) -> Tensor:
    """Mean over the positives i of CE(similarities, class i); each is cosine / temperature.

    Order: (z_m, z_o), (z^_m, z_o), (z_pt, z_o); (z_pt, z^_o), (z_m, z^_o), (z^_m, z^_o).
    """
    f = features
    pairs = [
        (f.masked_clean, f.clean), (f.masked_stamped, f.clean), (f.perturbed, f.clean),
        (f.perturbed, f.stamped), (f.masked_clean, f.stamped), (f.masked_stamped, f.stamped),
    ]  # fmt: skip
    rows = torch.stack([F.cosine_similarity(a, b) for a, b in pairs], 1) / temperature
    # logsumexp is shared by the three cross-entropies
    return (rows.logsumexp(1) - rows[:, :POSITIVES].mean(1)).mean()


@dataclass(frozen=True)
class MaskPlan:
    """Schedule of the optimisation; ``sparsity`` and ``binary`` are the fast preset's."""

    rounds: int
    batches: int
    batch: int
    lr: float
    momentum: float
    temperature: float
    eps: float
    optimiser: str
    sparsity: float
    binary: float
    batch_statistics: bool
    lr_floor: float
    patience: int
    flip: bool
    early_stop: bool


@dataclass
class MaskState:
    """Everything a later process needs to go on to the bit; tensors only."""

    mask_N: Tensor
    first_N: Tensor
    second_N: Tensor
    pressure_N: Tensor
    generator: Tensor
    counters: Tensor = field(default_factory=lambda: torch.zeros(7, dtype=torch.float64))

    @classmethod
    def start(cls, neurons: int, generator: torch.Generator, lr: float) -> MaskState:
        zeros = torch.zeros(neurons)
        state = cls(torch.ones(neurons), zeros.clone(), zeros.clone(), zeros.clone(),
                    generator.get_state())  # fmt: skip
        state.lr = lr
        return state

    def tensors(self) -> dict[str, Tensor]:
        """A copy: what was taken after one round stays as it was through the next."""
        own = {
            "mask": self.mask_N, "first": self.first_N, "second": self.second_N,
            "pressure": self.pressure_N, "generator": self.generator, "counters": self.counters,
        }  # fmt: skip
        return {name: tensor.clone() for name, tensor in own.items()}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor]) -> MaskState:
        names = ("mask", "first", "second", "pressure", "generator", "counters")
        return cls(*(tensors[name].clone() for name in names))

    @property
    def round(self) -> int:
        return int(self.counters[0])

    @round.setter
    def round(self, value: int) -> None:
        self.counters[0] = value

    @property
    def lr(self) -> float:
        return float(self.counters[1])

    @lr.setter
    def lr(self, value: float) -> None:
        self.counters[1] = value

    @property
    def best_recovery(self) -> float:
        return float(self.counters[2])

    @best_recovery.setter
    def best_recovery(self, value: float) -> None:
        self.counters[2] = value

    @property
    def recovery(self) -> float:
        """Mean over the last round of [argmax f_m(x^) = argmax f_o(x)]."""
        return float(self.counters[6])

    @property
    def stale(self) -> int:
        """Rounds since the recovery rate last rose, or the learning rate was last halved."""
        return int(self.counters[3])

    @stale.setter
    def stale(self, value: int) -> None:
        self.counters[3] = value

    @property
    def finished(self) -> bool:
        return bool(self.counters[4])

    @finished.setter
    def finished(self, value: bool) -> None:
        self.counters[4] = float(value)


class OriginalFeatures:
    """The checkpoint's own features, once for each image and flip, clean and stamped.

    Image i, mirrored f times, is always stamped with trigger (i + f) mod T at its strength.
    """

    def __init__(
        self,
        network: MaskedNetwork,
        images_BCHW: Tensor,
        triggers: Sequence[tuple[Trigger, float]],
        flip: bool,
        batch: int = 250,
    ) -> None:
        self._images = images_BCHW
        self._triggers = list(triggers)
        self._clean: list[Tensor] = []
        self._stamped: list[Tensor] = []
        self._labels: list[Tensor] = []
        for flips in range(2 if flip else 1):
            clean, labels, stamped = [], [], []
            for part in torch.split(torch.arange(len(images_BCHW)), batch):
                x = self._mirrored(part, flips)
                with torch.no_grad():
                    output = network(x)
                    after = network(self.stamp(x, part, flips))
                clean.append(output.features_BD)
                labels.append(output.logits_BK.argmax(1))
                stamped.append(after.features_BD)
            self._clean.append(torch.cat(clean))
            self._labels.append(torch.cat(labels))
            self._stamped.append(torch.cat(stamped))

    def __len__(self) -> int:
        return len(self._images)

    def _mirrored(self, index_B: Tensor, flips: int) -> Tensor:
        x = self._images[index_B.to(self._images.device)]
        return x.flip(3) if flips else x

    def stamp(self, x: Tensor, index_B: Tensor, flips: int) -> Tensor:
        which_B = ((index_B + flips) % len(self._triggers)).to(x.device).view(-1, 1, 1, 1)
        stamped = x
        for number, (trigger, strength) in enumerate(self._triggers):
            stamped = torch.where(which_B == number, trigger.stamp(x, strength), stamped)
        return stamped

    def batch(self, index_B: Tensor, flips: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Images, stamped images, and the original's clean and stamped features and answers."""
        x = self._mirrored(index_B, flips)
        at = index_B.to(x.device)
        return (
            x, self.stamp(x, index_B, flips),
            self._clean[flips][at], self._stamped[flips][at], self._labels[flips][at],
        )  # fmt: skip


def optimise_masks(
    network: MaskedNetwork,
    originals: OriginalFeatures,
    plan: MaskPlan,
    state: MaskState,
) -> Generator[Progress | MaskState, None, MaskState]:
    """Run the rounds that are left; yields progress, and the state after each round to be saved.

    A step costs 4 forward and 4 backward passes of a batch, none with weight gradients: one of
    each for the perturbation, then clean, stamped and perturbed.
    """
    generator = torch.Generator()
    generator.set_state(state.generator)
    total = plan.rounds * plan.batches
    while state.round < plan.rounds and not state.finished:
        before_N = state.mask_N.clone()
        recovered, losses = [], []
        for step in range(plan.batches):
            progress = (state.round * plan.batches + step) / total
            loss, recovery = _step(network, originals, plan, state, progress, generator)
            losses.append(loss)
            recovered.append(recovery)
            yield Progress(
                "scores", state.round * plan.batches + step + 1, total,
                {"loss": loss, "recovery": recovery, "lr": state.lr,
                 "under_half": float((state.mask_N < 0.5).sum())},
            )  # fmt: skip
        state.round += 1
        _after_round(state, plan, sum(recovered) / len(recovered), before_N)
        state.generator = generator.get_state()
        yield state
    return state


def _step(
    network: MaskedNetwork,
    originals: OriginalFeatures,
    plan: MaskPlan,
    state: MaskState,
    progress: float,
    generator: torch.Generator,
) -> tuple[float, float]:
    index_B = torch.randint(0, len(originals), (plan.batch,), generator=generator)
    flips = int(torch.randint(0, 2, (1,), generator=generator)) if plan.flip else 0
    x, stamped, clean_z, stamped_z, labels = originals.batch(index_B, flips)
    mask_N = state.mask_N.to(network.device).requires_grad_()
    statistics = plan.batch_statistics
    xi = ascend(network, x, labels, mask_N.detach(), plan.eps, generator,
                batch_statistics=statistics)  # fmt: skip
    if statistics:
        # batch statistics are those of clean or of stamped images, never of their mixture
        masked = network(x, mask_N, batch_statistics=True)
        after = network(stamped, mask_N, batch_statistics=True)
        masked_z, after_z, after_logits = masked.features_BD, after.features_BD, after.logits_BK
    else:
        both = network(torch.cat([x, stamped]), mask_N)
        masked_z, after_z = both.features_BD.chunk(2)
        after_logits = both.logits_BK[len(x) :]
    perturbed = network(x, mask_N, xi, batch_statistics=statistics)
    features = Features(clean_z, stamped_z, masked_z, after_z, perturbed.features_BD)
    loss = contrastive_loss(features, plan.temperature)
    cost = loss + _regulariser(mask_N, plan, progress)
    (gradient,) = torch.autograd.grad(cost, [mask_N])
    _update(state, plan, gradient.detach().cpu())
    return float(loss.detach()), float((after_logits.argmax(1) == labels).float().mean())


def _regulariser(mask_N: Tensor, plan: MaskPlan, progress: float) -> Tensor:
    """Few masks below 1, and those at 0: the second term ramps up over two thirds of the way."""
    ramp = min(1.0, 1.5 * progress)
    few = plan.sparsity * (1 - mask_N).sum()
    return few + ramp * plan.binary * (mask_N * (1 - mask_N)).sum()


def _update(state: MaskState, plan: MaskPlan, gradient_N: Tensor) -> None:
    """One optimiser step and the clamp to [0, 1]; Adam as in Kingma & Ba 2015, algorithm 1."""
    state.pressure_N = 0.9 * state.pressure_N + 0.1 * gradient_N
    state.counters[5] += 1
    if plan.optimiser == "sgd":
        state.first_N = plan.momentum * state.first_N + gradient_N
        change_N = state.first_N
    else:
        count = float(state.counters[5])
        state.first_N = plan.momentum * state.first_N + (1 - plan.momentum) * gradient_N
        state.second_N = 0.999 * state.second_N + 0.001 * gradient_N**2
        first_N = state.first_N / (1 - plan.momentum**count)
        second_N = state.second_N / (1 - 0.999**count)
        change_N = first_N / (second_N.sqrt() + 1e-8)
    state.mask_N = (state.mask_N - state.lr * change_N).clamp(0, 1)


def _after_round(state: MaskState, plan: MaskPlan, recovery: float, before_N: Tensor) -> None:
    """Halve the rate when recovery stalls; stop when nothing moves any more.

    Nothing moves: no mask between 0 and 1, the same neurons under one half as a round ago, and a
    recovery rate that has not risen.
    """
    risen = recovery > state.best_recovery
    state.counters[6] = recovery
    state.best_recovery = max(recovery, state.best_recovery)
    state.stale = 0 if risen else state.stale + 1
    if state.stale >= plan.patience and plan.optimiser == "sgd":
        state.lr = max(plan.lr_floor, state.lr / 2)
        state.stale = 0
    binary = bool(((state.mask_N < 0.01) | (state.mask_N > 0.99)).all())
    same = bool(((state.mask_N < 0.5) == (before_N < 0.5)).all())
    state.finished = plan.early_stop and binary and same and not risen
