"""What plots need of a run's past, kept beside its state: the series of every progress value.

Snapshots share what they have in common: one that is extended appends to the same memory, and an
earlier one goes on seeing only what it had. So a look at a run costs what is new, however long the
run has been at work.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias, overload

from cnp_engine.eventlog import EventRecord
from cnp_engine.events import Progress, Resources, Stage, TargetSizes, TriggerPreview

Point: TypeAlias = tuple[float, float]
Points: TypeAlias = Sequence[Point]
"""(step, value), by step."""

_FREQUENT = (Progress, Resources, TargetSizes, TriggerPreview)
"""Shown elsewhere, never as a line of the log."""


class Series(Sequence[Point]):
    """A series that only grows at its end; ``xs`` and ``ys`` are copies for who plots many."""

    __slots__ = ("_count", "_xs", "_ys")

    def __init__(self, xs: array[float], ys: array[float], count: int) -> None:
        self._xs, self._ys, self._count = xs, ys, count

    @classmethod
    def of(cls, points: Iterable[Point]) -> Series:
        pairs = list(points)
        xs, ys = array("d", (x for x, _ in pairs)), array("d", (y for _, y in pairs))
        return cls(xs, ys, len(pairs))

    @property
    def xs(self) -> array[float]:
        return self._xs[: self._count]

    @property
    def ys(self) -> array[float]:
        return self._ys[: self._count]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Point: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Point, ...]: ...
    def __getitem__(self, at: int | slice) -> Point | tuple[Point, ...]:
        if isinstance(at, slice):
            return tuple(self[i] for i in range(*at.indices(self._count)))
        if not -self._count <= at < self._count:
            raise IndexError(at)
        at %= self._count
        return self._xs[at], self._ys[at]

    def __iter__(self) -> Iterator[Point]:
        for at in range(self._count):
            yield self._xs[at], self._ys[at]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return self is other or (len(self) == len(other) and tuple(self) == tuple(other))

    __hash__ = None  # type: ignore[assignment]  # equal to tuples of the same points

    def drawn_over(self, points: Sequence[Point]) -> Series:
        """With ``points`` (by step) in the place of everything from the first of them on."""
        keep = self._count
        while keep and self._xs[keep - 1] >= points[0][0]:
            keep -= 1
        xs, ys = self._xs, self._ys
        if keep < len(xs):  # somebody still sees what would be overwritten
            xs, ys = xs[:keep], ys[:keep]
        xs.extend(x for x, _ in points)
        ys.extend(y for _, y in points)
        return Series(xs, ys, len(xs))


class Log(Sequence[EventRecord]):
    """Records that only grow at their end."""

    __slots__ = ("_all", "_count")

    def __init__(self, records: list[EventRecord], count: int) -> None:
        self._all, self._count = records, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> EventRecord: ...
    @overload
    def __getitem__(self, at: slice) -> list[EventRecord]: ...
    def __getitem__(self, at: int | slice) -> EventRecord | list[EventRecord]:
        if isinstance(at, slice):
            return [self._all[i] for i in range(*at.indices(self._count))]
        if not -self._count <= at < self._count:
            raise IndexError(at)
        return self._all[at % self._count]

    def followed_by(self, records: Sequence[EventRecord]) -> Log:
        shared = self._all if len(self._all) == self._count else self._all[: self._count]
        shared.extend(records)
        return Log(shared, len(shared))


@dataclass(frozen=True)
class History:
    """``series[stage, name]``; ``records`` are what a log may show, oldest first."""

    series: Mapping[tuple[Stage, str], Series] = field(default_factory=lambda: MappingProxyType({}))
    records: Log = field(default_factory=lambda: Log([], 0))

    def extended(self, records: Iterable[EventRecord]) -> History:
        """With ``records`` after what there is. A worker that begins again draws over its past.

        A series that got nothing new stays the same object.
        """
        told: list[EventRecord] = []
        new: dict[tuple[Stage, str], dict[float, float]] = {}
        for record in records:
            if isinstance(record.value, Progress) and not record.value.asked:
                _collect(new, record.value)
            elif not isinstance(record.value, _FREQUENT):
                told.append(record)
        if not told and not new:
            return self
        series = dict(self.series)
        for key, points in new.items():
            series[key] = series.get(key, Series.of(())).drawn_over(sorted(points.items()))
        kept = self.records.followed_by(told) if told else self.records
        return History(MappingProxyType(series), kept)


def _collect(new: dict[tuple[Stage, str], dict[float, float]], event: Progress) -> None:
    """The latest value of each step; what was drawn beyond a step that comes again is gone."""
    for name, value in event.values.items():
        if value is None:
            continue
        points = new.setdefault((event.stage, name), {})
        step = float(event.done)
        if points and step < next(reversed(points)):
            for later in [known for known in points if known >= step]:
                del points[later]
        points[step] = value
