"""curve.csv: the sweep, a row a number of pruned neurons, every rate with n and interval."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from cnp_engine.events import CurvePoint, Rate
from cnp_engine.export.definitions import GROUND_TRUTH, LABEL_FREE

RATES = (*LABEL_FREE, *GROUND_TRUTH)
COLUMNS = (
    "k",
    "threshold",
    *(f"{name}{part}" for name in RATES for part in ("", "_n", "_low", "_high")),
)


def rate_of(point: CurvePoint, name: str) -> Rate | None:
    """A rate of a point by its short name (``definitions.NAMES``)."""
    where = point.label_free if name in LABEL_FREE else point.measured
    rate: Rate | None = getattr(where, name)
    return rate


def curve_csv(points: Iterable[CurvePoint]) -> str:
    """Full precision, ascending k; what was not measured is an empty cell."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for point in sorted(points, key=lambda point: point.k):
        row = [str(point.k), "" if point.threshold is None else repr(float(point.threshold))]
        for name in RATES:
            row += _cells(rate_of(point, name))
        rows.writerow(row)
    return text.getvalue()


def _cells(rate: Rate | None) -> list[str]:
    if rate is None:
        return ["", "", "", ""]
    return [repr(float(rate.value)), str(rate.n), repr(float(rate.low)), repr(float(rate.high))]
