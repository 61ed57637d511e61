"""Read what is known of an attack: attack.toml, or files that other tools leave beside a model.

::

    attack = "badnets"          # badnets, blended, sig, label-consistent, wanet, fiba, lf, refool,
    target = 0                  # input-aware, physical, trojan, ssba
    [trigger]                   # stamped = x * (1 - weight) + pattern * weight
    file = "trigger.safetensors"    # pattern and weight, (3, H, W) in [0, 1]; or a picture

Instead of ``target``, ``goal = "all-to-all"`` (class y is to be answered y + 1). Instead of both,
two or more ``[[part]]`` tables, each with an attack, target and trigger of its own.

``[trigger]`` holds parameters of `cnp_engine.attacks` by their names (badnets: ``side patch corner
margin``; blended: ``weight seed noise``; sig: ``delta frequency``; wanet: ``strength``; and so on),
and ``file`` with the tensors it needs besides (wanet: flow; fiba, lf: pattern; refool: pictures;
input-aware: both generators). Files of other tools (`attack_imports`):

- ``identity_grid`` and ``noise_grid``, or ``checkpoint``: WaNet's, of BackdoorBox or its release;
- ``checkpoint``: Input-aware's netG and netM;
- ``file = "trigger_info.th"``: ANP's;
- ``folder = "bd_test_dataset"``: BackdoorBench's stamped test images, of any attack.

Other keys of the file (``poison_rate``, ``normalize``) describe the training and are not used.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnp_engine.attacks import AllToAll, Attack, Blend, Recorded, Several
from cnp_engine.attacks.catalogue import (
    KINDS,
    check_size,
    check_target,
    check_value,
    checked,
    materials,
    parameters,
)
from cnp_engine.data import attack_imports
from cnp_engine.data.attack_tensors import recorded, tensors_of
from cnp_engine.data.attack_trigger import pattern_and_weight, read_tensors
from cnp_engine.data.attack_writing import write_attack
from cnp_engine.data.images import LabelledImages
from cnp_engine.errors import AttackInvalid
from cnp_engine.files import expanded, there

__all__ = ["load_attack", "load_trigger", "write_attack"]

FILED = ("trojan", "trigger", "ssba", "recorded")
"""Names of what only files can describe."""

KNOWN = (*KINDS, *FILED)

GOALS = ("all-to-one", "all-to-all")

PATHS = frozenset({"file", "folder", "checkpoint", "identity_grid", "noise_grid"})
"""Keys of [trigger] that name a file or folder beside the attack.toml."""


@dataclass(frozen=True)
class _About:
    """What an attack is checked against; None where it is not known."""

    size: tuple[int, int] | None
    classes: int | None
    test: LabelledImages | None


def load_attack(
    path: str | Path,
    size: tuple[int, int] | None = None,
    classes: int | None = None,
    test: LabelledImages | None = None,
) -> Attack:
    """An attack.toml and the files it names, relative to it.

    Or, without one, ANP's trigger_info.th, or BackdoorBench's folder of stamped test images.
    size: (height, width) of the images, classes: of the network; checked where given. test: the
    labelled test images, which stamped ones are held against. Raises AttackInvalid.
    """
    path, about = expanded(path), _About(size, classes, test)
    if not there(path):
        raise AttackInvalid(f"There is no file {path}.", "Check the path of --attack.")
    if path.is_dir():
        attack: Attack = attack_imports.stamped_folder(path, "recorded", None, classes, test)
    elif attack_imports.is_torch_file(path):
        attack = attack_imports.trigger_info(path, "trigger", None)
        assert attack.target is not None, "what it blends has one target"
        check_target(str(path), attack.target, classes)
    else:
        return _described(str(path), path.parent, _toml(path), about)
    if size is not None:
        check_size(str(path), attack, size)
    return attack


def load_trigger(
    path: str | Path,
    target: int,
    size: tuple[int, int] | None = None,
    classes: int | None = None,
) -> Attack:
    """A bare trigger: safetensors ``pattern``, ``weight``, or a PNG whose alpha is the weight.

    A picture without alpha covers the image wherever it is not black. Raises AttackInvalid.
    """
    path = expanded(path)
    target = check_target(f"--target for {path}", target, classes)
    attack = _blend(path, target, *pattern_and_weight(path), "trigger")
    if size is not None:
        check_size(str(path), attack, size)
    return attack


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise AttackInvalid(f"{path} cannot be read: {why}.", "Give an attack.toml.") from error
    except RecursionError as error:
        raise AttackInvalid(f"{path} is nested too deeply.", "Give an attack.toml.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AttackInvalid(f"{path} is not TOML ({error}).", "Give an attack.toml.") from error


def _described(where: str, folder: Path, table: dict[str, Any], about: _About) -> Attack:
    """An attack.toml, or one of its parts; files are relative to ``folder``."""
    goal = table.get("goal", GOALS[0])
    if goal not in GOALS:
        raise AttackInvalid(f"The goal in {where} is {goal!r}.", f"It can be {', '.join(GOALS)}.")
    if "part" in table:
        attack = _several(where, folder, table, about)
        return _all_to_all(where, table, attack, about) if goal == "all-to-all" else attack
    name = _name(where, table.get("attack"))
    if goal == "all-to-all":
        if "target" in table:
            raise AttackInvalid(
                f"{where} has a target and the goal all-to-all, which has none.",
                "Remove one of them.",
            )
        attack = _one(where, folder, name, 0, table, about)
        return _all_to_all(where, table, attack, about)
    target = check_target(where, table.get("target"), about.classes)
    return _one(where, folder, name, target, table, about)


def _all_to_all(where: str, table: dict[str, Any], attack: Attack, about: _About) -> Attack:
    classes = table.get("classes", about.classes)
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        raise AttackInvalid(
            f"{where} does not say of how many classes.", "Write classes = 10, or what they are."
        )
    if about.classes is not None and classes != about.classes:
        raise AttackInvalid(
            f"{where} is for {classes} classes, but the model has {about.classes}.",
            "Check that the attack belongs to this model.",
        )
    return AllToAll(attack, classes)


def _several(where: str, folder: Path, table: dict[str, Any], about: _About) -> Attack:
    parts = table["part"]
    if not isinstance(parts, list) or len(parts) < 2 or not all(isinstance(p, dict) for p in parts):
        raise AttackInvalid(
            f"{where} does not have two or more parts.",
            "Write [[part]] above each, with attack, target and [part.trigger].",
        )
    if clash := {"target", "trigger"} & table.keys():
        raise AttackInvalid(
            f"{where} has parts and a {min(clash)} outside of them.",
            "Move it below a [[part]], or remove it.",
        )
    found = []
    for number, part in enumerate(parts, 1):
        if "part" in part:
            raise AttackInvalid(f"Part {number} of {where} has parts.", "Write all in one row.")
        found.append(_described(f"part {number} of {where}", folder, part, about))
    name = table.get("attack", "several")
    return Several(tuple(found), name if isinstance(name, str) else "several")


def _name(where: str, value: object) -> str:
    name = value.lower().replace("_", "-") if isinstance(value, str) else ""
    if name in KNOWN:
        return name
    known = f"Known attacks are {', '.join(KNOWN)}."
    if not name:
        raise AttackInvalid(
            f"{where} does not say which attack it is.", f"Add attack = NAME. {known}"
        )
    if name == "all-to-all":
        raise AttackInvalid(
            f"{where} names a goal as its attack, {value}.",
            'Write goal = "all-to-all", and attack = "badnets" or what its trigger is.',
        )
    close = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f"Did you mean {close[0]}?" if close else known
    raise AttackInvalid(f"{where} names an unknown attack, {value}.", hint)


def _one(
    where: str, folder: Path, name: str, target: int, table: dict[str, Any], about: _About
) -> Attack:
    trigger = table.get("trigger", {})
    if not isinstance(trigger, dict):
        raise AttackInvalid(f"[trigger] in {where} is no table.", "Write file = NAME under it.")
    files: dict[str, Path] = {}
    for key in sorted(PATHS & trigger.keys()):
        if not isinstance(trigger[key], str):
            raise AttackInvalid(f"{key} in {where} is {trigger[key]!r}.", "It is a path in quotes.")
        files[key] = folder / trigger[key]
        if not there(files[key]):
            raise AttackInvalid(
                f"The trigger {'folder' if key == 'folder' else 'file'} {files[key]} is not there.",
                "Put it beside attack.toml.",
            )
    plain = {key: value for key, value in trigger.items() if key not in PATHS}
    attack = _made(where, name, target, files, plain, about)
    if about.size is not None:
        check_size(str(min(files.values(), default=where)), attack, about.size)
    return attack


def _made(
    where: str,
    name: str,
    target: int,
    files: dict[str, Path],
    plain: dict[str, Any],
    about: _About,
) -> Attack:
    """By the files that [trigger] names, then by the attack's name."""
    if "folder" in files:
        path = files["folder"]
        return attack_imports.stamped_folder(path, name, target, about.classes, about.test)
    if "file" in files:
        return _from_file(where, files["file"], name, target, plain)
    if name == "wanet" and {"noise_grid", "checkpoint"} & files.keys():
        grid = attack_imports.flow(where, files)
        return _kind(name, target, {"flow": grid} | _checked(where, name, plain))
    if name == "input-aware" and "checkpoint" in files:
        found = attack_imports.generators(files["checkpoint"])
        return _kind(name, target, found | _checked(where, name, plain))
    if name not in KINDS or materials(KINDS[name]):
        raise _nothing(where, name)
    return _kind(name, target, _checked(where, name, plain))


