"""What was typed for `cnp poison` as a plan of the engine. Raises SettingInvalid."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from cnp_engine.config import made_absolute
from cnp_engine.errors import SettingInvalid
from cnp_engine.training.plan import TrainingPlan, check

UNMIRRORED = ("gtsrb:", "demo")
"""Sources whose pictures mean something else in a mirror."""


def plan(
    *, data: str, target: str, option: Sequence[str], flip: bool | None, **given: Any
) -> TrainingPlan:
    """``target`` as "0" or "0,3"; each of ``option`` as key=value; ``flip`` None: by the source."""
    return check(TrainingPlan(
        data=made_absolute(data, "source"),
        targets=_classes(target),
        options=dict(_pair(text) for text in option),
        flip=not data.startswith(UNMIRRORED) if flip is None else flip,
        **given,
    ))  # fmt: skip


def _classes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise SettingInvalid(
            f"--target {text!r} is no class index.", "Write 0, or 0,3 for several."
        ) from None


def _pair(text: str) -> tuple[str, Any]:
    """A value is read as attack.toml has it: a number, true, or text."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SettingInvalid(f"--option {text!r} has no value.", "Write it as --option side=2.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value
