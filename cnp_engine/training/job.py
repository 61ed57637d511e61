"""``cnp poison``: a folder with a trained model, the attack that is in it, and what both come to.

::

    DIR/plan.json       what was asked for, written first
    DIR/attack.toml     the attack, complete, with trigger.safetensors; not for a clean twin
    DIR/unfinished.pth  the state after the last epoch, while there is something left to do
    DIR/model.pth       the weights
    DIR/poison.json     BA, ASR, RA and how it was made; last, so with it all is done
"""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cnp_engine import actions, codec, lock, runtime
from cnp_engine.attacks import AllToAll, Attack, InputAware, Several, Warp
from cnp_engine.attacks.making import make
from cnp_engine.attacks.static import CORNERS
from cnp_engine.data.attack_file import write_attack
from cnp_engine.data.images import DataSource, LabelledImages
from cnp_engine.data.preprocessing import Normalize, parse_normalize
from cnp_engine.data.sources import open_source
from cnp_engine.errors import (
    DataMismatch,
    RunDamaged,
    RunExists,
    SettingInvalid,
    TrainingDiverged,
)
from cnp_engine.files import write_atomic
from cnp_engine.telling import Tell
from cnp_engine.training import joint, poisoning, surrogate
from cnp_engine.training.loop import Pictures, State, Step, train
from cnp_engine.training.network import fresh
from cnp_engine.training.plan import CLEAN_LABEL, TrainingPlan, check

PLAN, ATTACK, UNFINISHED, MODEL, RESULT = (
    "plan.json", "attack.toml", "unfinished.pth", "model.pth", "poison.json",
)  # fmt: skip

SAVE_EVERY_S = 20.0
"""Between two saved states: an epoch of a small network is shorter than writing it is worth."""

PICTURED = ("fiba", "refool")
"""Attacks whose trigger is made of pictures: of the training's own, of other classes."""

MASK_EPOCHS = 4
"""Passes over the images in which an input-aware attack's masks are learned."""

SURROGATE_SHARE = 3
"""A clean network that perturbs for a clean-label attack takes this part of the epochs."""


def poison(
    request: TrainingPlan, out: Path, device: str, precision: str, tell: Tell
) -> dict[str, Any]:
    """Train into ``out``, going on where an earlier call was cut off; what poison.json says.

    Raises SettingInvalid, DataError, ArchitectureUnknown, RunExists (another plan's folder),
    RunLocked, RunDamaged, RunUnwritable, TrainingDiverged.
    """
    plan = check(request)
    job = _Job(plan, out, device, precision, tell)
    job.claim()
    with lock.hold(out / "lock"):
        finished = job.finished()
        return finished if finished is not None else job.run()


@dataclass
class _Prepared:
    source: DataSource
    pictures: Pictures
    attack: Attack | None
    network: nn.Module


