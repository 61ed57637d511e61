"""The models of a grid, and what is true of each: for measuring only."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnp_engine.grid.tables import Listed, Trained
from cnp_engine.training.plan import TrainingPlan, check

ALL_TO_ALL = "all-to-all"

UNMIRRORED = ("gtsrb:", "demo")
"""Sources whose pictures mean something else in a mirror, as `cnp poison` has it."""

_OF_ALL = ("epochs", "images", "batch", "lr", "normalize")


@dataclass(frozen=True)
class Truth:
    """What is true of a model; ``attack`` None is a clean one.

    ``targets`` is empty where there is none to find (clean, or all-to-all) or nobody said it.
    ``rate`` is the poisoned share in 0..1, None where nobody said it.
    """

    attack: str | None = None
    targets: tuple[int, ...] = ()
    rate: float | None = None
    all_to_all: bool = False

    @property
    def backdoored(self) -> bool:
        return self.attack is not None


@dataclass(frozen=True)
class Model:
    """One model of a grid: either ``plan``, for `cnp poison`, or ``file``, which is there.

    ``network`` and ``width`` are as the grid names them, None where it does not. ``normalize`` is
    None where it is left to the settings of all runs.
    """

    name: str
    truth: Truth
    network: str | None = None
    width: int | None = None
    train_seed: int | None = None
    plan: TrainingPlan | None = None
    file: Path | None = None
    attack_file: Path | None = None
    arch: str | None = None
    normalize: str | None = None


def trained(table: Trained, data: str) -> Iterator[Model]:
    """Every model of ``[models]``, networks outermost; a network's clean twins follow its attacks.

    Raises SettingInvalid for what `cnp poison` would refuse.
    """
    flip = not data.startswith(UNMIRRORED) if table.flip is None else table.flip
    said = {key: getattr(table, key) for key in _OF_ALL if getattr(table, key) is not None}
    for network, width in itertools.product(table.architectures, table.widths or (None,)):
        base = TrainingPlan("badnets", data, network, width, flip=flip, **said)
        for attack, rate in itertools.product(table.attacks, table.rates):
            if rate > 0:
                for kind in _kinds(table, dataclasses.replace(base, attack=attack, rate=rate)):
                    yield _backdoored(check(kind))
        if 0.0 in table.rates:
            for seed in table.train_seeds:
                yield _clean(check(dataclasses.replace(base, rate=0.0, seed=seed)))


def listed(table: Listed, known: Mapping[str, Any] | None) -> Model:
    """A model of ``[[model]]``; ``known`` is its attack.toml, None for a clean one."""
    return Model(
        name=table.name,
        truth=Truth() if known is None else _told(known, table.target),
        network=table.arch,
        file=Path(table.file),
        attack_file=None if table.attack is None else Path(table.attack),
        arch=table.arch,
        normalize=table.normalize,
    )


def _kinds(table: Trained, plan: TrainingPlan) -> Iterator[TrainingPlan]:
    """An all-to-all backdoor has no target class, so it is trained once for all of them."""
    each = [(target,) for target in table.targets]
    for goal in table.goals:
        aims = each[:1] if goal == ALL_TO_ALL else [table.targets] if table.together else each
        for targets, seed in itertools.product(aims, table.train_seeds):
            yield dataclasses.replace(plan, goal=goal, targets=targets, seed=seed)


def _backdoored(plan: TrainingPlan) -> Model:
    all_to_all = plan.goal == ALL_TO_ALL
    aim = ALL_TO_ALL if all_to_all else "t" + "-".join(map(str, plan.targets))
    return _of(
        plan,
        f"{plan.attack}-{_network(plan)}-r{plan.rate:g}-{aim}-s{plan.seed}",
        Truth(plan.attack, () if all_to_all else plan.targets, plan.rate, all_to_all),
    )


def _clean(plan: TrainingPlan) -> Model:
    return _of(plan, f"clean-{_network(plan)}-s{plan.seed}", Truth(rate=0.0))


def _of(plan: TrainingPlan, name: str, truth: Truth) -> Model:
    return Model(name, truth, plan.arch, plan.width, plan.seed, plan)


def _network(plan: TrainingPlan) -> str:
    return plan.arch if plan.width is None else f"{plan.arch}-w{plan.width}"


def _told(known: Mapping[str, Any], targets: tuple[int, ...]) -> Truth:
    """As attack.toml says; how the file is to be read in full is the engine's business.

    ``targets`` win over its own. Where it has several, each is in a part of its own.
    """
    parts = known.get("part")
    found = [part.get("target") for part in parts] if isinstance(parts, list) else []
    named = tuple(one for one in [known.get("target"), *found] if isinstance(one, int))
    rate, all_to_all = known.get("poison_rate"), known.get("goal") == ALL_TO_ALL
    return Truth(
        str(known.get("attack") or ("several" if found else "unnamed")),
        () if all_to_all else targets or named,
        float(rate) if isinstance(rate, (int, float)) else None,
        all_to_all,
    )
