"""Reading a checkpoint that nobody vouches for, and writing one its author's loader takes back.

Every pickle is read off statically first (``archives``, ``pickles``); only then does torch's
weights-only loader see the file, with inert stand-ins for the few allowed non-torch names. There
is no other way in: full unpickling does not exist here. Knows files; not what networks are.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnp_engine.errors import CheckpointUnreadable
from cnp_engine.models import archives, layouts, stand_ins
from cnp_engine.models.writing import pth_bytes, safetensors_bytes, write_like, write_safetensors
from cnp_engine.printing import name_some

__all__ = [
    "Checkpoint",
    "file_digest",
    "pth_bytes",
    "read_checkpoint",
    "read_plain",
    "safetensors_bytes",
    "write_like",
    "write_safetensors",
]

_PROTOCOL = 3
"""Highest pickle protocol that torch's safe loader reads; it writes 2."""

_LONGEST_REASON = 120

_LARGEST_SHARE = 16
"""Tensors that share storage may together claim this many times the bytes that are there."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A file of weights, read. ``state`` is as stored: dtypes and order kept, prefix taken off.

    ``root`` is everything the file held as plain values, for writing it back; what was not plain
    is missing from it and named in ``notes``. ``others``: where else it holds weights.
    """

    path: str
    sha256: str
    size: int
    format: str
    layout: str
    weights_at: tuple[str, ...]
    prefix: str
    state: dict[str, Tensor] = field(repr=False)
    dtype: str
    extras: dict[str, Any]
    root: Any = field(repr=False, default=None)
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read weights in any layout of METHOD section 8 without running anything the file holds.

    Raises CheckpointUnreadable (missing, damaged, not a checkpoint, no weights in it) and
    CheckpointUnsafe (it would import more than tensors need; ``imports`` says what).
    """
    path = Path(path)
    with archives.opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        kind, tree = _load(path, file, size)
    root, notes = _plain_root(tree)
    place = layouts.find(root)
    if place is None:
        dropped = f" ({'; '.join(notes)})" if notes else ""
        raise CheckpointUnreadable(
            f"{path} holds no named weights{dropped}.",
            "Give a state dict, or a file that holds one.",
        )
    weights = layouts.at(root, place.weights_at)
    cut = len(place.prefix)
    state = {key[cut:]: item for key, item in weights.items() if isinstance(item, Tensor)}
    _check_tensors(path, state, size)
    others = layouts.others(root, place.weights_at)
    if others:
        notes += (f"it also holds weights at {name_some(others)}, which are not examined",)
    return Checkpoint(
        path=str(path),
        sha256=digest,
        size=size,
        format=kind,
        layout=place.layout,
        weights_at=place.weights_at,
        prefix=place.prefix,
        state={key: item.detach() for key, item in state.items()},
        dtype=_main_dtype(state),
        extras=layouts.extras(root, place.weights_at),
        root=root,
        notes=notes,
        others=others,
    )


def file_digest(path: str | Path) -> tuple[int, str]:
    """Size in bytes and sha256 of a file, be it a checkpoint or not; CheckpointUnreadable."""
    with archives.opened(Path(path)) as file:
        size = os.fstat(file.fileno()).st_size
        return size, hashlib.file_digest(file, "sha256").hexdigest()


def read_plain(path: str | Path) -> Any:
    """Everything plain in a torch or safetensors file, weights or not (trigger files, say).

    Raises as ``read_checkpoint`` does, except that no named weights are asked for.
    """
    path = Path(path)
    with archives.opened(path) as file:
        _, tree = _load(path, file, os.fstat(file.fileno()).st_size)
    return _plain_root(tree)[0]


def _load(path: Path, file: BufferedReader, size: int) -> tuple[str, Any]:
    found = archives.examine(path, file, size, frozenset(stand_ins.STAND_INS))
    file.seek(0)
    try:
        if found.kind == "safetensors":
            return found.kind, _load_safetensors(file)
        # The open file rather than its path: what was examined and hashed is what is loaded.
        # Memory mapping would need the path again, and every byte has been read once anyway.
        allowed = stand_ins.pairs(found.extra)
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return found.kind, torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged or hostile file can make the loader fail in any way at all; none of them is
        # more than this to the one who gave it.
        if found.protocol > _PROTOCOL:
            raise CheckpointUnreadable(
                f"{path} is pickled with protocol {found.protocol}, which is not read safely.",
                "Save the weights again by torch.save(weights, FILE) with default settings, or as "
                "safetensors.",
            ) from error
        # torch puts what is wrong behind advice to switch its safe loading off
        said = str(error).strip().rpartition("WeightsUnpickler error:")[2].strip()
        reason = said.partition("\n")[0].partition(". ")[0][:_LONGEST_REASON]
        raise CheckpointUnreadable(
            f"{path} is damaged or cut short ({type(error).__name__}: {reason}).", archives.AGAIN
        ) from error


def _load_safetensors(file: BufferedReader) -> dict[str, Tensor]:
    from safetensors.torch import load

    tensors: dict[str, Tensor] = load(file.read())
    return tensors


def _plain_root(tree: Any) -> tuple[Any, tuple[str, ...]]:
    """The tree as plain values; entries of the outermost dictionary that are not are dropped."""
    try:
        return stand_ins.to_plain(tree), ()
    except stand_ins.NotPlainError as error:
        if not isinstance(tree, dict):
            return None, (f"it holds {error}",)
    root: dict[Any, Any] = {}
    notes: list[str] = []
    for key, value in dict.items(tree):
        try:
            root[stand_ins.to_plain(key)] = stand_ins.to_plain(value)
        except stand_ins.NotPlainError as error:
            notes.append(f"{str(key)[:40]!r} is left aside: it holds {error}")
    return root, tuple(notes)


def _check_tensors(path: Path, state: dict[str, Tensor], size: int) -> None:
    """Refuse tensors without data, and views that claim far more than the file has."""
    claimed = 0
    for name, tensor in state.items():
        if not name.isprintable():
            raise CheckpointUnreadable(
                f"{path} has a tensor name with control characters.", archives.ASK
            )
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise CheckpointUnreadable(
                f"{path}: {name} is a sparse, quantized or empty-shell tensor.",
                "Save the weights as plain dense tensors.",
            )
        needed = tensor.numel() * tensor.element_size()
        claimed += needed
        if needed > tensor.untyped_storage().nbytes() or claimed > _LARGEST_SHARE * max(
            size, 1 << 20
        ):
            raise CheckpointUnreadable(
                f"{path}: {name} claims more values than the file holds.", archives.AGAIN
            )


def _main_dtype(state: dict[str, Tensor]) -> str:
    counts: Counter[str] = Counter()
    for tensor in state.values():
        if tensor.is_floating_point():
            counts[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
    return counts.most_common(1)[0][0] if counts else ""
