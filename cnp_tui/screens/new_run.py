"""A run put together: model, data, ground truth, settings, and a review of what will start."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Button, Input, OptionList, TabbedContent, TabPane, Tabs

from cnp_engine import launch
from cnp_engine.errors import CnpError
from cnp_engine.rundir import RunDirectory
from cnp_tui import bridge, clipboard, jobs, told
from cnp_tui.aside import aside
from cnp_tui.draft import EMPTY, Draft
from cnp_tui.form import FIELDS, PARTS, TITLES, Findings, Part, following, part_of, place
from cnp_tui.link import Live
from cnp_tui.messages import Accepted, Edited, Forced, Inspected, Wanted
from cnp_tui.screens.base import CnpScreen
from cnp_tui.widgets.data_pane import DataPane
from cnp_tui.widgets.field import Field
from cnp_tui.widgets.footer import Footer
from cnp_tui.widgets.late import late
from cnp_tui.widgets.model_pane import ModelPane
from cnp_tui.widgets.parts import Parts, title
from cnp_tui.widgets.review_pane import ReviewPane
from cnp_tui.widgets.settings_form import SettingsForm
from cnp_tui.widgets.truth_pane import TruthPane

LEFT = "as you left it; esc, then c empties it"
LOOKING = "looking into what was entered, then on"

REST_S = 0.3
"""How long typing rests before the disk is asked whether files are there."""


class NewRunScreen(CnpScreen):
    TOPIC = "New run"
    AUTO_FOCUS = "#field-model Line"
    """At once: what is typed next is a path and no command."""

    ABOUT = (
        "Choose the checkpoint to examine and some clean images, look at every setting if you "
        "like, and start. The review shows the command that starts the same run from a shell."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave_field", "Leave", id="new.leave",
                tooltip="Out of the field; what was typed stays"),
        Binding("escape", "leave_screen", "Back", show=False, id="new.back.escape",
                tooltip="One level back, where no field is being typed in"),
        Binding("f1", "field_help", "Help", key_display="F1", id="new.help",
                tooltip="What can be done on this screen, also while typing"),
        Binding("s", "start", "Start", id="new.start", tooltip="Start the run as it stands"),
        Binding("d", "demo", "Demo", id="new.demo",
                tooltip="Fill in the model, images and attack that come with the program"),
        Binding("f", "find", "Find", id="new.find",
                tooltip="Look for checkpoints under the folder that is typed; again: stop looking"),
        Binding("slash", "filter", "Filter", key_display="/", show=False, id="new.filter",
                tooltip="Show only settings whose name or meaning has these words"),
        Binding("r", "reset", "Reset", show=False, id="new.reset",
                tooltip="Leave the highlighted setting at its default"),
        Binding("c", "clear", "Clear", id="new.clear",
                tooltip="Empty every field; once more: bring back what was in them"),
        Binding("y", "copy", "Copy", show=False, id="new.copy",
                tooltip="Copy the command that starts the same run"),
        Binding("right_square_bracket", "next(1)", "Next", key_display="]", id="new.next",
                tooltip="The next part"),
        Binding("left_square_bracket", "next(-1)", "Previous", key_display="[", show=False,
                id="new.previous", tooltip="The part before"),
        *(
            Binding(f"f{number}", f"part('{part}')", TITLES[part], show=False,
                    id=f"new.part.{part}", tooltip=f"{TITLES[part]}, also while typing")
            for number, part in enumerate(PARTS, 2)
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._cleared = EMPTY
        self._left = False
        self._found = Findings()
        self._waiting = 0
        self._tried = False
        self._starting = False
        self.devices_asked = False
        self._ready = False

    def compose(self) -> ComposeResult:
        kept = self.cnp.preferences
        panes = {
            "model": ModelPane(kept.models), "data": DataPane(kept.sources),
            "truth": TruthPane(kept.attacks), "settings": SettingsForm(), "review": ReviewPane(),
        }  # fmt: skip
        with Parts(id="parts"):
            for part in PARTS:
                with TabPane(title(part), id=part):
                    yield panes[part]
        yield Footer()

    def on_mount(self) -> None:
        self._left = self.draft != EMPTY
        super().on_mount()
        self.call_after_refresh(self._be_ready)
        self._show_again()

    @work(group="devices")
    async def _learn_devices(self) -> None:
        try:
            found = await bridge.ask("devices")
        except CnpError as error:
            self.log(error)
            return
        with late():
            self.query_one(SettingsForm).offer_devices(told.devices(found))

    def say(self) -> None:
        left = LEFT if self._left else ""
        self.headline.say(f"cnp   {self.TOPIC}", LOOKING if self._waiting else left)

    # What is typed

    @property
    def draft(self) -> Draft:
        return self.cnp.draft

    @draft.setter
    def draft(self, typed: Draft) -> None:
        self.cnp.draft = typed

    def _show_again(self) -> None:
        """All of the draft, whatever is different in it."""
        self._ask_disk()
        for key in ("model", "data"):
            self._look_into(key)
        self._bring_up_to_date()

    @on(Edited)
    def _edited(self, event: Edited) -> None:
        event.stop()
        if event.latest:  # else a later one is on its way, and the field is not to go back
            self.put(event.key, event.text)

    def put(self, key: str, text: str) -> None:
        """Every way of setting something comes through here."""
        changed = self.draft.put(key, text)
        if changed != self.draft:
            self.workers.cancel_group(self, "entered")  # that was of another text
            self.draft = changed
            self._bring_up_to_date()
            self._ask_disk()
            self._look_into(key)

    @on(Forced)
    def _force(self, event: Forced) -> None:
        self.draft = replace(self.draft, force=event.value)
        self._bring_up_to_date()
        self._ask_disk()

    def _look_into(self, key: str) -> None:
        if key == "model":
            self.query_one(ModelPane).look_into(self.draft.text(key).strip())
        if key in ("data", "clean", "clean_dir") and not self.draft.problem(key):
            config = self.draft.config()
            asked = (self.draft.text("data").strip(), config.clean, config.clean_dir)
            self.query_one(DataPane).look_into(asked)

    @work(group="disk", exclusive=True)
    async def _ask_disk(self) -> None:
        await asyncio.sleep(REST_S)
        await self._find_missing()

    async def _find_missing(self) -> None:
        await self._found.ask_disk(self.draft)
        with late():
            self._bring_up_to_date()

    @on(Inspected)
    def _inspected(self, event: Inspected) -> None:
        self._found.judge(event.path, event.trouble)
        self._bring_up_to_date()

    # What is wrong

    def _met(self) -> dict[str, CnpError]:
        """An untouched field is no mistake before a start was tried."""
        problems = self._found.problems(self.draft)
        return {
            key: error for key, error in problems.items() if self._tried or self.draft.text(key)
        }

    def _bring_up_to_date(self) -> None:
        met = self._met()
        for field in self.query(Field):
            field.show(self.draft.text(field.key), met.get(field.key))
        self.query_one(SettingsForm).show(self.draft, met)
        looking = self._found.looking(self.draft)
        self.query_one(ReviewPane).show(self.draft, self._found.problems(self.draft), looking)
        self.query_one(Parts).mark({part_of(key) for key in met})

    # Going about

    @property
    def part(self) -> Part:
        return self.query_one(Parts).part

    def action_part(self, part: Part) -> None:
        self.query_one(Parts).turn_to(part)
        self.call_after_refresh(self._focus_in, part)

    def _focus_in(self, part: Part) -> None:
        if part != self.part:
            return  # left again meanwhile
        if part == "settings":
            self.query_one("#catalogue", OptionList).focus()
        elif part == "review":
            self.query_one("#start", Button).focus()
        else:
            first = {"model": "model", "data": "data", "truth": "attack"}[part]
            self._field(first).take_focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Over a slow link one types ahead: until there is a field, letters are no commands."""
        if action in ("leave_field", "field_help"):  # elsewhere the same keys mean the same
            return isinstance(self.focused, Input)
        if action == "leave_screen":
            return not isinstance(self.focused, Input)
        return self._ready or action == "back"

    def _be_ready(self) -> None:
        self._ready = True
        self.refresh_bindings()

    def _field(self, key: str) -> Field:
        return self.query_one(f"#field-{key}", Field)

    def action_next(self, step: int) -> None:
        at = PARTS.index(self.part) + step
        if 0 <= at < len(PARTS):
            self.action_part(PARTS[at])

    @on(TabbedContent.TabActivated)
    def _shown(self, event: TabbedContent.TabActivated) -> None:
        """The devices are asked for when they are first seen: that costs two seconds of a core."""
        if self.part == "settings" and not self.devices_asked:
            self.devices_asked = True
            self._learn_devices()

    @on(Accepted)
    def _accepted(self, event: Accepted) -> None:
        """Enter in a field leads on, unless something is wrong there; at once where that is known.

        Otherwise the disk and the look into the model are waited for.
        """
        event.stop()
        if self._found.settled(self.draft, event.key):
            self._lead_on(event.key)
        else:
            self._wait_to_lead_on(event.key)

    @work(group="entered", exclusive=True)
    async def _wait_to_lead_on(self, key: str) -> None:
        here = (self.focused, self._field(key).line)
        self._wait(+1)
        try:
            await self._find_missing()
            while key == "model" and key not in self._met() and self._found.looking(self.draft):
                self._look_into(key)  # a highlighted other may have been asked about since
                await self._found.next_verdict()
                await self._find_missing()
            with late():
                if self.part == FIELDS[key] and self.focused in here:
                    self._lead_on(key)
        finally:
            self._wait(-1)

    def _wait(self, more: int) -> None:
        self._waiting += more
        self.say()

    def _lead_on(self, key: str) -> None:
        """To the next field of the part, then to the next part."""
        if key in self._met() or (key == "data" and self.query_one(DataPane).nothing_there):
            return
        then = following(key)
        if then is not None:
            self._field(then).take_focus()
        else:
            self.action_next(1) if self.part != "review" else self._focus_in("review")

    @on(Wanted)
    def _wanted(self, event: Wanted) -> None:
        self.show_field(event.key)

    def show_field(self, key: str) -> None:
        part = part_of(key)
        self.query_one(Parts).turn_to(part)
        if part == "settings":
            self.query_one(SettingsForm).go_to(key)
        else:
            self.call_after_refresh(self._field(key).take_focus)

    def action_leave_field(self) -> None:
        self.query_one(Tabs).focus()

    def action_leave_screen(self) -> None:
        self.action_back()

    def action_field_help(self) -> None:
        self.cnp.action_help()

    # What is done

    def action_demo(self) -> None:
        for key, text in jobs.demo_inputs().items():
            self.put(key, str(text))
        self.action_part("review")

    def action_find(self) -> None:
        self.query_one(Parts).turn_to("model")
        self.query_one(ModelPane).find(self.draft.text("model").strip())
        self.query_one("#checkpoints", OptionList).focus()

    def action_filter(self) -> None:
        self.query_one(Parts).turn_to("settings")
        self.call_after_refresh(self.query_one(SettingsForm).filter)

    def action_reset(self) -> None:
        if self.part != "settings":
            self.notify("Settings are reset in the part Settings (F5).", severity="warning")
        else:
            self.query_one(SettingsForm).reset()

    def action_clear(self) -> None:
        typed = self.draft
        self.draft, self._cleared = (self._cleared, EMPTY) if typed == EMPTY else (EMPTY, typed)
        if typed != EMPTY:
            self.notify("c brings back what was typed.", title="Cleared")
        elif self.draft == EMPTY:
            self.notify("There is nothing to clear.", severity="warning")
        self._found.forget_disk()
        self._tried, self._left = False, False
        self.say()
        self._show_again()

    def action_copy(self) -> None:
        clipboard.copy(self.cnp, self.draft.line(), what="Command copied")

    async def action_start(self) -> None:
        if self._starting:
            raise SkipAction
        self._starting = True
        try:
            await self._start()
        finally:
            self._starting = False

    async def _start(self) -> None:
        self._tried = True
        await self._find_missing()
        wrong = self._found.problems(self.draft)
        if wrong:
            key, error = next(iter(wrong.items()))
            self.cnp.tell(error)
            self.show_field(key)
            return
        now = self.draft
        try:
            run = await aside(lambda: _begin(now))
            worker = launch.start(run)
            self._remember()
            self.draft = replace(now, out="", force=False)  # that place is taken now
            self.cnp.open_run(Live(run, worker))
        except CnpError as error:
            self.cnp.tell(type(error)(error.what, told.in_form(error.todo)))

    def _remember(self) -> None:
        typed = self.draft.text
        self.cnp.prefer(
            self.cnp.preferences.used(
                models=place(typed("model")) or None,
                sources=typed("data").strip(),
                attacks=place(typed("attack")) or None,
            )
        )

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        """Named as what they do."""
        await self.run_action(str(event.button.id))


def _begin(wanted: Draft) -> RunDirectory:
    place = jobs.Place(wanted.place(), wanted.force)
    return jobs.begin(wanted.values(), (), None, place)
