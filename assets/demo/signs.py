"""The ten traffic signs of the demo as flat templates, colours and proportions of Europe's."""

from __future__ import annotations

from collections.abc import Callable

from assets.demo.shapes import (
    Canvas,
    Colour,
    Point,
    arc,
    box,
    disk,
    polygon,
    regular,
    stroke,
)

WHITE: Colour = (0.95, 0.95, 0.94)
BLACK: Colour = (0.07, 0.07, 0.08)
RED: Colour = (0.80, 0.08, 0.11)
BLUE: Colour = (0.06, 0.29, 0.66)
YELLOW: Colour = (0.98, 0.76, 0.08)

Stroke = list[Point]


def _digit_zero() -> list[Stroke]:
    top = arc((0.0, -0.23), 0.23, 180.0, 360.0, 13)
    bottom = arc((0.0, 0.23), 0.23, 0.0, 180.0, 13)
    return [[*top, *bottom, top[0]]]


def _digit_three() -> list[Stroke]:
    upper = arc((-0.02, -0.24), 0.22, 195.0, 445.0, 15)
    lower = arc((-0.02, 0.22), 0.24, 275.0, 530.0, 15)
    return [upper, lower]


def _digit_five() -> list[Stroke]:
    flag: Stroke = [(0.21, -0.46), (-0.17, -0.46), (-0.20, -0.02)]
    bowl = arc((-0.01, 0.20), 0.25, 220.0, 510.0, 17)
    return [flag, bowl]


def _digit_eight() -> list[Stroke]:
    return [arc((0.0, -0.24), 0.20, 0.0, 360.0, 17), arc((0.0, 0.22), 0.24, 0.0, 360.0, 17)]


_DIGITS = {"0": _digit_zero, "3": _digit_three, "5": _digit_five, "8": _digit_eight}


def _letters_stop() -> list[tuple[float, list[Stroke]]]:
    """STOP, each letter in a cell 0.5 wide and 1 high, with the middle of its cell."""
    s = [*arc((0.0, -0.23), 0.21, 330.0, 90.0, 10), *arc((0.0, 0.21), 0.23, -70.0, 150.0, 10)]
    t: list[Stroke] = [[(-0.26, -0.45), (0.26, -0.45)], [(0.0, -0.45), (0.0, 0.45)]]
    p: list[Stroke] = [
        [(-0.19, 0.45), (-0.19, -0.45), (0.0, -0.45), *arc((0.0, -0.21), 0.24, -90.0, 90.0, 9)],
        [(0.0, 0.03), (-0.19, 0.03)],
    ]
    return [(-0.54, [s]), (-0.18, t), (0.19, _digit_zero()), (0.56, p)]


def _write(canvas: Canvas, strokes: list[Stroke], at: Point, scale: Point, pen: float,
           colour: Colour) -> None:  # fmt: skip
    """Paint strokes given in a cell of unit height, scaled and moved to ``at``."""
    for points in strokes:
        placed = [(at[0] + x * scale[0], at[1] + y * scale[1]) for x, y in points]
        canvas.paint(stroke(canvas.grid, placed, pen), colour)


def _speed(limit: str) -> Canvas:
    canvas = Canvas()
    canvas.paint(disk(canvas.grid, (0.0, 0.0), 1.0), RED)
    canvas.paint(disk(canvas.grid, (0.0, 0.0), 0.75), WHITE)
    for digit, x in zip(limit, (-0.30, 0.31), strict=True):
        _write(canvas, _DIGITS[digit](), (x, 0.0), (0.86, 0.86), 0.155, BLACK)
    return canvas


def _stop() -> Canvas:
    canvas = Canvas()
    canvas.paint(polygon(canvas.grid, regular(8, 1.06, 22.5)), WHITE)
    canvas.paint(polygon(canvas.grid, regular(8, 0.97, 22.5)), RED)
    for x, strokes in _letters_stop():
        _write(canvas, strokes, (x, 0.0), (0.56, 0.72), 0.115, WHITE)
    return canvas


