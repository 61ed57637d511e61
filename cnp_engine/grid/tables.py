"""The tables that a grid file may hold, each a dataclass whose fields are its keys."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from cnp_engine.config import setting
from cnp_engine.training.plan import ATTACKS, Goal


@dataclass(frozen=True)
class Top:
    """Outside of any table."""

    data: str = setting(
        dataclasses.MISSING, "images, as `cnp run --data` takes them", path="source"
    )
    clean: tuple[int, ...] = setting((1000,), "numbers of clean images", low=1)
    seeds: tuple[int, ...] = setting((0,), "seeds of the runs", low=0)


@dataclass(frozen=True)
class Trained:
    """``[models]``: trained by `cnp poison`, each once, and kept. Every list is an axis."""

    attacks: tuple[str, ...] = setting((), f"attacks: {', '.join(ATTACKS)}")
    architectures: tuple[str, ...] = setting(("resnet18",), "networks, as `cnp poison --arch`")
    widths: tuple[int, ...] = setting(
        (), "first widths; the architecture's own where left out", low=1, high=1024
    )
    rates: tuple[float, ...] = setting(
        (0.1,), "poisoned shares; 0.0 is the clean twin, trained once for all attacks",
        low=0.0, high=1.0,
    )  # fmt: skip
    targets: tuple[int, ...] = setting((0,), "target classes, one a model", low=0)
    together: bool = setting(False, "one model of all the targets, each with a trigger of its own")
    goals: tuple[Goal, ...] = setting(("all-to-one",), "goals")
    train_seeds: tuple[int, ...] = setting((0,), "seeds of the trainings", low=0)
    epochs: int | None = setting(None, "epochs of every training, else as `cnp poison`", low=1)
    images: int | None = setting(None, "training images at most, else all", low=1)
    batch: int | None = setting(None, "images a step, else as `cnp poison`", low=1)
    lr: float | None = setting(None, "peak learning rate, else as `cnp poison`", low=0.0)
    normalize: str | None = setting(None, "preprocessing of the networks, else none")
    flip: bool | None = setting(None, "mirror images, else all but signs (gtsrb, demo)")


@dataclass(frozen=True)
class Listed:
    """``[[model]]``: one that exists already."""

    name: str = setting(dataclasses.MISSING, "its name in the tables and of its runs")
    file: str = setting(dataclasses.MISSING, "checkpoint", path="file")
    attack: str | None = setting(
        None, "as `cnp run --attack`, measures only; left out: a clean model", path="file"
    )
    target: tuple[int, ...] = setting((), "true target, where attack does not say it", low=0)
    arch: str | None = setting(None, "as `cnp run --arch`, else recognised", path="factory")
    normalize: str | None = setting(None, "as `cnp run --normalize`, else that of [set]")


@dataclass(frozen=True)
class Bars:
    """``[bars]``: what a mean is held against; None is not judged. Rates in 0..1."""

    asr: float | None = setting(None, "ASR after, at most", low=0.0, high=1.0)
    ba_drop: float | None = setting(None, "BA before less BA after, at most", high=1.0)
    ra_gap: float | None = setting(None, "BA after less RA after, at most", high=1.0)
    residual: float | None = setting(None, "residual, at most", low=0.0, high=1.0)
    pruned: float | None = setting(None, "share of the neurons pruned, at most", low=0.0, high=1.0)
    seconds: float | None = setting(None, "seconds of a run, at most", low=0.0)
    verdict_right: float | None = setting(
        None, "share of backdoored models found, at least", low=0.0, high=1.0
    )
    target_right: float | None = setting(
        None, "share of target classes found, at least", low=0.0, high=1.0
    )
    false_alarms: float | None = setting(
        None, "share of clean models called backdoored, at most", low=0.0, high=1.0
    )
