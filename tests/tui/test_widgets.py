"""What pictures, charts, stages, ranking and notices show, as tables."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from cnp_engine.events import (
    DataLoaded,
    Progress,
    RunStarted,
    StageFinished,
    StageStarted,
    TargetSizes,
)
from cnp_engine.state import RunState, fold
from cnp_tui.drawing import RECOMMENDED, REFERENCE, Mark, Reading, value_at
from cnp_tui.glyphs import ASCII, BRAILLE, BY_MODE, Mode
from cnp_tui.history import Points, Series
from cnp_tui.watching import Notice, eta_s, roughly
from cnp_tui.widgets import notices, ranking, stages
from cnp_tui.widgets.chart import Chart
from cnp_tui.widgets.picture import CHECKERS, Picture, Pixels, Rgb, View, fitted, seen
from cnp_tui.widgets.trigger import pixels
from tests.tui.recorded import state
from tests.tui.screens import drawn

RED, BLACK, WHITE = (255, 0, 0), (0, 0, 0), (255, 255, 255)


# Pictures


@pytest.mark.parametrize(
    ("view", "alpha", "expected"),
    [
        ("trigger", (255, 0), (RED, CHECKERS[0])),
        ("trigger", (3, 0), (RED, CHECKERS[0])),
        ("trigger", (0, 0), (CHECKERS[0], CHECKERS[0])),
        ("pattern", (0, 0), (RED, RED)),
        ("mask", (128, 64), (WHITE, (128, 128, 128))),
        ("mask", (0, 0), (BLACK, BLACK)),
    ],
    ids=["opaque", "faint blend", "empty mask", "pattern", "mask stretched", "no mask"],
)
def test_views_of_two_pixels(view: View, alpha: tuple[int, int], expected: Sequence[Rgb]) -> None:
    rgba = b"".join(bytes((*RED, a)) for a in alpha)
    assert seen(rgba, 1, 2, view) == [list(expected)]


@pytest.mark.parametrize(
    ("side", "room", "expected"),
    [
        (2, (2, 1), 2), (2, (5, 2), 4), (2, (100, 3), 6), (4, (2, 1), 2), (4, (3, 3), 2),
        (32, (32, 16), 32), (32, (31, 16), 16), (224, (40, 20), 38), (2, (0, 5), 0),
    ],
)  # fmt: skip
def test_pictures_are_scaled_by_whole_numbers(
    side: int, room: tuple[int, int], expected: int
) -> None:
    found = fitted([[BLACK] * side for _ in range(side)], Size(*room))
    assert len(found) == expected
    assert all(len(row) == expected for row in found)


def test_a_picture_too_large_is_averaged() -> None:
    pixels_in: Pixels = [[BLACK, WHITE], [WHITE, BLACK]]
    assert fitted(pixels_in, Size(1, 1)) == [[(128, 128, 128)]]


class Shown(App[None]):
    """One widget, in one set of characters."""

    def __init__(self, widget: Widget, mode: Mode = "braille") -> None:
        super().__init__()
        self.glyphs = BY_MODE[mode]
        self._widget = widget

    def compose(self) -> ComposeResult:
        yield self._widget


def lines_of(widget: Widget) -> list[str]:
    return ["".join(s.text for s in line) for line in widget.render_lines(widget.outer_size.region)]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("mode", "expected"), [("braille", ["▀▀"]), ("block", ["▀▀"]), ("ascii", ["@ "])]
)
async def test_a_picture_in_cells(mode: Mode, expected: list[str]) -> None:
    rgba = bytes((*WHITE, 255, *BLACK, 255)) * 2
    picture = Picture(rgba, 2, 2)
    async with Shown(picture, mode).run_test():
        assert picture.size == Size(2, 1)
        assert lines_of(picture) == expected


@pytest.mark.asyncio
async def test_a_picture_without_bytes_says_so() -> None:
    picture = Picture(empty="none yet")
    async with Shown(picture).run_test():
        assert any("none yet" in line for line in lines_of(picture))


def test_pixels_of_a_recorded_preview() -> None:
    preview = state("finished").snapshot.state.previews[5]
    assert pixels(preview) == base64.b64decode(preview.rgba)
    broken = type(preview)(5, 32, 32, preview.rgba[:-8])
    assert pixels(broken) is None


# Charts


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.0, None), (1.0, Reading(5.0, True)), (1.25, Reading(4.75, False)),
        (2.0, Reading(4.0, True)), (3.0, None),
    ],
)  # fmt: skip
def test_value_at(x: float, expected: Reading | None) -> None:
    """Between two points it lies on the line that is drawn, and is not called measured."""
    assert value_at(((1.0, 5.0), (2.0, 4.0)), x) == expected


RISE: Points = tuple((float(i), float(i)) for i in range(1000))


@pytest.mark.parametrize(
    ("window", "log", "smooth", "count", "low", "high"),
    [
        ((-math.inf, math.inf), False, False, 100, 0.0, 999.0),
        ((100.0, 120.0), False, False, 23, 99.0, 121.0),
        ((-math.inf, math.inf), True, False, 100, 0.0, math.log10(999)),
        ((-math.inf, math.inf), False, True, 100, 4.0, 904.5),
    ],
    ids=["thinned, peaks kept", "zoomed, a neighbour each side", "log drops zero", "smoothed"],
)
def test_what_of_a_series_is_drawn(
    window: tuple[float, float], log: bool, smooth: bool, count: int, low: float, high: float
) -> None:
    from cnp_tui.widgets.plotting import prepared

    for points in (RISE, Series.of(RISE)):
        xs, ys = prepared(points, window, 100, log, smooth)
        assert len(xs) == len(ys) == count
        assert ys.min() == pytest.approx(low, abs=1.0)
        assert ys.max() == pytest.approx(high, abs=1.0 if smooth else 1e-9)


def test_thinning_keeps_every_peak() -> None:
    from cnp_tui.widgets.plotting import prepared

    spiky = tuple((float(i), 100.0 if i == 777 else 0.0) for i in range(10_000))
    _, ys = prepared(spiky, (-math.inf, math.inf), 160, False, False)
    assert ys.max() == 100.0


@pytest.mark.parametrize(
    ("low", "high", "most", "log", "whole", "labels"),
    [
        (0.0, 1.0, 5, False, False, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0.0, 1.0, 2, False, False, ["0", "0.5", "1"]),
        (1.0, 240.0, 6, False, True, ["50", "100", "150", "200"]),
        (0.0, 2.0, 8, False, True, ["0", "1", "2"]),
        (-4.0, 1.0, 3, True, False, ["1e-4", "0.01", "1"]),
        (0.1, 0.25, 4, True, False, ["1.26", "1.41", "1.58", "1.78"]),
        (5.0, 5.0, 4, False, False, []),
    ],
)
def test_ticks(
    low: float, high: float, most: int, log: bool, whole: bool, labels: list[str]
) -> None:
    from cnp_tui.widgets.plotting import Ticks

    ticks, found = Ticks(most, log, whole).get_ticks_and_labels(low, high)
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert found == labels


@pytest.mark.asyncio
async def test_a_chart_by_keys() -> None:
    chart = Chart("Rates", unit="pruned")
    app = Shown(chart)
    async with app.run_test(size=(60, 16)) as pilot:
        chart.show({"loss": RISE, "rare": ((10.0, 7.0), (20.0, 8.0))}, [Mark(24, "best")])
        chart.focus()
        await drawn(pilot)
        assert "loss" in str(chart.border_title)
        assert chart.border_subtitle == "pruned   best at 24"
        plot = chart._plot
        assert plot is not None
        wide = plot._x_max - plot._x_min
        await pilot.press("plus", "plus")
        assert plot._x_max - plot._x_min < wide
        middle = plot._x_min
        await pilot.press("left")
        assert plot._x_min < middle
        await pilot.press("right", "right", "minus", "up", "down", "0")
        await drawn(pilot)
        assert -20.0 < plot._x_min < 0.0
        assert 999.0 < plot._x_max < 1020.0
        assert plot.window is None
        await pilot.press("left_square_bracket")
        assert chart.border_subtitle == "pruned 999  loss 999"
        await pilot.press("right_square_bracket")
        assert chart.crosshair is None
        await pilot.press("L", "m")
        await drawn(pilot)
        assert str(chart.border_title).startswith("Rates (log) (smoothed)")
        assert plot._y_max == pytest.approx(math.log10(999), abs=0.5)


@pytest.mark.asyncio
async def test_a_chart_by_mouse() -> None:
    chart = Chart("Rates")
    async with Shown(chart).run_test(size=(60, 16)) as pilot:
        chart.show({"loss": RISE})
        await drawn(pilot)
        await pilot.hover(chart, offset=(33, 8))
        hovered = chart.crosshair
        assert hovered is not None
        assert 400 < hovered < 600
        await pilot.click(chart, offset=(20, 8))
        pinned = chart.crosshair
        await pilot.hover(chart, offset=(50, 8))
        assert chart.crosshair == pinned
        await pilot.click(chart, offset=(20, 8), times=2)
        assert chart.crosshair is None


@pytest.mark.asyncio
async def test_a_chart_paints_at_most_three_times_a_second_and_only_what_is_new() -> None:
    now = [0.0]
    chart = Chart("Rates", clock=lambda: now[0])
    async with Shown(chart).run_test(size=(60, 16)) as pilot:
        chart.show({"loss": RISE})
        await drawn(pilot)
        now[0] = 10.0
        chart.show({"loss": tuple(RISE)})
        await pilot.pause()
        assert chart._drawn_at == 0.0
        chart.show({"loss": RISE[:500]})
        await drawn(pilot)
        assert chart._drawn_at == 10.0
        chart.show({"loss": RISE[:400]})
        assert chart._later is not None


@pytest.mark.asyncio
async def test_a_chart_without_room_or_data_uses_words() -> None:
    chart = Chart("Rates", empty="nothing yet")
    async with Shown(chart).run_test(size=(30, 10)) as pilot:
        await pilot.pause()
        assert not chart.has_class("-drawn")
        chart.show({"loss": RISE})
        await pilot.resize_terminal(20, 6)
        await pilot.pause(0.1)
        assert not chart.has_class("-drawn")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("width", "said"),
    [
        (80, "neurons   ^ recommended at 4   | the reference's 1 % at 6"),
        (40, "neurons   ^ 4   | 6"),
    ],
)
async def test_marks_lose_their_names_before_their_place(width: int, said: str) -> None:
    chart = Chart(unit="neurons")
    async with Shown(chart, "ascii").run_test(size=(width, 16)) as pilot:
        chart.show({"loss": RISE}, [Mark(4, RECOMMENDED), Mark(6, REFERENCE)])
        await pilot.pause()
        assert Content.from_markup(str(chart.border_subtitle)).plain.strip() == said


# Stages


def at(*events: tuple[float, object]) -> RunState:
    now = RunState()
    for when, event in events:
        now = fold(now, event, when)  # type: ignore[arg-type]
    return now


BEGUN = (0.0, RunStarted(2, "", False, {}, "cpu", 2, 1))
TARGET = (10.0, StageStarted("target", None, "steps"))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((BEGUN, TARGET), None),
        ((BEGUN, TARGET, (20.0, Progress("target", 25, 100))), 30.0),
        ((BEGUN, TARGET, (20.0, Progress("target", 100, 100))), 0.0),
        ((BEGUN, TARGET, (20.0, StageFinished("target", 10.0))), None),
    ],
    ids=["nothing done", "a quarter", "all but told", "done"],
)
def test_eta(events: tuple[tuple[float, object], ...], expected: float | None) -> None:
    now = at(*events)
    assert eta_s(now.stages["target"], now.at) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "1 s"), (42.4, "42 s"), (100, "2 min"), (3600, "60 min"), (9000, "2.5 h")],
)
def test_roughly(seconds: float, expected: str) -> None:
    assert roughly(seconds) == expected


HALF = at(BEGUN, TARGET, (20.0, Progress("target", 25, 100, label="patch")))


@pytest.mark.parametrize(
    ("now", "width", "at_work", "expected"),
    [
        (HALF, 60, True, "> target   #####................  25/100  30 s left  patch"),
        (HALF, 40, True, "> target   ##......  25/100  30 s left"),
        (HALF, 24, True, "> target   25/100"),
        (HALF, 60, False, "! target   ####..............  25/100  stopped here  patch"),
        (at(BEGUN, TARGET), 40, False, "! target   stopped here"),
        (at(BEGUN, TARGET), 40, True, "> target   at work"),
        (at(BEGUN, (70.0, StageFinished("target", 70.0))), 40, True, "ok target   1 min 10 s"),
        (at(BEGUN, (9.0, StageFinished("target", 0.0, True))), 40, True, "ok target   taken over"),
        (RunState(), 40, True, "   target"),
    ],
)
def test_a_stage_on_a_line(now: RunState, width: int, at_work: bool, expected: str) -> None:
    found = stages.line("target", now, ASCII, width, at_work, False)
    assert len(found) == width
    assert found.split() == expected.split()


@pytest.mark.asyncio
@pytest.mark.parametrize("border", ["", "round"])
async def test_rows_that_change_are_painted_in_a_border_too(border: str) -> None:
    widget = stages.Stages()
    app = Shown(widget)
    async with app.run_test(size=(60, 12)) as pilot:
        if border:
            widget.styles.border = ("round", "white")
        for now in (at(BEGUN), HALF, at(BEGUN, (70.0, StageFinished("target", 70.0)))):
            widget.update(now)
            await pilot.pause()
            shown = [line.strip("│ ") for line in lines_of(widget)]
            wanted = [str(line).strip() for line in widget.render().split("\n")]
            assert shown[bool(border) : len(wanted) + bool(border)] == wanted


# The ranking


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((8.0, 64.0, 64.0, 64.0), (3.0, 0.0, 0.0, 0.0)),
        ((None, 64.0, 32.0), (None, -1.0, 1.0)),
        # where the others differ by an octave (MAD), with what is usual 1.1438, 3 count as
        # 3 / (2.4977 * 1.1438)
        (
            (4.0, 8.0, 16.0, 32.0, None, 32.0, 32.0, 64.0, 128.0),
            (1.05, 0.7, 0.35, 0.0, None, 0.0, 0.0, -0.35, -0.7),
        ),
        ((None, 64.0, 64.0), (None, 0.0, 0.0)),
        ((8.0,), (None,)),
        ((), ()),
    ],
)
def test_octaves(sizes: Sequence[float | None], expected: Sequence[float | None]) -> None:
    found = ranking.octaves(sizes)
    assert [None if v is None else round(v, 2) for v in found] == list(expected)


def test_classes_are_ranked_while_sizes_form_by_the_better_family() -> None:
    names = ("cat", "dog", "bird")
    data = DataLoaded("demo", "", names, 32, 32, 1, 1, 1, True)
    now = at(
        (0.0, data),
        (1.0, TargetSizes("patch", (64.0, 8.0, 64.0))),
        (2.0, TargetSizes("blend", (0.01, 0.1, 0.1))),
    )
    found = ranking.bars(now)
    assert [bar.name for bar in found] == ["cat", "dog", "bird"]
    assert found[0].octaves == pytest.approx(math.log2(10))
    assert (found[0].mask_l1, found[0].strength) == (64.0, 0.01)


@pytest.mark.parametrize("width", [20, 40, 52, 76, 120])
@pytest.mark.parametrize("name", ["target", "finished"])
def test_ranking_fits_and_follows_the_targets(width: int, name: str) -> None:
    told = ranking.text(ranking.bars(state(name).snapshot.state), 1.0, BRAILLE, width)
    rows = told.splitlines()
    assert len(rows) == 11
    assert "5 speed-80" in rows[1]
    assert rows[1].startswith(">") == (name == "finished")
    if width >= 40:
        assert max(map(len, rows)) <= width
        assert all("│" in row for row in rows[2:])


# Notices


LONG = Notice("warning", "A sentence that takes more than the one line there is at this width.")


@pytest.mark.parametrize(
    ("told", "most", "count", "last"),
    [
        ((), 4, 0, ""),
        ((Notice("error", "Gone."),), 4, 1, "x Gone."),
        ((LONG,), 4, 2, "  this width."),
        ((LONG, LONG), 4, 4, "  this width."),
        ((LONG, LONG, LONG), 4, 3, "(2 more in the log)"),
        ((LONG, Notice("note", "Short.")), 2, 3, "(1 more in the log)"),
    ],
)
def test_notices(told: Sequence[Notice], most: int, count: int, last: str) -> None:
    rows = [text for _, text in notices.lines(told, 60, most, ASCII)]
    assert len(rows) == count
    assert (rows or [""])[-1] == last
