"""Export: where the focus goes, which error stands, what is written unasked, where files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from cnp_engine.commands import Export
from cnp_engine.events import Refused
from cnp_engine.export.naming import FILES
from cnp_engine.rundir import RunDirectory
from cnp_tui.screens.export import ExportScreen, written
from cnp_tui.widgets.footer import Footer
from cnp_tui.widgets.formats import FORMATS, Check
from tests.tui.alone import Alone
from tests.tui.recorded import folder, state
from tests.tui.screens import exported, heard, text, toasts, until

asyncio = pytest.mark.asyncio

NORMAL = (80, 24)
FULL = Refused("export", 6, "No space left on the disk.", "Make room there.")


async def typed(pilot: Pilot[Any], value: str) -> Input:
    to = pilot.app.screen.query_one("#to", Input)
    to.focus()
    to.value = value
    await until(pilot, lambda: to.has_focus, "the field")
    await pilot.pause()
    return to


# Out of the field


@asyncio
@pytest.mark.parametrize("copy", [False, True], ids=["own", "copy"])
async def test_once_written_the_keys_that_are_announced_work(tmp_path: Path, copy: bool) -> None:
    link = state("answering")
    app = Alone(link, "export")
    async with app.run_test(size=NORMAL) as pilot:
        place = tmp_path if copy else link.run.exports
        to = await typed(pilot, str(place))
        assert text(app, "report").startswith("esc leaves the field; then o opens")
        await pilot.press("enter")
        await until(pilot, lambda: len(link.sent) == 1, "the request")
        await heard(pilot, link, *exported(6, str(place), copy))
        await until(pilot, lambda: not to.has_focus, "out of the field")
        assert text(app, "report").startswith("o opens the report")
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard == f"{place}/report.html", "the path")
        await pilot.press("o")
        await until(pilot, lambda: "no display" in toasts(app)[-1], "where it is")
        assert to.value == str(place)


@asyncio
async def test_who_types_another_path_meanwhile_goes_on_typing(tmp_path: Path) -> None:
    link = state("answering")
    app = Alone(link, "export")
    async with app.run_test(size=NORMAL) as pilot:
        to = await typed(pilot, str(tmp_path))
        await pilot.press("enter")
        await until(pilot, lambda: len(link.sent) == 1, "the request")
        await pilot.press("end", "o")
        await heard(pilot, link, *exported(6, str(tmp_path), True))
        assert "written, read back" in text(app, "said")
        await pilot.press("y")
        await until(pilot, lambda: to.value == f"{tmp_path}oy", "letters")


@asyncio
async def test_a_refusal_leaves_the_focus_where_the_path_can_be_changed(tmp_path: Path) -> None:
    link = state("answering")
    app = Alone(link, "export")
    async with app.run_test(size=NORMAL) as pilot:
        to = await typed(pilot, str(tmp_path))
        await pilot.press("enter")
        await heard(pilot, link, FULL)
        assert "No space left" in text(app, "said")
        assert to.has_focus


@asyncio
async def test_esc_leaves_the_field_and_only_then_the_screen() -> None:
    app = Alone(state("answering"), "export")
    async with app.run_test(size=NORMAL) as pilot:
        to = await typed(pilot, "/somewhere")
        await until(
            pilot,
            lambda: "Leave" in [str(key.description) for key in app.screen.query("FooterKey")],  # type: ignore[attr-defined]
            "how to leave",
        )
        assert app.screen.query_one(Footer).region
        await pilot.press("escape")
        await until(pilot, lambda: not to.has_focus, "out of the field")
        assert isinstance(app.screen, ExportScreen)
        assert to.value == "/somewhere"


# What is said


@asyncio
async def test_an_error_goes_with_the_path_it_was_of(tmp_path: Path) -> None:
    link = state("answering")
    app = Alone(link, "export")
    async with app.run_test(size=NORMAL) as pilot:
        await typed(pilot, str(tmp_path))
        await pilot.press("enter")
        await heard(pilot, link, FULL)
        assert "No space left" in text(app, "said")
        await pilot.press("end", "x")
        await until(pilot, lambda: text(app, "said") == "", "nothing is said of the new path")


@asyncio
async def test_enter_always_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    link = state("answering")
    app = Alone(link, "export")
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("enter")
        await heard(pilot, link, FULL)
        await typed(pilot, str(tmp_path))
        assert text(app, "said") == ""
        for times in (1, 2):
            await pilot.press("enter")
            await until(pilot, lambda n=times: len(toasts(app)) == n, "a word")  # type: ignore[misc]
            assert "cannot be written to" in toasts(app)[-1]
            assert text(app, "said").endswith("Nothing was written.")
        assert len(link.sent) == 1


# What is written unasked


@asyncio
async def test_what_stands_in_the_runs_own_folder_cannot_be_unticked(tmp_path: Path) -> None:
    link = state("answering")
    run = folder(tmp_path / "run")
    link.run = RunDirectory(run.path, run.config, "digest")
    link.run.exports.mkdir(exist_ok=True)
    (link.run.exports / "curve.csv").write_text("")
    app = Alone(link, "export")
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        curve, masks = (
            app.screen.query_one(f"#format-{name}", Check) for name in ("curve", "masks")
        )
        for check in (curve, masks):
            check.focus()
            await until(pilot, lambda one=check: one.has_focus, "the box")  # type: ignore[misc]
            await pilot.press("space")
        await until(pilot, lambda: bool(toasts(app)), "why")
        assert "curve.csv will be written again" in toasts(app)[-1]
        assert ("[x]" in str(curve.render()), "[ ]" in str(masks.render())) == (True, True)
        await pilot.press("enter")
        await until(pilot, lambda: len(link.sent) == 1, "the request")
        wanted = tuple(name for name in FORMATS if name not in ("masks", "healed"))
        assert link.sent == [Export(6, wanted, None)]


@asyncio
async def test_elsewhere_every_format_can_be_left_out(tmp_path: Path) -> None:
    link = state("answering")
    app = Alone(link, "export")
    async with app.run_test(size=NORMAL) as pilot:
        report = app.screen.query_one("#format-report", Check)
        await until(pilot, lambda: report.held, "the report is always written")
        await typed(pilot, str(tmp_path))
        await until(pilot, lambda: not report.held, "not in a copy")
        report.focus()
        await until(pilot, lambda: report.has_focus, "the box")
        await pilot.press("space")
        assert "[ ]" in str(report.render())
        await typed(pilot, str(link.run.exports))
        await until(pilot, lambda: "[x]" in str(report.render()), "again in its own folder")


def test_every_format_names_its_files() -> None:
    assert list(FILES) == list(FORMATS)
    assert all(files[0] in FORMATS[name] for name, files in FILES.items())


# Where files lie


def test_files_of_a_run_that_was_moved_lie_where_it_is_now() -> None:
    now = Path("/new/place")
    own, _ = written(state("answering").snapshot.state, now)
    assert own
    assert {Path(path).parent for path in own} == {now / "exports"}

    link = state("answering")
    link.hear(*exported(6, "/older/exports"))
    twice, _ = written(link.snapshot.state, now)
    assert twice[:2] == (f"{now}/exports/purified.pth", f"{now}/exports/report.html")

    summary = link.snapshot.state.summary
    assert summary is not None
    link.hear(*exported(6, f"{summary['run']}/second", copy=True))
    inside, measured = written(link.snapshot.state, now)
    assert inside == (f"{now}/second/purified.pth", f"{now}/second/report.html")
    assert measured is not None

    link.hear(*exported(6, "/elsewhere", copy=True))
    assert written(link.snapshot.state, now)[0][0] == "/elsewhere/purified.pth"
