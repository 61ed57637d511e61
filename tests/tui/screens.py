"""Driving the application over a recorded run, and waiting for what it draws."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from cnp_engine.events import Chosen, Event, Exported, LabelFree, Measured, Rate, Remeasured
from cnp_tui.app import CnpApp, Name
from cnp_tui.widgets.chart import Chart
from tests.tui.recorded import Recorded

PATIENCE_S = 20.0


def watching(link: Recorded, first: Name = "run") -> CnpApp:
    """The application with ``link`` open."""
    app = CnpApp(link, first)
    app.animation_level = "none"
    return app


async def until(pilot: Pilot[Any], reached: Callable[[], bool], what: str) -> None:
    """Let the application work until ``reached``; a test fails after ``PATIENCE_S``."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, f"never came: {what}"
        await pilot.pause(0.02)


async def drawn(pilot: Pilot[Any]) -> None:
    """Until every chart that is visible has painted what it was given."""

    def settled() -> bool:
        charts = pilot.app.screen.query(Chart)
        return all(chart.settled for chart in charts)

    await pilot.pause()
    await until(pilot, settled, "the charts")
    await pilot.pause()


def pressed(*keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """For ``snap_compare``: keys, each when the charts are drawn, the pointer nowhere."""

    async def run(pilot: Pilot[Any]) -> None:
        await drawn(pilot)
        for key in keys:
            await pilot.press(key)
            await drawn(pilot)

    return run


def toasts(app: CnpApp) -> Sequence[str]:
    return [f"{note.title} {note.message}".strip() for note in app._notifications]


def text(app: CnpApp, name: str) -> str:
    """What the widget of that id says."""
    return str(app.screen.query_one(f"#{name}", Static).content)


async def heard(pilot: Pilot[Any], link: Recorded, *events: Event) -> None:
    """The application has looked at what the run has said now."""
    link.hear(*events)
    pilot.app.look()  # type: ignore[attr-defined]
    await pilot.pause()


def exported(k: int, place: str = "/runs/demo/exports", copy: bool = False) -> tuple[Event, ...]:
    """What a worker says once it has written ``k`` of 600, read back and measured."""
    path, rate = f"{place}/purified.pth", Rate(0.877, 1000, 0.85, 0.9)
    again = Remeasured(path, k, LabelFree(retention=rate), Measured(ba=rate), copy)
    done = Exported((path, f"{place}/report.html"), "5e" * 32, copy)
    return (again, done) if copy else (Chosen(k, 0.3, k / 600, "set", by_user=True), again, done)
