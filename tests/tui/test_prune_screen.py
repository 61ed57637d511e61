"""Prune: every key and the mouse, exact figures asked and heard, and what is said without them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.widgets import Input
from textual_hires_canvas import Canvas

from cnp_engine.commands import Evaluate
from cnp_engine.errors import RunUnwritable
from cnp_engine.events import Evaluated, LabelFree, Measured, Rate, Refused
from cnp_tui.app import CnpApp
from cnp_tui.position import Position
from cnp_tui.screens.export import ExportScreen
from cnp_tui.screens.prune import PruneScreen
from cnp_tui.screens.run import WatchScreen
from cnp_tui.widgets.chart import Chart
from cnp_tui.widgets.figures import Figures
from cnp_tui.widgets.layer_map import Bars, Layers
from cnp_tui.widgets.slider import Slider
from tests.tui.alone import Alone
from tests.tui.recorded import GONE, Recorded, recorded, state
from tests.tui.screens import drawn, heard, text, toasts, until, watching

NORMAL, WIDE, LOW = (80, 24), (120, 40), (70, 20)
RATE = Rate(0.5, 300, 0.44, 0.56)


def answer(k: int) -> Evaluated:
    measured = Measured(ba=RATE, asr=RATE, ra=RATE)
    return Evaluated(k, LabelFree(retention=RATE, residual=RATE), measured, 0.1)


def pruning(link: Recorded) -> CnpApp:
    return Alone(link, "prune")


def screen_of(app: CnpApp) -> PruneScreen:
    assert isinstance(app.screen, PruneScreen), app.screen
    return app.screen


def table(app: CnpApp) -> str:
    return app.screen.query_one(Figures).render().plain


def k_of(app: CnpApp) -> int:
    return screen_of(app).query_one(Slider).k


@pytest.mark.asyncio
async def test_it_begins_at_what_the_exports_hold() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        assert "pruned 6 of 600" in text(app, "words")
        assert "1.00 %" in text(app, "words")
        assert "threshold 0.75" in text(app, "words")
        assert "measured with exactly 6 neurons" in text(app, "said")
        assert app.screen.query_one(Slider).has_focus


KEYS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("right",), 7), (("h",), 5), (("shift+right",), 16), (("H",), 0), (("end", "r"), 6),
    (("right", "enter", "u"), 6), (("end", "enter", "home", "enter", "u"), 30),
    (("end", "enter", "u", "U"), 30), (("1", "2", "enter"), 12), (("g", "9", "enter"), 9),
    (("2", "percent_sign", "enter"), 12), (("m", "1", ".", "5", "enter"), 9),
    (("m", "m", "0", ".", "2", "enter"), 5), (("m", "m", "m", "4", "enter"), 4),
    (("9", "9", "enter", "escape"), 6), (("g", "escape", "right"), 7),
)  # fmt: skip
"""From 6 neurons, what each ends at."""


@pytest.mark.asyncio
async def test_keys() -> None:
    link = state("answering")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        screen = screen_of(app)
        for keys, k in KEYS:
            screen.slider.settle()
            await pilot.pause()
            screen.position = Position(6, moved=True)
            screen.show(link.snapshot)
            await pilot.press(*keys)
            await pilot.pause()
            assert k_of(app) == k, keys
            assert f"pruned {k} of 600" in text(app, "words"), keys
            assert app.screen is screen


@pytest.mark.asyncio
async def test_while_dragging_figures_are_interpolated_and_then_asked_for() -> None:
    link = state("answering")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        slider = screen_of(app).query_one(Slider)
        cell = slider.scale.cell
        await pilot.mouse_down(slider, offset=(cell(6), 0))
        await pilot.hover(slider, offset=(cell(12), 0))
        await pilot.hover(slider, offset=(cell(16), 0))
        await until(pilot, lambda: "pruned 16 of 600" in text(app, "words"), "the drag")
        assert "~ interpolated; let go" in text(app, "said")
        assert "~66.2 % (k 14-18)" in table(app)
        assert link.sent == []
        await pilot.mouse_up(slider, offset=(cell(16), 0))
        await pilot.pause()
        assert link.sent == [Evaluate(16)]
        assert "measuring 16 neurons" in text(app, "said")
        await heard(pilot, link, answer(16))
        assert "measured with exactly 16 neurons" in text(app, "said")
        assert "50.0 % (44.0 to 56.0)" in table(app)
        assert 16 in slider.marks.ticks
        assert "~" not in table(app)


@pytest.mark.asyncio
async def test_the_newest_request_wins_and_an_older_answer_joins_the_curve() -> None:
    link = state("answering")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("1", "5", "enter", "1", "7", "enter")
        await pilot.pause()
        assert link.sent == [Evaluate(15), Evaluate(17)]
        await heard(pilot, link, answer(15))
        assert "measuring 17 neurons" in text(app, "said")
        assert "pruned 17 of 600" in text(app, "words")
        assert 15 in screen_of(app).query_one(Slider).marks.ticks
        await heard(pilot, link, answer(17))
        assert "measured with exactly 17" in text(app, "said")


@pytest.mark.asyncio
async def test_what_is_known_is_not_asked_again() -> None:
    link = state("answering")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("home", "enter", "r", "1", "2", "enter")
        await pilot.pause()
        assert link.sent == []


@pytest.mark.asyncio
async def test_points_without_ba_are_asked_for_where_it_can_be_measured() -> None:
    link, free = state("answering"), recorded("unlabelled", answering=True)
    for one, sent in ((link, [Evaluate(7)]), (free, [])):
        app = pruning(one)
        async with app.run_test(size=NORMAL) as pilot:
            await pilot.press("right", "enter")
            await pilot.pause()
            assert one.sent == sent, "unlabelled, everything is known at a point of the curve"


@pytest.mark.asyncio
async def test_a_finished_run_opened_later_wakes_its_worker() -> None:
    link = state("finished")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("1", "6", "enter")
        await pilot.pause()
        assert (link.woken, link.sent) == (1, [Evaluate(16)])
        assert "waking the engine to measure 16 neurons" in text(app, "said")
        link.change(answering=True)
        await heard(pilot, link, answer(16))
        assert "measured with exactly 16" in text(app, "said")


@pytest.mark.asyncio
async def test_a_worker_that_goes_is_missed() -> None:
    link = state("answering")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("1", "6", "enter")
        await pilot.pause()
        link.change(answering=False)
        app.look()
        await pilot.pause()
        assert "ended before it answered; enter asks once more" in text(app, "said")
        await pilot.press("enter")
        await pilot.pause()
        assert link.sent == [Evaluate(16), Evaluate(16)]
        assert link.woken == 1


@pytest.mark.asyncio
async def test_a_refusal_is_a_sentence_and_moving_on_forgets_it() -> None:
    link = state("answering")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("1", "6", "enter")
        await pilot.pause()
        await heard(pilot, link, Refused("evaluate", 16, "Too little memory.", "Close something."))
        assert "Too little memory. Close something." in text(app, "said")
        await pilot.press("right")
        await pilot.pause()
        assert "Too little memory" not in text(app, "said")


@pytest.mark.asyncio
async def test_a_run_that_cannot_be_taken_up_again_says_why() -> None:
    link = state("finished")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("1", "6", "enter")
        await pilot.pause()
        assert link.woken == 1
        link.change(answering=True)
        app.look()
        link.change(answering=False)
        await heard(pilot, link, Refused("wake", None, "The data is gone.", "Put it back."))
        assert "The data is gone. Put it back." in text(app, "said")
        assert "ended before it answered" not in text(app, "said")


@pytest.mark.asyncio
async def test_an_old_refusal_is_not_heard_again() -> None:
    refused = Refused("evaluate", 16, "Too little memory.", "Close something.")
    link = recorded("demo", extra=[refused], answering=True)
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("1", "6", "enter")
        await pilot.pause()
        await heard(pilot, link, answer(15))
        assert "measuring 16 neurons" in text(app, "said")


class Unwritable(Recorded):
    def send(self, command: Any) -> None:
        raise RunUnwritable("There is no space left.", "Make room.")


@pytest.mark.asyncio
async def test_a_request_that_cannot_be_written_is_a_sentence() -> None:
    app = pruning(Unwritable("demo", recorded("demo").records, answering=True))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("1", "6", "enter")
        await pilot.pause()
        assert "There is no space left. Make room." in text(app, "said")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("link", "said"),
    [
        (recorded("demo", live=False), "this is a replay"),
        (recorded("demo", "sweep"), "the run has to finish first"),
        (recorded("demo", "export", "died"), "cnp resume /runs/demo"),
        (recorded("demo", trouble=GONE), "cannot be read any more"),
    ],
    ids=["replay", "running", "died", "gone"],
)
async def test_where_nothing_can_be_asked_it_says_why(link: Recorded, said: str) -> None:
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("home", "right", "enter")
        await pilot.pause()
        assert said in text(app, "said")
        assert (link.sent, link.woken) == ([], 0)


@pytest.mark.asyncio
async def test_where_it_rests_is_asked_about_once_the_run_has_finished() -> None:
    link = recorded("demo", "export")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("home", *["right"] * 16, "enter")
        await until(pilot, lambda: "has to finish first" in text(app, "said"), "why not yet")
        assert link.sent == []
        finished = [record.value for record in recorded("demo").records[len(link.records) :]]
        link.change(status="finished")
        await heard(pilot, link, *finished)
        await until(pilot, lambda: link.sent == [Evaluate(16)], "the question")
        await heard(pilot, link, Refused("evaluate", 16, "Too little memory.", "Close something."))
        await until(pilot, lambda: "Too little memory" in text(app, "said"), "the refusal")
        assert link.sent == [Evaluate(16)], "and is not asked again by itself"


@pytest.mark.asyncio
async def test_while_the_sweep_goes_on_the_recommended_point_is_still_to_come() -> None:
    link = recorded("demo", "sweep")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("r")
        await pilot.pause()
        assert "at the end of the sweep" in toasts(app)[-1]
        assert screen_of(app).query_one(Slider).end == 30, "not only as far as it has come"


@pytest.mark.asyncio
async def test_a_disabled_key_says_why() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("u")
        await pilot.press("U")
        await pilot.pause()
        assert ["nothing to undo" in toasts(app)[0], "nothing to do again" in toasts(app)[1]]


@pytest.mark.asyncio
async def test_a_typed_value_is_judged_as_it_is_typed_and_letters_fire_nothing() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("g")
        await pilot.pause()
        assert isinstance(app.focused, Input)
        await pilot.press("e", "q", "u", "9")
        await pilot.pause()
        assert "= 9 neurons" in text(app, "meant")
        await pilot.press("9")
        await pilot.pause()
        assert "ends at 30 neurons" in text(app, "meant")
        await pilot.press("backspace", "backspace", "backspace")
        await pilot.pause()
        assert isinstance(app.screen, PruneScreen)
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.query_one(Slider).has_focus
        assert k_of(app) == 6


@pytest.mark.asyncio
async def test_where_it_stands_survives_export_and_run() -> None:
    app = watching(state("answering"), "prune")
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("1", "2", "enter", "e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen), "export")
        assert "12 of 600" in text(app, "what")
        await pilot.press("backspace")
        await pilot.pause()
        assert k_of(app) == 12
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen), "run")
        app.go("prune")
        await pilot.pause()
        assert k_of(app) == 12
        await pilot.press("u")
        await pilot.pause()
        assert k_of(app) == 6


@pytest.mark.asyncio
async def test_a_key_a_moment_ago_counts_for_export_too() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("right", "right", "e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen), "export")
        await until(pilot, lambda: "8 of 600" in text(app, "what"), "the position")


@pytest.mark.asyncio
async def test_curve_and_layers_share_a_small_screen_and_stand_side_by_side_on_a_wide_one() -> None:
    for size, before, after in (
        (NORMAL, (True, False), (False, True)),
        (WIDE, (True, True), (True, True)),
    ):
        app = pruning(state("answering"))
        async with app.run_test(size=size) as pilot:
            await drawn(pilot)
            chart, layers = app.screen.query_one(Chart), app.screen.query_one(Layers)
            assert (chart.display, layers.display) == before
            await pilot.press("v")
            await pilot.pause()
            assert (chart.display, layers.display) == after


@pytest.mark.asyncio
async def test_on_a_low_screen_figures_curve_and_layers_take_turns() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=LOW) as pilot:
        await drawn(pilot)
        seen = []
        for _ in range(4):
            shown = [
                name for name in ("figures", "curve", "layers")
                if app.screen.query_one(f"#{name}").size.height > 0
            ]  # fmt: skip
            seen.append(shown)
            await pilot.press("v")
            await pilot.pause()
        assert seen == [["figures"], ["curve"], ["layers"], ["figures"]]


@pytest.mark.asyncio
async def test_zoom_gives_the_curve_all_room() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        before = app.screen.query_one(Chart).size.height
        await pilot.press("z")
        await drawn(pilot)
        assert app.screen.query_one(Chart).size.height > before
        assert not app.screen.query_one(Figures).display


@pytest.mark.asyncio
async def test_plus_and_minus_scale_the_curve_and_the_slider_stays() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await drawn(pilot)
        chart = app.screen.query_one(Chart)
        await pilot.press("plus")
        await drawn(pilot)
        assert chart._plot is not None
        assert chart._plot.window is not None
        await pilot.press("minus", "right")
        await pilot.pause()
        assert k_of(app) == 7


@pytest.mark.asyncio
async def test_up_and_down_scroll_the_layers() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("v")
        await drawn(pilot)
        layers = app.screen.query_one(Layers)
        await pilot.press("down", "j")
        await until(pilot, lambda: layers.scroll_y == 2, "two rows down")
        await pilot.press("up")
        await until(pilot, lambda: layers.scroll_y == 1, "one row up")
        assert k_of(app) == 6


@pytest.mark.asyncio
async def test_the_layers_show_what_goes() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=WIDE) as pilot:
        await drawn(pilot)
        for keys, gone in (([], 6), (["home"], 0), (["end"], 30)):
            await pilot.press(*keys)
            await pilot.pause()
            rows = app.screen.query_one(Bars).render().plain.splitlines()
            assert len(rows) == 20
            assert (
                sum(int(row.split(" of ")[0].split()[-1]) for row in rows if " of " in row) == gone
            )


@pytest.mark.asyncio
async def test_a_log_without_the_order_says_that_it_shows_a_part() -> None:
    scores = recorded("blended").snapshot.state.scores
    assert scores is not None
    app = pruning(recorded("blended", extra=[replace(scores, order=())], answering=True))
    async with app.run_test(size=WIDE) as pilot:
        await drawn(pilot)
        assert "first 12 of 28" in str(app.screen.query_one(Layers).border_subtitle)


@pytest.mark.asyncio
async def test_copy_is_the_command_that_writes_it(home: Any) -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("right", "y")
        await pilot.pause()
        assert app.clipboard == "cnp prune /runs/demo --count 7"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("link", "said"),
    [
        (state("no_evidence"), "No evidence of a backdoor"),
        (state("masks"), "There is no curve yet"),
        (state("failed"), "ended before it had a curve"),
    ],
    ids=["no evidence", "masks", "failed"],
)
async def test_without_a_curve_it_says_why_and_what_to_do(link: Recorded, said: str) -> None:
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        assert said in text(app, "why")
        assert "keys that are grey" in text(app, "why")
        await pilot.press("right", "r", "u", "g", "5", "enter", "e", "m", "v", "y")
        await pilot.pause()
        assert isinstance(app.screen, PruneScreen)
        assert link.sent == []


@pytest.mark.asyncio
async def test_the_curve_appears_when_it_comes() -> None:
    link = state("masks")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        assert screen_of(app).has_class("-empty")
        await heard(pilot, link, *(record.value for record in recorded("demo", "sweep").records))
        assert not screen_of(app).has_class("-empty")
        assert "of 600" in text(app, "words")
        await until(pilot, lambda: screen_of(app).slider.has_focus, "the slider takes keys")


@pytest.mark.asyncio
async def test_a_figure_says_whether_it_is_of_the_written_file() -> None:
    link = state("answering")
    app = pruning(link)
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        assert link.snapshot.state.remeasured is not None
        assert link.snapshot.state.remeasured.k == screen_of(app).slider.k
        assert text(app, "said").endswith("suppressed, on the written file")
        assert "~" not in app.screen.query_one(Figures).render().plain
        await pilot.press("home")
        await until(pilot, lambda: "exactly 0" in text(app, "said"), "nothing suppressed")
        assert text(app, "said").endswith("suppressed, as a preview")
        await pilot.press("1", "6", "enter")
        await pilot.pause()
        assert "~ interpolated" in app.screen.query_one(Figures).render().plain


@pytest.mark.asyncio
async def test_marks_are_told_by_sign_and_by_colour() -> None:
    app = pruning(state("answering"))
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.press("1", "6", "enter")
        await drawn(pilot)
        chart = app.screen.query_one(Chart)
        told = chart._border_subtitle
        assert told is not None
        assert told.plain.split("   ")[:3] == ["neurons", "↓ here at 16", "☆ recommended at 6"]
        assert told.plain.endswith("│ the reference's 1 % at 6")
        assert len({str(span.style) for span in told.spans}) == 3
        canvas = chart.query_one("#plot", Canvas)
        assert {"↓", "☆"} <= set(canvas._buffer[0])
