"""curve.csv reads back to the figures it was made of."""

from __future__ import annotations

import csv
import io

from cnp_engine.events import CurvePoint, LabelFree, Measured, Rate
from cnp_engine.export.curve import COLUMNS, curve_csv

THIRD = Rate(1 / 3, 999, 0.30469, 0.3633)


def rows(points: list[CurvePoint]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(curve_csv(points))))


def test_reads_back_exactly_and_in_order() -> None:
    points = [
        CurvePoint(24, 0.1 + 0.2, LabelFree(residual=THIRD), Measured(asr_all=THIRD)),
        CurvePoint(0, None, LabelFree(retention=Rate(1.0, 500, 0.99, 1.0))),
    ]
    first, second = rows(points)
    assert (first["k"], first["threshold"], first["retention"]) == ("0", "", "1.0")
    assert (int(second["k"]), float(second["threshold"])) == (24, 0.1 + 0.2)
    for name in ("residual", "asr_all"):
        assert float(second[name]) == THIRD.value
        assert int(second[f"{name}_n"]) == THIRD.n
        assert float(second[f"{name}_low"]) == THIRD.low
        assert float(second[f"{name}_high"]) == THIRD.high
    assert second["ba"] == second["ba_n"] == ""


def test_an_empty_curve_is_its_header() -> None:
    assert curve_csv([]) == ",".join(COLUMNS) + "\n"
    assert COLUMNS[:4] == ("k", "threshold", "retention", "retention_n")
