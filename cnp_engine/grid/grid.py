"""Read a grid file: every key known, every value checked, every path beside the file.

Raises SettingUnknown with the nearest known key, SettingInvalid, AttackInvalid; each a sentence of
what and one of what to do.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cnp_engine import settings
from cnp_engine.config import SOURCE_NAMES, SOURCE_PREFIXES, RunConfig
from cnp_engine.errors import AttackInvalid, SettingInvalid, SettingUnknown
from cnp_engine.files import absolute, expanded
from cnp_engine.grid import models
from cnp_engine.grid.models import Model
from cnp_engine.grid.tables import Bars, Listed, Top, Trained
from cnp_engine.training.plan import ATTACKS

T = TypeVar("T")

TABLES = ("models", "model", "set", "bars")
OWN = {
    "model": "a [[model]] table", "data": "data", "clean": "clean", "seed": "seeds",
    "attack": "attack in a [[model]] table", "trigger": "attack in a [[model]] table",
}  # fmt: skip
"""Settings of a run that a grid says elsewhere."""

FOREIGN = (".th", ".pt", ".pth")
"""Endings of attack files that other tools write."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Grid:
    """``sets`` are settings of every run by dotted key; ``bars`` by number of clean images."""

    name: str
    data: str
    clean: tuple[int, ...]
    seeds: tuple[int, ...]
    models: tuple[Model, ...]
    sets: Mapping[str, Any]
    bars: Mapping[int, Bars]


def read(path: str | Path) -> Grid:
    """The grid in the file ``path``."""
    place = absolute(path)
    try:
        text = place.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise SettingInvalid(
            f"The grid file {path} cannot be read: {why}.", "`cnp bench --help` shows one."
        ) from error
    return parse(text, place.parent, place.stem)


def parse(text: str, folder: Path, name: str) -> Grid:
    """The grid that ``text`` holds, its relative paths counted from ``folder``.

    Of other files only the attack.toml of a ``[[model]]`` is read.
    """
    tree = _toml(text)
    plain = {key: value for key, value in tree.items() if key not in TABLES}
    _known(plain, [*_keys(Top), *TABLES], "")
    top = _table(Top, plain, "", folder)
    found = (
        *_trained(_mapping(tree, "models"), folder, top.data),
        *(_listed(table, folder) for table in _several(tree, "model")),
    )
    if not found:
        raise SettingInvalid(
            "The grid names no model.", "Add [models] with attacks, or a [[model]] with its file."
        )
    _once("A model", [model.name for model in found])
    return Grid(
        name, top.data, top.clean, top.seeds, found,
        _sets(_mapping(tree, "set"), folder), _bars(_mapping(tree, "bars"), top.clean),
    )  # fmt: skip


def beside(folder: Path, text: str, kind: str) -> str:
    """A path of ``kind`` (as ``config.setting`` has it), counted from ``folder``."""
    prefix, colon, rest = text.partition(":")
    if kind == "source" and text in SOURCE_NAMES:
        return text
    if kind == "source" and colon and rest and prefix in SOURCE_PREFIXES:
        return f"{prefix}:{_from(folder, rest)}"
    if kind == "factory":
        place, _, name = text.rpartition(":")
        return f"{_from(folder, place)}:{name}" if place.endswith(".py") else text
    return _from(folder, text)


def _from(folder: Path, text: str) -> str:
    return str(absolute(folder / expanded(text)))


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingInvalid(
            f"The grid is not TOML: {error}.", "Correct that line; the syntax is key = value."
        ) from error


def _trained(table: Mapping[str, Any] | None, folder: Path, data: str) -> Iterable[Model]:
    if table is None:
        return ()
    _known(table, _keys(Trained), "models.")
    axes = _table(Trained, table, "models.", folder)
    for attack in axes.attacks:
        _check_name("attack", attack, ATTACKS)
    if not axes.attacks and any(rate > 0 for rate in axes.rates):
        raise SettingInvalid(
            "models.attacks is missing.",
            f"Give some of {', '.join(ATTACKS)}; clean twins alone need rates = [0.0].",
        )
    return models.trained(axes, data)


