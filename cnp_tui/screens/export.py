"""Export: write the model as the slider has it, then say what was written and re-measured."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, VerticalScroll
from textual.widgets import Button, Input, Label, Static

from cnp_engine import commands
from cnp_engine.errors import CnpError
from cnp_engine.events import Rate, Remeasured
from cnp_engine.export.naming import FILES, HEALED
from cnp_engine.export.wording import percent, plural
from cnp_engine.files import absolute
from cnp_engine.rundir import EXPORTS
from cnp_engine.state import RunState
from cnp_tui import clipboard, destination, phrases
from cnp_tui.curves import NAMES, WORDS, Curves, Figure, Name
from cnp_tui.link import Link, Snapshot
from cnp_tui.position import Position
from cnp_tui.screens.base import RunScreen
from cnp_tui.watching import moved_along
from cnp_tui.widgets.figures import Figures, Row
from cnp_tui.widgets.footer import Footer
from cnp_tui.widgets.formats import FORMATS, Check, Destination
from cnp_tui.writing import ALONE_S, Ended


class Body(VerticalScroll, can_focus=False, inherit_bindings=False):
    """Scrolls by the screen's own keys: up and down go from field to field."""


class ExportScreen(RunScreen):
    TOPIC = "Export"
    ABOUT = (
        "Writes the model with as many neurons suppressed as the slider of Prune has set. The "
        "file is read back from disk and measured in float32 before it is announced; what is "
        "known of it until then is a preview, and may differ by an image."
    )
    AUTO_FOCUS = "#write"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "write", "Write", id="export.write", tooltip="Write what is ticked"),
        Binding("o", "open", "Open report", id="export.open",
                tooltip="Open the report, where there is a display"),
        Binding("y", "copy", "Copy path", id="export.copy",
                tooltip="Copy the path of the report; before there is one, the command"),
        Binding("up", "app.focus_previous", "Up", show=False, id="export.up",
                tooltip="The field before"),
        Binding("down", "app.focus_next", "Down", show=False, id="export.down",
                tooltip="The next field"),
        Binding("pageup", "scroll(-1)", "Page up", show=False, id="export.page.up",
                tooltip="Scroll up"),
        Binding("pagedown", "scroll(1)", "Page down", show=False, id="export.page.down",
                tooltip="Scroll down"),
    ]  # fmt: skip

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(link)
        self._clock = clock
        self._said = ""
        self._seen = self._asked_in = str(link.run.exports)

    def compose(self) -> ComposeResult:
        with Body(id="body"):
            yield Static(id="what", markup=False)
            with Grid(id="formats"):
                made = self.link.snapshot.state.healed
                heals = self.link.run.config.heal.when == "always" or (made and made.kept)
                for name in FORMATS:
                    yield Check(name, bool(heals) or name != HEALED)
            with Horizontal(id="where"):
                yield Label("to")
                yield Destination(self._seen, compact=True, id="to")
            yield Static(id="checked", markup=False)
            with Horizontal(id="do"):
                yield Button("Export", variant="primary", compact=True, id="write")
                yield Static(id="said", markup=False)
            yield Static(id="done", markup=False)
            yield Figures(id="after")
            yield Static(id="healed", markup=False)
            yield Static(id="report", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        self.writing = self.cnp.writing(self.link)
        self.desk = self.writing.desk
        super().on_mount()
        self.writing.forget()
        self.set_interval(1.0, self._tick)

    def on_unmount(self) -> None:
        if self.writing.under_way:
            self.writing.follow(self.cnp, self._clock)

    # What is set

    @property
    def position(self) -> Position:
        state = self.link.snapshot.state
        return self.cnp.positions.get(self.link.run.path, Position()).following(state)

    @property
    def formats(self) -> tuple[str, ...]:
        return tuple(check.format for check in self.query(Check) if check.wanted)

    @property
    def to(self) -> str | None:
        """The folder, None for the run's own exports."""
        folder = absolute(self._typed.strip() or ".")
        return None if folder == self.link.run.exports else str(folder)

    @property
    def _typed(self) -> str:
        return self.query_one("#to", Input).value

    def _hindrance(self) -> str | None:
        """What on this screen keeps from writing."""
        text = self._typed
        if not self.formats:
            return "Tick at least one format."
        if text.strip() and self.to is None:
            return None  # the run's own folder: the engine says what is wrong with it
        return destination.trouble(text)

    # What is shown

    def show(self, snapshot: Snapshot) -> None:
        state = snapshot.state
        curves = Curves.of(state, self.link.run.config.sweep)
        self.query_one("#what", Static).update(what(curves, self.position.k, state))
        self._check()
        self._hear()
        self._show_written(state, curves)
        self._say()

    def _check(self) -> None:
        self._hold()
        wrong = self._hindrance()
        checked = self.query_one("#checked", Static)
        checked.set_class(wrong is not None, "-wrong")
        checked.update(wrong or self._where())

    def _hold(self) -> None:
        """In the run's own folder what stands there is written again, and the report always."""
        own, exports = bool(self._typed.strip()) and self.to is None, self.link.run.exports
        for check in self.query(Check):
            stands = any((exports / name).exists() for name in FILES[check.format])
            follows = stands and check.format != HEALED  # which goes unless it is ticked
            check.hold(own and (follows or check.format == "report"))

    def _where(self) -> str:
        if self.to is None:
            return "The run's own exports: files that stand there are written again to match."
        new = "" if Path(self.to).is_dir() else ", which will be made"
        return f"A copy in {self.to}{new}; the run's own exports stay as they are."

    def _hear(self) -> None:
        """What the worker says to the export that was asked for."""
        ended = self.writing.ended()
        if ended is not None:
            self._end(ended)
            if ended.well:
                if self._typed == self._asked_in:
                    self._leave()
                self.call_after_refresh(self._to_written)

    def _end(self, ended: Ended) -> None:
        glyphs = self.cnp.glyphs
        self._said = f"{glyphs.tick if ended.well else glyphs.cross} {ended.sentence}"

    def _leave(self) -> None:
        """Out of the field, so that letters are keys again."""
        if isinstance(self.focused, Destination):
            self.query_one("#write").focus(scroll_visible=False)

    def _to_written(self) -> None:
        self.query_one(Body).scroll_to_widget(self.query_one("#done"), animate=False, top=True)

    def _say(self) -> None:
        said = self._said
        if self.desk.asked is not None:
            now = "waking the engine" if self._waking else self._work()
            spent = self._clock() - self.writing.since
            said = f"{now}{self.cnp.glyphs.ellipsis}" + (f" {spent:.0f} s" if spent >= 1 else "")
        elif not said and self.desk.hindrance() is not None:
            said = f"Nothing can be written now: {self.desk.hindrance()}"
        self.query_one("#said", Static).update(said)

    def _work(self) -> str:
        """What the worker does, as far as it says so."""
        told = self.link.snapshot.state.asked
        if told is None:
            work = "writing, reading back and measuring"
            return f"healing, {work}" if HEALED in self.formats else work
        if told.stage == "heal":
            far = f"{told.done:,} of {told.total:,} steps"
            return f"healing, {far}" if told.done < told.total else "judging what was healed"
        return f"measuring, {told.done:,} of {told.total:,} images"

    @property
    def _waking(self) -> bool:
        return self.desk.woken and not self.link.snapshot.answering

    def _tick(self) -> None:
        if self.desk.asked is not None:
            self._say()

    def _show_written(self, state: RunState, curves: Curves) -> None:
        paths, measured = written(state, self.link.run.path)
        self.set_class(measured is not None, "-measured")
        self.query_one("#healed", Static).update(healed_line(state))
        if not paths:
            self.query_one("#done", Static).update("Nothing has been written yet.")
            return
        self.query_one("#done", Static).update(
            "\n".join([_headed(measured, self.position), *paths])
        )
        if measured is not None:
            self.query_one("#after", Figures).show(remeasured_rows(measured, curves))
        self._announce()

    def _announce(self) -> None:
        """The keys for the report; in a field they are letters."""
        said = "" if self.report is None else "o opens the report, y copies its path."
        if said and isinstance(self.focused, Destination):
            said = f"esc leaves the field; then {said}"
        self.query_one("#report", Static).update(said)

    def on_descendant_focus(self) -> None:
        self._announce()

    @property
    def report(self) -> Path | None:
        """The report among what was written last."""
        paths, _ = written(self.link.snapshot.state, self.link.run.path)
        return next((Path(path) for path in paths if Path(path).name == "report.html"), None)

    # Keys and buttons

    def action_write(self) -> None:
        wrong, elsewhere = self._hindrance(), self.desk.hindrance()
        if self.desk.asked is not None:
            self.notify("It is being written already.", severity="warning")
        elif wrong is not None:
            self._end(Ended(False, "Nothing was written."))
            self._say()
            self.notify(wrong, severity="warning", markup=False)
        elif elsewhere is not None:
            self._end(Ended(False, f"Nothing was written: {elsewhere}"))
            self._say()
        else:
            self._write()

    def _write(self) -> None:
        self._said, self._asked_in = "", self._typed
        wanted = commands.Export(self.position.k, self.formats, self.to)
        try:
            self.writing.ask(wanted, self._clock())
        except CnpError as error:
            self.desk.answered()
            self._end(Ended(False, f"{error.what} {error.todo}"))
        if self.desk.woken:
            self.set_timer(ALONE_S, self._look_for_worker)
        self._say()

    def _look_for_worker(self) -> None:
        ended = self.writing.deserted()
        if ended is not None:
            self._end(ended)
            self._say()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_write()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_write()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value != self._seen:
            self._seen = event.value
            self._another()

    def on_checkbox_changed(self) -> None:
        self._another()

    def _another(self) -> None:
        """What was said was of what was set before."""
        self._said = ""
        self._check()
        self._say()

    def action_leave_field(self) -> None:
        self._leave()

    def action_scroll(self, way: int) -> None:
        body = self.query_one(Body)
        body.scroll_relative(y=way * max(1, body.size.height - 2), animate=False)

    def action_open(self) -> None:
        report = self.report
        if report is None:
            self.notify("No report was written; tick it and press enter.", severity="warning")
        elif destination.open_file(report):
            self.notify(str(report), title="Opened", markup=False)
        else:
            self.notify(
                f"{report}", title="There is no display here; the report is at", markup=False
            )

    def action_copy(self) -> None:
        run = self.link.run.path
        if self.report is not None:
            clipboard.copy(self.app, str(self.report), run, "Path of the report")
        else:
            command = f"cnp prune {shlex.quote(str(run))} --count {self.position.k}"
            clipboard.copy(self.app, command, run, "Command")


def what(curves: Curves, k: int, state: RunState) -> str:
    """What will be written, its figures, and where those are from."""
    share = percent(k / curves.neurons, 2) if k else "0 %"
    point = ", the recommended point" if state.recommended and state.recommended.k == k else ""
    model = f"{k} of {curves.neurons} neurons suppressed ({share}{point})"
    if k == 0:
        return f"{model}.\nNothing is suppressed: purified files will be the checkpoint as it came."
    known = [(WORDS[name], curves.figure(name, k)) for name in NAMES]
    told = [f"{word} {_value(figure)}" for word, figure in known if figure is not None]
    again = state.remeasured is not None and state.remeasured.k == k
    exact = all(figure.exact for _, figure in known if figure is not None)
    source = "Written file" if again else "Preview" if exact else "Preview, ~ interpolated"
    return f"{source}: {model}.\n{', '.join(told)}"


def _value(figure: Figure) -> str:
    return f"{'' if figure.exact else '~'}{percent(figure.value)}"


def written(state: RunState, run: Path) -> tuple[tuple[str, ...], Remeasured | None]:
    """Paths written last, where they are now that the run is at ``run``; what was measured."""
    exported, summary = state.exported, state.summary or {}
    if exported is None:
        return (), None
    if exported.copy:
        paths, copied = exported.paths, state.copied
        measured = copied if copied and copied.path in paths else None
        return _placed(moved_along(Path(p), summary.get("run"), run) for p in paths), measured
    names = (Path(p).name for p in (*exported.paths, *summary.get("exports", ())))
    return _placed(run / EXPORTS / name for name in names), state.remeasured


def _placed(paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, paths)))


