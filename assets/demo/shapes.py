"""Flat shapes by signed distance, painted with soft edges onto a small canvas.

Only ``+ - * / sqrt min max`` touch arrays; angles go through :mod:`math` one number at a time.
Those operations are exact by IEEE 754 whatever the vector unit of the machine, which
``numpy.sin`` or a matrix product are not, so a drawing is the same bits everywhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Colour = tuple[float, float, float]
"""Red, green, blue in 0..1."""
Point = tuple[float, float]

CANVAS = 96
"""Pixels along a template; about the size of a sign under 3x supersampling of 32 pixels."""
REACH = 1.1
"""A template covers [-REACH, REACH] in both directions; a round sign has radius 1."""


@dataclass(frozen=True)
class Grid:
    """Coordinates of the pixel centres: ``u`` to the right, ``v`` down, both (CANVAS, CANVAS)."""

    u: Array
    v: Array


def make_grid() -> Grid:
    axis = ((np.arange(CANVAS, dtype=np.float64) + 0.5) / CANVAS * 2.0 - 1.0) * REACH
    u = np.repeat(axis[None, :], CANVAS, axis=0)
    return Grid(u, np.repeat(axis[:, None], CANVAS, axis=1))


def disk(g: Grid, centre: Point, radius: float) -> Array:
    """Signed distance to a disk: negative inside, in sign units."""
    du, dv = g.u - centre[0], g.v - centre[1]
    return np.sqrt(du * du + dv * dv) - radius


def box(g: Grid, centre: Point, half: Point, corner: float = 0.0) -> Array:
    """Signed distance to an upright rectangle of half-width and half-height ``half``."""
    du = np.abs(g.u - centre[0]) - (half[0] - corner)
    dv = np.abs(g.v - centre[1]) - (half[1] - corner)
    out_u, out_v = np.maximum(du, 0.0), np.maximum(dv, 0.0)
    distance: Array = np.sqrt(out_u * out_u + out_v * out_v)
    return distance + np.minimum(np.maximum(du, dv), 0.0) - corner


def _segment(g: Grid, a: Point, b: Point) -> Array:
    """Distance to a line segment, never negative."""
    du, dv = b[0] - a[0], b[1] - a[1]
    along = ((g.u - a[0]) * du + (g.v - a[1]) * dv) / (du * du + dv * dv)
    along = np.minimum(np.maximum(along, 0.0), 1.0)
    off_u, off_v = g.u - a[0] - along * du, g.v - a[1] - along * dv
    return np.sqrt(off_u * off_u + off_v * off_v)


def stroke(g: Grid, points: Sequence[Point], width: float) -> Array:
    """Signed distance to a line through ``points`` drawn with a round pen."""
    distance = np.full_like(g.u, np.inf)
    for a, b in itertools.pairwise(points):
        distance = np.minimum(distance, _segment(g, a, b))
    return distance - width / 2.0


def polygon(g: Grid, corners: Sequence[Point], rounding: float = 0.0) -> Array:
    """Signed distance to a convex polygon, corners clockwise on screen, grown by ``rounding``."""
    edge_distance = np.full_like(g.u, np.inf)
    inside = np.ones_like(g.u, dtype=np.bool_)
    for i, a in enumerate(corners):
        b = corners[(i + 1) % len(corners)]
        edge_distance = np.minimum(edge_distance, _segment(g, a, b))
        inside &= (b[0] - a[0]) * (g.v - a[1]) - (b[1] - a[1]) * (g.u - a[0]) >= 0.0
    return np.where(inside, -edge_distance, edge_distance) - rounding


def regular(sides: int, radius: float, turn_deg: float) -> list[Point]:
    """Corners of a regular polygon, clockwise on screen, the first at ``turn_deg``."""
    return arc((0.0, 0.0), radius, turn_deg, turn_deg + 360.0 * (sides - 1) / sides, sides)


def arc(centre: Point, radius: float, start_deg: float, end_deg: float, points: int) -> list[Point]:
    """Points along a circle, clockwise on screen for growing angles, both ends included."""
    out: list[Point] = []
    for i in range(points):
        angle = math.radians(start_deg + (end_deg - start_deg) * i / (points - 1))
        out.append((centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)))
    return out


class Canvas:
    """A picture under construction: ``rgb`` (CANVAS, CANVAS, 3) and its cover ``alpha``, 0..1."""

    def __init__(self) -> None:
        self.grid = make_grid()
        self.rgb: Array = np.zeros((CANVAS, CANVAS, 3))
        self.alpha: Array = np.zeros((CANVAS, CANVAS))

    def paint(self, distance: Array, colour: Colour) -> None:
        """Cover the inside of a shape; the edge is one canvas pixel wide."""
        pixel = 2.0 * REACH / CANVAS
        cover = np.minimum(np.maximum(0.5 - distance / pixel, 0.0), 1.0)
        keep = 1.0 - cover
        for channel in range(3):
            old = self.rgb[:, :, channel]
            # a first coat colours the whole neighbourhood, so that no black fringe is sampled
            base = np.where(self.alpha > 0.0, old, colour[channel])
            self.rgb[:, :, channel] = base * keep + colour[channel] * cover
        self.alpha = np.maximum(self.alpha, cover)
