"""Inert objects that take the place of the few non-torch values found beside weights.

NumPy's own unpickling trusts what a pickle says of its types (an object array is a buffer of
pointers), so its functions are not let near an untrusted file: each allowed name is bound to a
class or function of this module that only keeps what it is given. Plain ones become real values
afterwards, checked; nothing here is imported or called because a file says so.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_DEEPEST = 60
_PLAIN_DTYPE = re.compile(r"[biufc]\d{1,2}|[US]\d{1,6}")


class NotPlainError(Exception):
    """A value with no plain counterpart; the message names it."""


class StandIn:
    """Keeps the arguments and the state a pickle hands over, and does nothing with them."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class NumpyArray(StandIn):
    """Stands for numpy.ndarray."""


class NumpyDtype(StandIn):
    """Stands for numpy.dtype."""


class NumpyScalar(StandIn):
    """Stands for numpy.generic, made of a dtype and its bytes."""


class Namespace(StandIn):
    """Stands for argparse.Namespace, which training scripts save as ``args``."""


class PosixPath(StandIn):
    """Stands for pathlib.PosixPath."""


class WindowsPath(StandIn):
    """Stands for pathlib.WindowsPath."""


def _numpy_array(*_: Any) -> NumpyArray:
    return NumpyArray()  # the class, shape and type given here are those of an empty array


def _empty_bytes(*arguments: Any) -> bytes:
    if arguments:
        raise NotPlainError("builtins.bytes")  # bytes(n) would allocate what a file asks for
    return b""


STAND_INS: dict[str, Callable[..., Any]] = {
    "numpy.core.multiarray._reconstruct": _numpy_array,
    "numpy._core.multiarray._reconstruct": _numpy_array,
    "numpy.core.multiarray.scalar": NumpyScalar,
    "numpy._core.multiarray.scalar": NumpyScalar,
    "numpy.ndarray": NumpyArray,
    "numpy.dtype": NumpyDtype,
    "builtins.bytes": _empty_bytes,
    "argparse.Namespace": Namespace,
    **{
        f"{module}.{pure}{kind.__name__}": kind
        for module in ("pathlib", "pathlib._local")  # the second from Python 3.13 on
        for pure in ("", "Pure")  # what is written back is pure
        for kind in (PosixPath, WindowsPath)
    },
}


Allowed = Callable[..., Any] | tuple[Callable[..., Any], str]


def pairs(names: tuple[str, ...]) -> list[Allowed]:
    """The allow-list for exactly ``names``, as ``torch.serialization.safe_globals`` takes it."""
    return [(STAND_INS[name], name) for name in names]


def to_plain(value: Any) -> Any:
    """``value`` rebuilt of plain containers, plain scalars, tensors and NumPy arrays.

    Attributes that a file put on its objects are left behind. Raises NotPlainError for anything
    else, for what contains itself and for what is nested deeper than any real file.
    """
    try:
        return _Plain().convert(value, 0)
    except (TypeError, ValueError, OverflowError) as error:
        # an array as a dictionary key, attributes that are no names, shapes beyond all memory
        raise NotPlainError("values that do not fit together") from error


class _Plain:
    """One conversion; shared parts are converted once, so shared nesting costs nothing."""

    def __init__(self) -> None:
        self.done: dict[int, Any] = {}
        self.under_way: set[int] = set()
        self.kept: list[Any] = []  # keeps ids of temporary containers from being reused

    def convert(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, float, complex, str, bytes):
            return value
        if kind in (torch.dtype, torch.device, torch.Size):
            return value
        key = id(value)
        if key in self.done:
            return self.done[key]
        if depth > _DEEPEST or key in self.under_way:
            raise NotPlainError("a structure that is endless or nested too deeply")
        self.under_way.add(key)
        self.kept.append(value)
        self.done[key] = self._new(value, kind, depth + 1)
        self.under_way.discard(key)
        return self.done[key]

    def _new(self, value: Any, kind: type, depth: int) -> Any:
        if kind in (dict, OrderedDict, Counter):
            return self._mapping(value, kind, depth)
        if kind in (list, tuple, set):
            return kind(self.convert(item, depth) for item in kind.__iter__(value))
        if kind in (Tensor, nn.Parameter):
            plain = Tensor.detach(value)
            return nn.Parameter(plain, value.requires_grad) if kind is nn.Parameter else plain
        if kind is NumpyArray:
            return _array(value)
        if kind is NumpyScalar:
            return _scalar(value)
        if kind is Namespace and type(value.state) is dict:
            return argparse.Namespace(**self.convert(value.state, depth))
        if kind in (PosixPath, WindowsPath) and all(type(p) is str for p in value.arguments):
            path = PurePosixPath if kind is PosixPath else PureWindowsPath
            return path(*value.arguments)
        raise NotPlainError(f"{kind.__module__}.{kind.__name__}")

    def _mapping(self, value: Any, kind: type, depth: int) -> Any:
        # dict.items and not value.items: a file may put attributes of any name on an OrderedDict
        plain = kind()
        for key, item in dict.items(value):
            plain[self.convert(key, depth)] = self.convert(item, depth)
        if kind is OrderedDict and "_metadata" in value.__dict__:
            plain._metadata = self.convert(value.__dict__["_metadata"], depth)
        return plain


def _dtype(value: Any) -> np.dtype[Any]:
    """The NumPy type a stand-in describes: numbers and fixed-size text only."""
    code = value.arguments[0] if type(value) is NumpyDtype and value.arguments else None
    if isinstance(code, bytes):
        code = code.decode("ascii", "replace")
    if type(code) is not str or _PLAIN_DTYPE.fullmatch(code) is None:
        raise NotPlainError(f"a NumPy array of type {str(code)[:20]!r}")
    order = value.state[1] if type(value.state) is tuple and len(value.state) > 1 else "="
    if order not in ("<", ">", "=", "|"):
        raise NotPlainError("a NumPy array of unknown byte order")
    try:
        return np.dtype(order + code)
    except TypeError as error:
        raise NotPlainError(f"a NumPy array of type {code[:20]!r}") from error


def _array(value: NumpyArray) -> np.ndarray[Any, Any]:
    state = value.state
    if type(state) is not tuple or len(state) != 5:
        raise NotPlainError("a NumPy array without its data")
    _, shape, dtype, fortran, data = state
    kind = _dtype(dtype)
    count = 1
    for extent in shape if type(shape) is tuple else (-1,):
        if type(extent) is not int or extent < 0:
            raise NotPlainError("a NumPy array of no shape")
        count *= extent
    if type(data) is not bytes or len(data) != count * kind.itemsize:
        raise NotPlainError("a NumPy array whose data do not fill its shape")
    flat = np.frombuffer(data, kind) if data else np.empty(0, kind)
    return flat.reshape(shape, order="F" if fortran else "C")


def _scalar(value: NumpyScalar) -> Any:
    if len(value.arguments) != 2 or type(value.arguments[1]) is not bytes:
        raise NotPlainError("a NumPy scalar without its data")
    kind, data = _dtype(value.arguments[0]), value.arguments[1]
    if len(data) != kind.itemsize:
        raise NotPlainError("a NumPy scalar whose data do not fit its type")
    return np.frombuffer(data, kind)[0]
