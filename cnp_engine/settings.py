"""Frozen dataclasses as a tree of dotted settings: documented, parsed, checked, put together.

Generic over the fields: nothing here knows which settings there are. A field is a setting with
metadata ``help``, ``low``, ``high`` (see ``config.setting``); a field that is itself a dataclass
is a group, and its settings are ``group.name``.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from cnp_engine.codec import hints
from cnp_engine.errors import SettingInvalid, SettingUnknown

T = TypeVar("T")

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_NONE = {"none", "null", ""}


class _MismatchError(Exception):
    """A value that is not of the hint's type."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting; ``default`` is ``dataclasses.MISSING`` where it has to be given."""

    key: str
    hint: Any
    default: Any
    help: str
    low: float | None
    high: float | None
    path: str
    some: bool

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING

    @property
    def env(self) -> str:
        """Name of the environment variable that sets it."""
        return "CNP_" + self.key.upper().replace(".", "_")

    @property
    def expects(self) -> str:
        """What a value must be, as the end of a sentence."""
        return _expects(self.hint) + _bounds(self.low, self.high)

    def parse(self, raw: Any) -> Any:
        """``raw``, text or a TOML value, as this setting's type. Raises SettingInvalid."""
        try:
            value = _convert(self.hint, raw.strip() if isinstance(raw, str) else raw)
            for number in value if isinstance(value, tuple) else (value,):
                _check_bounds(number, self.low, self.high)
            if self.some and not value:
                raise _MismatchError
        except _MismatchError:
            default = "" if self.required else f" The default is {show(self.default)}."
            raise SettingInvalid(
                f"{self.key} cannot be {show(raw)}.", f"Give {self.expects}.{default}"
            ) from None
        return value


def catalogue(kind: type) -> Mapping[str, Setting]:
    """All settings of the dataclass ``kind`` by dotted key, in the order of definition."""
    return _catalogue(kind)


@functools.cache
def _catalogue(kind: type) -> Mapping[str, Setting]:
    return types.MappingProxyType({item.key: item for item in _walk(kind, "")})


def _walk(kind: type, prefix: str) -> Iterator[Setting]:
    for item in dataclasses.fields(kind):
        hint, key = hints(kind)[item.name], prefix + item.name
        if dataclasses.is_dataclass(hint):
            yield from _walk(typing.cast(type, hint), f"{key}.")
        else:
            meta = item.metadata
            yield Setting(
                key,
                hint,
                item.default,
                meta.get("help", ""),
                meta.get("low"),
                meta.get("high"),
                meta.get("path", ""),
                meta.get("some", False),
            )


def find(kind: type, key: str) -> Setting:
    """The setting ``key``. Raises SettingUnknown with the nearest known key."""
    known = catalogue(kind)
    if key in known:
        return known[key]
    near = nearest(key, known)
    hint = f"Did you mean {near}?" if near else "List them with `cnp config show`."
    raise SettingUnknown(f"There is no setting {key!r}.", hint)


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known key most like ``key``, by the whole or by its last part; None where none is."""
    names = list(known)
    close = difflib.get_close_matches(key, names, 1, 0.6)
    if close:
        return close[0]
    last = {name.rpartition(".")[2]: name for name in names}
    close = difflib.get_close_matches(key.rpartition(".")[2], list(last), 1, 0.6)
    return last[close[0]] if close else None


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def check(kind: type, flat: Mapping[str, Any]) -> dict[str, Any]:
    """Parse every value. Raises SettingUnknown, SettingInvalid."""
    return {key: find(kind, key).parse(raw) for key, raw in flat.items()}


def assemble(kind: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """A ``kind`` of checked dotted values, the rest from the defaults.

    Raises SettingInvalid where a required one is missing.
    """
    parts: dict[str, Any] = {}
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]  # T is a dataclass
        key, hint = prefix + item.name, hints(kind)[item.name]
        if dataclasses.is_dataclass(hint):
            parts[item.name] = assemble(typing.cast(type, hint), values, f"{key}.")
        elif key in values:
            parts[item.name] = values[key]
        elif item.default is dataclasses.MISSING:
            raise SettingInvalid(f"No {key} is given.", f"Give it with --{key}.")
    return kind(**parts)


def values_of(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The dotted values of a dataclass, in the order of definition."""
    flat: dict[str, Any] = {}
    for item in dataclasses.fields(tree):
        value = getattr(tree, item.name)
        if dataclasses.is_dataclass(value):
            flat.update(values_of(value, f"{prefix}{item.name}."))
        else:
            flat[prefix + item.name] = value
    return flat


def show(value: Any) -> str:
    """A value as a user would type it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(show(item) for item in value) or "none"
    return repr(value) if isinstance(value, str) and not value.strip() else str(value)


def _convert(hint: Any, raw: Any) -> Any:
    origin = typing.get_origin(hint)
    members = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_optional(members, raw)
    if origin is typing.Literal:
        if raw not in members:
            raise _MismatchError
        return raw
    if origin is tuple:
        return _convert_tuple(members, raw)
    if hint is bool:
        return _convert_bool(raw)
    if hint in (int, float):
        return _convert_number(hint, raw)
    if not isinstance(raw, str) or not raw:
        raise _MismatchError
    return raw


def _convert_optional(members: tuple[Any, ...], raw: Any) -> Any:
    if raw is None or (isinstance(raw, str) and raw.lower() in _NONE):
        return None
    (inner,) = (member for member in members if member is not type(None))
    return _convert(inner, raw)


def _convert_tuple(members: tuple[Any, ...], raw: Any) -> tuple[Any, ...]:
    if isinstance(raw, str):
        raw = [part.strip() for part in raw.split(",")] if raw.lower() not in _NONE else []
    elif not isinstance(raw, (list, tuple)):
        raw = [raw]
    if members[-1] is Ellipsis:
        members = (members[0],) * len(raw)
    if len(members) != len(raw):
        raise _MismatchError
    return tuple(_convert(member, part) for member, part in zip(members, raw, strict=True))


def _convert_bool(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    text = str(raw).lower()
    if text not in _TRUE | _FALSE:
        raise _MismatchError
    return text in _TRUE


def _convert_number(kind: type, raw: Any) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        raise _MismatchError
    if kind is int and isinstance(raw, float):
        raise _MismatchError
    try:
        number = kind(raw)
    except ValueError:
        raise _MismatchError from None
    if not math.isfinite(number):
        raise _MismatchError
    return number


def _check_bounds(value: Any, low: float | None, high: float | None) -> None:
    if value is None or not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    if (low is not None and value < low) or (high is not None and value > high):
        raise _MismatchError


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _expects(hint: Any) -> str:
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = " or ".join(_expects(m) for m in members if m is not type(None))
        return f"{inner} or none"
    if origin is typing.Literal:
        return "one of " + ", ".join(show(member) for member in members)
    if origin is tuple:
        return f"{_expects(members[0])}, or several with commas between"
    return _WORDS[hint]


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" from {low:g} upwards"
    return f" up to {high:g}" if high is not None else ""