class _Job:
    def __init__(
        self, plan: TrainingPlan, out: Path, device: str, precision: str, tell: Tell
    ) -> None:
        self.plan, self.out, self.tell = plan, out, tell
        self.device = runtime.pick_device(device)
        self.autocast = runtime.autocast_dtype(precision, self.device)
        normalize = parse_normalize(plan.normalize)
        if normalize is None:
            raise SettingInvalid(
                "A training has to be told its --normalize.", "Give none, cifar10 or another."
            )
        self.normalize: Normalize = normalize

    def claim(self) -> None:
        """Make the folder ours, or see that it is. Raises RunExists, RunDamaged, RunUnwritable."""
        kept = self.out / PLAN
        if self.out.exists() and not kept.is_file() and any(self.out.iterdir()):
            raise RunExists(
                f"{self.out} is there already and is no training.", "Give another --out."
            )
        if kept.is_file() and self._kept_plan(kept) != codec.encode(self.plan):
            raise RunExists(
                f"{self.out} holds a training with other settings.",
                "Give another --out, or the settings it was begun with.",
            )
        if not kept.is_file():
            write_atomic(kept, _json(codec.encode(self.plan)))

    def _kept_plan(self, path: Path) -> Any:
        try:
            return json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RunDamaged(f"{path} cannot be read.", "Give another --out.") from error

    def finished(self) -> dict[str, Any] | None:
        path = self.out / RESULT
        if not path.is_file():
            return None
        try:
            result: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RunDamaged(f"{path} cannot be read.", "Delete it and call again.") from error
        return result

    def run(self) -> dict[str, Any]:
        begun = time.monotonic()
        ready = self._prepared()
        self._train(ready)
        write_atomic(self.out / MODEL, _torch_bytes({
            name: value.detach().cpu().contiguous()
            for name, value in ready.network.state_dict().items()
        }))  # fmt: skip
        if ready.attack is not None:
            self._describe(ready)
        self.tell("measuring")
        found = actions.evaluate_model(
            str(self.out / MODEL), self.plan.data,
            attack=None if ready.attack is None else str(self.out / ATTACK),
            normalize=self.plan.normalize, device=str(self.device), seed=self.plan.seed,
            tell=self.tell,
        )  # fmt: skip
        result = {
            **found,
            "model": str(self.out / MODEL),
            "attack": None if ready.attack is None else str(self.out / ATTACK),
            "plan": codec.encode(self.plan),
            "classes": len(ready.source.classes),
            "trained_on": len(ready.pictures),
            "data_sha256": ready.source.sha256,
            "seconds": time.monotonic() - begun,
            "device": runtime.describe(self.device),
            "versions": runtime.versions(),
        }
        write_atomic(self.out / RESULT, _json(result))
        (self.out / UNFINISHED).unlink(missing_ok=True)
        return result

    def _prepared(self) -> _Prepared:
        plan = self.plan
        source = open_source(plan.data)
        train_set, classes = source.train, len(source.classes)
        if train_set is None or source.test is None or train_set.labels is None or classes < 2:
            raise DataMismatch(
                f"{plan.data} has no labelled train and test images.",
                "Give a folder with train/CLASS and test/CLASS, or a known data set.",
            )
        poisoning.check_targets(plan.targets, classes)
        draws = runtime.generator(plan.seed, "training images")
        order_N = torch.randperm(len(train_set), generator=draws)[: plan.images].sort().values
        images = train_set.labelled(order_N)
        self.tell(f"{len(images):,} training images of {classes} classes")
        network = fresh(plan.arch, classes, plan.width, runtime.generator(plan.seed, "weights"))
        attack = None if plan.clean else self._attack(source, images)
        pictures = Pictures(images.images.to(self.device), images.labels.to(self.device))
        network.to(self.device).to(memory_format=torch.channels_last)
        return _Prepared(source, pictures, attack, network)

    def _attack(self, source: DataSource, images: LabelledImages) -> Attack:
        plan = self.plan
        draws = runtime.generator(plan.seed, "attack")
        strangers = images.images[~torch.isin(images.labels, torch.tensor(plan.targets))]
        picked = torch.randperm(len(strangers), generator=draws)[:16]
        pictures = strangers[picked].float() / 255 if plan.attack in PICTURED else None
        several = len(plan.targets) > 1
        parts: list[Attack] = [
            make(
                plan.attack, target=target, size=source.size, generator=draws,
                classes=len(source.classes), pictures=pictures,
                **({"corner": corner} if several else {}), **plan.options,
            )
            for target, corner in zip(plan.targets, CORNERS, strict=False)
        ]  # fmt: skip
        attack = Several(tuple(parts)) if several else parts[0]
        return AllToAll(attack, len(source.classes)) if plan.goal == "all-to-all" else attack

    def _train(self, ready: _Prepared) -> None:
        state = self._state()
        draws = runtime.generator(self.plan.seed, "batches")
        poison, pictures = self._poison(ready, resumed=state is not None)
        steps = train(
            ready.network, pictures, poison, self.plan, self.normalize, draws, self.autocast, state
        )
        saved = time.monotonic()
        try:
            for item in steps:
                if isinstance(item, Step):
                    self.tell(_line(item, self.plan))
                elif time.monotonic() - saved >= SAVE_EVERY_S:
                    saved = time.monotonic()
                    self._save(item)
        except ArithmeticError as error:
            raise TrainingDiverged(
                f"The training fell apart: {error}.", "Give a lower --lr, or another --seed."
            ) from error

    def _poison(self, ready: _Prepared, resumed: bool) -> tuple[poisoning.Poison, Pictures]:
        plan, pictures = self.plan, ready.pictures
        attack = ready.attack
        if attack is None:
            return poisoning.Nothing(), pictures
        kind = attack.attack if isinstance(attack, AllToAll) else attack
        draws = runtime.generator(plan.seed, "poisoning")
        if isinstance(kind, Warp):
            return poisoning.Warped(attack, kind, plan.rate), pictures
        if isinstance(kind, InputAware):
            _to(kind, self.device)
            if not resumed:
                masks = joint.learn_masks(kind, pictures, MASK_EPOCHS, plan.batch, draws)
                for step in masks:
                    self.tell(f"masks {step.done} of {step.total}, loss {step.loss:.3f}")
            return joint.Joint(attack, kind, plan.rate), pictures
        chosen_N = poisoning.choose(plan, pictures.labels_N, draws)
        if plan.attack == "label-consistent":
            pictures = self._hardened(ready, chosen_N)
        planted = poisoning.Planted(
            attack, chosen_N, keep_labels=plan.attack in CLEAN_LABEL,
            move=plan.attack == "physical",
        )  # fmt: skip
        return planted, pictures

    def _hardened(self, ready: _Prepared, chosen_N: Tensor) -> Pictures:
        """The poisoned images perturbed against a clean network, which is trained first."""
        plan = replace(self.plan, epochs=max(1, self.plan.epochs // SURROGATE_SHARE))
        draws = runtime.generator(plan.seed, "surrogate")
        helper = fresh(plan.arch, len(ready.source.classes), plan.width, draws)
        helper.to(self.device).to(memory_format=torch.channels_last)
        steps = train(
            helper, ready.pictures, poisoning.Nothing(), plan, self.normalize, draws, self.autocast
        )
        for item in steps:
            if isinstance(item, Step):
                self.tell(f"clean network first: {_line(item, plan)}")
        rows = chosen_N.nonzero().flatten().to(self.device)
        images, labels = ready.pictures.images_NCHW, ready.pictures.labels_N
        hard = surrogate.perturbed(
            helper.requires_grad_(False), images[rows], labels[rows], self.normalize
        )
        return Pictures(images.index_copy(0, rows, hard), labels)

    def _describe(self, ready: _Prepared) -> None:
        assert ready.attack is not None
        kind = ready.attack.attack if isinstance(ready.attack, AllToAll) else ready.attack
        if isinstance(kind, InputAware):
            _to(kind, torch.device("cpu"))
        extra = {"poison_rate": self.plan.rate, "normalize": self.plan.normalize}
        write_attack(self.out, ready.attack, extra)

    def _save(self, state: State) -> None:
        write_atomic(
            self.out / UNFINISHED, _torch_bytes({"epoch": state.epoch, "tensors": state.tensors})
        )

    def _state(self) -> State | None:
        path = self.out / UNFINISHED
        if not path.is_file():
            return None
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
            return State(int(kept["epoch"]), dict(kept["tensors"]))
        except Exception as error:
            raise RunDamaged(
                f"{path} cannot be read.", "Delete it to begin this training again."
            ) from error


def _line(step: Step, plan: TrainingPlan) -> str:
    share = f"{100 * step.accuracy:.1f} %"
    return (
        f"epoch {step.epoch} of {plan.epochs}, step {step.done:,} of {step.total:,}, "
        f"loss {step.loss:.3f}, right {share}"
    )


def _to(attack: InputAware, device: torch.device) -> None:
    attack.pattern_net.to(device)
    attack.mask_net.to(device)


def _torch_bytes(value: Any) -> bytes:
    target = io.BytesIO()
    torch.save(value, target)
    return target.getvalue()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
