"""Runs side by side: what is best and what cannot be told apart, as lines, as data, on a screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, DataTable, Static

from cnp_engine.events import Rate
from cnp_engine.export.wording import seconds
from cnp_tui import comparison
from cnp_tui.app import CnpApp
from cnp_tui.comparison import Compared
from cnp_tui.link import Link
from cnp_tui.screens.compare import CompareScreen
from cnp_tui.widgets.chart import Chart
from tests.tui.recorded import Recorded, folder, recorded
from tests.tui.screens import until

asyncio = pytest.mark.asyncio


def compared(link: Recorded) -> Compared:
    run, now = link.run, link.snapshot
    return Compared(run.name, run.path, run.config, now.status, now.state)


def at(value: float, low: float, high: float) -> Rate:
    return Rate(value, 100, low, high)


@pytest.mark.parametrize(
    ("values", "better", "expected"),
    [
        ([at(0.9, 0.85, 0.95), at(0.5, 0.4, 0.6)], "more", ["best", ""]),
        ([at(0.9, 0.85, 0.95), at(0.5, 0.4, 0.6)], "less", ["", "best"]),
        ([at(0.9, 0.85, 0.95), at(0.88, 0.8, 0.92)], "more", ["not told apart", ""]),
        ([at(0.9, 0.85, 0.95), at(0.9, 0.85, 0.95)], "more", ["", ""]),
        ([at(0.9, 0.85, 0.95), None], "more", ["", ""]),
        ([at(0.9, 0.85, 0.95), None, at(0.2, 0.1, 0.3)], "more", ["best", "", ""]),
        ([at(0.9, 0.85, 0.95), at(0.5, 0.4, 0.6)], "", ["", ""]),
        ([], "more", []),
    ],
)
def test_standing(values: list[Rate | None], better: str, expected: list[str]) -> None:
    assert comparison.standing(values, better) == expected


def test_lines_of_two_runs() -> None:
    runs = [compared(recorded("demo")), compared(recorded("blended"))]
    lines = {line.key: [cell.text for cell in line.cells] for line in comparison.lines(runs)}
    assert lines["network"] == [
        "ResNet-18 for small images, 600 neurons",
        "ResNet-18 for small images, 2,400 neurons",
    ]
    assert lines["target"] == ["5 (speed-80)", "7 (horse)"]
    assert lines["after.asr"][0].endswith("n = 900)")
    assert list(lines)[-1].startswith("seconds.") or list(lines)[-1].startswith("settings.")
    assert "settings.masks.lr" not in lines


def test_only_settings_that_differ_are_listed() -> None:
    one = compared(recorded("demo"))
    masks = replace(one.config.masks, lr=0.3)
    other = replace(one, config=replace(one.config, masks=masks, seed=4))
    keys = [line.key for line in comparison.lines([one, other])]
    assert [key for key in keys if key.startswith("settings.")] == [
        "settings.seed",
        "settings.masks.lr",
    ]
    assert comparison.lines([]) == []


def test_a_run_before_its_figures_says_so() -> None:
    young = comparison.lines([compared(recorded("demo", "load")), compared(recorded("demo"))])
    cells = {line.key: line.cells[0].text for line in young}
    assert (cells["verdict"], cells["after.ba"], cells["seconds.total"]) == ("not measured",) * 3


def test_a_clean_run_says_that_nothing_was_pruned_and_what_its_stages_took() -> None:
    clean = compared(recorded("clean"))
    lines = comparison.lines([clean, compared(recorded("demo"))])
    cells = {line.key: line.cells[0] for line in lines}
    after = [key for key in cells if key.startswith(("after.", "label_free."))]
    assert {cells[key].text for key in after} == {"nothing pruned"}
    assert "98.5 %" in cells["before.ba"].text
    assert cells["before.asr"].text == "not measured"
    spent = [stage.seconds for stage in clean.state.stages.values() if stage.seconds is not None]
    assert 0 < len(spent) < len(clean.state.stages)
    assert cells["seconds.total"].text == seconds(sum(spent))
    under_way = replace(clean, status="running")
    assert comparison.table([under_way])[0]["seconds"]["total"] is None


def test_curves_by_share_of_neurons() -> None:
    runs = [compared(recorded("demo")), compared(recorded("unlabelled"))]
    retention = comparison.series(runs, "retention")
    assert list(retention) == ["A demo", "B unlabelled"]
    assert retention["A demo"][0] == (0.0, 1.0)
    ks = sorted(runs[0].state.curve)
    assert retention["A demo"][-1][0] == pytest.approx(100 * ks[-1] / 600)
    assert comparison.series(runs, "ba")["B unlabelled"] == ()


def test_plain_data_and_text() -> None:
    runs = [compared(recorded("demo")), compared(recorded("unlabelled"))]
    demo, unlabelled = comparison.table(runs)
    assert (demo["target"], demo["neurons"], demo["status"]) == ([5], 600, "finished")
    assert demo["after"]["asr"]["n"] == 900
    assert unlabelled["after"] == {"ba": None, "asr": None, "ra": None}
    assert unlabelled["label_free"]["retention"]["n"] > 0
    text = comparison.text(runs)
    assert text.splitlines()[0].split() == ["A", "demo", "B", "unlabelled"]
    assert comparison.LEGEND in text


@asynccontextmanager
async def comparing(
    *runs: Path | Link, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[Any], CompareScreen]]:
    app = CnpApp(None, "compare", list(runs))
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        if runs:
            await until(pilot, lambda: screen.query_one(DataTable).row_count > 0, "the table")
        yield pilot, screen


@asyncio
async def test_curves_by_key_and_by_mouse() -> None:
    async with comparing(recorded("demo"), recorded("blended"), size=(120, 40)) as (pilot, screen):
        chart = screen.query_one(Chart)
        assert (chart.title, chart.names) == ("Retention", ("A demo", "B blended"))
        await pilot.press("v")
        assert chart.title == "Residual"
        assert str(screen.query_one("#curve-residual", Button).label) == "[Residual]"
        await pilot.press("V", "V")
        assert chart.title == "ASR"
        await pilot.click("#curve-ba")
        assert chart.title == "BA"
        table = screen.query_one("#compare-table").region
        assert table.right <= screen.query_one("#compare-curves").region.x


@asyncio
async def test_every_curve_is_named_whole_whichever_is_shown() -> None:
    async with comparing(recorded("demo"), recorded("clean")) as (pilot, screen):
        buttons = list(screen.query(Button))
        for at in range(len(buttons)):
            names = [str(button.label) for button in buttons]
            assert [name[0] + name[-1] for name in names] == [
                "[]" if number == at else "  " for number in range(len(buttons))
            ]
            assert all(
                len(name) + 2 <= button.region.width
                for name, button in zip(names, buttons, strict=True)
            )
            await pilot.press("v")
            await pilot.pause()


@asyncio
async def test_the_table_scrolls_sideways_under_frozen_names() -> None:
    runs = [recorded("demo"), recorded("blended"), recorded("unlabelled")]
    async with comparing(*runs) as (pilot, screen):
        table = screen.query_one(DataTable)
        assert (table.fixed_columns, table.scroll_offset.x) == (1, 0)
        await pilot.press("l", "l", "l", "j")
        await until(pilot, lambda: table.scroll_offset.x > 0, "the third run")
        assert table.cursor_coordinate == (1, 3)
        curves = screen.query_one("#compare-curves").region
        assert curves.y >= screen.query_one("#compare-table").region.bottom


@asyncio
async def test_the_definition_of_the_line_under_the_cursor() -> None:
    async with comparing(recorded("demo"), recorded("blended")) as (pilot, screen):
        await pilot.press(*"jjjjjjj")
        said = str(screen.query_one("#meaning", Static).content)
        assert said.startswith("Benign accuracy")
        legend = screen.query_one("#legend", Static)
        assert str(legend.content) == comparison.LEGEND
        assert legend.region, "beside it, not in its place"
        assert "~" not in comparison.LEGEND, "which is interpolated elsewhere"


@asyncio
async def test_zoom_copy_and_back(home: Path) -> None:
    async with comparing(recorded("demo"), recorded("blended")) as (pilot, screen):
        table, curves = screen.query_one("#compare-table"), screen.query_one("#compare-curves")
        shown = []
        for _ in range(3):
            await pilot.press("z")
            await pilot.pause()
            shown.append((table.display, curves.display))
        assert shown == [(True, False), (False, True), (True, True)]
        await pilot.press("y")
        assert (home / "copied.txt").read_text().startswith("  ")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not screen, "Home")


@asyncio
async def test_runs_on_disk_and_one_that_is_gone(tmp_path: Path) -> None:
    run = folder(tmp_path / "one", "demo")
    wanted = ["state", "finished", f"There is no run at {tmp_path / 'gone'}."]
    async with comparing(run.path, tmp_path / "gone") as (pilot, screen):
        table = screen.query_one(DataTable)

        def states() -> list[str]:
            cells = table.get_row("status") if "status" in table.rows else []
            return [str(cell).strip() for cell in cells]

        await until(pilot, lambda: states() == wanted, "both runs")


@asyncio
async def test_without_runs_it_says_how_to_mark_them() -> None:
    async with comparing() as (_, screen):
        assert "mark two or more" in str(screen.query_one("#nothing", Static).content)
        assert not screen.query_one("#compare").display
