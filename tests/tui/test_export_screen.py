"""Export: what is asked of the worker, what it answers, and every way to be told no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Checkbox, Input

from cnp_engine.commands import Export
from cnp_engine.errors import RunLocked
from cnp_engine.events import Progress, Refused
from cnp_tui.app import CnpApp
from cnp_tui.position import Position
from cnp_tui.screens.export import ExportScreen
from cnp_tui.widgets.figures import Figures
from cnp_tui.widgets.formats import FORMATS
from tests.tui.alone import Alone
from tests.tui.recorded import Recorded, recorded, state
from tests.tui.screens import exported, heard, text, toasts, until, watching

NORMAL = (80, 24)
ALL = tuple(name for name in FORMATS if name != "healed")  # a run that does not heal
REPORT = "/runs/demo/exports/report.html"
FAR = (
    (
        Progress("export", 512, 1250, label="measuring", asked=True),
        "measuring, 512 of 1,250 images",
    ),
    (Progress("heal", 20, 200, {"loss": 0.5}, asked=True), "healing, 20 of 200 steps"),
    (Progress("heal", 200, 200, {"loss": 0.5}, asked=True), "judging what was healed"),
)
"""How far the worker says it is, and how that reads."""


def exporting(link: Recorded, k: int | None = None) -> CnpApp:
    app = Alone(link, "export")
    if k is not None:
        app.positions[link.run.path] = Position(k, moved=True)
    return app


async def ready(pilot: Pilot[Any]) -> None:
    """A button that was pressed takes no second press for a moment."""
    button = pilot.app.screen.query_one("#write")
    await until(pilot, lambda: not button.has_class("-active"), "the button")


@pytest.mark.asyncio
async def test_enter_on_the_defaults_writes_what_the_slider_has_set() -> None:
    link = state("answering")
    app = exporting(link, 12)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        assert "12 of 600 neurons suppressed (2.00 %)" in text(app, "what")
        assert "ASR 0.0 %" in text(app, "what")
        await pilot.press("enter")
        await pilot.pause()
        assert link.sent == [Export(12, ALL, None)]
        assert "writing, reading back and measuring" in text(app, "said")
        for told, seen in FAR:
            await heard(pilot, link, told)
            assert seen in text(app, "said")
        await ready(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: bool(toasts(app)), "a toast")
        assert "written already" in toasts(app)[-1]
        assert len(link.sent) == 1
        await heard(pilot, link, *exported(12))
        assert "written, read back and measured" in text(app, "said")
        assert "/runs/demo/exports/purified.pth" in text(app, "done")
        assert REPORT in text(app, "done")
        assert "87.7 % (85.0 to 90.0)" in app.screen.query_one(Figures).render().plain
        await ready(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert len(link.sent) == 2, "again is allowed"


@pytest.mark.asyncio
async def test_without_the_slider_it_is_the_recommended_point() -> None:
    link = state("answering")
    app = exporting(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        assert "6 of 600 neurons suppressed (1.00 %, the recommended point)" in text(app, "what")
        assert "Written with 6 neurons suppressed" in text(app, "done"), "the run's own export"
        assert REPORT in text(app, "done"), "where the run lies now, not where it was written"


@pytest.mark.asyncio
async def test_interpolated_figures_are_marked_and_nothing_pruned_is_said() -> None:
    for k, said in ((16, "BA ~"), (0, "the checkpoint as it came")):
        app = exporting(state("answering"), k)
        async with app.run_test(size=NORMAL) as pilot:
            await pilot.pause()
            assert said in text(app, "what")
            assert f"{k} are set now" in text(app, "done")


@pytest.mark.asyncio
async def test_formats_are_ticked_by_space_and_mouse_and_enter_writes_them() -> None:
    link = state("answering")
    app = exporting(link)
    async with app.run_test(size=NORMAL) as pilot:
        app.screen.query_one("#format-pth", Checkbox).focus()
        await pilot.pause()
        await pilot.press("space", "down", "space")
        await pilot.click("#format-curve")
        await pilot.press("enter")
        await pilot.pause()
        assert link.sent == [Export(6, ("masks", "trigger", "report"), None)]


@pytest.mark.asyncio
async def test_ticks_are_told_without_colour() -> None:
    app = exporting(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        box = app.screen.query_one("#format-pth", Checkbox)
        assert "[x]" in str(box.render())
        box.focus()
        await pilot.pause()
        await pilot.press("space")
        assert "[ ]" in str(box.render())


@pytest.mark.asyncio
async def test_nothing_ticked_is_nothing_to_write(tmp_path: Path) -> None:
    link = state("answering")
    app = exporting(link)
    async with app.run_test(size=NORMAL) as pilot:
        app.screen.query_one("#to", Input).value = str(tmp_path)
        for box in app.screen.query(Checkbox):
            box.value = False
        await pilot.pause()
        assert "Tick at least one format" in text(app, "checked")
        await pilot.press("enter")
        await pilot.pause()
        assert link.sent == []
        assert "Tick at least one" in toasts(app)[-1]


@pytest.mark.asyncio
async def test_the_destination_is_judged_as_it_is_typed(tmp_path: Path) -> None:
    link = state("answering")
    (tmp_path / "file").write_text("")
    app = exporting(link, 9)
    async with app.run_test(size=NORMAL) as pilot:
        to = app.screen.query_one("#to", Input)
        to.focus()
        for value, said in (
            (str(tmp_path / "file"), "is not a folder"),
            ("", "Name a folder"),
            (str(tmp_path / "new"), "which will be made"),
            ("/runs/demo/exports", "The run's own exports"),
            (str(tmp_path), f"A copy in {tmp_path};"),
        ):
            to.value = value
            await pilot.pause()
            assert said in text(app, "checked")
        await pilot.press("enter")
        await pilot.pause()
        assert link.sent == [Export(9, ALL, str(tmp_path))]
        await heard(pilot, link, *exported(9, str(tmp_path), copy=True))
        assert f"{tmp_path}/purified.pth" in text(app, "done")
        assert "Written with 9 neurons" in text(app, "done")


@pytest.mark.asyncio
async def test_letters_in_the_destination_are_letters() -> None:
    app = exporting(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        to = app.screen.query_one("#to", Input)
        to.focus()
        await pilot.pause()
        await pilot.press("end", "o", "y", "q", "1")
        await pilot.pause()
        assert to.value.endswith("oyq1")
        assert isinstance(app.screen, ExportScreen)


@pytest.mark.asyncio
async def test_a_refusal_is_a_sentence_and_can_be_tried_again() -> None:
    link = state("answering")
    app = exporting(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        full = Refused("export", 6, "No space left on the disk.", "Make room there.")
        await heard(pilot, link, full)
        assert "No space left on the disk. Make room there." in text(app, "said")
        assert "Written with 6 neurons" in text(app, "done"), "what was there still is"
        await ready(pilot)
        await pilot.click("#write")
        await pilot.pause()
        assert len(link.sent) == 2
        assert "No space left" not in text(app, "said")
        await heard(pilot, link, *exported(6))
        assert "written, read back" in text(app, "said")


@pytest.mark.asyncio
async def test_a_worker_is_woken_and_missed_when_it_goes() -> None:
    link = state("finished")
    app = exporting(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert (link.woken, len(link.sent)) == (1, 1)
        assert "waking the engine" in text(app, "said")
        for answering in (True, False):
            link.change(answering=answering)
            app.look()
            await pilot.pause()
        assert "ended before it had written; enter tries again" in text(app, "said")


class Locked(Recorded):
    def wake(self) -> None:
        raise RunLocked("The run is at work elsewhere.", "Wait for it.")


@pytest.mark.asyncio
async def test_a_worker_that_cannot_be_started_is_a_sentence() -> None:
    link = Locked("demo", recorded("demo").records)
    app = exporting(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert "The run is at work elsewhere. Wait for it." in text(app, "said")
        assert link.sent == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("link", "said"),
    [
        (recorded("demo", live=False), "this is a replay"),
        (recorded("demo", "export"), "the run has to finish first"),
        (recorded("demo", "export", "died"), "cnp resume /runs/demo"),
    ],
    ids=["replay", "running", "died"],
)
async def test_where_nothing_can_be_written_it_says_why(link: Recorded, said: str) -> None:
    app = exporting(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        assert said in text(app, "said")
        await pilot.press("enter")
        await pilot.pause()
        assert said in text(app, "said")
        assert (link.sent, link.woken) == ([], 0)


@pytest.mark.asyncio
async def test_the_report_is_opened_or_its_path_is_said_and_copied() -> None:
    link = state("answering")
    app = exporting(link)
    async with app.run_test(size=NORMAL) as pilot:
        await heard(pilot, link, *exported(6))
        await pilot.press("o")
        await pilot.pause()
        assert REPORT in toasts(app)[-1]
        assert "no display" in toasts(app)[-1]
        await pilot.press("y")
        await pilot.pause()
        assert app.clipboard == REPORT


@pytest.mark.asyncio
async def test_before_anything_is_written() -> None:
    link = recorded("demo", "sweep")
    app = exporting(link, 4)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        assert "Nothing has been written yet" in text(app, "done")
        await pilot.press("o")
        await pilot.pause()
        assert "No report was written" in toasts(app)[-1]
        await pilot.press("y")
        await pilot.pause()
        assert app.clipboard == "cnp prune /runs/demo --count 4"


@pytest.mark.asyncio
async def test_what_was_written_is_scrolled_into_sight() -> None:
    link = state("answering")
    app = exporting(link)
    async with app.run_test(size=NORMAL) as pilot:
        body = app.screen.query_one("#body")
        await pilot.press("enter")
        await heard(pilot, link, *exported(6))
        await until(
            pilot, lambda: app.screen.query_one("#report").region.bottom <= 23, "the last line"
        )
        await pilot.press("pageup")
        await until(pilot, lambda: body.scroll_y == 0, "the top")
        await pilot.press("pagedown")
        await until(pilot, lambda: body.scroll_y > 0, "further down")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("events", "told"),
    [
        (exported(12), "Export written and measured /runs/demo/exports"),
        (
            (Refused("export", 12, "No space.", "Free some."),),
            "not written No space. Free some.",
        ),
    ],
    ids=["written", "refused"],
)
async def test_an_export_that_is_left_is_told_of(events: tuple[Any, ...], told: str) -> None:
    link = state("answering")
    app = watching(link, "export")
    app.positions[link.run.path] = Position(12, moved=True)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: len(link.sent) == 1, "the request")
        await pilot.press("4")
        await until(pilot, lambda: bool(toasts(app)), "that it goes on")
        assert "Still being written It goes on to /runs/demo/exports" in toasts(app)[-1]
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen), "back")
        assert "writing, reading back and measuring" in text(app, "said")
        await ready(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert len(link.sent) == 1, "not a second time"
        await pilot.press("1")
        await until(pilot, lambda: not isinstance(app.screen, ExportScreen), "Home")
        await heard(pilot, link, *events)
        await until(pilot, lambda: told in toasts(app)[-1], "how it ended")
        said = len(toasts(app))
        await pilot.press("5")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen), "back again")
        assert "writing," not in text(app, "said")
        await pilot.press("4")
        await pilot.pause()
        assert len(toasts(app)) == said, "nothing more to tell"
