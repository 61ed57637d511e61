"""Where the weights lie inside what a file holds, and what lies beside them.

Works on plain trees (``stand_ins.to_plain``); knows the names that training scripts of the field
use (METHOD section 8), and takes the only plausible place where the name is another.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

NAMES = (
    "netC",
    "model",
    "model_state_dict",
    "state_dict",
    "net",
    "network",
    "weights",
    "params",
    "module",
)
"""Keys under which weights lie, likeliest first (``netC``: WaNet and Input-aware)."""

WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "netC.")
"""Prefixes that DataParallel, torch.compile and training frameworks put before every name."""

_DEEPEST = 4
_LONGEST_EXTRA = 64
_LONGEST_TEXT = 1000
_LONGEST_KEY = 60
_ATTACK_KEYS = {"data_path", "img_size", "clean_data", "bd_train", "bd_test"}


@dataclass(frozen=True)
class Place:
    """``weights_at``: keys from the root; ``prefix``: what stands before every tensor name."""

    weights_at: tuple[str, ...]
    prefix: str
    layout: str


def find(root: Any) -> Place | None:
    """The place of the weights, or None where nothing looks like named weights."""
    keys = _search(root, 0, set())
    if keys is None:
        return None
    return Place(keys, _prefix(at(root, keys)), _layout(root, keys))


def at(root: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """What lies under ``keys``."""
    for key in keys:
        root = root[key]
    assert isinstance(root, dict)
    return root


def others(root: Any, weights_at: tuple[str, ...]) -> tuple[str, ...]:
    """Where other classifiers' weights lie, keys joined by dots: an averaged copy, or a teacher.

    A classifier ends in a matrix, or has the names that are examined; a generator has neither.
    """
    examined = at(root, weights_at)
    names = _bare(examined)
    found: list[str] = []
    waiting: deque[tuple[tuple[str, ...], dict[Any, Any]]] = deque([((), root)])
    seen = {id(examined)}
    while waiting:
        keys, value = waiting.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if is_weights(value):
            matrix = any(isinstance(item, Tensor) and item.ndim == 2 for item in value.values())
            if (matrix or _bare(value) == names) and not _same(value, examined):
                found.append(".".join(key[:_LONGEST_KEY] for key in keys))
        elif len(keys) < _DEEPEST:
            waiting.extend(
                ((*keys, key), below)
                for key, below in value.items()
                if isinstance(below, dict) and isinstance(key, str) and key.isprintable()
            )
    return tuple(found)


def _bare(weights: dict[str, Any]) -> set[str]:
    """Names of the tensors, without what frameworks put before each."""
    cut = len(_prefix(weights))
    return {key[cut:] for key, item in weights.items() if isinstance(item, Tensor)}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two dictionaries hold the very same values under the same names."""
    return one.keys() == other.keys() and all(one[key] is other[key] for key in one)


def is_weights(value: Any) -> bool:
    """Named tensors, most of the entries, with at least one ``weight`` among them."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return False
    tensors = [key for key, item in value.items() if isinstance(item, Tensor)]
    named = any(key.rpartition(".")[2] == "weight" for key in tensors)
    return named and 2 * len(tensors) >= len(value)


def extras(root: Any, weights_at: tuple[str, ...]) -> dict[str, Any]:
    """Plain values beside the weights on the way down: numbers, text, short lists of them."""
    found: dict[str, Any] = {}
    for key in weights_at:
        found |= {name: plain for name, plain in _simple(root) if name not in found}
        root = root[key]
    return found


def _simple(mapping: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if not isinstance(key, str) or not key.isprintable():
            continue
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, list | tuple):
            value = [item.item() if isinstance(item, np.generic) else item for item in value]
            if len(value) <= _LONGEST_EXTRA and all(map(_is_scalar, value)):
                yield key, value
        elif _is_scalar(value):
            yield key, value


def _is_scalar(value: Any) -> bool:
    """A number or a line of text, such as can be shown and written as JSON."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return value.isprintable() and len(value) <= _LONGEST_TEXT
    return value is None or isinstance(value, bool | int)


def _search(value: Any, depth: int, seen: set[int]) -> tuple[str, ...] | None:
    if is_weights(value):
        return ()
    if not isinstance(value, dict) or depth == _DEEPEST or id(value) in seen:
        return None
    seen.add(id(value))  # a hostile tree refers to one part a thousand times
    for key in NAMES:
        if key in value and (below := _search(value[key], depth + 1, seen)) is not None:
            return (key, *below)
    others = [
        (key, *below)
        for key in value
        if isinstance(key, str)
        and key.isprintable()
        and key not in NAMES
        and (below := _search(value[key], depth + 1, seen)) is not None
    ]
    # Of several unknown names the largest network is the classifier: a generator, a discriminator
    # or an averaged copy beside it has no more tensors.
    return max(others, key=lambda keys: len(at(value, keys)), default=None)


def _prefix(weights: dict[str, Any]) -> str:
    names = [key for key, item in weights.items() if isinstance(item, Tensor)]
    prefix = ""
    while True:
        added = next((w for w in WRAPPERS if all(n.startswith(prefix + w) for n in names)), None)
        if added is None:
            return prefix
        prefix += added


def _layout(root: Any, keys: tuple[str, ...]) -> str:
    if not keys:
        return "bare state dict"
    if keys == ("model",) and {"model_name", "num_classes"} <= root.keys():
        attack = not _ATTACK_KEYS.isdisjoint(root.keys())
        return f"BackdoorBench {'attack_result' if attack else 'defense_result'}"
    return f"nested under {'.'.join(keys)}"
