"""Two or more runs side by side: every figure in a table, and their curves over each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, DataTable, Static

from cnp_engine.config import RunConfig
from cnp_engine.errors import CnpError
from cnp_engine.export.definitions import DEFINITIONS
from cnp_engine.export.wording import percent, plural
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState
from cnp_tui import clipboard, comparison
from cnp_tui.aside import aside
from cnp_tui.comparison import CURVES, NAMES, Compared, Curve
from cnp_tui.link import Link
from cnp_tui.screens.base import CnpScreen
from cnp_tui.widgets.chart import Chart
from cnp_tui.widgets.footer import Footer
from cnp_tui.widgets.late import late

EVERY_S = 2.0
"""Between two looks at runs that are still at work."""

EMPTY = "No runs are marked. Go back to Home (1), mark two or more with space, and press c or 6."


class CompareScreen(CnpScreen):
    TOPIC = "Compare"
    ABOUT = (
        "Runs side by side. A star marks the best of these runs, an equals sign where another "
        "run's interval reaches it, so that the two cannot be told apart."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "curve(1)", "Curve", id="compare.curve",
                tooltip="The next curve: retention, residual, BA, ASR"),
        Binding("V", "curve(-1)", "Curve before", show=False, id="compare.curve.before",
                tooltip="The curve before"),
        Binding("z", "zoom", "Zoom", id="compare.zoom",
                tooltip="Table alone, chart alone, both"),
        Binding("y", "copy", "Copy", id="compare.copy", tooltip="Copy the table as text"),
    ]  # fmt: skip

    def __init__(self, runs: Sequence[Path | Link]) -> None:
        super().__init__()
        self._given = tuple(runs)
        self._runs: list[Compared] = []
        self._curve: Curve = "retention"
        self._alone = ""
        self._meanings: list[str] = []

    def compose(self) -> ComposeResult:
        yield Static(EMPTY, id="nothing", markup=False)
        with Container(id="compare"):
            with Vertical(id="compare-table"):
                yield DataTable[Text](id="lines", cursor_type="cell", fixed_columns=1)
                yield Static(comparison.LEGEND, id="legend", markup=False)
                yield Static(id="meaning", markup=False)
            with Vertical(id="compare-curves"):
                with Horizontal(classes="buttons"):
                    for curve in CURVES:
                        yield Button(_label(curve, self._curve), id=f"curve-{curve}", compact=True)
                yield Chart("", unit="% of neurons pruned", form=percent, id="curves")
        yield Footer()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#nothing").display = not self._given
        self.query_one("#compare").display = bool(self._given)
        if self._given:
            self.query_one("#lines").focus()
            self._read()
            self.set_interval(EVERY_S, self._again)

    def _again(self) -> None:
        if any(run.status == "running" for run in self._runs):
            self._read()

    @work(exclusive=True)
    async def _read(self) -> None:
        runs = await aside(lambda: [_look(given) for given in self._given])
        if runs != self._runs:
            self._runs = runs
            with late():
                self._show()

    # What is shown

    def say(self) -> None:
        self.headline.say(f"cnp   {self.TOPIC}   {plural(len(self._given), 'run')}")

    def _show(self) -> None:
        shown = self.query_one("#lines", DataTable)
        at = shown.cursor_coordinate
        shown.clear(columns=True)
        shown.add_column("", key="name")
        for name in comparison.names(self._runs):
            shown.add_column(Text(name), key=name)
        lines = comparison.lines(self._runs)
        for line in lines:
            cells = [Text(line.name, "bold"), *(_cell(cell) for cell in line.cells)]
            shown.add_row(*cells, key=line.key)
        self._meanings = [line.meaning for line in lines]
        shown.cursor_coordinate = at
        self._show_curves()

    def _show_curves(self) -> None:
        chart = self.query_one("#curves", Chart)
        name = NAMES[self._curve]
        chart.entitle(name, "% of neurons pruned", f"{name} was not measured")
        chart.show(comparison.series(self._runs, self._curve), y_range=(0.0, 1.0))
        for curve in CURVES:
            button = self.query_one(f"#curve-{curve}", Button)
            button.label = _label(curve, self._curve)

    @on(DataTable.CellHighlighted)
    def _moved(self, event: DataTable.CellHighlighted) -> None:
        """The definition of the figure under the cursor."""
        row = event.coordinate.row
        meaning = self._meanings[row] if row < len(self._meanings) else ""
        self.query_one("#meaning", Static).update(Content(meaning))

    # What is done

    def action_curve(self, step: int) -> None:
        self._curve = CURVES[(CURVES.index(self._curve) + step) % len(CURVES)]
        self._show_curves()
        self.query_one("#meaning", Static).update(Content(DEFINITIONS[self._curve]))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        assert event.button.id is not None
        ids = [f"curve-{curve}" for curve in CURVES]
        self.action_curve(ids.index(event.button.id) - CURVES.index(self._curve))

    def action_zoom(self) -> None:
        """Both, the table alone, the chart alone."""
        order = ("", "-table", "-chart")
        self._alone = order[(order.index(self._alone) + 1) % len(order)]
        room = self.query_one("#compare")
        for name in order[1:]:
            room.set_class(name == self._alone, name)

    def action_copy(self) -> None:
        clipboard.copy(self.cnp, comparison.text(self._runs), what="Table copied")


def _label(curve: Curve, chosen: Curve) -> Content:
    """As wide whether it is chosen or not: a button keeps the width that it began with."""
    left, right = "[]" if curve == chosen else "  "
    return Content(f"{left}{NAMES[curve]}{right}")


def _look(given: Path | Link) -> Compared:
    """As it stands; one that cannot be read says why."""
    if not isinstance(given, Path):
        snapshot = given.snapshot
        run = given.run
        return Compared(run.name, run.path, run.config, snapshot.status, snapshot.state)
    try:
        return comparison.read(RunDirectory.open(given))
    except CnpError as error:
        nowhere = RunConfig(model=str(given), data="")
        return Compared(given.name, given, nowhere, "damaged", RunState(), error.what)


def _cell(cell: comparison.Cell) -> Text:
    return Text(f"{comparison.MARKS[cell.standing]}{cell.text}", "bold" if cell.standing else "")
