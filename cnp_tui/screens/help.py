"""What can be done on a screen: made from its bindings, so that it is right on every one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

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
                yield Static(Content(table(section.rows)))

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
    yield Section("Everywhere", tuple(_rows(screen.app)))


def _rows(node: DOMNode) -> Iterator[Row]:
    """Bindings of one action are one row; those of Textual's own classes have none."""
    found: dict[str, tuple[Binding, list[str]]] = {}
    for binding in bindings(type(node)):
        keys = found.setdefault(binding.action, (binding, []))[1]
        keys.append(node.app.get_key_display(binding))
    for binding, keys in found.values():
        yield Row(tuple(dict.fromkeys(keys)), binding.description, binding.tooltip)


def bindings(kind: type[DOMNode]) -> Iterator[Binding]:
    """One a key; what a class binds hides what those it is made from bind."""
    taken: set[str] = set()
    for each in kind.__mro__:
        if each.__module__.startswith(OURS):
            for binding in Binding.make_bindings(each.__dict__.get("BINDINGS", ())):
                if binding.key not in taken:
                    taken.add(binding.key)
                    yield binding


def table(rows: tuple[Row, ...]) -> str:
    keys = [" ".join(row.keys) for row in rows]
    width = max(map(len, keys), default=0)
    said = [f"{row.name}: {row.meaning}" if row.meaning else row.name for row in rows]
    return "\n".join(f"{key:<{width}}  {text}" for key, text in zip(keys, said, strict=True))
