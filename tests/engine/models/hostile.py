"""Pickles that would run code if anybody unpickled them; each would create the canary file."""

from __future__ import annotations

import builtins
import importlib
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

LEGACY_HEAD = b"".join(
    pickle.dumps(part, 2)
    for part in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True})
)


class Calls:
    """Pickles into a call of ``function``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


class Sleeper:
    """Harmless to make; its state is handed to ``__setstate__`` by a BUILD opcode."""

    def __setstate__(self, state: str) -> None:
        Path(state).touch()


def text(value: str) -> bytes:
    """BINUNICODE."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def touch(canary: Path) -> str:
    return f"touch {canary}"


def code(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()"


def build_state(canary: Path) -> bytes:
    sleeper = Sleeper()
    sleeper.__dict__["made"] = 1
    data = pickle.dumps(sleeper, 2)
    where = data.rindex(b"}")  # the state, replaced by the canary's path
    return data[:where] + text(str(canary)) + b"b."


def stack_global_by_memo(canary: Path) -> bytes:
    """os.system assembled from strings that were put into the memo far away, out of order."""
    return (
        b"\x80\x04" + text("system") + b"\x94" + text("posix") + b"\x94" + b"00"
        + b"]" + b"0" + b"h\x01" + b"h\x00" + b"\x93" + text(touch(canary)) + b"\x85R."
    )  # fmt: skip


def stack_global_computed(canary: Path) -> bytes:
    """Module name made by a call, so that no constant gives it away."""
    return (
        b"\x80\x04" + b"c_codecs\nencode\n" + text("posix") + text("ascii") + b"\x86R"
        + text("system") + b"\x93" + text(touch(canary)) + b"\x85R."
    )  # fmt: skip


def metadata_attack(canary: Path) -> bytes:
    """A call hidden in the attribute of an otherwise plain OrderedDict of tensors."""
    state: Any = OrderedDict(weight=1)
    state._metadata = Calls(os.system, touch(canary))
    return pickle.dumps(state, 2)


def system_text(canary: Path) -> bytes:
    """os.system in protocol 0, which has no header to tell it by."""
    return f"cos\nsystem\n(S'{touch(canary)}'\ntR.".encode()


PICKLES: dict[str, tuple[Callable[[Path], bytes], tuple[str, ...]]] = {
    # name: (bytes, imports that must be named)
    "os.system": (lambda c: pickle.dumps(Calls(os.system, touch(c)), 2), ("posix.system",)),
    "os.system protocol 0": (system_text, ("os.system",)),
    "builtins.exec": (lambda c: pickle.dumps(Calls(builtins.exec, code(c)), 2), ("builtins.exec",)),
    "builtins.eval 4": (
        lambda c: pickle.dumps(Calls(builtins.eval, code(c)), 4), ("builtins.eval",),
    ),
    "brace where safetensors have one": (
        lambda c: b"\x80\x02N" + text("{") + b"00" + system_text(c),
        ("os.system",),
    ),
    "inst": (lambda c: b"(S'" + touch(c).encode() + b"'\nios\nsystem\n.", ("os.system",)),
    "obj": (lambda c: b"(cos\nsystem\nS'" + touch(c).encode() + b"'\no.", ("os.system",)),
    "newobj": (
        lambda c: b"\x80\x02csubprocess\nPopen\n" + text(touch(c)) + b"\x85\x81.",
        ("subprocess.Popen",),
    ),
    "build": (build_state, (f"{__name__}.Sleeper",)),
    "build on the class": (
        lambda c: b"\x80\x02cfunctools\npartial\ncposix\nsystem\n\x85R}X\x01\x00\x00\x00aK\x01sb.",
        ("functools.partial", "posix.system"),
    ),
    "nested pickle": (
        lambda c: pickle.dumps(
            Calls(pickle.loads, pickle.dumps(Calls(os.system, touch(c)), 2)), 2
        ),
        ("pickle.loads", "posix.system"),
    ),
    "nested text pickle": (
        lambda c: pickle.dumps(Calls(pickle.loads, system_text(c)), 4),
        ("_pickle.loads", "os.system"),
    ),
    "nested twice": (
        lambda c: pickle.dumps(
            Calls(pickle.loads, pickle.dumps(
                Calls(pickle.loads, pickle.dumps(Calls(builtins.exec, code(c)), 4)), 2)), 4),
        ("_pickle.loads", "builtins.exec"),
    ),
    "nested torch file": (
        lambda c: pickle.dumps(
            Calls(torch.storage._load_from_bytes,
                  torch_zip(pickle.dumps(Calls(os.system, touch(c)), 2))), 2),
        ("torch.storage._load_from_bytes", "posix.system"),
    ),
    "stack global by memo": (stack_global_by_memo, ("posix.system",)),
    "stack global computed": (stack_global_computed, ("?.system",)),
    "attribute of a dict": (metadata_attack, ("posix.system",)),
    "getattr chain": (
        lambda c: pickle.dumps(Calls(getattr, Calls(importlib.import_module, "os"), "system"), 2),
        ("builtins.getattr", "importlib.import_module"),
    ),
    "extension registry": (lambda c: b"\x80\x02\x82\x07)R.", ("copyreg.extension_7",)),
    "dotted attribute": (
        lambda c: b"\x80\x04" + text("collections") + text("OrderedDict.fromkeys") + b"\x93.",
        ("collections.OrderedDict.fromkeys",),
    ),
    "allowed name, forbidden module": (
        lambda c: b"\x80\x02ctorch.hub\nload\n(" + text("a/b") + b"tR.", ("torch.hub.load",),
    ),
}  # fmt: skip


def torch_zip(data_pkl: bytes, name: str = "archive/data.pkl") -> bytes:
    """A torch archive around any data.pkl."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data_pkl)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", bytes(64))
    return buffer.getvalue()


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda data: data,
    "zip": torch_zip,
    "legacy": lambda data: LEGACY_HEAD + data + pickle.dumps([], 2),
    "legacy head": lambda data: data + LEGACY_HEAD,
}