def _nothing(where: str, name: str) -> AttackInvalid:
    if name in ("ssba", "recorded"):
        return AttackInvalid(
            f"The trigger of {name} depends on the image and is not in {where}.",
            "Give its stamped test images: [trigger] with folder = NAME.",
        )
    return AttackInvalid(
        f"{where} names no trigger file for the attack {name}.",
        'Add [trigger] with file = "NAME.safetensors".',
    )


def _from_file(where: str, file: Path, name: str, target: int, plain: dict[str, Any]) -> Attack:
    """What ``file`` of [trigger] describes: by its tensors, then by the attack's name."""
    if attack_imports.is_torch_file(file):
        return attack_imports.trigger_info(file, name, target)
    tensors = read_tensors(file) if file.suffix.lower() == ".safetensors" else {}
    if tensors.keys() == {"keys", "stamped"}:
        return Recorded(target, *recorded(file, tensors), name)
    if name in KINDS and materials(KINDS[name]):
        made = tensors_of(file, KINDS[name], tensors)
        return _kind(name, target, made | _checked(where, name, plain))
    pattern, weight = pattern_and_weight(file)
    if "weight" in plain:
        opacity = check_value(where, "weight", plain["weight"], 0.0)
        weight = torch.full_like(pattern, float(opacity))
    return _blend(file, target, pattern, weight, name)


def _blend(file: Path, target: int, pattern: Tensor, weight: Tensor, name: str) -> Blend:
    if not bool(weight.any()):
        raise AttackInvalid(
            f"The trigger of {file} covers no pixel: its weight is 0 everywhere.",
            "Give a weight, or a picture whose alpha, or whatever is not black, is where it covers "
            "the image.",
        )
    return Blend(target, pattern, weight, name)


def _checked(where: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
    return checked(where, given, parameters(KINDS[name]), ("file",))


def _kind(name: str, target: int, fields: dict[str, Any]) -> Attack:
    attack: Attack = KINDS[name](target=target, name=name, **fields)
    return attack