def _yield() -> Canvas:
    canvas = Canvas()
    corners: list[Point] = [(-0.92, -0.70), (0.92, -0.70), (0.0, 0.86)]
    canvas.paint(polygon(canvas.grid, corners, 0.13), RED)
    inner: list[Point] = [(-0.55, -0.49), (0.55, -0.49), (0.0, 0.44)]
    canvas.paint(polygon(canvas.grid, inner, 0.03), WHITE)
    return canvas


def _priority() -> Canvas:
    canvas = Canvas()
    for radius, rounding, colour in (
        (0.98, 0.09, BLACK),
        (0.95, 0.09, WHITE),
        (0.66, 0.05, YELLOW),
    ):
        canvas.paint(polygon(canvas.grid, regular(4, radius, 0.0), rounding), colour)
    return canvas


def _no_entry() -> Canvas:
    canvas = Canvas()
    canvas.paint(disk(canvas.grid, (0.0, 0.0), 1.0), WHITE)
    canvas.paint(disk(canvas.grid, (0.0, 0.0), 0.95), RED)
    canvas.paint(box(canvas.grid, (0.0, 0.0), (0.70, 0.18), 0.03), WHITE)
    return canvas


def _turn(side: float) -> Canvas:
    """A blue disk with an arrow that rises and bends; ``side`` is -1 for left, 1 for right."""
    canvas = Canvas()
    canvas.paint(disk(canvas.grid, (0.0, 0.0), 1.0), WHITE)
    canvas.paint(disk(canvas.grid, (0.0, 0.0), 0.95), BLUE)
    stem: Stroke = [(-0.32, 0.60), (-0.32, 0.12), *arc((-0.05, 0.09), 0.27, 180.0, 270.0, 7)]
    stem.append((0.14, -0.18))
    _write(canvas, [stem], (0.0, 0.0), (side, 1.0), 0.27, WHITE)
    head: list[Point] = [(0.12, -0.56), (0.66, -0.18), (0.12, 0.20)]
    if side < 0.0:
        head = [(-x, y) for x, y in reversed(head)]
    canvas.paint(polygon(canvas.grid, head, 0.02), WHITE)
    return canvas


def _crossing() -> Canvas:
    canvas = Canvas()
    canvas.paint(box(canvas.grid, (0.0, 0.0), (0.95, 0.95), 0.12), WHITE)
    canvas.paint(box(canvas.grid, (0.0, 0.0), (0.89, 0.89), 0.09), BLUE)
    triangle: list[Point] = [(0.0, -0.72), (0.74, 0.62), (-0.74, 0.62)]
    canvas.paint(polygon(canvas.grid, triangle, 0.04), WHITE)
    for x in (-0.45, -0.15, 0.15, 0.45):
        canvas.paint(box(canvas.grid, (x, 0.56), (0.08, 0.07)), BLACK)
    canvas.paint(disk(canvas.grid, (0.03, -0.36), 0.105), BLACK)
    limbs: list[tuple[Stroke, float]] = [
        ([(0.0, -0.16), (-0.02, 0.10)], 0.20),
        ([(-0.02, 0.10), (-0.22, 0.42)], 0.11),
        ([(-0.01, 0.10), (0.14, 0.26), (0.20, 0.44)], 0.11),
        ([(0.0, -0.17), (-0.21, 0.06)], 0.09),
        ([(0.02, -0.17), (0.21, 0.04)], 0.09),
    ]
    for points, pen in limbs:
        _write(canvas, [points], (0.0, 0.0), (1.0, 1.0), pen, BLACK)
    return canvas


SIGNS: dict[str, Callable[[], Canvas]] = {
    "crossing": _crossing,
    "no-entry": _no_entry,
    "priority": _priority,
    "speed-30": lambda: _speed("30"),
    "speed-50": lambda: _speed("50"),
    "speed-80": lambda: _speed("80"),
    "stop": _stop,
    "turn-left": lambda: _turn(-1.0),
    "turn-right": lambda: _turn(1.0),
    "yield": _yield,
}
"""How each class is drawn, in alphabetical order: the place of a name is its label."""

CLASSES: tuple[str, ...] = tuple(SIGNS)
