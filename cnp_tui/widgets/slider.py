"""A slider over numbers of neurons, in steps of one, by mouse, wheel, keys or typed value.

Posts ``Moved`` for every step and ``Rested`` when it is let go, or a moment after the last key.
Knows counts and marks; not what a count does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget

from cnp_tui.glyphs import Glyphs
from cnp_tui.messages import Moved, Rested
from cnp_tui.scale import Scale

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

REST_S = 0.2
"""A key that is not pressed again for so long is let go."""

TEN = 10
PAGE = 0.05


@dataclass(frozen=True)
class Marks:
    """What is marked on the scale; ``ticks`` are counts that were measured exactly."""

    recommended: int | None = None
    reference: int | None = None
    ticks: tuple[int, ...] = ()


class Typed(Message):
    """A digit was pressed: a value is being typed, which begins with ``text``."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Slider(Widget, can_focus=True):
    """Three rows: the track, ticks and marks, and what the marks mean."""

    DEFAULT_CSS = """
    Slider { height: 3; width: 1fr; }
    """

    TAKES: ClassVar[str] = "0123456789."
    """They begin a typed value."""

    ALLOW_SELECT = False  # a drag would select text, and paint the whole screen for every cell

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "One less", show=False, id="slider.left",
                tooltip="Suppress one neuron less; also the wheel down"),
        Binding("right,l", "step(1)", "One more", show=False, id="slider.right",
                tooltip="Suppress one neuron more; also the wheel up"),
        Binding("shift+left,H", "step(-10)", "Ten less", show=False, id="slider.left.ten",
                tooltip="Ten neurons less; also shift or ctrl and the wheel"),
        Binding("shift+right,L", "step(10)", "Ten more", show=False, id="slider.right.ten",
                tooltip="Ten neurons more; also shift or ctrl and the wheel"),
        Binding("pageup", "page(1)", "Far more", show=False, id="slider.page.more",
                tooltip="5 % of the range more"),
        Binding("pagedown", "page(-1)", "Far less", show=False, id="slider.page.less",
                tooltip="5 % of the range less"),
        Binding("home", "go(0)", "None", show=False, id="slider.home",
                tooltip="Suppress nothing"),
        Binding("end", "last", "End", show=False, id="slider.end",
                tooltip="To the end of the curve"),
        Binding("enter", "rest", "Measure", show=False, id="slider.rest",
                tooltip="Ask for exact figures here once more"),
    ]  # fmt: skip

    def __init__(self, *, rest_s: float = REST_S, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rest_s = rest_s
        self.k = 0
        self.end = 0
        self.marks = Marks()
        self.dragging = False
        self._later: Timer | None = None

    # What is shown

    def show(self, end: int, marks: Marks, k: int) -> None:
        """Take over range, marks and position from outside, which says nothing to anybody."""
        k = min(max(0, k), end)
        if (end, marks, k) != (self.end, self.marks, self.k):
            self.end, self.marks, self.k = end, marks, k
            self.refresh()

    @property
    def scale(self) -> Scale:
        return Scale(self.end, max(1, self.content_size.width))

    def render(self) -> Content:
        scale = self.scale
        return Content("\n").join([self._track(scale), self._marks(scale), self._legend(scale)])

    def _track(self, scale: Scale) -> Content:
        glyphs, at = self._glyphs, scale.cell(self.k)
        handle = "$primary bold reverse" if self.has_focus else "$primary bold"
        return Content.assemble(
            (glyphs.fill * at, "$primary"),
            (glyphs.handle, handle),
            (glyphs.rest * (scale.width - at - 1), "$foreground 40%"),
        )

    def _marks(self, scale: Scale) -> Content:
        cells = [(" ", "")] * scale.width
        for tick in self.marks.ticks:
            cells[scale.cell(tick)] = ("'", "$foreground 60%")
        for k, sign, style in self._signs():
            cells[scale.cell(k)] = (sign, style)
        return Content.assemble(*cells)

    def _signs(self) -> list[tuple[int, str, str]]:
        """The recommended point last: it stands over the reference where they meet."""
        recommended, reference, glyphs = self.marks.recommended, self.marks.reference, self._glyphs
        signs = []
        if reference is not None and reference <= self.end:
            signs.append((reference, glyphs.reference, "$warning bold"))
        if recommended is not None and recommended <= self.end:
            signs.append((recommended, glyphs.recommended, "$success bold"))
        return signs

    def _legend(self, scale: Scale) -> Content:
        last = str(self.end)
        words = [word for word in self._words() if word]
        room = scale.width - 2 - len(last)
        while words and len("   ".join(words)) > room - 2:
            words = [word.split(" (")[0] for word in words] if "(" in words[-1] else words[:-1]
        text = f"0  {'   '.join(words)}"
        return Content.styled(text.ljust(room + 2)[: room + 2] + last, "$foreground 80%")

    def _words(self) -> tuple[str, ...]:
        marks, glyphs = self.marks, self._glyphs
        if marks.recommended is not None and marks.recommended == marks.reference:
            both = f"{glyphs.recommended} recommended {marks.recommended}"
            return (f"{both}, as the reference's 1 %", "' measured")
        recommended = marks.recommended
        reference = marks.reference
        return (
            "" if recommended is None else f"{glyphs.recommended} recommended {recommended}",
            "" if reference is None else f"{glyphs.reference} {reference} (the reference's 1 %)",
            "' measured",
        )

    @property
    def _glyphs(self) -> Glyphs:
        return cast("CnpApp", self.app).glyphs

    # Moving

    def move(self, k: int) -> None:
        """Go to ``k`` and say so; nothing happens where that is no other place."""
        k = min(max(0, k), self.end)
        if k != self.k:
            self.k = k
            self.refresh()
            self.post_message(Moved(k))

    def rest(self) -> None:
        """An exact answer is wanted here and now."""
        self._forget()
        self.post_message(Rested(self.k))

    @property
    def waiting(self) -> bool:
        """Whether a key was pressed a moment ago."""
        return self._later is not None

    @property
    def moving(self) -> bool:
        """Whether it is held, or a key that moves it may be."""
        return self.dragging or self.waiting

    def settle(self) -> None:
        """Rest now where a key was pressed a moment ago."""
        if self.waiting:
            self.rest()

    def _rest_later(self) -> None:
        self._forget()
        self._later = self.set_timer(self.rest_s, self.rest)

    def _forget(self) -> None:
        if self._later is not None:
            self._later.stop()
            self._later = None

    def action_step(self, steps: int) -> None:
        self.move(self.k + steps)
        self._rest_later()

    def action_page(self, way: int) -> None:
        self.action_step(way * max(1, round(PAGE * self.end)))

    def action_go(self, k: int) -> None:
        self.action_step(k - self.k)

    def action_last(self) -> None:
        self.action_go(self.end)

    def action_rest(self) -> None:
        self.rest()

    # Mouse: the column on the screen counts, so that a drag goes on outside

    def _under(self, event: events.MouseEvent) -> int:
        return self.scale.count(int(event.screen_x) - self.content_region.x)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button != 1:
            return
        event.stop()
        self.focus()
        self.capture_mouse()
        self.dragging = True
        self._forget()
        self.move(self._marked(event) or self._under(event))

    def _marked(self, event: events.MouseEvent) -> int | None:
        """The count of a mark that was clicked on: a cell may stand for several counts."""
        if int(event.screen_y) - self.content_region.y != 1:
            return None
        cell = int(event.screen_x) - self.content_region.x
        return next((k for k, *_ in reversed(self._signs()) if self.scale.cell(k) == cell), None)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.dragging:
            event.stop()
            self.move(self._under(event))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self.dragging:
            event.stop()
            self._let_go()

    def on_mouse_release(self) -> None:
        """Somebody else took the mouse."""
        if self.dragging:
            self._let_go()

    def _let_go(self) -> None:
        self.dragging = False
        self.capture_mouse(False)
        self.rest()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, way: int) -> None:
        event.stop()
        event.prevent_default()
        self.action_step(way * (TEN if event.shift or event.ctrl else 1))

    # Typing

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character in self.TAKES:
            event.stop()
            self.post_message(Typed(event.character))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
