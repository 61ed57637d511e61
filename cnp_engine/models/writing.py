"""Weights back into a file: in the layout they came in, or as safetensors.

A value that was not changed keeps its stored bytes, whatever precision it went through on the
way; what lay beside the weights is written again as it was.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from cnp_engine.models.checkpoint import Checkpoint


def write_like(original: Checkpoint, state: dict[str, Tensor], path: Path) -> None:
    """``state`` as a .pth of the original's layout, key names, order, prefix and dtypes.

    ``state`` has the keys of ``original.state``; one that is missing is written as it was.
    Rename a temporary path over the final one for an atomic write, or use ``pth_bytes``.
    """
    path.write_bytes(pth_bytes(original, state))


def write_safetensors(original: Checkpoint, state: dict[str, Tensor], path: Path) -> None:
    """``state`` as safetensors under the original's names (prefix included) and dtypes."""
    path.write_bytes(safetensors_bytes(original, state))


def pth_bytes(original: Checkpoint, state: dict[str, Tensor]) -> bytes:
    """What ``write_like`` writes; safetensors become a bare state dict."""
    root = _replaced(original.root, original.weights_at, _stored(original, state))
    buffer = io.BytesIO()
    torch.save(root, buffer, _use_new_zipfile_serialization=original.format != "torch legacy")
    return buffer.getvalue()


def safetensors_bytes(original: Checkpoint, state: dict[str, Tensor]) -> bytes:
    """What ``write_safetensors`` writes: metadata name the source file and its sha256."""
    from safetensors.torch import save

    # The format has no shared storage: tied tensors are written out once each.
    tensors = {
        key: item.detach().clone(memory_format=torch.contiguous_format)
        for key, item in _stored(original, state).items()
    }
    metadata = {
        "format": "pt",
        "source": Path(original.path).name,
        "source_sha256": original.sha256,
    }
    return _ordered(save(tensors, metadata))


def _ordered(data: bytes) -> bytes:
    """The same file with its metadata sorted: the writer's order differs from call to call."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    padded = text + b" " * (-len(text) % 8)
    return len(padded).to_bytes(8, "little") + padded + data[8 + length :]


def is_counter(key: str) -> bool:
    """BatchNorm's batch counter: carries no weight, and files from before torch 0.4.1 lack it."""
    return key.rpartition(".")[2] == "num_batches_tracked"


def _stored(original: Checkpoint, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Full key to tensor in the stored dtype, in the stored order."""
    added = [key for key in state.keys() - original.state.keys() if not is_counter(key)]
    assert not added, f"tensors that the original does not have: {sorted(added)[:3]}"
    return {
        original.prefix + key: merge(stored, state[key]) if key in state else stored
        for key, stored in original.state.items()
    }


def merge(stored: Tensor, new: Tensor) -> Tensor:
    """``new`` in the dtype of ``stored``, bit for bit ``stored`` wherever the value is the same."""
    assert stored.shape == new.shape, f"{tuple(new.shape)} in place of {tuple(stored.shape)}"
    new = new.detach().to("cpu")
    same = stored.to(new.dtype) == new
    if bool(same.all()):
        return stored
    return torch.where(same, stored, new.to(stored.dtype))


def _replaced(root: Any, keys: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    """A copy of ``root`` along ``keys`` with the tensors put in; order and kinds are kept."""
    copy = type(root)()
    for key, value in root.items():
        if keys:
            copy[key] = _replaced(value, keys[1:], tensors) if key == keys[0] else value
        elif isinstance(value, nn.Parameter):
            copy[key] = nn.Parameter(tensors[key], value.requires_grad)
        else:
            copy[key] = tensors.get(key, value)
    if hasattr(root, "_metadata"):  # versions of modules, which load_state_dict reads
        copy._metadata = root._metadata
    return copy
