"""The fold: what a run looks like after each event."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from cnp_engine import events as ev
from cnp_engine.jsonl import Record
from cnp_engine.state import RunState, fold
from tests.engine.runs.tools import CANCELLED, FAILED, FINISHED, RATE, RESUMED, STARTED

FREE = ev.LabelFree(RATE)
MODEL = ev.ModelLoaded("m", "sha", "torch zip", "", "resnet", 2, 8, (("bn", 8),), 99)
DATA = ev.DataLoaded("d", "sha", ("cat", "dog"), 32, 32, 5, 5, 9, True)
RANKED = ev.TargetRanked((ev.TargetRow(0, "cat", 3.0),), (0,), 2.0, True)
POINT = ev.CurvePoint(3, 0.5, FREE)
CHOSEN = ev.Chosen(3, 0.5, 0.01, "knee")
BY_USER = ev.Chosen(5, 0.6, 0.02, "slider", by_user=True)
VERDICT = ev.VerdictReached("backdoored", (0,), 0.9, ("small",))
NORMALIZE = ev.NormalizeChosen("none", (0.0,), (1.0,), False, None)
SCORES = ev.ScoresReady(8, 1, None, 10)
EXPORTED = ev.Exported(("a",), "sha")
REMEASURED = ev.Remeasured("a", 3, FREE, ev.Measured(RATE))
EVALUATED = ev.Evaluated(4, FREE, ev.Measured(), 0.1)
TRIGGER = ev.TriggerReversed(0, RATE, 9.0, 10)
SIZES = ev.TargetSizes("patch", (9.0, None))
REFUSED = ev.Refused("export", 3, "The disk is full.", "Make room.")
RESOURCES = ev.Resources(2**30)
ASKED = ev.Progress("heal", 20, 200, {"loss": 0.5}, asked=True)
PREVIEW = ev.TriggerPreview(0, 1, 1, "AAAA")


def state_of(*events: ev.Event) -> RunState:
    return RunState.from_events(events)


@pytest.mark.parametrize(
    ("event", "name", "value"),
    [
        (STARTED, "started", STARTED),
        (MODEL, "model", MODEL),
        (DATA, "data", DATA),
        (NORMALIZE, "normalize", NORMALIZE),
        (ev.MeasuredBefore(ev.Measured(RATE)), "before", ev.Measured(RATE)),
        (RANKED, "target", RANKED),
        (SCORES, "scores", SCORES),
        (BY_USER, "chosen", BY_USER),
        (VERDICT, "verdict", VERDICT),
        (EXPORTED, "exported", EXPORTED),
        (REMEASURED, "remeasured", REMEASURED),
        (FAILED, "failure", FAILED),
        (CANCELLED, "cancelled", CANCELLED),
        (FINISHED, "summary", FINISHED.summary),
        (POINT, "curve", {3: POINT}),
        (EVALUATED, "evaluated", {4: EVALUATED}),
        (TRIGGER, "triggers", {0: TRIGGER}),
        (PREVIEW, "previews", {0: PREVIEW}),
        (SIZES, "sizes", {"patch": SIZES}),
        (REFUSED, "refused", REFUSED),
        (RESOURCES, "resources", RESOURCES),
        (ASKED, "asked", ASKED),
        (ev.Paused(), "paused", True),
        (ev.Warned("a", "b"), "warnings", (ev.Warned("a", "b"),)),
    ],
    ids=lambda value: getattr(value, "tag", None),
)
def test_each_event_is_kept_in_its_field(event: ev.Event, name: str, value: Any) -> None:
    state = state_of(event)
    assert getattr(state, name) == value
    untouched = {f.name for f in dataclasses.fields(state)} - {name, "seq", "stages"}
    assert all(getattr(state, other) == getattr(RunState(), other) for other in untouched)


@pytest.mark.parametrize("kind", ev.Event.__subclasses__(), ids=lambda kind: str(kind.tag))
def test_no_kind_of_event_is_forgotten(kind: type[ev.Event]) -> None:
    from cnp_engine import state

    assert kind in state._FOLDS


def test_the_recommended_point_outlives_what_the_user_chose() -> None:
    state = state_of(CHOSEN, BY_USER)
    assert (state.chosen, state.recommended) == (BY_USER, CHOSEN)
    again = dataclasses.replace(CHOSEN, k=9)
    assert state_of(CHOSEN, BY_USER, again).recommended == again


def test_a_copy_elsewhere_does_not_hide_what_stands_in_the_exports() -> None:
    copy = dataclasses.replace(REMEASURED, path="/elsewhere", k=9, copy=True)
    state = state_of(CHOSEN, REMEASURED, EXPORTED, copy)
    assert (state.remeasured, state.copied) == (REMEASURED, copy)


@pytest.mark.parametrize(
    "end", [EXPORTED, REFUSED, STARTED, FINISHED], ids=lambda event: str(event.tag)
)
def test_how_far_an_answer_is_ends_with_it(end: ev.Event) -> None:
    """And touches no stage: the run is as finished as it was."""
    state = state_of(FINISHED, ASKED)
    assert state.asked == ASKED
    assert state.stages == RunState().stages
    assert state.outcome == "finished"
    assert state_of(FINISHED, ASKED, end).asked is None


def test_a_pause_is_no_time_of_the_stage_at_work() -> None:
    begun = ev.StageStarted("target", 100, "steps")
    events: list[ev.Event] = [STARTED, begun, ev.Paused(), ev.Continued(), ev.Paused()]
    times = (0.0, 10.0, 15.0, 75.0, 80.0)
    records = [
        Record(seq, at, event) for seq, (at, event) in enumerate(zip(times, events, strict=True))
    ]
    going = RunState.from_records(records[:4])
    assert (going.paused, going.stages["target"].started_at) == (False, 70.0)
    assert RunState.from_records(records).paused


def test_what_is_answered_after_the_last_word_is_no_work() -> None:
    events: list[ev.Event] = [STARTED, FINISHED, EVALUATED]
    records: list[Record[ev.Event]] = [
        Record(seq, 10.0 * (seq + 1), event) for seq, event in enumerate(events)
    ]
    assert RunState.from_records(records).spent_s == 10.0
    assert RunState.from_records(records[:1]).spent_s == 0.0
    resumed: list[Record[ev.Event]] = [*records]
    resumed += [Record(3, 100.0, RESUMED), Record(4, 103.0, MODEL)]
    assert RunState.from_records(resumed).spent_s == 3.0
    assert RunState().spent_s is None


def test_a_later_event_of_a_kind_wins_and_curves_grow() -> None:
    later = dataclasses.replace(CHOSEN, k=4)
    assert state_of(CHOSEN, later).chosen == later
    points = [dataclasses.replace(POINT, k=k) for k in (0, 5, 2)]
    again = dataclasses.replace(points[1], threshold=0.9)
    assert state_of(*points, again).curve == {0: points[0], 5: again, 2: points[2]}


def test_folding_changes_no_state_that_was_handed_out() -> None:
    first = state_of(STARTED, POINT, ev.StageStarted("load"))
    copy = dataclasses.replace(first)
    curve, stages = dict(first.curve), dict(first.stages)
    fold(fold(first, dataclasses.replace(POINT, k=9)), ev.StageFinished("load", 1.0))
    assert first == copy
    assert (first.curve, first.stages) == (curve, stages)
    with pytest.raises(TypeError):
        first.curve[1] = POINT  # type: ignore[index]  # that it cannot be is the point


STEPS: list[tuple[ev.Event, Callable[[RunState], Any], Any]] = [
    (ev.StageStarted("scores", 10, "step"), lambda s: s.stages["scores"].status, "running"),
    (ev.Progress("scores", 4, 10, {"loss": 0.5}, "round 1"), lambda s: s.stage, "scores"),
    (ev.Progress("scores", 5, 10, {"loss": 0.4}), lambda s: s.stages["scores"].done, 5),
    (ev.StageFinished("scores", 2.5), lambda s: s.stages["scores"].status, "done"),
    (ev.StageStarted("sweep"), lambda s: s.stage, "sweep"),
    (ev.StageFinished("sweep", 0.0, True), lambda s: s.stage, None),
]


def test_stages_run_one_after_the_other() -> None:
    state = RunState()
    for at, (event, look, wanted) in enumerate(STEPS):
        state = fold(state, event, float(at))
        assert look(state) == wanted, event
    scores = state.stages["scores"]
    assert (scores.seconds, scores.unit, scores.values) == (2.5, "step", {"loss": 0.4})
    assert (scores.started_at, scores.restored) == (0.0, False)
    assert state.stages["sweep"].restored
    assert state.stages["load"].status == "waiting"


@pytest.mark.parametrize(
    ("events", "outcome", "ended"),
    [
        ((), "created", False),
        ((STARTED,), "running", False),
        ((STARTED, FAILED), "failed", True),
        ((FAILED,), "failed", True),
        ((STARTED, CANCELLED), "cancelled", True),
        ((STARTED, FINISHED), "finished", True),
        ((STARTED, FAILED, RESUMED), "running", False),
        ((STARTED, CANCELLED, RESUMED, FINISHED), "finished", True),
        ((STARTED, ev.Paused()), "running", False),
    ],
)
def test_outcome(events: tuple[ev.Event, ...], outcome: str, ended: bool) -> None:
    state = state_of(*events)
    assert (state.outcome, state.ended) == (outcome, ended)


def test_a_new_worker_begins_its_stages_anew_and_keeps_what_was_found() -> None:
    warned = ev.Warned("low", "The trigger is weak.")
    first = (STARTED, MODEL, ev.StageStarted("scores", 10), ev.Progress("scores", 9, 10), warned)
    state = state_of(*first, ev.Paused(), CANCELLED, RESUMED, warned)
    assert state.stages["scores"].status == "waiting"
    assert (state.cancelled, state.paused, state.started) == (None, False, RESUMED)
    assert (state.model, state.warnings) == (MODEL, (warned,))


def test_times_and_numbers_come_from_the_records() -> None:
    records = [Record(i, 10.0 + i, e) for i, e in enumerate((STARTED, FAILED, RESUMED, FINISHED))]
    state = RunState.from_records(records)
    assert (state.seq, state.at, state.begun_at, state.worker_at) == (3, 13.0, 10.0, 12.0)
