"""Plain dataclasses to JSON values and back, by their type hints.

Knows nothing of files or of what an event means. JSON has no NaN and no tuples: a float that is
not finite is written as null, and a tuple comes back as a tuple because its hint says so.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class UndecodableError(ValueError):
    """A JSON value that is not of the type asked for; the text says where and why."""


def encode(value: Any) -> Any:
    """``value`` as JSON data: dataclasses and mappings to dict, sequences to list, NaN to None."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not plain data")


def decode(kind: type[T], value: Any, where: str = "") -> T:
    """The JSON ``value`` as a ``kind``; a missing field takes its default.

    Raises UndecodableError for a wrong type, a missing or an unknown field.
    """
    return typing.cast(T, _decode(kind, value, where or kind.__name__))


def hints(kind: type) -> dict[str, Any]:
    """Resolved type hints of the fields of a dataclass."""
    return _hints(kind)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    found = typing.get_type_hints(kind)
    return {f.name: found[f.name] for f in dataclasses.fields(kind)}


def _decode(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(typing.get_args(hint), value, where)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise UndecodableError(f"{where} is {value!r}, not one of {typing.get_args(hint)}")
        return value
    if origin is tuple:
        return _decode_tuple(typing.get_args(hint), value, where)
    if origin is dict:
        item = typing.get_args(hint)[1]
        _expect(isinstance(value, Mapping), where, "an object", value)
        return {str(key): _decode(item, part, f"{where}.{key}") for key, part in value.items()}
    if dataclasses.is_dataclass(hint):
        return _decode_fields(typing.cast(type, hint), value, where)
    return _decode_plain(hint, value, where)


def _decode_union(members: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in members:
        return None
    failure: UndecodableError | None = None
    for member in members:
        if member is type(None):
            continue
        try:
            return _decode(member, value, where)
        except UndecodableError as error:
            failure = error
    assert failure is not None
    raise failure


def _decode_tuple(members: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _expect(isinstance(value, (list, tuple)), where, "a list", value)
    if len(members) == 2 and members[1] is Ellipsis:
        members = (members[0],) * len(value)
    _expect(len(members) == len(value), where, f"a list of {len(members)}", value)
    pairs = zip(members, value, strict=True)
    return tuple(_decode(member, part, f"{where}[{i}]") for i, (member, part) in enumerate(pairs))


def _decode_fields(kind: type, value: Any, where: str) -> Any:
    _expect(isinstance(value, Mapping), where, "an object", value)
    known = hints(kind)
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise UndecodableError(f"{where} has no field {unknown[0]!r}")
    parts = {key: _decode(known[key], part, f"{where}.{key}") for key, part in value.items()}
    try:
        return kind(**parts)
    except TypeError as error:  # a field without a default is missing
        raise UndecodableError(f"{where}: {error}") from None


def _decode_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float and type(value) is int:
        return float(value)
    _expect(type(value) is hint, where, getattr(hint, "__name__", str(hint)), value)
    return value


def _expect(holds: bool, where: str, wanted: str, value: Any) -> None:
    if not holds:
        raise UndecodableError(f"{where} is {value!r}, not {wanted}")
