"""Every setting of a run as one list, and the highlighted one explained and edited beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from cnp_engine import settings
from cnp_engine.errors import CnpError
from cnp_tui.draft import CATALOGUE, Draft, choices
from cnp_tui.messages import Edited
from cnp_tui.widgets.field import Entry

GROUPS: Mapping[str, str] = {
    "": "The run",
    "target": "Target class",
    "reversal": "Trigger reversal",
    "masks": "Contrastive masks",
    "sweep": "Curve and choice",
    "heal": "Healing",
}

FIRST = ("preset", "device", "precision", "seed", "until", "targets")
"""Of the run's own settings, those people come for."""

KEY, VALUE = 26, 12
"""Cells of the first two columns."""


def ordered() -> list[str]:
    """All settings, group by group."""
    rest = [key for key in CATALOGUE if key not in FIRST]
    return [*FIRST, *rest]


class Editor(Input):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Done", id="setting.done",
                tooltip="Back to the list of settings; what is typed is set"),
        Binding("escape", "leave", "Leave", id="setting.leave",
                tooltip="Back to the list of settings"),
        Binding("up", "step(-1)", "Up", show=False, id="setting.up", tooltip="The setting above"),
        Binding("down", "step(1)", "Down", show=False, id="setting.down",
                tooltip="The setting below"),
    ]  # fmt: skip

    def action_leave(self) -> None:
        self.screen.query_one("#catalogue", OptionList).focus()

    def action_step(self, by: int) -> None:
        listed = self.screen.query_one("#catalogue", OptionList)
        if by > 0:
            listed.action_cursor_down()
        else:
            listed.action_cursor_up()


