"""What a report tells of the ranking: every signal by a name, and what each says."""

from __future__ import annotations

import dataclasses

import pytest

from cnp_engine.aims import ANY
from cnp_engine.events import TargetRanked, TargetRow
from cnp_engine.export.definitions import SIGNALS
from cnp_engine.export.document import Table
from cnp_engine.export.sections import ranking_section

from . import runs


def table_of(*rows: TargetRow) -> Table:
    ranked = TargetRanked(rows, (), 0.1, False)
    section = ranking_section(dataclasses.replace(runs.full(), ranking=ranked))
    return next(block for block in section.blocks if isinstance(block, Table))


def test_signals_are_named_and_explained() -> None:
    signals: dict[str, float | None] = {
        "patch_octaves": 2.5,
        "patch_counted": 1.25,
        "strength": 0.2,
        "wave": 0.125,
    }
    wide: dict[str, float | None] = {"patch_octaves": 0.75, "paired": 0.333}
    table = table_of(
        TargetRow(4, "deer", 1.25, 7.0, anomaly=1.25, votes=0.5, signals=signals),
        TargetRow(ANY, "any class", 0.0, 90.0, anomaly=0.0, signals=wide),
    )
    assert list(table.columns) == [
        *("Class", "Score", "Patch (px)", "Votes", "Strength", "Wave", "Paired"),
    ]
    assert list(table.rows[0][1:]) == ["1.25", "2.50 as 1.25, 7", "0.5", "0.2", "12.5 %", ""]
    assert list(table.rows[1][1:]) == ["0.00", "0.75, 90", "", "", "", "33.3 %"]
    said = [meaning in table.caption for meaning in SIGNALS.values()]
    assert said == [kind != "warp" for kind in SIGNALS]


def test_a_kind_of_trigger_that_no_size_is_known_of() -> None:
    signals: dict[str, float | None] = {
        "blend_octaves": 0.5,
        "strength": None,
        "wave_octaves": 0.0,
        "wave": 0.5,
    }
    table = table_of(TargetRow(4, "deer", 0.5, signals=signals))
    assert list(table.columns) == [
        *("Class", "Score", "Blend (strength)", "Wave (works on)"),
    ]
    assert list(table.rows[0][1:]) == ["0.50", "0.50, none", "0.00, 50.0 %"]


@pytest.mark.parametrize(("anomaly", "column"), [(2.0, False), (None, False), (2.5, True)])
def test_an_anomaly_that_is_the_score_is_not_told_twice(
    anomaly: float | None, column: bool
) -> None:
    table = table_of(TargetRow(4, "deer", 2.0, 7.0, anomaly=anomaly))
    assert ("Anomaly" in table.columns) is column


def test_a_signal_without_a_name_is_told_as_it_is() -> None:
    table = table_of(TargetRow(4, "deer", 2.0, signals={"share_of_them": 0.5}))
    assert list(table.columns) == ["Class", "Score", "Share_of_them"]
    assert table.caption == ""


def test_votes_that_are_the_score_are_told() -> None:
    """As in a ranking by them alone."""
    table = table_of(TargetRow(4, "deer", 0.4, votes=0.4))
    assert list(table.columns) == ["Class", "Score", "Votes"]
    assert SIGNALS["votes"] in table.caption
