"""The stages of a run: how far each is, how long it took or may still take; one can be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.widget import Widget

from cnp_engine.events import STAGES, Stage
from cnp_engine.export.wording import seconds
from cnp_engine.state import RunState, StageState
from cnp_tui.glyphs import Glyphs
from cnp_tui.watching import eta_s, followed, memory, roughly

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

BAR = 24
SHORTEST = 6
"""Cells of the longest and of the shortest bar."""

HEAD = 12
"""Cells of the mark and the name."""


class Stages(Widget, can_focus=True):
    """The stage at work is followed until another is chosen; choosing it again follows.

    ``stages`` are listed from the start, any other from when it begins.
    """

    DEFAULT_CSS = """
    Stages { height: auto; padding: 0 1; }
    Stages:focus { background: $boost; }
    """

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False

    TOPIC: ClassVar[str] = "the stages"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "Stage above", show=False, id="stages.up",
                tooltip="Plot the stage above; also by a click"),
        Binding("down", "choose(1)", "Stage below", show=False, id="stages.down",
                tooltip="Plot the stage below"),
    ]  # fmt: skip

    class Chosen(Message):
        """Another stage is to be plotted."""

        def __init__(self, stage: Stage) -> None:
            super().__init__()
            self.stage = stage

    def __init__(
        self,
        stages: tuple[Stage, ...] = STAGES,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._sure = self._stages = stages
        self._state = RunState()
        self._at_work = True
        self._chosen: Stage | None = None
        self._lines: tuple[str, ...] = ()

    @property
    def stage(self) -> Stage:
        """The one to plot."""
        return self._chosen or followed(self._state)

    def update(self, state: RunState, at_work: bool = True) -> None:
        """``at_work``: whether a worker is there, so that what is left can be told."""
        self._state, self._at_work = state, at_work
        begun = {stage for stage in STAGES if state.stages[stage].status != "waiting"}
        stages = tuple(stage for stage in STAGES if stage in begun or stage in self._sure)
        if stages != self._stages:
            self._stages = stages
            self.refresh(layout=True)
        self._paint()

    def choose(self, stage: Stage | None) -> None:
        """None follows the stage at work."""
        self._chosen = None if stage == followed(self._state) else stage
        self._paint()

    def _paint(self) -> None:
        before, self._lines = self._lines, self._said()
        if len(before) != len(self._lines):
            self.refresh()
            return
        width = self.content_size.width
        for y, pair in enumerate(zip(before, self._lines, strict=True)):
            if pair[0] != pair[1]:
                self.refresh(Region(0, y, width, 1))

    def _said(self) -> tuple[str, ...]:
        glyphs = cast("CnpApp", self.app).glyphs
        width = max(1, self.content_size.width)
        state = self._state
        rows = [
            line(name, state, glyphs, width, self._at_work, name == self.stage)
            for name in self._stages
        ]
        free = [
            at for at, name in enumerate(self._stages) if state.stages[name].status != "running"
        ]
        for at, told in zip(free, beside(state), strict=False):
            rows[at] = with_right(rows[at], told, width)
        return tuple(rows)

    def on_resize(self) -> None:
        self._paint()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._stages)

    def render(self) -> Content:
        self._lines = self._said()
        rows = [self._styled(*pair) for pair in zip(self._stages, self._lines, strict=True)]
        return Content("\n").join(rows)

    def _styled(self, name: Stage, text: str) -> Content:
        """The name of the one that is plotted is reversed while the list has the focus."""
        waiting = self._state.stages[name].status == "waiting"
        if name != self.stage:
            return Content.styled(text, "$text-muted" if waiting else "")
        head = "bold reverse" if self.has_focus else "bold"
        return Content.assemble((text[:HEAD], head), (text[HEAD:], "bold"))

    def action_choose(self, way: int) -> None:
        at = self._stages.index(self.stage) + way
        if 0 <= at < len(self._stages):
            self._pick(self._stages[at])

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None and offset.y < len(self._stages):
            self._pick(self._stages[offset.y])

    def _pick(self, stage: Stage) -> None:
        self.choose(stage)
        self.post_message(self.Chosen(stage))


def beside(state: RunState) -> tuple[str, ...]:
    """Device, memory and time, for the right ends of rows with room."""
    told = [state.started.device] if state.started is not None else []
    told += memory(state)
    spent = state.spent_s
    if spent is not None:
        told.append(f"{spent:.0f} s" if spent < 60 else seconds(spent))
    return tuple(told)


def with_right(row: str, told: str, width: int) -> str:
    left = row.rstrip()
    room = width - cell_len(left) - cell_len(told)
    return f"{left}{' ' * room}{told}" if room >= 2 else row


def line(
    name: Stage, state: RunState, glyphs: Glyphs, width: int, at_work: bool, shown: bool
) -> str:
    """One stage on ``width`` cells."""
    stage = state.stages[name]
    now = ">" if at_work else "!"
    mark = {"done": glyphs.tick, "running": now, "waiting": ""}[stage.status]
    head = f"{set_cell_size(mark, 2)} {name:<8}{'*' if shown else ' '}"
    if stage.status == "running":
        return _begun(head, stage, _left(stage, state, at_work), glyphs, width)
    tail = ""
    if stage.status == "done":
        tail = "taken over" if stage.restored else seconds(stage.seconds)
    elif state.outcome == "finished":
        tail = "not needed"
    return set_cell_size(f"{head} {tail}".rstrip(), width)


def _left(stage: StageState, state: RunState, at_work: bool) -> str:
    """How long still, or why nothing moves."""
    if not at_work:
        return "stopped here"
    if state.paused:
        return "paused"
    left = eta_s(stage, state.at)
    return "" if left is None else f"{roughly(left)} left"


def _begun(head: str, stage: StageState, left: str, glyphs: Glyphs, width: int) -> str:
    """A bar, then how far, how long still, and what: as much as fits."""
    told = [part for part in (left, stage.label) if part]
    tail = f"{stage.done}/{stage.total}" if stage.total else told.pop(0) if left else "at work"
    for part in told:
        longer = f"{tail}  {part}"
        bar = SHORTEST + 2 if stage.total else 0
        if cell_len(head) + 1 + bar + cell_len(longer) <= width:
            tail = longer
    bar = min(BAR, width - cell_len(head) - cell_len(tail) - 3)
    if stage.total and bar >= SHORTEST:
        tail = f"{glyphs.bar(stage.done / stage.total, bar)}  {tail}"
    return set_cell_size(f"{head} {tail}", width)