def _headed(measured: Remeasured | None, position: Position) -> str:
    if measured is None:
        return "Written:"
    other = "" if measured.k == position.k else f"; {position.k} are set now"
    return f"Written with {plural(measured.k, 'neuron')} suppressed, and measured again{other}:"


def remeasured_rows(measured: Remeasured, curves: Curves) -> tuple[Row, ...]:
    """The checkpoint before, and the file after it was read back."""
    after = rates(measured)
    return tuple(
        Row(name, curves.figure(name, 0), Figure(rate.value, rate)) for name, rate in after.items()
    )


def healed_line(state: RunState) -> str:
    """What healing made of what was written last; empty where there was none."""
    exported = state.exported
    if exported is None:
        return ""
    healed = state.healed_copy if exported.copy else state.healed
    if healed is None or (healed.kept and exported.copy and healed.path not in exported.paths):
        return ""
    if not healed.kept:
        return f"Healed: {phrases.UNHEALED}."
    known = phrases.rates(healed.measured, healed.label_free)
    return "Healed: " + ", ".join(f"{word} {percent(one.value)}" for word, one in known.items())


def rates(measured: Remeasured) -> dict[Name, Rate]:
    free, truth = measured.label_free, measured.measured
    found: dict[Name, Rate | None] = {
        "retention": free.retention, "residual": free.residual,
        "ba": truth.ba, "asr": truth.asr, "ra": truth.ra,
    }  # fmt: skip
    return {name: rate for name, rate in found.items() if rate is not None}
