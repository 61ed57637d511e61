"""RunConfig: everything a run depends on, frozen, with the help each front end shows.

Light: no torch. A key that does not exist is refused with the nearest one that does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cnp_engine import settings
from cnp_engine.errors import SettingInvalid
from cnp_engine.events import STAGES, Stage
from cnp_engine.files import absolute, expanded
from cnp_engine.stage_settings import (
    HealSettings,
    MaskSettings,
    SweepSettings,
    TargetSettings,
    TriggerSettings,
    setting,
)


@dataclass(frozen=True)
class RunConfig:
    """One run. Paths are as given; they are made absolute when the run is created."""

    model: str = setting(dataclasses.MISSING, "checkpoint to examine and repair", path="file")
    data: str = setting(
        dataclasses.MISSING,
        "folder or zip of images, cifar10:DIR, cifar100:DIR, gtsrb:DIR, tiny-imagenet:DIR, "
        "FILE.npz or demo",
        path="source",
    )
    arch: str | None = setting(
        None, "architecture name or module:factory, else recognised", path="factory"
    )
    classes: int | None = setting(None, "number of classes, else read off the classifier head")
    normalize: str = setting("auto", "auto, none, cifar10, imagenet, ... or m,m,m/s,s,s")
    clean: int = setting(1000, "clean images used", low=1)
    clean_dir: str | None = setting(
        None, "folder of clean images used in place of the train split", path="source"
    )
    attack: str | None = setting(
        None, "attack.toml of a known attack: measures, never decides", path="file"
    )
    trigger: str | None = setting(
        None, "trigger file of a known attack: measures, never decides", path="file"
    )
    targets: tuple[int, ...] = setting((), "target classes known to the user, else inferred")
    defense: Literal["cnp"] = setting("cnp", "how neurons are scored")
    preset: Literal["fast", "reference"] = setting("fast", "fast, or the paper's own schedule")
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "of optimisation; auto is bfloat16 where the device gains; figures are float32"
    )
    seed: int = setting(0, "seed of everything drawn", low=0)
    until: Literal["export", "verdict"] = setting("export", "where the run ends")
    target: TargetSettings = field(default_factory=TargetSettings)
    reversal: TriggerSettings = field(default_factory=TriggerSettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)
    heal: HealSettings = field(default_factory=HealSettings)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Those that a run is sure to come to where it finds something, in order.

        `heal` only where it is asked for: left to the run, that is known when it begins.
        """
        heals = self.heal.when == "always" and self.until == "export"
        return tuple(stage for stage in STAGES if stage != "heal" or heals)

    @classmethod
    def build(
        cls,
        values: Mapping[str, Any],
        sets: Sequence[str] = (),
        *,
        file: str | Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> RunConfig:
        """Put a configuration together; the earlier of these wins:

        ``sets`` ("masks.lr=2"), ``values`` (dotted keys, None is not given), ``env`` (CNP_MASKS_LR
        ...; the process's own by default), the TOML ``file``, the preset, the default.
        Raises SettingUnknown, SettingInvalid.
        """
        environment = os.environ if env is None else env
        layers = [
            _read_file(file) if file is not None else {},
            {
                item.key: environment[item.env]
                for item in settings.catalogue(cls).values()
                if item.env in environment
            },
            {key: value for key, value in settings.flatten(values).items() if value is not None},
            dict(_split_set(text) for text in sets),
        ]
        raw = {key: value for layer in layers for key, value in layer.items()}
        known = settings.catalogue(cls)["preset"]
        preset: str = known.parse(raw.get("preset", known.default))
        given: dict[str, Any] = {}
        for layer in layers:
            given.update({key: under(preset, key).parse(value) for key, value in layer.items()})
        return settings.assemble(cls, {**settings.check(cls, PRESETS[preset]), **given})

    @classmethod
    def from_toml(cls, text: str) -> RunConfig:
        """Read what ``to_toml`` wrote, earlier versions too; preset and environment change nothing.

        Raises SettingUnknown, SettingInvalid (broken TOML included).
        """
        flat = settings.flatten(_parse_toml(text))
        if "heal.enabled" in flat:  # until healing could be left to the run
            flat["heal.when"] = "always" if flat.pop("heal.enabled") else "never"
        for key in ("reversal.crop_under", "target.shift", "sweep.views"):
            flat.setdefault(key, 0)  # what an earlier version did not do
        if "target.batch" in flat:  # nor did it take a first look at fewer images
            flat.setdefault("target.glance", flat["target.batch"])
        return settings.assemble(cls, settings.check(cls, flat))

    def to_toml(self) -> str:
        """Every setting; an absent one is left out where that is its default."""
        import tomli_w  # only a writer of runs pays for it

        tree: dict[str, Any] = {}
        for item in settings.catalogue(type(self)).values():
            value = self.values()[item.key]
            if value is None and item.default is None:
                continue
            *groups, name = item.key.split(".")
            place = tree
            for group in groups:
                place = place.setdefault(group, {})
            place[name] = "none" if value is None else value
        return tomli_w.dumps(tree)

    def values(self) -> dict[str, Any]:
        """Every setting by its dotted key."""
        return settings.values_of(self)

    def digest(self) -> str:
        """What may be resumed: ``digest_of`` the settings as they are written."""
        return digest_of(self.to_toml())

    def describe(self) -> list[Described]:
        """Key, value, default and help of every setting, for people."""
        values = self.values()
        return [
            Described(
                item.key,
                settings.show(values[item.key]),
                "" if item.required else settings.show(item.default),
                item.help,
            )
            for item in settings.catalogue(type(self)).values()
        ]

    def absolute(self) -> RunConfig:
        """The same with every path absolute, so that the worker may run anywhere."""
        values = self.values()
        for item in settings.catalogue(type(self)).values():
            if item.path and values[item.key] is not None:
                values[item.key] = made_absolute(values[item.key], item.path)
        return settings.assemble(type(self), values)


def under(preset: str, key: str) -> settings.Setting:
    """The setting ``key``, its default the one that ``preset`` gives it. Raises SettingUnknown."""
    item = settings.find(RunConfig, key)
    return dataclasses.replace(item, default=PRESETS[preset].get(key, item.default))


@dataclass(frozen=True)
class Described:
    """One row of ``describe``."""

    key: str
    value: str
    default: str
    help: str


def digest_of(text: str) -> str:
    """sha256 of the canonical JSON of the settings that ``text``, TOML, holds.

    Of what is written and not of what it comes to: a later version, which knows more settings,
    still finds a run as it was begun. Raises SettingInvalid.
    """
    values = settings.flatten(_parse_toml(text))
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


SOURCE_PREFIXES = ("cifar10", "cifar100", "gtsrb", "tiny-imagenet")
"""What may stand before the colon of a data source."""

SOURCE_NAMES = ("demo",)
"""Sources that are no path."""


def made_absolute(text: str, kind: str) -> str:
    """A path as it was typed, from the root; ``kind`` as ``setting`` has it."""
    if kind == "source":
        prefix, colon, rest = text.partition(":")
        if text in SOURCE_NAMES:
            return text
        if colon and rest and prefix in SOURCE_PREFIXES:
            return f"{prefix}:{absolute(rest)}"
    if kind == "factory":
        place, colon, name = text.rpartition(":")
        return f"{absolute(place)}:{name}" if place.endswith(".py") else text
    return str(absolute(text))


def _split_set(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SettingInvalid(f"--set {text!r} has no value.", "Write it as --set masks.lr=2.")
    return key.strip(), value


def _read_file(path: str | Path) -> dict[str, Any]:
    try:
        text = expanded(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SettingInvalid(
            f"The settings file {path} cannot be read: {reason}.", "Check --config."
        ) from error
    return settings.flatten(_parse_toml(text))


def _parse_toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingInvalid(
            f"The settings are not TOML: {error}.", "Correct that line; the syntax is key = value."
        ) from error


PRESETS: dict[str, dict[str, Any]] = {
    "fast": {},
    "reference": {
        "target.method": "votes",
        "target.shift": 0.0,
        "reversal.steps": 800,
        "reversal.batch": 128,
        "reversal.restarts": 1,
        "reversal.lr": 0.005,
        "reversal.adapt": False,
        "reversal.crop_under": 0,
        "reversal.uniform_start": True,
        "reversal.boost": 1.0,
        "reversal.grown": 0,
        "masks.rounds": 30,
        "masks.batches": 40,
        "masks.batch": 128,
        "masks.optimiser": "sgd",
        "masks.lr": 0.2,
        "masks.eps": 0.4,
        "masks.sparsity": 0.0,
        "masks.binary": 0.0,
        "masks.batch_statistics": True,
        "masks.early_stop": False,
        "masks.order_limit": 0,
        "heal.when": "never",
        "sweep.step": 0.0025,
        "sweep.views": 0,
        "precision": "float32",
    },
}
"""Dotted settings a preset changes from the defaults (METHOD section 3 for the reference)."""

__all__ = [
    "PRESETS",
    "HealSettings",
    "MaskSettings",
    "RunConfig",
    "SweepSettings",
    "TargetSettings",
    "TriggerSettings",
    "dataclasses",
    "setting",
]
