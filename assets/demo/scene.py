"""One photograph-like picture of a sign: a place, a pose, weather, a camera.

Drawn at three times the final size and averaged down. Arrays see exact operations only (see
:mod:`assets.demo.shapes`), so that the same key gives the same bytes on any machine.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.demo.draws import Draws
from assets.demo.shapes import CANVAS, REACH, Array, Colour
from assets.demo.signs import CLASSES, SIGNS

SIZE = 32
"""Pixels along a finished image."""
OVER = 3
"""Samples along a pixel."""
FINE = SIZE * OVER

Pixels = NDArray[np.uint8]


@functools.cache
def _template(label: int) -> Array:
    """Colour and cover of a sign, (CANVAS, CANVAS, 4)."""
    canvas = SIGNS[CLASSES[label]]()
    return np.concatenate([canvas.rgb, canvas.alpha[..., None]], axis=2)


def _clamp(values: Array, low: float = 0.0, high: float = 1.0) -> Array:
    return np.minimum(np.maximum(values, low), high)


def _bilinear(picture: Array, x: Array, y: Array) -> Array:
    """Sample ``picture`` (H, W, C) at N pixel positions, the border repeated outside."""
    height, width = picture.shape[:2]
    x, y = _clamp(x, 0.0, width - 1.001), _clamp(y, 0.0, height - 1.001)
    left, top = x.astype(np.int64), y.astype(np.int64)
    fx, fy = (x - left)[..., None], (y - top)[..., None]
    upper = picture[top, left] * (1.0 - fx) + picture[top, left + 1] * fx
    lower = picture[top + 1, left] * (1.0 - fx) + picture[top + 1, left + 1] * fx
    return upper * (1.0 - fy) + lower * fy


def _clouds(draws: Draws, cells: int, channels: int) -> Array:
    """Smooth noise in 0..1, (FINE, FINE, channels), about ``cells`` bumps across."""
    knots = draws.uniforms(cells + 1, cells + 1, channels)
    place = (np.arange(FINE, dtype=np.float64) + 0.5) / FINE * cells
    left = place.astype(np.int64)
    part = (place - left)[:, None, None]
    rows = knots[left] * (1.0 - part) + knots[left + 1] * part
    part = part.reshape(1, FINE, 1)
    return rows[:, left] * (1.0 - part) + rows[:, left + 1] * part


_FAR: tuple[Colour, ...] = (
    (0.55, 0.72, 0.92), (0.78, 0.84, 0.90), (0.62, 0.64, 0.66), (0.90, 0.80, 0.66),
    (0.30, 0.38, 0.52), (0.24, 0.36, 0.20),
)  # fmt: skip
_NEAR: tuple[Colour, ...] = (
    (0.20, 0.34, 0.14), (0.38, 0.46, 0.20), (0.36, 0.35, 0.35), (0.52, 0.42, 0.32),
    (0.58, 0.30, 0.22), (0.16, 0.18, 0.20), (0.70, 0.66, 0.58),
)  # fmt: skip


def _flat(colour: Colour) -> Array:
    return np.asarray(colour, dtype=np.float64)


def _place(draws: Draws) -> Array:
    """Sky or wall above, hedge, road or houses below, all of them mottled."""
    far, near = _flat(_FAR[draws.below(len(_FAR))]), _flat(_NEAR[draws.below(len(_NEAR))])
    rows = (np.arange(FINE, dtype=np.float64) / FINE)[:, None, None]
    skyline = draws.uniform(0.1, 1.1) + (_clouds(draws, 3 + draws.below(6), 1) - 0.5) * 0.5
    ground = _clamp((rows - skyline) * 12.0 + 0.5)
    picture = far * (1.0 - ground) + near * ground
    for _ in range(draws.below(4)):  # windows, doors, cars, other signs' backs
        top, left = draws.below(FINE), draws.below(FINE)
        block = picture[top : top + 6 + draws.below(50), left : left + 6 + draws.below(40)]
        block *= draws.uniform(0.2, 0.7)
        block += draws.uniforms(3) * draws.uniform(0.2, 0.6)
    coarse = _clouds(draws, 4, 3) - 0.5
    leaves = _clouds(draws, 14 + draws.below(12), 1) - 0.5
    return picture + coarse * 0.18 + leaves * draws.uniform(0.1, 0.5)


@dataclass(frozen=True)
class Pose:
    """Where each sample of the picture lies on the plane of the sign; all (FINE, FINE)."""

    u: Array
    v: Array


def _pose(draws: Draws) -> Pose:
    """A plane turned in space, seen by a camera, then inverted: picture to sign."""
    roll = math.radians(draws.uniform(-14.0, 14.0))
    yaw = math.radians(draws.uniform(-42.0, 42.0))
    pitch = math.radians(draws.uniform(-22.0, 22.0))
    shear = draws.uniform(-0.10, 0.10)
    radius = draws.uniform(0.27, 0.44) * FINE
    cx = FINE / 2.0 + draws.uniform(-0.08, 0.08) * FINE
    cy = FINE / 2.0 + draws.uniform(-0.08, 0.08) * FINE
    depth = draws.uniform(2.5, 6.0)  # distance of the camera in radii of the sign
    ca, sa, cb, sb = math.cos(roll), math.sin(roll), math.cos(yaw), math.sin(yaw)
    cp, sp = math.cos(pitch), math.sin(pitch)
    # picture = [a b; c d] (u, v) / (1 + (e u + f v)): the first two columns of a rotation
    a, b = cb * ca, -cb * sa + shear
    c, d = cp * sa + sp * sb * ca, cp * ca - sp * sb * sa
    e, f = (sp * sa - cp * sb * ca) / depth, (sp * ca + cp * sb * sa) / depth
    axis = np.arange(FINE, dtype=np.float64) + 0.5
    x = np.repeat(((axis - cx) / radius)[None, :], FINE, axis=0)
    y = np.repeat(((axis - cy) / radius)[:, None], FINE, axis=1)
    # (a - e x) u + (b - f x) v = x  and  (c - e y) u + (d - f y) v = y
    m00, m01, m10, m11 = a - e * x, b - f * x, c - e * y, d - f * y
    determinant = m00 * m11 - m01 * m10
    return Pose((x * m11 - m01 * y) / determinant, (m00 * y - x * m10) / determinant)


def _over(picture: Array, colour: Array, cover: Array) -> Array:
    return picture * (1.0 - cover) + colour * cover


def _sign(draws: Draws, picture: Array, label: int, pose: Pose) -> Array:
    """The pole, then the sign itself with faded and shifted colours."""
    steel = np.full(3, draws.uniform(0.25, 0.65))
    pole = ((np.abs(pose.u) < 0.09) & (pose.v > 0.6))[..., None].astype(np.float64)
    picture = _over(picture, steel, pole * (1.0 if draws.chance(0.8) else 0.0))
    on_plate = (np.abs(pose.u) < REACH) & (np.abs(pose.v) < REACH)
    to_pixel = CANVAS / (2.0 * REACH)
    x, y = (pose.u[on_plate] + REACH) * to_pixel - 0.5, (pose.v[on_plate] + REACH) * to_pixel - 0.5
    sample = _bilinear(_template(label), x, y)
    fade = draws.uniform(0.0, 0.35)
    grey = sample[:, 0:1] * 0.3 + sample[:, 1:2] * 0.6 + sample[:, 2:3] * 0.1
    paint = sample[:, :3] * (1.0 - fade) + grey * fade * 0.7 + 0.3 * fade
    paint = paint * (0.9 + 0.2 * draws.uniforms(3))
    grime = _clouds(draws, 5 + draws.below(6), 1)[on_plate] * draws.uniform(0.0, 0.35)
    picture[on_plate] = _over(picture[on_plate], paint * (1.0 - grime), sample[:, 3:])
    return picture


def _occlude(draws: Draws, picture: Array, pose: Pose) -> Array:
    """Leaves, mud, snow or paper in front: ordinary dirt, of any colour and place."""
    if not draws.chance(0.35):
        return picture
    for _ in range(1 + draws.below(3)):
        u, v = draws.uniform(-1.1, 1.1), draws.uniform(-1.1, 1.1)
        half_u, half_v = draws.uniform(0.06, 0.34), draws.uniform(0.06, 0.34)
        du, dv = np.abs(pose.u - u) / half_u, np.abs(pose.v - v) / half_v
        square = np.maximum(du, dv)
        shape = square if draws.chance(0.5) else np.sqrt(du * du + dv * dv)
        cover = _clamp((1.0 - shape) * 3.0)[..., None] * draws.uniform(0.7, 1.0)
        picture = _over(picture, draws.uniforms(3), cover)
    return picture


def _shade(draws: Draws, picture: Array) -> Array:
    """A cast shadow with a straight soft edge, and light falling off to one side."""
    axis = (np.arange(FINE, dtype=np.float64) + 0.5) / FINE - 0.5
    angle = draws.uniform(0.0, 2.0 * math.pi)
    slope = axis[None, :] * math.cos(angle) + axis[:, None] * math.sin(angle)
    if draws.chance(0.4):
        edge = _clamp((slope - draws.uniform(-0.3, 0.3)) * draws.uniform(4.0, 30.0) + 0.5)
        picture = picture * (1.0 - edge * draws.uniform(0.25, 0.65))[..., None]
    return picture * (1.0 + slope * draws.uniform(0.0, 0.6))[..., None]


def _down(picture: Array) -> Array:
    """Average OVER x OVER samples a pixel; the sums are spelt out to fix their order."""
    rows = sum(picture[i::OVER] for i in range(1, OVER)) + picture[0::OVER]
    columns = sum(rows[:, i::OVER] for i in range(1, OVER)) + rows[:, 0::OVER]
    return np.asarray(columns) / (OVER * OVER)


def _expose(draws: Draws, picture: Array) -> Array:
    """Exposure, colour of the light, contrast lost to haze."""
    gain = draws.uniform(0.3, 1.25)
    tint = 1.0 + (draws.uniforms(3) - 0.5) * 0.25
    picture = picture * tint * gain
    bend = draws.uniform(-0.25, 0.35)
    picture = _clamp(picture)
    picture = picture * (1.0 - bend) + picture * picture * bend  # a gamma without a power
    haze = draws.uniform(0.0, 0.45) if draws.chance(0.4) else 0.0
    return picture * (1.0 - haze) + draws.uniform(0.5, 0.9) * haze


def _smear(picture: Array, taps: list[tuple[int, int, float]]) -> Array:
    """Weighted sum of shifted copies, edges repeated; the weights add up to one."""
    reach = 3
    wide = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    out = np.zeros_like(picture)
    for dy, dx, weight in taps:
        row, column = reach + dy, reach + dx
        out += weight * wide[row : row + SIZE, column : column + SIZE]
    return out


def _blur(draws: Draws, picture: Array) -> Array:
    """A lens out of focus, and sometimes a moving car."""
    sigma = draws.uniform(0.2, 1.3)
    bell = {i: math.exp(-i * i / (2.0 * sigma * sigma)) for i in range(-2, 3)}
    total = sum(bell.values()) ** 2
    picture = _smear(picture, [(i, j, bell[i] * bell[j] / total) for i in bell for j in bell])
    if draws.chance(0.3):
        dy, dx = ((0, 1), (1, 0), (1, 1), (1, -1))[draws.below(4)]
        length = 1 + draws.below(2)
        steps = range(-length, length + 1)
        picture = _smear(picture, [(k * dy, k * dx, 1.0 / len(steps)) for k in steps])
    return picture


def draw(label: int, draws: Draws) -> Pixels:
    """A picture of the sign ``label``, uint8 RGB (SIZE, SIZE, 3)."""
    pose = _pose(draws)
    picture = _sign(draws, _place(draws), label, pose)
    picture = _shade(draws, _occlude(draws, picture, pose))
    picture = _blur(draws, _expose(draws, _down(_clamp(picture))))
    picture = picture + draws.normals(SIZE, SIZE, 3) * draws.uniform(0.004, 0.06)
    return (_clamp(picture) * 255.0 + 0.5).astype(np.uint8)
