"""Read the pickles CIFAR comes in, without running anything they say.

A pickle is a program. This reader resolves exactly five names, to stand-ins of its own, so the
only objects a file can make are lists, dicts, strings, numbers and arrays of small integers.
"""

from __future__ import annotations

import pickle
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALLOWED = ("uint8", "int32", "int64")
"""What CIFAR's arrays hold; numpy writes them as u1, i4, i8."""


class PickleRefusedError(Exception):
    """A pickle that asks for more than plain values and integer arrays, or is damaged."""


class _Type:
    """Stands in for numpy.dtype."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def resolve(self) -> np.dtype[Any]:
        if not isinstance(self.code, str) or self.order not in ("<", ">", "|", "="):
            raise PickleRefusedError("an array of an unknown type")
        dtype = np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]
        if dtype.name not in ALLOWED:
            raise PickleRefusedError(f"an array of {dtype.name}")
        return dtype


class _Array:
    """Stands in for numpy.ndarray: keeps its state, makes the array when asked."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def resolve(self) -> NDArray[Any]:
        _, shape, kind, fortran, data = self.state
        if isinstance(data, str):  # bytes as Python 2 wrote them
            data = data.encode("latin1")
        flat = np.frombuffer(data, dtype=kind.resolve())
        return flat.reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _encode(text: object, encoding: object = None) -> bytes:
    """How Python 3 writes bytes in old protocols: ``_codecs.encode(text, "latin1")``."""
    if not isinstance(text, str):
        raise PickleRefusedError("bytes of an unknown kind")
    return text.encode("latin1")


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise PickleRefusedError(f"it asks for {module}.{name}") from None


def read_pickle(data: bytes) -> dict[str, Any]:
    """A pickled dict with text keys; arrays among its values are numpy arrays.

    Raises PickleRefusedError for anything else; nothing of the file is ever executed.
    """
    try:
        value = _Reader(BytesIO(data), encoding="latin1").load()
        if not isinstance(value, dict):
            raise PickleRefusedError("it is not a dict")
        return {
            key.decode("latin1") if isinstance(key, bytes) else str(key): _plain(item)
            for key, item in value.items()
        }
    except PickleRefusedError:
        raise
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError,
            KeyError, OverflowError, MemoryError, ImportError, UnicodeError) as error:  # fmt: skip
        raise PickleRefusedError("it is damaged") from error


def _plain(item: Any) -> Any:
    return item.resolve() if isinstance(item, _Array) else item
