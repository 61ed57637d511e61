"""Read what is known of an attack: attack.toml, or a bare trigger file."""

from __future__ import annotations

from pathlib import Path

from cnp_engine.attacks import Attack


def load_attack(
    path: str | Path, size: tuple[int, int] | None = None, classes: int | None = None
) -> Attack:
    """An attack.toml and the trigger file it names.

    size: (height, width) of the images, classes: of the network; checked where given.
    Raises AttackInvalid.
    """
    raise NotImplementedError


def load_trigger(
    path: str | Path,
    target: int,
    size: tuple[int, int] | None = None,
    classes: int | None = None,
) -> Attack:
    """A bare trigger: safetensors ``pattern``, ``weight``, or a PNG whose alpha is the weight."""
    raise NotImplementedError