def _listed(table: Mapping[str, Any], folder: Path) -> Model:
    _known(table, _keys(Listed), "model.")
    one = _table(Listed, table, "model.", folder)
    if not _NAME.fullmatch(one.name):
        raise SettingInvalid(
            f"model.name cannot be {one.name!r}.",
            "A folder is named after it: give letters, digits, dots, _ and -.",
        )
    return models.listed(one, None if one.attack is None else _attack(Path(one.attack)))


def _attack(path: Path) -> dict[str, Any]:
    """What an attack.toml says; files of other tools only have a name here."""
    if path.is_dir() or path.suffix in FOREIGN:
        return {"attack": path.stem}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not TOML"
        raise AttackInvalid(
            f"The attack description {path} cannot be read: {why}.", "Check attack in [[model]]."
        ) from error


def _sets(table: Mapping[str, Any] | None, folder: Path) -> dict[str, Any]:
    flat = settings.flatten(table or {})
    for key, value in flat.items():
        item = settings.find(RunConfig, key)
        if key in OWN:
            raise SettingInvalid(
                f"set.{key} is no setting of all runs.", f"The grid says it with {OWN[key]}."
            )
        if item.path and isinstance(value, str):
            flat[key] = beside(folder, value, item.path)
    RunConfig.build({"model": "m", "data": "d", **flat}, env={})  # refuses what cannot be
    return flat


def _bars(table: Mapping[str, Any] | None, clean: Sequence[int]) -> dict[int, Bars]:
    """Those of ``[bars.100]`` win at 100 clean images over those of ``[bars]``."""
    tables = table or {}
    general = {key: value for key, value in tables.items() if not isinstance(value, Mapping)}
    special = {key: value for key, value in tables.items() if isinstance(value, Mapping)}
    _known(general, _keys(Bars), "bars.")
    counts = [str(count) for count in clean]
    for key, own in special.items():
        if key not in counts:
            raise SettingUnknown(
                f"[bars.{key}] is for no number of clean images of the grid.",
                f"clean is {', '.join(counts)}.",
            )
        _known(own, _keys(Bars), f"bars.{key}.")
    return {
        count: _table(Bars, {**general, **special.get(str(count), {})}, "bars.", Path())
        for count in clean
    }


def _keys(kind: type) -> list[str]:
    return list(settings.catalogue(kind))


def _known(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = settings.nearest(key, known)
            hint = f"Did you mean {where}{near}?" if near else f"Known are {', '.join(known)}."
            raise SettingUnknown(f"A grid has no {where}{key}.", hint)


def _check_name(noun: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        near = settings.nearest(name, known)
        hint = f"Did you mean {near}?" if near else f"Known are {', '.join(known)}."
        raise SettingUnknown(f"There is no {noun} {name!r}.", hint)


def _table(kind: type[T], table: Mapping[str, Any], where: str, folder: Path) -> T:
    """``table`` as a ``kind``: checked, paths absolute, no list empty or naming a thing twice."""
    values: dict[str, Any] = {}
    for key, item in settings.catalogue(kind).items():
        if key not in table:
            if item.required:
                raise SettingInvalid(f"{where}{key} is missing.", f"It is the {item.help}.")
            continue
        value = dataclasses.replace(item, key=where + key).parse(table[key])
        if isinstance(value, tuple):
            if not value:
                raise SettingInvalid(
                    f"{where}{key} is empty.", "Give one or more, or leave it out."
                )
            _once(f"{where}{key}", value)
        values[key] = beside(folder, value, item.path) if item.path and value else value
    return settings.assemble(kind, values)


def _once(what: str, values: Sequence[Any]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise SettingInvalid(f"{what} is named twice: {value}.", "Name it once.")


def _mapping(tree: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    table = tree.get(key)
    if table is not None and not isinstance(table, Mapping):
        raise SettingInvalid(f"{key} is no table.", f"Write [{key}] and its keys under it.")
    return table


def _several(tree: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    tables = tree.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(one, Mapping) for one in tables):
        raise SettingInvalid(f"{key} is no list of tables.", f"Write [[{key}]], once for each.")
    return tables
