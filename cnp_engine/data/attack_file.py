"""Read what is known of an attack: attack.toml, or a bare trigger file.

::

    attack = "badnets"          # badnets, blended, sig, label-consistent, trojan
    target = 0
    [trigger]                   # stamped = x * (1 - weight) + pattern * weight
    file = "trigger.safetensors"    # pattern and weight, (3, H, W) in [0, 1]; or a picture

Instead of ``file``, ``[trigger]`` may hold parameters of `cnp_engine.attacks`: for badnets
``side patch corner margin``, for blended ``weight seed``, for sig ``delta frequency``.
Other keys of the file (``poison_rate``, ``normalize``) describe the training and are not used.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cnp_engine.attacks import Attack, BadNets, Blend, NoiseBlend, Sinusoid
from cnp_engine.attacks.static import CORNERS
from cnp_engine.errors import AttackInvalid

PARAMETRIC: dict[str, type[BadNets] | type[NoiseBlend] | type[Sinusoid]] = {
    "badnets": BadNets,
    "blended": NoiseBlend,
    "sig": Sinusoid,
}
STATIC = (*PARAMETRIC, "label-consistent", "trojan")
"""Attacks whose trigger is the same on every image: what a pattern and a weight can express."""

DYNAMIC = ("wanet", "input-aware", "fiba", "lf", "ssba", "all-to-all")
"""Known, but no pattern and weight express them."""

RANGES: dict[str, tuple[float, float]] = {
    "side": (1, 1024),
    "margin": (0, 1024),
    "weight": (0, 1),
    "seed": (0, 2**63 - 1),
    "delta": (0, 1),
    "frequency": (0, 1024),
}
CHOICES: dict[str, tuple[str, ...]] = {"patch": ("checkerboard", "white"), "corner": CORNERS}


def load_attack(
    path: str | Path, size: tuple[int, int] | None = None, classes: int | None = None
) -> Attack:
    """An attack.toml and the trigger file it names, relative to it.

    size: (height, width) of the images, classes: of the network; checked where given.
    Raises AttackInvalid.
    """
    path = Path(path).expanduser()
    table = _toml(path)
    name = _name(path, table.get("attack"))
    target = _target(str(path), table.get("target"), classes)
    trigger = table.get("trigger", {})
    if not isinstance(trigger, dict):
        raise AttackInvalid(f"[trigger] in {path} is no table.", "Write file = NAME under it.")
    if "file" in trigger:
        file = path.parent / str(trigger["file"])
        pattern, weight = _read_trigger(file, trigger.get("weight"))
        _check_size(file, pattern, size)
        return Blend(target, pattern, weight, name)
    if name not in PARAMETRIC:
        raise AttackInvalid(
            f"{path} names no trigger file for the attack {name}.",
            'Add [trigger] with file = "NAME.safetensors".',
        )
    return _parametric(path, name, target, trigger, size)


def load_trigger(
    path: str | Path,
    target: int,
    size: tuple[int, int] | None = None,
    classes: int | None = None,
) -> Attack:
    """A bare trigger: safetensors ``pattern``, ``weight``, or a PNG whose alpha is the weight.

    A picture without alpha covers the image wherever it is not black. Raises AttackInvalid.
    """
    path = Path(path).expanduser()
    target = _target(f"--target for {path}", target, classes)
    pattern, weight = _read_trigger(path, None)
    _check_size(path, pattern, size)
    return Blend(target, pattern, weight, "trigger")


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AttackInvalid(f"There is no file {path}.", "Check the path of --attack.") from error
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise AttackInvalid(f"{path} cannot be read: {why}.", "Give an attack.toml.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AttackInvalid(f"{path} is not TOML ({error}).", "Give an attack.toml.") from error


def _name(path: Path, value: object) -> str:
    name = value.lower().replace("_", "-") if isinstance(value, str) else ""
    if name in STATIC:
        return name
    known = f"Known attacks are {', '.join(STATIC)}."
    if not name:
        raise AttackInvalid(
            f"{path} does not say which attack it is.", f"Add attack = NAME. {known}"
        )
    if name in DYNAMIC:
        raise AttackInvalid(
            f"The trigger of {name} depends on the image and cannot be read from {path}.",
            f"{known} Without --attack the run still gives its verdict.",
        )
    close = difflib.get_close_matches(name, STATIC, n=1)
    hint = f"Did you mean {close[0]}?" if close else known
    raise AttackInvalid(f"{path} names an unknown attack, {value}.", hint)


def _target(where: str, value: object, classes: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise AttackInvalid(
            f"The target in {where} is {value!r}, not a class index.", "Write target = 0 or higher."
        )
    if classes is not None and value >= classes:
        raise AttackInvalid(
            f"The target in {where} is {value}, but the model has classes 0 to {classes - 1}.",
            "Check that the attack belongs to this model.",
        )
    return value


def _parametric(
    path: Path, name: str, target: int, trigger: dict[str, Any], size: tuple[int, int] | None
) -> Attack:
    kind = PARAMETRIC[name]
    known = {f.name: f.default for f in dataclasses.fields(kind)} if trigger else {}
    for key, value in trigger.items():
        if key not in known or key in ("name", "target"):
            close = difflib.get_close_matches(key, ["file", *known], n=1)
            hint = f"Did you mean {close[0]}?" if close else "Remove it."
            raise AttackInvalid(f"[trigger] in {path} has an unknown key, {key}.", hint)
        _check_value(path, key, value, known[key])
    attack = kind(target=target, **trigger)
    if isinstance(attack, BadNets) and size and attack.side + attack.margin > min(size):
        raise AttackInvalid(
            f"The patch of {path} is larger than the image, {size[0]}x{size[1]}.",
            "Check that the attack belongs to these images.",
        )
    return attack


def _check_value(path: Path, key: str, value: object, default: object) -> None:
    if key in CHOICES:
        if value not in CHOICES[key]:
            allowed = ", ".join(CHOICES[key])
            raise AttackInvalid(f"{key} in {path} is {value!r}.", f"It can be {allowed}.")
        return
    low, high = RANGES[key]
    kinds = (int,) if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        what = "a whole number" if kinds == (int,) else "a number"
        raise AttackInvalid(f"{key} in {path} is {value!r}.", f"It is {what}, {low} to {high}.")


def _read_trigger(path: Path, weight: object) -> tuple[Tensor, Tensor]:
    """pattern and weight, float32 (3, H, W) in [0, 1]; one ``weight`` for all pixels if given."""
    if not path.is_file():
        raise AttackInvalid(f"The trigger file {path} is not there.", "Put it beside attack.toml.")
    if path.suffix.lower() == ".safetensors":
        pattern, mask = _tensors(path)
    else:
        pattern, mask = _picture(path)
    if weight is not None:
        _check_value(path, "weight", weight, 0.0)
        assert isinstance(weight, int | float), "_check_value lets nothing else pass"
        mask = torch.full_like(pattern, float(weight))
    return pattern, mask


def _tensors(path: Path) -> tuple[Tensor, Tensor]:
    todo = "Store pattern and weight as (3, H, W) in [0, 1]."
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise AttackInvalid(f"{path} is not a safetensors file.", todo) from error
    missing = {"pattern", "weight"} - tensors.keys()
    if missing:
        raise AttackInvalid(f"{path} has no {' and no '.join(sorted(missing))}.", todo)
    for name in ("pattern", "weight"):
        value = tensors[name]
        if value.ndim != 3 or value.shape[0] != 3 or value.shape != tensors["pattern"].shape:
            raise AttackInvalid(f"{name} in {path} has shape {tuple(value.shape)}.", todo)
        if not value.is_floating_point():
            raise AttackInvalid(f"{name} in {path} is of type {value.dtype}.", todo)
        # Not "outside": NaN compares false with everything.
        if not bool(((value >= 0) & (value <= 1)).all()):
            raise AttackInvalid(f"{name} in {path} has values outside 0 to 1.", todo)
    return tensors["pattern"].float(), tensors["weight"].float()


def _picture(path: Path) -> tuple[Tensor, Tensor]:
    try:
        with Image.open(path, formats=("PNG", "BMP", "PPM")) as image:
            alpha = image.has_transparency_data
            rgba = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise AttackInvalid(
            f"{path} is neither a safetensors file nor a PNG.", "Give the trigger as one of them."
        ) from error
    pixels = torch.from_numpy(rgba).permute(2, 0, 1).contiguous()
    pattern = pixels[:3].contiguous()
    weight = pixels[3:] if alpha else (pattern.amax(0, keepdim=True) > 0).float()
    return pattern, weight.expand_as(pattern).contiguous()


def _check_size(path: Path, pattern: Tensor, size: tuple[int, int] | None) -> None:
    found = (pattern.shape[1], pattern.shape[2])
    if size is not None and found != size:
        raise AttackInvalid(
            f"The trigger {path} is {found[0]}x{found[1]}, the images are {size[0]}x{size[1]}.",
            "Give the trigger in the size of the images; it is never resized.",
        )
