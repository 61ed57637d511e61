"""Run: a repair being watched. What is shown comes from snapshots, what is asked goes to the link.

The same panes at every size: one at a time under tabs, beside the stages from 120 columns, all at
once from 160x45.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget
from textual.widgets import Tab, Tabs

from cnp_engine.commands import Cancel, Command, Continue, Pause
from cnp_engine.errors import CnpError
from cnp_engine.export.command import command_line
from cnp_engine.export.wording import percent
from cnp_tui import clipboard, leaving, watching
from cnp_tui.drawing import Mark
from cnp_tui.link import Link, Snapshot
from cnp_tui.panes import ELSEWHERE, PANES, TELLING, Layout, layout
from cnp_tui.plotted import plots
from cnp_tui.screens.base import RunScreen
from cnp_tui.watching import DEEDS, Deed
from cnp_tui.widgets.chart import Chart
from cnp_tui.widgets.footer import Footer
from cnp_tui.widgets.notices import Notices
from cnp_tui.widgets.outcome import Outcome
from cnp_tui.widgets.ranking import Ranking
from cnp_tui.widgets.run_log import RunLog
from cnp_tui.widgets.stages import Stages
from cnp_tui.widgets.trigger import TriggerPane, following


class WatchScreen(RunScreen):
    """``show`` passes a snapshot to the panes; each paints only what is different."""

    TOPIC = "Run"
    ABOUT = """
    A repair at work, or what came of it. The stages are on the left or on top: choose one to plot
    it. Leaving this screen leaves the run at work; the link may be lost at any moment and nothing
    is lost with it.
    """

    ALLOW_IN_MAXIMIZED_VIEW = "Footer, Headline, Notices"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", id="run.pause",
                tooltip="Hold the worker between two steps; again: let it go on"),
        Binding("space", "resume", "Resume", id="run.resume.space",
                tooltip="Go on with a run that is paused, was stopped, failed, or lost its worker"),
        Binding("R,s", "resume", "Resume", show=False, id="run.resume",
                tooltip="Go on with a run that is paused, was stopped, failed, or lost its worker; "
                        "space does too"),
        Binding("x", "stop", "Stop", id="run.stop",
                tooltip="Stop the run; asks, and what is done stays"),
        Binding("space,R,s,x", "why_not", "Why not", show=False, id="run.why_not",
                tooltip="Why there is nothing to pause, resume or stop"),
        Binding("d", "detach", "Detach", id="run.detach",
                tooltip="Back to Home; the run goes on"),
        Binding("p", "prune", "Prune", id="run.prune",
                tooltip="Set how many neurons are suppressed, once the curve stands"),
        Binding("e", "export", "Export", id="run.export", tooltip="Write the repaired model"),
        Binding("y", "copy", "Copy", show=False, id="run.copy",
                tooltip="Copy the command that repeats this run"),
        Binding("v", "view", "View", show=False, id="run.view",
                tooltip="The trigger through its mask, the pattern alone, the mask alone"),
        Binding("z", "zoom", "Zoom", show=False, id="run.zoom",
                tooltip="One pane over the whole screen, and back"),
        Binding("less_than_sign", "pane(-1)", "Pane before", show=False, key_display="<",
                id="run.pane.before", tooltip="The pane before; also a click on its tab"),
        Binding("greater_than_sign", "pane(1)", "Next pane", show=False, key_display=">",
                id="run.pane.next", tooltip="The next pane"),
        Binding("L", "chart('log')", "Log axis", show=False, id="run.log",
                tooltip="Logarithmic y axis of the chart shown, on and off"),
        Binding("m", "chart('smooth')", "Smooth", show=False, id="run.smooth",
                tooltip="Exponential moving average in the chart shown, on and off"),
        Binding("left_square_bracket", "chart('before')", "Inspect", show=False, key_display="[",
                id="run.inspect.before", tooltip="Crosshair of the chart shown one point back"),
        Binding("right_square_bracket", "chart('after')", "Inspect", show=False, key_display="]",
                id="run.inspect.after", tooltip="Crosshair of the chart shown one point on"),
    ]  # fmt: skip

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._layout_now: Layout | None = None
        self._pane = ""
        self._picked = False
        self._told_of: tuple[object, ...] = ()
        self._deeds: frozenset[Deed] = frozenset()

    def compose(self) -> ComposeResult:
        threshold = self.link.run.config.target.threshold
        yield Notices(id="notices")
        with Container(id="body"):
            with Vertical(id="side"):
                yield Stages(self.link.run.config.stages, id="side-stages")
                yield TriggerPane(id="side-trigger")
            with Container(id="main"):
                yield Tabs(*(Tab(name, id=f"tab-{key}") for key, name in PANES.items()), id="tabs")
                with Container(id="panes"):
                    yield Stages(self.link.run.config.stages, id="stages")
                    yield Chart(form=percent, id="rates")
                    yield Chart(id="loss")
                    yield Chart(id="size")
                    yield TriggerPane(id="trigger")
                    yield Ranking(threshold, id="classes")
                    yield Outcome(id="outcome")
                    yield RunLog(id="log")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._lay_out()
        super().on_mount()
        self.query_one("#side-stages").focus()

    # What is shown

    def show(self, snapshot: Snapshot) -> None:
        """Cheap where nothing is different: each pane compares first."""
        if self._layout_now is None:
            return
        state = snapshot.state
        self._name_keys(watching.deeds(snapshot, self.link.live))
        self.query_one(Notices).update(watching.notices(snapshot, self.link.live))
        for stages in self.query(Stages):
            stages.update(state, snapshot.status == "running")
        for trigger in self.query(TriggerPane):
            trigger.update(state)
        self.query_one(Ranking).update(state)
        self.query_one(RunLog).update(snapshot.history.records)
        self._show_outcome(snapshot)
        self._plot()
        if not self._picked:
            self._follow(snapshot)

    def _show_outcome(self, snapshot: Snapshot) -> None:
        config, state = self.link.run.config, snapshot.state
        title = "Verdict" if state.verdict else "What is known"
        rows = watching.outcome(self.link.run, snapshot, self.cnp.glyphs.arrow)
        if state.summary is not None:
            rows = (*rows, ("repeat", command_line(config)))
        plotted = plots(config, snapshot, self._stages.stage)
        about = [plot.about for plot in plotted.values() if plot.about]
        notes = dict.fromkeys([*watching.definitions(state), *about])
        self.query_one(Outcome).update(title, rows, tuple(notes))

    def _plot(self) -> None:
        """The stage that is chosen or at work, in the three charts."""
        snapshot, stage = self.link.snapshot, self._stages.stage
        for place, plot in plots(self.link.run.config, snapshot, stage).items():
            chart = self.query_one(f"#{place}", Chart)
            chart.entitle(plot.title, plot.unit, plot.empty)
            chart.suggest_log(plot.log)
            self.query_one(f"#tab-{place}", Tab).tooltip = plot.about or None
            marks = [Mark(x, label) for x, label in plot.marks]
            chart.show(plot.series, marks, plot.y_range)

    @property
    def _stages(self) -> Stages:
        """The list of stages that is visible, else the one beside the panes."""
        own = "#stages" if self._layout_now == "one" else "#side-stages"
        return self.query_one(own, Stages)

    def _follow(self, snapshot: Snapshot) -> None:
        """To the pane that tells most, when the run comes to another stage."""
        ended = snapshot.status in ("finished", "failed")
        stage = watching.followed(snapshot.state)
        now = (ended, stage, self._layout_now)
        if now != self._told_of:
            self._told_of = now
            self._turn_to("outcome" if ended else TELLING[stage])

    # Panes

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        wanted = layout(self.size.width, self.size.height)
        if wanted == self._layout_now:
            return
        self._layout_now = wanted
        body = self.query_one("#body")
        for known in ELSEWHERE:
            body.set_class(known == wanted, f"-{known}")
        tabs = self.query_one(Tabs)
        for key in PANES:
            hide = key in ELSEWHERE[wanted]
            tabs.hide(f"tab-{key}") if hide else tabs.show(f"tab-{key}")
        self._turn_to(self._pane or "rates")
        if not self._picked:
            self._follow(self.link.snapshot)

    def _turn_to(self, pane: str) -> None:
        """Show ``pane``, or the next best where it stands elsewhere."""
        shown = self._shown_panes
        self._pane = pane if pane in shown else "rates"
        for widget in self.query_one("#panes").children:
            widget.set_class(widget.id == self._pane, "-current")
        self.query_one(Tabs).active = f"tab-{self._pane}"

    @property
    def _shown_panes(self) -> list[str]:
        assert self._layout_now is not None
        return [key for key in PANES if key not in ELSEWHERE[self._layout_now]]

    @on(Tabs.TabActivated)
    def _tab(self, event: Tabs.TabActivated) -> None:
        """By the user; what was turned to from here is on its way back and says nothing new."""
        pane = (event.tab.id or "").removeprefix("tab-")
        latest = event.tabs.active == event.tab.id
        if latest and pane != self._pane and pane in self._shown_panes:
            self._picked = True
            self._turn_to(pane)

    def action_pane(self, way: int) -> None:
        shown = self._shown_panes
        self._picked = True
        pane = shown[(shown.index(self._pane) + way) % len(shown)]
        self._turn_to(pane)
        if self._layout_now == "everything" or self.maximized is not None:
            self.query_one(f"#{pane}").focus()
        if self.maximized is not None:
            self.maximize(self.query_one(f"#{pane}"), container=False)

    @on(Stages.Chosen)
    def _chosen(self, event: Stages.Chosen) -> None:
        for stages in self.query(Stages):
            stages.choose(event.stage)
        self._plot()

    def action_zoom(self) -> None:
        if self.maximized is not None:
            self.minimize()
            return
        self.maximize(self._focused_pane, container=False)

    @property
    def _focused_pane(self) -> Widget:
        """The pane that has the focus, else the one shown."""
        panes = [node for node in self._ancestors() if node.allow_maximize and node.id]
        return panes[0] if panes else self.query_one(f"#{self._pane}")

    def _ancestors(self) -> Iterator[Widget]:
        if self.focused is not None:
            yield from (n for n in self.focused.ancestors_with_self if isinstance(n, Widget))

    def action_back(self) -> None:
        if self.maximized is not None:
            self.minimize()
        else:
            super().action_back()

    def action_chart(self, what: str) -> None:
        """A key of charts, for the one that has the focus or is shown."""
        chart = self._focused_pane
        if not isinstance(chart, Chart):
            chart = self.query_one(f"#{self._pane}")
        if not isinstance(chart, Chart):
            chart = self.query_one("#rates", Chart)
            if self._layout_now != "everything":
                self.cnp.notify("No chart is shown: turn to Rates, Loss or Size.")
                return
        match what:
            case "log":
                chart.action_log()
            case "smooth":
                chart.action_smooth()
            case _:
                chart.action_inspect(-1 if what == "before" else 1)

    def action_view(self) -> None:
        view = following(self.query_one("#trigger", TriggerPane).view)
        for pane in self.query(TriggerPane):
            pane.show_view(view)

    # What is asked of the run

    def _name_keys(self, deeds: frozenset[Deed]) -> None:
        """The footer names what keys do now."""
        if deeds != self._deeds:
            self._deeds = deeds
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in DEEDS:
            return action in self._deeds
        return super().check_action(action, parameters)

    def action_pause(self) -> None:
        if self._ask(Pause()):
            self.cnp.notify("It holds after the step at work.")

    def action_resume(self) -> None:
        if self.link.snapshot.status == "running":
            if self._ask(Continue()):
                self.cnp.notify("It goes on.")
        elif self._tried(self.link.wake):
            self.cnp.notify("A worker goes on with it.")

    def action_stop(self) -> None:
        if self.painted:
            name = self.link.run.name
            leaving.ask_to_stop(self.cnp, name, lambda: self._ask(Cancel(leaving.REASON)))

    def action_why_not(self) -> None:
        snapshot = self.link.snapshot
        if snapshot.trouble is not None:
            self.cnp.tell(snapshot.trouble)
        else:
            self.cnp.notify(watching.why_not(snapshot, self.link.live), severity="warning")

    def action_detach(self) -> None:
        if leaving.working(self.link):
            self.cnp.notify(f"{self.link.run.name} goes on; enter on Home comes back to it.")
        self.cnp.go("home")

    def action_prune(self) -> None:
        self._go("prune")

    def action_export(self) -> None:
        self._go("export")

    def action_copy(self) -> None:
        run = self.link.run
        clipboard.copy(self.cnp, command_line(run.config), run.path, "The command was copied")

    def _go(self, name: Literal["prune", "export"]) -> None:
        """To another screen of this run, or why not."""
        verdict = self.link.snapshot.state.verdict
        why = self.cnp.closed(name)
        if why is not None and verdict is not None and verdict.verdict == "no_evidence":
            why = "No evidence of a backdoor: nothing was pruned, so there is no curve."
        if why is not None:
            self.cnp.notify(why, severity="warning")
        else:
            self.cnp.go(name)

    def _ask(self, command: Command) -> bool:
        return self._tried(lambda: self.link.send(command))

    def _tried(self, deed: Callable[[], None]) -> bool:
        """Whether it could be done; why not is told."""
        try:
            deed()
        except CnpError as error:
            self.cnp.tell(error)
            return False
        return True
