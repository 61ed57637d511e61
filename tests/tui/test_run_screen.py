"""Run: every key does what it says, every state says what is so."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Any

import pytest
from textual.widgets._footer import FooterKey

from cnp_engine.commands import Cancel, Command, Continue, Pause
from cnp_engine.errors import RunUnwritable
from cnp_engine.events import Progress, Warned
from cnp_engine.rundir import RunDirectory
from cnp_tui.app import CnpApp
from cnp_tui.panes import layout
from cnp_tui.screens.confirm import Confirm
from cnp_tui.screens.home import HomeScreen
from cnp_tui.screens.prune import PruneScreen
from cnp_tui.screens.run import WatchScreen
from cnp_tui.widgets.chart import Chart
from cnp_tui.widgets.notices import Notices
from cnp_tui.widgets.outcome import Outcome
from cnp_tui.widgets.picture import Picture
from cnp_tui.widgets.stages import Stages
from tests.tui.recorded import GONE, Recorded, recorded, state
from tests.tui.screens import drawn, toasts, until, watching

NORMAL, WIDE, FULL = (80, 24), (120, 40), (160, 50)


def screen_of(app: CnpApp) -> WatchScreen:
    assert isinstance(app.screen, WatchScreen), app.screen
    return app.screen


def current(app: CnpApp) -> str:
    """The pane under the tabs."""
    (pane,) = screen_of(app).query("#panes > .-current")
    return pane.id or ""


def maximized(app: CnpApp) -> str:
    """The pane over the whole screen, if any."""
    pane = screen_of(app).maximized
    return (pane.id or "") if pane is not None else ""


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (60, 20, "one"), (79, 40, "one"), (120, 23, "one"), (80, 24, "stacked"),
        (119, 60, "stacked"), (120, 24, "beside"), (160, 44, "beside"), (160, 45, "everything"),
        (200, 50, "everything"),
    ],
)  # fmt: skip
def test_layout(width: int, height: int, expected: str) -> None:
    assert layout(width, height) == expected


async def each(names: Iterable[str]) -> AsyncIterator[tuple[str, CnpApp]]:
    """One application that opens a run in each of these states."""
    app = watching(state("masks"))
    async with app.run_test(size=NORMAL) as pilot:
        for name in names:
            app.open_run(state(name))
            await pilot.pause()
            await until(pilot, lambda: screen_of(app).is_mounted, "the screen")
            yield name, app


@pytest.mark.asyncio
async def test_pane_that_tells_most_is_shown() -> None:
    expected = {
        "created": "outcome", "before": "outcome", "target": "classes", "trigger": "trigger",
        "masks": "rates", "sweep": "rates", "failed": "outcome", "finished": "outcome",
        "no_evidence": "outcome",
    }  # fmt: skip
    shown = {name: current(app) async for name, app in each(expected)}
    assert shown == expected


@pytest.mark.asyncio
async def test_a_picked_pane_stays_when_the_run_goes_on() -> None:
    link = state("trigger")
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        await pilot.press("greater_than_sign")
        assert current(app) == "classes"
        link.hear(Progress("scores", 1, 80, {"recovery": 0.5}))
        app.look()
        await drawn(pilot)
        assert current(app) == "classes"
        await pilot.resize_terminal(*WIDE)
        await drawn(pilot)
        await pilot.resize_terminal(*NORMAL)
        await drawn(pilot)
        assert current(app) == "classes"
        await pilot.press("less_than_sign", "less_than_sign")
        assert current(app) == "size"


@pytest.mark.asyncio
async def test_tabs_answer_to_the_mouse() -> None:
    app = watching(state("masks"))
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        await pilot.click("#tab-log")
        await until(pilot, lambda: current(app) == "log", "the log")
        assert "started" in app.screen.query_one("#log").told[0]  # type: ignore[attr-defined]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("masks", "space", [Pause()]),
        ("paused", "space", [Continue()]),
        ("paused", "R", [Continue()]),
        ("masks", "R", []),
        ("finished", "space", []),
        ("replay", "space", []),
    ],
)
async def test_space_pauses_and_continues(name: str, key: str, expected: list[Command]) -> None:
    link = state(name)
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press(key)
        assert link.sent == expected
        assert len(toasts(app)) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("keys", "expected"), [(("x", "y"), 1), (("x", "n"), 0), (("x", "escape"), 0)]
)
async def test_stopping_asks(keys: tuple[str, str], expected: int) -> None:
    link = state("masks")
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press(keys[0])
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("x")  # held down
        assert isinstance(app.screen, Confirm)
        await pilot.press(keys[1])
        await until(pilot, lambda: isinstance(app.screen, WatchScreen), "the answer")
        assert [type(command) for command in link.sent] == [Cancel] * expected


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "woken", "told"),
    [
        ("created", 1, "goes on"),
        ("died", 1, "goes on"),
        ("failed", 1, "goes on"),
        ("cancelled", 1, "goes on"),
        ("finished", 0, "finished"),
        ("damaged", 0, "There is no run"),
        ("replay", 0, "recording"),
    ],
)
@pytest.mark.parametrize("key", ["R", "s", "space"])
async def test_going_on_with_what_stopped(name: str, woken: int, told: str, key: str) -> None:
    link = state(name)
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        if (name, key) == ("replay", "space"):
            return  # it plays
        await pilot.press(key)
        assert link.woken == woken
        assert told in toasts(app)[0]


def footer(app: CnpApp) -> list[str]:
    """What the footer says of the keys that ask something of the worker."""
    words = [f"{key.key_display} {key.description}" for key in app.screen.query(FooterKey)]
    return [word for word in words if word.split()[0] in ("space", "x", "R", "s")]


def said_below(app: CnpApp, words: list[str]) -> bool:
    return footer(app) == words


@pytest.mark.asyncio
async def test_the_footer_names_what_a_key_does_now() -> None:
    resume = ["space Resume"]
    expected = {
        "masks": ["space Pause", "x Stop"], "paused": ["space Resume", "x Stop"],
        "created": resume, "died": resume, "failed": resume, "cancelled": resume,
        "finished": [], "answering": [], "damaged": [],
    }  # fmt: skip
    link = state("masks")
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        for name, words in expected.items():
            there = state(name).snapshot
            link.change(**{field: getattr(there, field) for field in there.__dataclass_fields__})
            app.look()
            await until(pilot, partial(said_below, app, words), f"{name}: {words}")


@pytest.mark.asyncio
async def test_a_key_that_stops_does_nothing_before_the_screen_was_seen() -> None:
    app = watching(state("masks"))
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        screen_of(app).painted_at = math.inf
        await pilot.press("x")
        assert isinstance(app.screen, WatchScreen)


class Unwritable(Recorded):
    """A run on a disk that is full."""

    def send(self, command: Command) -> None:
        raise RunUnwritable("No space is left on the disk.", "Make space there.")

    def wake(self) -> None:
        raise RunUnwritable("No space is left on the disk.", "Make space there.")


@pytest.mark.asyncio
@pytest.mark.parametrize(("name", "key"), [("masks", "space"), ("died", "s")])
async def test_what_cannot_be_asked_is_a_sentence(name: str, key: str) -> None:
    good = state(name)
    app = watching(Unwritable("demo", good.records, good.snapshot.status))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press(key)
        assert toasts(app) == ["No space is left on the disk. Make space there."]


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["d", "backspace", "escape"])
async def test_leaving_leaves_the_run_at_work(key: str) -> None:
    link = state("masks")
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, HomeScreen), "Home")
        assert link.sent == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "told"),
    [("masks", "no curve yet"), ("no_evidence", "nothing was pruned")],
)
@pytest.mark.parametrize("key", ["p", "e"])
async def test_prune_and_export_say_why_not(name: str, told: str, key: str) -> None:
    app = watching(state(name))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press(key)
        assert isinstance(app.screen, WatchScreen)
        assert told in toasts(app)[0]


@pytest.mark.asyncio
async def test_p_prunes_and_back_leads_here() -> None:
    app = watching(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PruneScreen), "Prune")
        await pilot.press("backspace")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen), "Run")


@pytest.mark.asyncio
async def test_y_copies_the_command(tmp_path: Any) -> None:
    link = state("finished")
    link.run = RunDirectory(tmp_path, link.run.config, "digest")
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("y")
        await until(pilot, lambda: bool(toasts(app)), "a word")
    copied = (tmp_path / "copied.txt").read_text("utf-8")
    assert copied.startswith("cnp run --model /models/untrusted.pth --data demo --attack")


@pytest.mark.asyncio
async def test_v_cycles_the_view_of_every_picture() -> None:
    app = watching(state("masks"))
    async with app.run_test(size=WIDE) as pilot:
        seen = []
        for _ in range(4):
            seen.append({picture.view for picture in app.screen.query(Picture)})
            await pilot.press("v")
        assert seen == [{"trigger"}, {"pattern"}, {"mask"}, {"trigger"}]


@pytest.mark.asyncio
@pytest.mark.parametrize(("size", "pane"), [(NORMAL, "rates"), (FULL, "loss")])
async def test_z_zooms_the_pane_with_the_focus(size: tuple[int, int], pane: str) -> None:
    app = watching(state("masks"))
    async with app.run_test(size=size) as pilot:
        await drawn(pilot)
        app.screen.query_one(f"#{pane}").focus()
        before = app.screen.query_one(f"#{pane}").size
        await pilot.press("z")
        await drawn(pilot)
        assert maximized(app) == pane
        assert app.screen.query_one(f"#{pane}").size.height > before.height
        await pilot.press("backspace")
        assert maximized(app) == ""
        await pilot.press("z", "z")
        assert maximized(app) == ""


@pytest.mark.asyncio
async def test_chart_keys_reach_the_chart_that_is_shown() -> None:
    app = watching(state("masks"))
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        chart = app.screen.query_one("#rates", Chart)
        assert app.focused is not chart
        await pilot.press("L", "m", "left_square_bracket", "left_square_bracket")
        assert (chart.log_axis, chart.smoothed, chart.crosshair) == (True, True, 42.0)
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert chart.crosshair is None


@pytest.mark.asyncio
async def test_chart_keys_say_so_where_no_chart_is_shown() -> None:
    app = watching(state("finished"))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("L")
        assert "No chart" in toasts(app)[0]


@pytest.mark.asyncio
async def test_another_stage_is_plotted_by_keys_and_by_mouse() -> None:
    app = watching(state("masks"))
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        chart = app.screen.query_one("#rates", Chart)
        assert chart.names == ("recovery",)
        await pilot.press("k")
        await until(pilot, lambda: chart.names == ("success",), "the trigger's success")
        assert chart.unit == "trigger step"
        await pilot.click("#side-stages", offset=(4, 1))
        assert chart.unit == "target step"
        await pilot.click("#side-stages", offset=(4, 3))
        assert screen_of(app).query_one("#side-stages", Stages)._chosen is None


@pytest.mark.asyncio
async def test_live_values_appear_and_what_is_the_same_is_not_painted_again() -> None:
    link = state("masks")
    app = watching(link)
    async with app.run_test(size=FULL) as pilot:
        await drawn(pilot)
        chart, other = (app.screen.query_one(f"#{name}", Chart) for name in ("rates", "loss"))
        painted = other._drawn_at
        link.hear(Progress("scores", 44, 80, {"recovery": 0.125}))
        app.look()
        await until(pilot, lambda: chart._shown.series["recovery"][-1] == (44.0, 0.125), "a point")
        await drawn(pilot)
        assert other._drawn_at == painted


@pytest.mark.asyncio
async def test_what_matters_stands_above_the_panes() -> None:
    expected = {
        "created": ("note", "R begins"),
        "warning": ("warning", "moves only 62%"),
        "paused": ("note", "R goes on"),
        "failed": ("error", "Free memory on the device"),
        "cancelled": ("warning", "Ctrl-C"),
        "died": ("error", "R goes on"),
        "damaged": ("error", GONE.what),
    }
    async for name, app in each(expected):
        notices = app.screen.query_one(Notices)
        assert notices.display, name
        assert notices.told[0].tone == expected[name][0]
        assert expected[name][1] in notices.told[0].text


@pytest.mark.asyncio
async def test_nothing_stands_there_where_all_is_well() -> None:
    async for name, app in each(["masks", "finished", "no_evidence"]):
        notices = app.screen.query_one(Notices)
        assert (notices.told, notices.display) == ((), False), name


@pytest.mark.asyncio
async def test_a_worker_that_dies_is_told_and_what_it_did_stays() -> None:
    link = state("masks")
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        link.change(status="died")
        app.look()
        assert "gone" in app.screen.query_one(Notices).told[0].text
        rows = str(app.screen.query_one("#side-stages", Stages).render())
        assert "stopped here" in rows
        assert ">" not in rows
        assert app.screen.query_one("#rates", Chart).names == ("recovery",)


def shown_by(app: CnpApp) -> str:
    return "\n".join(f"{name} {text}" for name, text in app.screen.query_one(Outcome)._rows)


@pytest.mark.asyncio
async def test_outcome_in_plain_words() -> None:
    asr = "ASR 100.0 % (99.6 to 100.0) →\u00a00.6 % (0.2 to 1.3), n = 900"
    expected: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "finished": (
            ("toward class 5 (speed-80)", "6 of 600 neurons (1.00 %)", asr, "residual 99.2 %",
             "purified.pth", "repeat cnp run"),
            ("removed",),
        ),
        "unlabelled": (("BA, ASR not measured", "retention"), ("RA ",)),
        "no_evidence": (("No evidence of a backdoor", "nothing was pruned"), ("pruned 0",)),
        "masks": (("toward class 5", "cpu (2 threads)  memory"), ("pruned",)),
        "created": (("Nothing is known yet",), ()),
    }  # fmt: skip
    async for name, app in each(expected):
        has, lacks = expected[name]
        told = shown_by(app)
        assert [text for text in has if text not in told] == [], name
        assert [text for text in lacks if text in told] == [], name


@pytest.mark.asyncio
async def test_exports_of_a_copied_run_are_its_own() -> None:
    app = watching(state("finished"))  # recorded at /runs/recorded
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        assert "exports /runs/demo/exports" in shown_by(app)


@pytest.mark.asyncio
async def test_panes_follow_a_live_resize() -> None:
    app = watching(state("masks"))
    async with app.run_test(size=FULL) as pilot:
        await drawn(pilot)
        for width, height, panes in ((80, 24, 1), (60, 15, 1), (120, 40, 1), (200, 50, 6)):
            await pilot.resize_terminal(width, height)
            await drawn(pilot)
            visible = [w for w in app.screen.query("#panes > *") if w.display and w.size]
            assert len(visible) == panes, (width, height)


@pytest.mark.asyncio
async def test_an_hour_of_progress_is_shown_without_a_pause() -> None:
    """36,000 points: a look and what it draws stay far under the time between two looks."""
    link = recorded("demo", "scores")
    begin = 44
    link.hear(*(Progress("scores", begin + i, 40_000, {"recovery": 0.5}) for i in range(36_000)))
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        loop, spent = asyncio.get_running_loop(), []
        for i in range(5):
            link.hear_one(Progress("scores", begin + 36_000 + i, 40_000, {"recovery": 0.6}))
            before = loop.time()
            app.look()
            spent.append(loop.time() - before)
            await drawn(pilot)
        assert min(spent) < 0.05, spent


@pytest.mark.asyncio
async def test_more_warnings_than_fit_are_counted() -> None:
    link = state("warning")
    link.hear(*(Warned(f"code{i}", f"Something else is odd, number {i}, which is long.")
                for i in range(6)))  # fmt: skip
    app = watching(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        rendered = str(app.screen.query_one(Notices).render())
        assert rendered.count("\n") < 4
        assert "more in the log" in rendered
