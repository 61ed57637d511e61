"""What can be done on a screen: made from its bindings, so that it is right on every one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

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
        with VerticalScroll(id="help") as scroll:
            scroll.border_title = f"Help: {self._topic}"
            scroll.border_subtitle = "esc back"
            if self._about:
                yield Static(Content(" ".join(self._about.split())), id="about")
            for section in self._sections:
                yield Static(Content(section.title), classes="section")
                yield Static(table(section.rows))

    def on_mount(self) -> None:
        self.query_one("#help").focus()


def sections(screen: Screen[object]) -> Iterator[Section]:
    """The screen's own keys, those of its widgets, and those that are the same everywhere."""
    yield Section("On this screen", tuple(_rows(screen)))
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
    yield Section("Everywhere", tuple(_rows(app)))


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


def table(rows: tuple[Row, ...]) -> Table:
    """What a row means is wrapped beside its keys, not under them."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=8)
    grid.add_column()
    for row in rows:
        said = f"{row.name}: {row.meaning}" if row.meaning else row.name
        grid.add_row(Text(" ".join(row.keys), "bold"), Text(said))
    return grid
