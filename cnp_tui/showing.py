"""What the commands that open the application do."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from cnp_engine import launch, runs
from cnp_engine.errors import UsageError
from cnp_engine.files import absolute, writing
from cnp_engine.rundir import RunDirectory
from cnp_tui import terminal

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from cnp_tui.app import CnpApp, Name
    from cnp_tui.replay import Replay

PATIENCE_S = 30.0
"""How long the charts of a picture may take."""


@dataclass(frozen=True)
class Moment:
    """What a picture shows, as the options say it."""

    at: str
    size: str
    screen: str


def open_run(name: str | None) -> int:
    """Raises UsageError where there is no terminal, RunMissing, RunDamaged."""
    terminal.require()
    if name is None:
        return terminal.start()
    from cnp_tui.link import Live

    return terminal.start(Live(runs.find(name)), "run")


def watch(run: RunDirectory) -> int:
    """Start the worker of a new run and show it."""
    from cnp_tui.link import Live

    return terminal.start(Live(run, launch.start(run)), "run")


def wanted(said: bool | None, plain: bool) -> bool:
    """Whether a run is to be watched in the application: said, or asked where that can be.

    Raises UsageError where it was said and cannot be.
    """
    if said:
        if plain:
            raise UsageError(
                "--tui goes with neither --json, --quiet nor --detach.", "Leave one of them out."
            )
        terminal.require()
        return True
    if said is False or plain or not terminal.fits():
        return False
    sys.stderr.write("Watch it in the application? [Y/n] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")


def replay(name: str, speed: float, screen: str) -> int:
    from cnp_tui.replay import Replay

    terminal.require()
    return terminal.start(Replay.of(runs.find(name), speed), _screen(screen))


def picture(name: str, file: Path, moment: Moment) -> Path:
    """Write an SVG of a recorded run. Raises UsageError, RunMissing, RunDamaged, RunUnwritable."""
    import asyncio

    from cnp_tui.replay import Replay

    link = Replay.of(runs.find(name))
    at = _seconds(moment.at, link.length_s)
    screen, size = _screen(moment.screen), _size(moment.size)
    link.pause(True)
    link.seek(at)
    svg = asyncio.run(_painted(link, screen, size))
    place = absolute(file)
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(svg, "utf-8")
    return file


async def _painted(link: Replay, screen: Name, size: tuple[int, int]) -> str:
    from cnp_tui.app import CnpApp

    app: CnpApp = CnpApp(link, screen, *(([link.run.path],) if screen == "compare" else ()))
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await _settled(pilot)
        return app.export_screenshot(title="cnp")


async def _settled(pilot: Pilot[int]) -> None:
    """Until everything on the screen has painted what it was given."""
    from cnp_tui.screens.home import HomeScreen
    from cnp_tui.widgets.chart import Chart

    screen = pilot.app.screen
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        await pilot.pause(0.05)
        read = not isinstance(screen, HomeScreen) or screen.complete
        if read and all(chart.settled for chart in screen.query(Chart)):
            break
    await pilot.pause()


def compare(names: Sequence[str], as_json: bool) -> int:
    """Raises UsageError, RunMissing, RunDamaged."""
    found = [runs.find(name) for name in names]
    if len(found) < 2:
        raise UsageError("There is only one run to compare.", "Name two or more.")
    if not as_json and terminal.fits():
        return terminal.start(None, "compare", [run.path for run in found])
    from cnp_tui import comparison

    read = [comparison.read(run) for run in found]
    rows = {"runs": comparison.table(read)}
    print(json.dumps(rows, indent=2) if as_json else comparison.text(read))
    return 0


def _screen(name: str) -> Name:
    from cnp_tui.app import Name

    if name not in get_args(Name):
        raise UsageError(f"There is no screen {name}.", f"One of {', '.join(get_args(Name))}.")
    return cast("Name", name)


def _size(text: str) -> tuple[int, int]:
    known = re.fullmatch(r"(\d{1,3})x(\d{1,3})", text)
    if known is None or not all(5 <= int(side) <= 500 for side in known.groups()):
        raise UsageError(f"{text} is no size of a screen.", "Columns and rows, such as 120x40.")
    return int(known[1]), int(known[2])


def _seconds(text: str, length_s: float) -> float:
    if text == "end":
        return length_s
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise UsageError(f"{text} is no moment of a run.", "Give seconds from its start, or end.")
    return seconds
