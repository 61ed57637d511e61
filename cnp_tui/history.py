"""What plots need of a run's past, kept beside its state: the series of every progress value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cnp_engine.eventlog import EventRecord
from cnp_engine.events import Progress, Stage

Points = tuple[tuple[float, float], ...]
"""(step, value), by step."""


@dataclass(frozen=True)
class History:
    """``series[stage, name]``; ``records`` are all others, for the log of a screen."""

    series: Mapping[tuple[Stage, str], Points] = field(default_factory=lambda: MappingProxyType({}))
    records: tuple[EventRecord, ...] = ()

    def extended(self, records: Iterable[EventRecord]) -> History:
        """With ``records`` after what there is. A worker that begins again draws over its past."""
        series = dict(self.series)
        kept = list(self.records)
        new: dict[tuple[Stage, str], dict[float, float]] = {}
        for record in records:
            event = record.value
            if not isinstance(event, Progress):
                kept.append(record)
                continue
            for name, value in event.values.items():
                if value is not None:
                    at = new.setdefault((event.stage, name), {})
                    at[float(event.done)] = value
        for key, points in new.items():
            first = min(points)
            before = [point for point in series.get(key, ()) if point[0] < first]
            series[key] = (*before, *sorted(points.items()))
        return History(MappingProxyType(series), tuple(kept))
