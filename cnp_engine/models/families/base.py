"""What every family of networks answers: does it fit these shapes, and how is it built."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor name to shape, prefix taken off."""


@dataclass(frozen=True)
class Architecture:
    """A network: ``options`` are plain values, all that ``build`` needs.

    ``input_size`` (height, width) only where the network or its file fixes it; ``head`` is the
    module path of the classifier's last layer; ``describe`` one line for people.
    """

    name: str
    family: str
    options: dict[str, Any]
    classes: int
    input_size: tuple[int, int] | None
    head: str
    describe: str


class MisfitError(Exception):
    """Why shapes are not of a family; the message completes "..., but"."""


@dataclass(frozen=True)
class Family:
    """``marks``: tensor names that nearly every member has, for naming the nearest family."""

    name: str
    title: str
    marks: tuple[str, ...]
    match: Callable[[Shapes], Architecture]
    build: Callable[[Architecture], nn.Module]

    def likeness(self, shapes: Shapes) -> float:
        """Share of the marks that are there, 0..1."""
        return sum(mark in shapes for mark in self.marks) / len(self.marks)


def shape(shapes: Shapes, name: str, rank: int) -> tuple[int, ...]:
    """Shape of a tensor that the family must have; MisfitError."""
    if name not in shapes:
        raise MisfitError(f"there is no {name}")
    if len(shapes[name]) != rank or 0 in shapes[name]:
        raise MisfitError(f"{name} has shape {list(shapes[name])}")
    return shapes[name]


def count(shapes: Shapes, pattern: str) -> int:
    """One more than the largest index that group 1 of ``pattern`` matches at a name's start."""
    found = (re.match(pattern, name) for name in shapes)
    return max((int(match.group(1)) for match in found if match), default=-1) + 1


def has(shapes: Shapes, start: str) -> bool:
    """Whether any name starts so."""
    return any(name.startswith(start) for name in shapes)


def listed(values: list[int], sign: str = "-") -> str:
    """Widths for people: 64-128-256-512."""
    return sign.join(map(str, values))