class Choices(OptionList):
    """What a setting can be, in place of a line to type it in."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", id="choices.leave",
                tooltip="Back to the list of settings"),
    ]  # fmt: skip

    def action_leave(self) -> None:
        self.screen.query_one("#catalogue", OptionList).focus()


class SettingsForm(Vertical):
    """``show`` brings all of it up to date; what is typed goes up as ``Edited``."""

    DEFAULT_CLASSES: ClassVar[str] = "part"

    def __init__(self) -> None:
        super().__init__()
        self._draft = Draft()
        self._changed: frozenset[str] = frozenset()
        self._values: Mapping[str, object] = {}
        self._problems: Mapping[str, CnpError] = {}
        self._devices: Sequence[tuple[str, str]] = ()
        self._options: Sequence[tuple[str, str]] = ()
        self._rows: tuple[Content, ...] = ()
        self._edited: str | None = None

    def compose(self) -> ComposeResult:
        yield Entry(placeholder="filter: a word of the name or of its meaning", id="filter",
                    compact=True)  # fmt: skip
        with Vertical(id="settings-body"):
            yield OptionList(id="catalogue", compact=True)
            with VerticalScroll(id="setting", can_focus=False):
                yield Static(id="setting-help", markup=False)
                with Horizontal(classes="line"):
                    yield Editor(id="setting-text", compact=True)
                    yield Button("Reset", id="reset", compact=True)
                yield Static(id="setting-problem", classes="problem", markup=False)
                yield Choices(id="choices", compact=True)

    def on_mount(self) -> None:
        self.show(self._draft, self._problems)

    # Bringing up to date

    def show(self, draft: Draft, problems: Mapping[str, CnpError]) -> None:
        self._draft, self._problems = draft, problems
        self._changed, self._values = draft.changed(), draft.config().values()
        if self.is_mounted:
            self._list()
            self._detail()

    def offer_devices(self, devices: Sequence[tuple[str, str]]) -> None:
        """(name, what it is), to choose from."""
        self._devices = devices
        self._detail()

    def _list(self) -> None:
        """Rows that are as they were are not painted again."""
        listed = self.query_one("#catalogue", OptionList)
        found = self._matching()
        ids = [f"group-{key}" if group else f"key-{key}" for key, group in found]
        rows = tuple(self._row(key, group) for key, group in found)
        if ids == [option.id for option in listed.options]:
            for option_id, row, old in zip(ids, rows, self._rows, strict=True):
                if row != old:
                    listed.replace_option_prompt(option_id, row)
        else:
            here = self.key
            listed.clear_options()
            listed.add_options(
                Option(row, id, disabled=group)
                for row, id, (_, group) in zip(rows, ids, found, strict=True)
            )
            self._highlight(here)
        self._rows = rows

    def _matching(self) -> list[tuple[str, bool]]:
        """(key, False) of each setting the filter leaves, each group headed by (name, True)."""
        words = self.query_one("#filter", Input).value.lower().split()
        rows: list[tuple[str, bool]] = []
        for key in ordered():
            about = f"{key} {CATALOGUE[key].help} {GROUPS[_group(key)]}".lower()
            if all(word in about for word in words):
                if (_group(key), True) not in rows:
                    rows.append((_group(key), True))
                rows.append((key, False))
        return rows

    def _row(self, key: str, group: bool) -> Content:
        if group:
            return Content.styled(GROUPS[key], "bold $primary")
        changed, wrong = key in self._changed, key in self._problems
        mark = "!" if wrong else "*" if changed else " "
        style = "$error" if wrong else "bold" if changed else ""
        text = f"{mark} {key:<{KEY}}{self._value(key):<{VALUE}} "
        return Content.styled(text, style) + Content.styled(CATALOGUE[key].help, "dim")

    def _value(self, key: str) -> str:
        text = self._draft.text(key) or settings.show(self._values[key])
        return text if len(text) < VALUE else "..." + text[-(VALUE - 4) :]

    def _highlight(self, key: str | None) -> None:
        listed = self.query_one("#catalogue", OptionList)
        ids = [option.id for option in listed.options]
        wanted = f"key-{key}"
        first = next((at for at, id in enumerate(ids) if str(id).startswith("key-")), None)
        listed.highlighted = ids.index(wanted) if wanted in ids else first

    # The highlighted one

    @property
    def key(self) -> str | None:
        listed = self.query_one("#catalogue", OptionList)
        option = listed.highlighted_option
        return option.id.removeprefix("key-") if option and option.id else None

    def _detail(self) -> None:
        key = self.key
        self.query_one("#setting").display = key is not None
        if key is None:
            return
        item, problem = CATALOGUE[key], self._problems.get(key)
        default = settings.show(self._draft.base().values()[key]) if not item.required else ""
        usual = f" By itself: {default}." if default else ""
        head = Content.styled(key, "bold") + f"   {item.help}."
        self._say("#setting-help", head + f"\nGive {item.expects}.{usual}")
        editor = self.query_one("#setting-text", Editor)
        text = self._draft.text(key)
        typing = editor.has_focus and key == self._edited  # what is typed is ahead of the draft
        if editor.value != text and not typing:
            with editor.prevent(Input.Changed):
                editor.value = text
        self._edited = key
        editor.placeholder = default
        told = f"! {problem.what} {problem.todo}" if problem else ""
        self._say("#setting-problem", Content(told)).display = bool(told)
        self._choose_from(key)

    def _say(self, place: str, text: Content) -> Static:
        """The same text is not laid out again."""
        shown = self.query_one(place, Static)
        if shown.content != text:
            shown.update(text)
        return shown

    def _choose_from(self, key: str) -> None:
        listed = self.query_one("#choices", OptionList)
        counted = [(each, "") for each in choices(CATALOGUE[key])]
        offered = self._devices if key == "device" else counted
        if offered != self._options:
            self._options = offered
            listed.clear_options()
            listed.add_options(Content(f"{name:<10} {what}".rstrip()) for name, what in offered)
        listed.display = bool(offered)

    # What is done to it

    def go_to(self, key: str) -> None:
        """Highlight ``key`` and edit it."""
        self.query_one("#filter", Input).value = ""
        self._list()
        self._highlight(key)
        self._detail()
        self.call_after_refresh(self.edit)

    def edit(self) -> None:
        """Into the editor, or the choices where they can be counted off."""
        choose = self.query_one("#choices", OptionList)
        (choose if choose.display else self.query_one("#setting-text", Editor)).focus()

    def reset(self) -> None:
        if self.key is not None:
            self.post_message(Edited(self.key, ""))

    def filter(self) -> None:
        self.query_one("#filter", Input).focus()

    @on(OptionList.OptionHighlighted, "#catalogue")
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._detail()

    @on(OptionList.OptionSelected, "#catalogue")
    def _entered(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.edit()

    @on(OptionList.OptionSelected, "#choices")
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self.key is not None:
            self.post_message(Edited(self.key, self._options[event.option_index][0]))
            self.query_one("#catalogue", OptionList).focus()

    @on(Input.Changed, "#setting-text")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.key is not None:
            self.post_message(Edited(self.key, event.value))

    @on(Input.Submitted, "#setting-text")
    def _finished(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#catalogue", OptionList).focus()

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        event.stop()
        self._list()
        self._detail()

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#catalogue", OptionList).focus()

    @on(Button.Pressed, "#reset")
    def _reset(self, event: Button.Pressed) -> None:
        event.stop()
        self.reset()


def _group(key: str) -> str:
    return key.rpartition(".")[0]
