"""Prune and Export as they look, from recorded runs. Look at each before it is updated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from cnp_engine.events import Refused
from cnp_tui import preferences
from cnp_tui.position import Position
from tests.tui.alone import Alone
from tests.tui.recorded import Recorded, recorded, state
from tests.tui.screens import drawn, pressed

Compare = Callable[..., bool]


async def refused(pilot: Pilot[Any]) -> None:
    """A worker that has too little memory for what is asked."""
    await pressed("1", "6", "enter")(pilot)
    link = pilot.app.link  # type: ignore[attr-defined]
    link.hear(Refused("evaluate", 16, "There is too little memory for this.", "Ask again later."))
    pilot.app.look()  # type: ignore[attr-defined]
    await drawn(pilot)


@pytest.mark.parametrize(
    ("link", "size", "keys"),
    [
        (state("answering"), (80, 24), ("shift+right", "enter")),
        (state("blended"), (120, 30), ()),
        (recorded("demo", live=False), (160, 50), ("end", "m")),
        (recorded("unlabelled"), (60, 20), ("right",)),
    ],
    ids=["before the exact answer", "wide", "full, replayed", "narrow, unlabelled"],
)
def test_prune(
    link: Recorded, size: tuple[int, int], keys: tuple[str, ...], snap_compare: Compare
) -> None:
    assert snap_compare(Alone(link, "prune"), terminal_size=size, run_before=pressed(*keys))


def test_prune_in_ascii_without_colour(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    preferences.save(replace(preferences.load(), glyphs="ascii"))
    app = Alone(state("answering"), "prune")
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressed("v"))


def test_prune_refused(snap_compare: Compare) -> None:
    app = Alone(state("answering"), "prune")
    assert snap_compare(app, terminal_size=(80, 24), run_before=refused)


def test_export(snap_compare: Compare) -> None:
    """Written by the run itself, while the slider has been moved on."""
    app = Alone(state("answering"), "export")
    app.positions[app.link.run.path] = Position(16, moved=True)  # type: ignore[union-attr]
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressed())
