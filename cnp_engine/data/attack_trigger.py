"""Trigger files: tensors by name, and pictures whose alpha says where they cover an image.

Knows no attack. Raises AttackInvalid for every file that is not what it should be.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cnp_engine.data.decode import eight_bit
from cnp_engine.errors import AttackInvalid
from cnp_engine.files import there

UNREADABLE = (
    UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError,
)  # fmt: skip
"""What Pillow answers files with that are no pictures, or claim to be far too large ones."""


def pattern_and_weight(path: Path) -> tuple[Tensor, Tensor]:
    """Float (3, H, W) in [0, 1], both: of a safetensors file, or of a picture."""
    if path.suffix.lower() != ".safetensors":
        return _picture(path)
    tensors = read_tensors(path)
    todo = "Store pattern and weight as (3, H, W) in [0, 1]."
    pattern, weight = take(path, tensors, ("pattern", "weight"), todo)
    for name, value in (("pattern", pattern), ("weight", weight)):
        if value.ndim != 3 or value.shape[0] != 3 or value.shape != pattern.shape:
            raise AttackInvalid(f"{name} in {path} has shape {tuple(value.shape)}.", todo)
    return within(path, "pattern", pattern, 0, 1, todo), within(path, "weight", weight, 0, 1, todo)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Everything in a safetensors file."""
    present(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise AttackInvalid(
            f"{path} is not a safetensors file.", "Store the attack's tensors as safetensors."
        ) from error
    return tensors


def take(path: Path, tensors: dict[str, Tensor], names: tuple[str, ...], todo: str) -> list[Tensor]:
    """The tensors of these names, all of which have to be there."""
    missing = sorted(set(names) - tensors.keys())
    if missing:
        raise AttackInvalid(f"{path} has no {' and no '.join(missing)}.", todo)
    return [tensors[name] for name in names]


def within(path: Path, name: str, value: Tensor, low: float, high: float, todo: str) -> Tensor:
    """A float tensor of values from ``low`` to ``high``, at least float32."""
    if not value.is_floating_point():
        raise AttackInvalid(f"{name} in {path} is of type {value.dtype}.", todo)
    # Not "outside": NaN compares false with everything.
    if not bool(((value >= low) & (value <= high)).all()):
        raise AttackInvalid(f"{name} in {path} has values outside {low:g} to {high:g}.", todo)
    return value.to(torch.promote_types(value.dtype, torch.float32))


def present(path: Path) -> None:
    if not (there(path) and path.is_file()):
        raise AttackInvalid(f"The trigger file {path} is not there.", "Put it beside attack.toml.")


def _picture(path: Path) -> tuple[Tensor, Tensor]:
    present(path)
    try:
        with Image.open(path, formats=("PNG", "BMP", "PPM")) as image:
            alpha = image.has_transparency_data
            deep = eight_bit(image) if image.mode.startswith("I") else image
            rgba = np.asarray(deep.convert("RGBA"), dtype=np.float32) / 255
    except UNREADABLE as error:
        raise AttackInvalid(
            f"{path} is neither a safetensors file nor a PNG.", "Give the trigger as one of them."
        ) from error
    pixels = torch.from_numpy(rgba).permute(2, 0, 1).contiguous()
    pattern = pixels[:3].contiguous()
    weight = pixels[3:] if alpha else (pattern.amax(0, keepdim=True) > 0).float()
    return pattern, weight.expand_as(pattern).contiguous()
