"""New run and Compare as they look. Never updated by a check; look at each before."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from cnp_engine.errors import CheckpointUnsafe
from cnp_tui import preferences, told
from cnp_tui.app import CnpApp
from cnp_tui.screens.new_run import NewRunScreen
from cnp_tui.widgets.data_pane import DataPane
from cnp_tui.widgets.model_pane import ModelPane
from cnp_tui.widgets.settings_form import SettingsForm
from tests.tui.recorded import recorded
from tests.tui.screens import drawn, until
from tests.tui.test_told import SOUND, UNSAFE

Compare = Callable[..., bool]
Set = Callable[[Pilot[Any], NewRunScreen], Awaitable[None]]

REFUSED = CheckpointUnsafe(UNSAFE["refused"], UNSAFE["todo"], tuple(UNSAFE["imports"]))
SURVEY: dict[str, Any] = {
    "counts": {"train": 1200, "test": None, "clean": 1000}, "size": [32, 32], "labelled": False,
    "classes": [], "notices": ["2 images were left out: they cannot be decoded."],
}  # fmt: skip


def thumbnail(number: int) -> dict[str, Any]:
    """A disc on a ground, in colours of its own."""
    side = range(32)
    inside = [(x - 16) ** 2 + (y - 16) ** 2 < 120 for y in side for x in side]
    disc, ground = (20 * number, 200, 60, 255), (40, 60, 20 * number, 255)
    rgba = b"".join(bytes(disc if each else ground) for each in inside)
    text = base64.b64encode(rgba).decode()
    return {"label": None, "width": 32, "height": 32, "rgba": text}


async def refused(pilot: Pilot[Any], screen: NewRunScreen) -> None:
    (Path.cwd() / "evil.pth").touch()
    screen.query_one(ModelPane).tell("evil.pth", (told.checkpoint(UNSAFE), REFUSED))
    screen.put("model", "evil.pth")
    await pilot.press("f2")


async def sound(pilot: Pilot[Any], screen: NewRunScreen) -> None:
    (Path.cwd() / "net.pth").touch()
    screen.query_one(ModelPane).tell("net.pth", (told.checkpoint(SOUND), None))
    screen.put("model", "net.pth")
    await pilot.press("f2")


async def unlabelled(pilot: Pilot[Any], screen: NewRunScreen) -> None:
    (Path.cwd() / "images").mkdir()
    found = {**SURVEY, "thumbnails": [thumbnail(number) for number in range(6)]}
    await screen.query_one(DataPane).tell(("images", 1000, None), found)
    screen.put("data", "images")
    await pilot.press("f3")


async def invalid(pilot: Pilot[Any], screen: NewRunScreen) -> None:
    screen.put("masks.lr", "fast")
    screen.put("preset", "reference")
    await pilot.press("f5")
    screen.query_one("#filter", Input).value = "mask learning"
    form = screen.query_one(SettingsForm)
    await until(pilot, lambda: form.key == "masks.lr", "the setting")
    screen.query_one("#setting-text").focus()


async def review(pilot: Pilot[Any], screen: NewRunScreen) -> None:
    screen.put("data", "demo")
    screen.put("masks.lr", "fast")
    await pilot.press("f6")


def after(act: Set) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def run(pilot: Pilot[Any]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, NewRunScreen)
        screen.devices_asked = True  # what this machine has is on no picture
        for each in screen.query(Input):
            each.cursor_blink = False
        await pilot.pause()
        await act(pilot, screen)
        await pilot.pause(0.5)  # the disk is asked when typing rests
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()

    return run


@pytest.mark.parametrize(
    ("act", "size"),
    [
        (refused, (80, 24)),
        (sound, (120, 40)),
        (unlabelled, (120, 40)),
        (invalid, (80, 24)),
        (review, (80, 24)),
    ],
    ids=["refused", "sound", "unlabelled", "invalid", "review"],
)
def test_new_run(act: Set, size: tuple[int, int], snap_compare: Compare) -> None:
    assert snap_compare(_still(CnpApp(None, "new")), terminal_size=size, run_before=after(act))


def test_new_run_in_ascii(snap_compare: Compare) -> None:
    preferences.save(replace(preferences.load(), glyphs="ascii"))
    app = _still(CnpApp(None, "new"))
    assert snap_compare(app, terminal_size=(80, 24), run_before=after(unlabelled))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50)], ids=lambda size: str(size[0]))
def test_compare(size: tuple[int, int], snap_compare: Compare) -> None:
    runs = [recorded("demo"), recorded("blended"), recorded("unlabelled")]
    app = _still(CnpApp(None, "compare", runs))

    async def ready(pilot: Pilot[Any]) -> None:
        await pilot.app.workers.wait_for_complete()
        await drawn(pilot)

    assert snap_compare(app, terminal_size=size, run_before=ready)


def _still(app: CnpApp) -> CnpApp:
    app.animation_level = "none"
    return app
