"""What can be done on a screen, from its bindings, so that it is right on every one; its words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.dom import DOMNode
from textual.geometry import Size
from textual.screen import ModalScreen, Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cnp_tui.glossary import WORDS
from cnp_tui.replay import Replay

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

OURS = "cnp_tui."


@dataclass(frozen=True)
class Row:
    """One thing that can be done; ``keys`` as they are shown."""

    keys: tuple[str, ...]
    name: str
    meaning: str


@dataclass(frozen=True)
class Section:
    title: str
    rows: tuple[Row, ...]


class HelpScreen(ModalScreen[None]):
    """About the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q,question_mark,f1", "dismiss", "Back", id="help.back",
                tooltip="Back to where you were"),
        Binding("j", "app.simulate_key('down')", "Down", show=False, id="help.down",
                tooltip="Scroll down"),
        Binding("k", "app.simulate_key('up')", "Up", show=False, id="help.up", tooltip="Scroll up"),
    ]  # fmt: skip

    def __init__(self, below: Screen[object]) -> None:
        super().__init__()
        self._topic = getattr(below, "TOPIC", "") or "cnp"
        self._about = getattr(below, "ABOUT", "")
        self._sections = tuple(sections(below))

    def compose(self) -> ComposeResult:
        text = page(self._about, self._sections, self.app.theme_variables["primary"])
        leaves = Leaves(text, id="help")
        leaves.border_title = f"Help: {self._topic}"
        leaves.border_subtitle = "esc back"
        yield leaves

    def on_mount(self) -> None:
        self.query_one("#help").focus()


class Leaves(ScrollView, can_focus=True):
    """A long text that never changes: laid out once for a width, however often it is painted."""

    def __init__(self, text: RenderableType, *, id: str) -> None:
        super().__init__(id=id)
        self._text = text
        self._lines: list[Strip] = []

    def on_resize(self) -> None:
        """Its own width and no other decides what is in a line."""
        width = self.scrollable_content_region.width
        if width and (not self._lines or self._lines[0].cell_length != width):
            options = self.app.console.options.update(width=width, height=None)
            lines = self.app.console.render_lines(self._text, options)
            self._lines = [Strip(line, width) for line in lines]
            self.virtual_size = Size(width, len(lines))

    def render_line(self, y: int) -> Strip:
        number = y + self.scroll_offset.y
        if number < len(self._lines):
            return self._lines[number].apply_style(self.rich_style)
        return Strip.blank(self.size.width, self.rich_style)


def sections(screen: Screen[object]) -> Iterator[Section]:
    """The screen's own keys, those of its widgets, and those that are the same everywhere."""
    yield Section("On this screen", tuple(_rows(screen)))
    words = WORDS.get(getattr(screen, "TOPIC", ""), {})
    if words:
        yield Section("Words", tuple(Row((word,), meaning, "") for word, meaning in words.items()))
    seen: set[type[DOMNode]] = set()
    for widget in screen.query("*"):
        kind = type(widget)
        if widget.focusable and kind not in seen and kind.__module__.startswith(OURS):
            seen.add(kind)
            title = getattr(kind, "TOPIC", "") or kind.__name__
            yield Section(f"With {title} in focus", tuple(_rows(widget)))
    app = cast("CnpApp", screen.app)
    if isinstance(app.link, Replay):
        yield Section("Of the replay", tuple(_merged(app, Binding.make_bindings(app.REPLAY))))
    taken = _taken(screen)
    free = (b for b in bindings(type(app)) if taken.get(b.key, b.description) == b.description)
    yield Section("Everywhere", tuple(_merged(app, free)))


def _taken(screen: Screen[object]) -> dict[str, str]:
    """By key, what it does on the screen and in the widget that has the focus there."""
    focused = screen.focused
    nodes: list[DOMNode] = [screen] if focused is None else [screen, focused]
    bound = {each.key: each.description for node in nodes for each in bindings(type(node))}
    return bound | dict.fromkeys(getattr(focused, "TAKES", ""), "")


def _rows(node: DOMNode) -> Iterator[Row]:
    """Those of Textual's own classes have none."""
    yield from _merged(node.app, bindings(type(node)))


def _merged(app: App[Any], given: Iterable[Binding]) -> Iterator[Row]:
    """Bindings that mean the same are one row."""
    found: dict[tuple[str, str], list[str]] = {}
    for binding in given:
        keys = found.setdefault((binding.description, binding.tooltip), [])
        keys.append(app.get_key_display(binding))
    for (name, meaning), keys in found.items():
        yield Row(tuple(dict.fromkeys(keys)), name, meaning)


def bindings(kind: type[DOMNode]) -> Iterator[Binding]:
    """One a key; what a class binds hides what those it is made from bind."""
    taken: set[str] = set()
    for each in kind.__mro__:
        if each.__module__.startswith(OURS):
            for binding in Binding.make_bindings(each.__dict__.get("BINDINGS", ())):
                if binding.key not in taken:
                    taken.add(binding.key)
                    yield binding


def page(about: str, sections: Iterable[Section], colour: str) -> Group:
    """All of it as one text: a widget a line would take long to mount."""
    heading = Style(color=Color.parse(colour).rich_color, bold=True)
    parts: list[RenderableType] = [Text(" ".join(about.split()))] if about else []
    for section in sections:
        parts += [Text(f"\n{section.title}" if parts else section.title, heading)]
        parts += [table(section.rows)]
    return Group(*parts)


def table(rows: tuple[Row, ...]) -> Table:
    """What a row means is wrapped beside its keys, not under them."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=8)
    grid.add_column()
    for row in rows:
        said = f"{row.name}: {row.meaning}" if row.meaning else row.name
        grid.add_row(Text(" ".join(row.keys), "bold"), Text(said))
    return grid
