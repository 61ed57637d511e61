"""Prune: drag the number of neurons that are suppressed, and watch what it does.

Figures are interpolated while the slider moves; where it rests, the worker of the finished run is
asked for exact ones. What is set here is what Export writes.
"""

from __future__ import annotations

import shlex
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Label, Static

from cnp_engine.commands import Evaluate
from cnp_engine.errors import CnpError, SettingInvalid
from cnp_engine.export.wording import percent, plural
from cnp_tui import clipboard, layers, pruning
from cnp_tui.curves import TRUTH, WORDS, Curves
from cnp_tui.link import Link, Snapshot
from cnp_tui.messages import Moved, Rested
from cnp_tui.position import Position
from cnp_tui.requests import Desk
from cnp_tui.scale import parse, takes
from cnp_tui.screens.base import RunScreen
from cnp_tui.widgets.chart import Chart
from cnp_tui.widgets.figures import Figures, rows
from cnp_tui.widgets.footer import Footer
from cnp_tui.widgets.layer_map import Layers
from cnp_tui.widgets.slider import Marks, Slider, Typed
from cnp_tui.widgets.value import Value

SETTING = ("export", "recommended", "undo", "redo", "type", "mode", "layers", "zoom", "copy")
"""Actions on a curve."""

PLOT_S = 0.4
"""Between two paintings of the curve while the slider moves."""

ALONE_S = 3.0
"""An engine that is not there so long after it was started does not come."""


