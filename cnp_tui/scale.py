"""Where a number of neurons lies on a slider's track, and what a typed value means. Pure."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cnp_engine.errors import SettingInvalid
from cnp_tui.curves import Curves

Mode = Literal["count", "fraction", "threshold"]
MODES: tuple[Mode, ...] = ("count", "fraction", "threshold")


@dataclass(frozen=True)
class Scale:
    """0..``end`` neurons on ``width`` cells.

    Where there are more neurons than cells the first half of the track has one a cell, because
    what matters lies near 0, and from there a cell is worth ever more of them.
    """

    end: int
    width: int
    _first: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_first", tuple(map(self._at, range(max(1, self.width)))))

    def _at(self, cell: int) -> int:
        last = self.width - 1
        if last <= 0:
            return 0
        if self.end <= last:
            return round(cell * self.end / last)
        bend = last // 2
        surplus = (self.end - last) * (max(0, cell - bend) / (last - bend)) ** 2
        return cell + round(surplus)

    def count(self, cell: int) -> int:
        """The neurons a cell stands for; cells outside the track are its ends."""
        return self._first[min(max(cell, 0), len(self._first) - 1)]

    def cell(self, count: int) -> int:
        """The cell that shows ``count``."""
        if self.end <= self.width - 1:
            return round(count * (self.width - 1) / self.end) if self.end else 0
        return min(max(0, bisect.bisect_right(self._first, count) - 1), self.width - 1)


def parse(text: str, mode: Mode, curves: Curves) -> int:
    """The k that a typed value means: ``24``, ``1.0%``, ``0.31`` by mode, a ``%`` in any.

    Raises SettingInvalid with what would do.
    """
    bare = text.strip()
    share = bare.endswith("%") or mode == "fraction"
    number = _number(bare.removesuffix("%").strip(), bare, mode)
    if share:
        return _within(round(number / 100 * curves.neurons), curves, bare)
    if mode == "threshold":
        if not 0 <= number <= 1:
            raise SettingInvalid(f"{bare} is no threshold.", "Scores go from 0 to 1.")
        return curves.under(number)
    if number != int(number):
        raise SettingInvalid(f"{bare} is no number of neurons.", "A share ends in %.")
    return _within(int(number), curves, bare)


_TAKES: Mapping[Mode, tuple[str, str]] = {
    "count": ("a whole number", "24, or 1.0%"),
    "fraction": ("a share of all neurons in %", "1.0"),
    "threshold": ("a score from 0 to 1", "0.31, or 1.0%"),
}


def takes(mode: Mode) -> str:
    """What may be typed, in a few words."""
    what, example = _TAKES[mode]
    return f"{what}: {example}"


def _number(text: str, said: str, mode: Mode) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SettingInvalid(f"{said or 'Nothing'} is no number.", f"Type {_TAKES[mode][1]}.")
    return value


def _within(k: int, curves: Curves, said: str) -> int:
    if not 0 <= k <= curves.end:
        raise SettingInvalid(f"{said} lies beyond the curve.", f"It ends at {curves.end} neurons.")
    return k
