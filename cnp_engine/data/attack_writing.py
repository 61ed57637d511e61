"""Write an attack.toml, and the tensors it needs beside it, that describe an attack completely."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from safetensors.torch import save

from cnp_engine.attacks import AllToAll, Attack, Several
from cnp_engine.attacks.catalogue import parameters
from cnp_engine.data.attack_tensors import tensors_in
from cnp_engine.files import write_atomic

NAME, TENSORS = "attack.toml", "trigger.safetensors"


def write_attack(folder: Path, attack: Attack, extra: Mapping[str, Any]) -> Path:
    """``attack.toml`` in ``folder``, and trigger.safetensors where it has tensors; gives its path.

    Reading it again gives the same attack, bit for bit. Parts of several targets have files of
    their own, trigger-1.safetensors and so on. extra: what else is known (``poison_rate``,
    ``normalize``); None is left out. Raises RunUnwritable.
    """
    table = _table(folder, attack, TENSORS)
    known = {key: value for key, value in extra.items() if value is not None}
    assert not known.keys() & table.keys(), "what describes the attack is not said twice"
    text = tomli_w.dumps(_scalars(table) | known | _tables(table))
    return write_atomic(folder / NAME, text.encode())


def _table(folder: Path, attack: Attack, file: str) -> dict[str, Any]:
    if isinstance(attack, AllToAll):
        inner = _table(folder, attack.attack, file)
        inner.pop("target", None)
        return {**inner, "goal": "all-to-all", "classes": attack.classes}
    if isinstance(attack, Several):
        names = [file.replace(".", f"-{number}.") for number in range(1, len(attack.parts) + 1)]
        parts = [_table(folder, *part) for part in zip(attack.parts, names, strict=True)]
        return {"attack": attack.name, "part": parts}
    trigger: dict[str, Any] = {}
    tensors = tensors_in(attack)
    if tensors:
        write_atomic(folder / file, save(tensors))
        trigger["file"] = file
    for name in parameters(type(attack)):
        value = getattr(attack, name)
        trigger[name] = list(value) if isinstance(value, tuple) else value
    return {"attack": attack.name, "target": attack.target, "trigger": trigger}


def _scalars(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in ("trigger", "part")}


def _tables(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key in ("trigger", "part")}
