"""A backdoor that aims at no class in particular, wherever a class is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cnp_engine import events as ev
from cnp_engine.aims import ANY
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState
from cnp_tui import comparison, entries, overview, phrases, summary, watching
from cnp_tui.comparison import Compared
from cnp_tui.glyphs import ASCII
from cnp_tui.link import Snapshot
from cnp_tui.widgets import headline, ranking, run_table, trigger
from tests.tui.test_summary import BEFORE, CONFIG, DATA, MODEL, rate

ROW = ev.TargetRow(ANY, "any class", 1.7, 18.4, signals={"patch_octaves": 1.7, "paired": 0.8})
RANKED = ev.TargetRanked((ROW, ev.TargetRow(0, "stop", 0.4, 58.0, votes=0.1)), (ANY,), 1.3, True)
TURNED = ev.TriggerReversed(ANY, rate(0.95, 100), 18.4, 100)
VERDICT = ev.VerdictReached("backdoored", (ANY,), 0.98, ("a patch changes every answer",))
STATE = RunState.from_events(
    [
        MODEL, DATA, ev.MeasuredBefore(BEFORE), RANKED, ev.TriggerPreview(ANY, 1, 1, "AAAAAA=="),
        TURNED, VERDICT, ev.Chosen(12, 0.2, 0.005, "at the knee"), ev.Finished({"exports": []}),
    ]
)  # fmt: skip


def test_lines_and_summary_of_a_run() -> None:
    assert phrases.line(RANKED) == "target   any class stands out, margin 1.30"
    told = phrases.line(TURNED)
    assert told is not None
    assert told.startswith("trigger  for any class: success 95.0 %")
    page = summary.render(CONFIG, STATE)
    assert "backdoored, target any class (confidence 98.0 %)" in page
    assert "reversed for any class: success 95.0 %" in page
    assert "yield" not in page, "the last class is not meant"


def test_panes_of_the_run_screen() -> None:
    rows = ranking.text(ranking.bars(STATE), 1.0, ASCII, 76).splitlines()
    assert rows[1].startswith("> any class ")
    assert rows[2].startswith("  0 stop ")
    assert trigger.told(STATE, ANY).startswith("any class, mask L1 18.4 px")
    head = headline.standing(Snapshot("finished", STATE), ASCII)
    assert head.endswith("any class")


def test_what_came_of_it(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", CONFIG)
    rows = dict(watching.outcome(run, Snapshot("finished", STATE), "->"))
    assert rows["verdict"] == (
        "Evidence of a backdoor toward no class in particular (confidence 98.0 %)."
    )


def test_the_table_of_runs_from_a_log_and_from_a_summary() -> None:
    half = RunState.from_events([MODEL, DATA, RANKED, VERDICT])
    entry = entries.of_state(Path("run"), "m.pth", half, alive=True)
    assert entry.targets == ("any class",)
    summed_up = {
        "verdict": "backdoored", "target": None, "neurons": {"total": 600, "pruned": 12},
        "target_ranking": [{"class": None, "name": "any class"}, {"class": 0, "name": "stop"}],
    }  # fmt: skip
    entry = entries.with_summary(replace(entry, status="finished"), summed_up)
    assert entry.targets == ("any class",)
    assert run_table.told(entry, ASCII, 0.0) == "backdoored any class"
    clean = entries.with_summary(entry, {**summed_up, "verdict": "no_evidence"})
    assert clean.targets == ()


def test_tables_for_programs_have_no_class_there(tmp_path: Path) -> None:
    run = Compared("a", tmp_path, CONFIG, "finished", STATE)
    (row,) = comparison.table([run])
    assert (row["verdict"], row["target"]) == ("backdoored", [])
    assert [one["target"] for one in row["reversed"]] == [None]
    assert "any class" in comparison.text([run])
    line = dict.fromkeys(("name", "status", "begun", "model", "error"), "x")
    found = overview.table([{**line, "verdict": "backdoored", "target": []}])
    assert "any class" in found.splitlines()[1]
    clean = overview.table([{**line, "verdict": "no_evidence", "target": []}])
    assert "any class" not in clean


def test_being_close_to_a_class_is_no_doubt_of_it() -> None:
    near = replace(RANKED, margin=0.1)
    state = RunState.from_events([MODEL, DATA, near, VERDICT])
    assert not watching.notices(Snapshot("running", state))
    known = replace(near, targets=(0,))
    state = RunState.from_events([MODEL, DATA, known, VERDICT])
    assert "hardly ahead" in watching.notices(Snapshot("running", state))[0].text