class PruneScreen(RunScreen):
    TOPIC = "Prune"
    ABOUT = (
        "The slider sets how many neurons are suppressed, in the order of their scores: drag it, "
        "turn the wheel over it, press the arrow keys, or type a value. Figures marked with ~ are "
        "interpolated between measured points; where the slider rests the engine measures "
        "exactly. That is a preview, computed as the curve was: in bfloat16 where the machine does "
        "that natively. What Export writes is measured again in float32, as the file it is, and "
        "may differ by an image."
    )
    AUTO_FOCUS = "#slider"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "export", "Export", id="prune.export",
                tooltip="Write the model as it is set here"),
        Binding("r", "recommended", "Auto", id="prune.recommended",
                tooltip="To the point that was chosen without the attack"),
        Binding("u", "undo", "Undo", id="prune.undo", tooltip="Back to where the slider was"),
        Binding("U", "redo", "Redo", show=False, id="prune.redo", tooltip="Undo the undoing"),
        Binding("g", "type", "Go to", show=False, id="prune.type",
                tooltip="Type a value: 24, 1.0%, or a threshold after m; digits begin one too"),
        Binding("m", "mode", "Sets", show=False, id="prune.mode",
                tooltip="What a typed value sets: count, fraction or threshold"),
        Binding("v", "layers", "Layers", id="prune.layers",
                tooltip="The curve, or which neurons go in which layer; figures on a low screen"),
        Binding("z", "zoom", "Zoom", show=False, id="prune.zoom",
                tooltip="All room for the curve, and back"),
        Binding("plus,equals_sign", "scale(1)", "Zoom in", show=False, key_display="+",
                id="prune.in", tooltip="See less of the curve, larger; also the wheel over it"),
        Binding("minus", "scale(-1)", "Zoom out", show=False, id="prune.out",
                tooltip="See more of the curve"),
        Binding("up", "scroll(-1)", "Up", show=False, id="prune.up",
                tooltip="Layers further to the input"),
        Binding("down", "scroll(1)", "Down", show=False, id="prune.down",
                tooltip="Layers further to the output"),
        Binding("y", "copy", "Copy", show=False, id="prune.copy",
                tooltip="Copy the command that writes this model"),
    ]  # fmt: skip

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self.desk = Desk(link)
        self.curves = Curves.of(link.snapshot.state, link.run.config.sweep)
        self._trouble = ""
        self._later: Timer | None = None
        self._caught: int | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="why", markup=False)
        with Vertical(id="body"):
            yield Static(id="words", markup=False)
            yield Slider(id="slider")
            yield Static(id="said", markup=False)
            with Horizontal(id="typing"):
                yield Label(id="kind")
                yield Value(id="typed")
                yield Label(id="meant", markup=False)
            yield Figures(id="figures")
            with Horizontal(id="lower"):
                yield Chart("curve", unit="neurons", form=percent, id="curve")
                yield Layers(self.cnp.glyphs, id="layers")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#curve").can_focus = False
        super().on_mount()

    # Where the slider stands

    @property
    def position(self) -> Position:
        return self.cnp.positions.get(self.link.run.path, Position())

    @position.setter
    def position(self, position: Position) -> None:
        self.cnp.positions[self.link.run.path] = position

    @property
    def slider(self) -> Slider:
        return self.query_one(Slider)

    # What is shown

    def show(self, snapshot: Snapshot) -> None:
        state = snapshot.state
        self._be_empty(not state.curve)
        if not state.curve:
            self.query_one("#why", Static).update(pruning.why_empty(snapshot, self.link.run.path))
            return
        self.curves = Curves.of(state, self.link.run.config.sweep)
        self.position = self.position.following(state)
        marks = Marks(
            state.recommended.k if state.recommended else None,
            self.curves.reference,
            self.curves.measured_at,
        )
        k = self.slider.k if self.slider.moving else self.position.k
        self.slider.show(self.curves.end, marks, k)
        self._hear(snapshot)
        self._catch_up()
        self._paint()

    def _be_empty(self, empty: bool) -> None:
        """A slider that is not shown takes no keys."""
        if empty != self.query_one("#body").disabled:
            self.query_one("#body").disabled = empty
            if not empty:
                self.slider.focus()
        self.set_class(empty, "-empty")

    def _catch_up(self) -> None:
        """Ask, once, what could not be asked where the slider rests: the run has finished since,
        or the screen was left before the answer."""
        k = self.position.k
        if self._caught == k or self._trouble or self.desk.asked is not None:
            return
        if self.position.moved and not self.slider.moving and self.desk.hindrance() is None:
            self._caught = k
            self._ask(k)

    def _hear(self, snapshot: Snapshot) -> None:
        """What the worker says to the latest request."""
        asked = self.desk.asked
        if not isinstance(asked, Evaluate):
            return
        refused = self.desk.refused("evaluate")
        if asked.k in snapshot.state.evaluated:
            self.desk.answered()
        elif refused is not None and refused.k in (None, asked.k):
            self._trouble = f"{refused.what} {refused.todo}"
            self.desk.answered()
        elif self.desk.left():
            self._gone()

    def _gone(self) -> None:
        self._trouble = "The engine ended before it answered; enter asks once more."
        self.desk.answered()

    def _paint(self) -> None:
        """Everything that depends on where the slider is; cheap, so that a drag is smooth."""
        k, state = self.slider.k, self.link.snapshot.state
        self._put("#words", pruning.words(self.curves, k, self.position.mode))
        self._put("#said", Content(self._said(k)))
        self.query_one(Figures).show(rows(self.curves, k))
        self.query_one(Layers).show(layers.at(state, k))
        if self.slider.moving:
            self._plot_soon()
        else:
            self._plot()

    def _put(self, name: str, content: Content) -> None:
        """On one line of its own, so that nothing around it has to be laid out again."""
        line = self.query_one(name, Static)
        if line.content != content:
            line.update(content, layout=False)

    def _said(self, k: int) -> str:
        """How sure the figures are, and what is done about it."""
        glyphs = self.cnp.glyphs
        if self._trouble:
            return f"{glyphs.cross} {self._trouble}"
        if self.curves.complete(k):
            return f"{glyphs.tick} {pruning.measured(self.link.snapshot.state, k)}"
        if self.desk.asked is not None:
            return f"~ interpolated; {self._waiting()}{glyphs.ellipsis}"
        hindrance = self.desk.hindrance()
        if hindrance is not None:
            return f"~ interpolated; for exact figures {hindrance}"
        return "~ interpolated; let go for exact figures"

    def _waiting(self) -> str:
        assert isinstance(self.desk.asked, Evaluate)
        count = plural(self.desk.asked.k, "neuron")
        if self.desk.woken:
            return f"waking the engine to measure {count}"
        return f"measuring {count}"

    def _plot_soon(self) -> None:
        """The curve is dear to paint: while the slider moves, a few times a second."""
        if self._later is None:
            self._later = self.set_timer(PLOT_S, self._plot)

    def _plot(self) -> None:
        if self._later is not None:
            self._later.stop()
            self._later = None
        k = self.slider.k
        series = {WORDS[name]: self.curves.points(name) for name in WORDS}
        marks = pruning.marks(self.curves, k, self.slider.marks.recommended)
        dots = [WORDS[name] for name in TRUTH]
        self.query_one(Chart).show(series, marks, (0.0, 1.0), dots=dots)

    # The slider speaks

    def on_moved(self, message: Moved) -> None:
        message.stop()
        self._trouble = ""
        self._paint()

    def on_rested(self, message: Rested) -> None:
        message.stop()
        self.position = self.position.rested(message.k)
        self._ask(message.k)

    def _ask(self, k: int) -> None:
        """Exact figures at ``k``, where they are not known and can be had."""
        if self.desk.asked == Evaluate(k):
            return
        self._trouble = ""
        self.desk.answered()
        if not self.curves.complete(k) and self.desk.hindrance() is None:
            try:
                self.desk.ask(Evaluate(k))
            except CnpError as error:
                self._trouble = f"{error.what} {error.todo}"
            if self.desk.woken:
                self.set_timer(ALONE_S, self._look_for_worker)
        self._paint()

    def _look_for_worker(self) -> None:
        if self.desk.alone:
            self._gone()
            self._paint()

    def _set(self, k: int) -> None:
        """Go to ``k`` at once and measure there."""
        self.slider.move(k)
        self.slider.rest()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where there is nothing to set, a key says so."""
        if action in SETTING and self.has_class("-empty"):
            return None
        return super().check_action(action, parameters)

    def action_recommended(self) -> None:
        recommended = self.link.snapshot.state.recommended
        if recommended is None:
            self.notify("The recommended point comes at the end of the sweep.", severity="warning")
        else:
            self._set(recommended.k)

    def action_undo(self) -> None:
        self._turn(self.position.undone(), "There is nothing to undo.")

    def action_redo(self) -> None:
        self._turn(self.position.redone(), "There is nothing to do again.")

    def _turn(self, position: Position, otherwise: str) -> None:
        if position == self.position:
            self.notify(otherwise, severity="warning")
            return
        self.position = position
        self.slider.move(position.k)
        self.slider.rest()

    def action_mode(self) -> None:
        self.position = self.position.other_mode()
        self._paint()

    def action_layers(self) -> None:
        """On a low screen one of three: figures, curve, layers."""
        views = ["", "-curve", "-layers"] if self.has_class("-short") else ["", "-layers"]
        now = next((view for view in views[1:] if self.has_class(view)), "")
        self.remove_class("-curve", "-layers")
        following = views[(views.index(now) + 1) % len(views)]
        if following:
            self.add_class(following)

    def action_zoom(self) -> None:
        self.toggle_class("-zoomed")

    def action_scale(self, way: int) -> None:
        self.query_one(Chart).action_zoom(way)

    def action_scroll(self, way: int) -> None:
        self.query_one(Layers).scroll_relative(y=way, animate=False)

    def action_export(self) -> None:
        self.slider.settle()
        self.app.push_screen(self.cnp.make("export"))

    def action_copy(self) -> None:
        path = shlex.quote(str(self.link.run.path))
        clipboard.copy(
            self.app, f"cnp prune {path} --count {self.slider.k}", self.link.run.path, "Command"
        )

    # A typed value

    def on_typed(self, message: Typed) -> None:
        message.stop()
        before = self.query_one(Value).value if self.has_class("-typing") else ""
        self._open(before + message.text)

    def action_type(self) -> None:
        self._open("")

    def _open(self, text: str) -> None:
        mode = self.position.mode
        self.query_one("#kind", Label).update(f"{mode}:")
        self.add_class("-typing")
        self.query_one(Value).open(text)
        self._meant(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._meant(event.value)

    def _meant(self, text: str) -> None:
        said = takes(self.position.mode)
        if text:
            try:
                said = f"= {plural(parse(text, self.position.mode, self.curves), 'neuron')}"
            except SettingInvalid as error:
                said = f"{error.what} {error.todo}"
        self.query_one("#meant", Label).update(said)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            k = parse(event.value, self.position.mode, self.curves)
        except SettingInvalid:
            event.input.select_all()  # what is wrong stands beside it; the next key begins anew
            return
        self._close()
        self._set(k)

    def on_input_blurred(self) -> None:
        self.remove_class("-typing")

    def _close(self) -> None:
        self.remove_class("-typing")
        self.slider.focus()

    def action_back(self) -> None:
        if self.has_class("-typing"):
            self._close()
        else:
            self.slider.settle()
            super().action_back()
