"""Home and help as they look. Never updated by a check; look at each before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from cnp_engine.eventlog import EventLog
from cnp_engine.events import Event
from cnp_engine.rundir import RunDirectory
from cnp_tui import preferences
from cnp_tui.app import CnpApp
from cnp_tui.screens.base import CnpScreen
from cnp_tui.screens.home import HomeScreen
from tests.engine.runs.tools import CANCELLED, FAILED, STARTED, config
from tests.tui.recorded import folder, log
from tests.tui.screens import until

Compare = Callable[..., bool]

PLACE = Path("runs")
"""Relative, so that no picture holds a path of the machine."""


class Frozen(CnpApp):
    """Two hours after the recorded runs began."""

    def make(self, name: Any, *args: Any) -> CnpScreen:
        if name == "home":
            return HomeScreen(PLACE, clock=lambda: log("demo")[0].at + 7200.0)
        return super().make(name, *args)


@pytest.fixture(name="app")
def frozen_application() -> Frozen:
    PLACE.mkdir()
    app = Frozen()
    app.animation_level = "none"
    return app


@pytest.fixture(name="runs")
def runs_in_every_state(app: Frozen) -> Iterator[None]:
    """One each."""
    made = [
        folder(PLACE / "demo_model-of-traffic-signs", "demo"),
        folder(PLACE / "blended_resnet", "blended"),
        folder(PLACE / "a-clean-twin", "clean"),
        folder(PLACE / "own-images", "unlabelled"),
        folder(PLACE / "at-work", "demo", "scores"),
        folder(PLACE / "worker-killed", "demo", "target"),
        said("no-such-data", FAILED),
        said("stopped", CANCELLED),
        RunDirectory.create(PLACE / "never-begun", config()),
        RunDirectory.create(PLACE / "garbled", config()),
    ]
    made[-1].events().path.write_text("this is no log\n")
    with RunDirectory.open(PLACE / "at-work").lock():
        yield


def said(name: str, last: Event) -> RunDirectory:
    """A run that ended early, an hour before."""
    run = RunDirectory.create(PLACE / name, config())
    log_ = EventLog(run.events().path, clock=lambda: log("demo")[0].at + 3600.0)
    for event in (STARTED, last):
        log_.append(event)
    return run


def read(*keys: str) -> Callable[[Pilot[Any]], Any]:
    async def prepare(pilot: Pilot[Any]) -> None:
        home = pilot.app.screen
        assert isinstance(home, HomeScreen)
        await until(pilot, lambda: home.complete, "all runs")
        for key in keys:
            await pilot.press(key)
        await pilot.pause()

    return prepare


def test_empty(app: Frozen, snap_compare: Compare) -> None:
    assert snap_compare(app, terminal_size=(80, 24), run_before=read())


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("size", "keys"),
    [
        ((80, 24), ("down",) * 9),
        ((160, 40), (*("down",) * 8, "space")),
        ((56, 14), ("slash", *"backdoored")),
    ],
    ids=["80", "160", "narrow, filtered"],
)
def test_states(
    app: Frozen, size: tuple[int, int], keys: tuple[str, ...], snap_compare: Compare
) -> None:
    assert snap_compare(app, terminal_size=size, run_before=read(*keys))


def test_ascii_without_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    preferences.save(replace(preferences.load(), glyphs="ascii"))
    PLACE.mkdir()
    folder(PLACE / "demo", "demo")
    folder(PLACE / "clean", "clean")
    assert snap_compare(Frozen(), terminal_size=(80, 24), run_before=read())


def test_help(app: Frozen, snap_compare: Compare) -> None:
    assert snap_compare(app, terminal_size=(80, 40), run_before=read("question_mark"))


def test_asking_before_a_run_is_deleted(app: Frozen, snap_compare: Compare) -> None:
    folder(PLACE / "demo", "demo")
    preferences.save(replace(preferences.load(), theme="high-contrast"))
    app.theme = "high-contrast"
    assert snap_compare(app, terminal_size=(80, 24), run_before=read("D"))
