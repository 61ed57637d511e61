"""What is gathered from a log: the last word on each thing, each point once."""

from __future__ import annotations

from cnp_engine.config import RunConfig
from cnp_engine.events import (
    Chosen,
    CurvePoint,
    LabelFree,
    Progress,
    StageFinished,
    TriggerReversed,
    Warned,
)
from cnp_engine.export.inputs import gather

from . import runs

CONFIG = RunConfig("m", "d")


def test_the_last_word_holds() -> None:
    log = [
        Chosen(9, None, 0.1, "first"),
        CurvePoint(4, None, LabelFree()),
        CurvePoint(0, None, LabelFree()),
        Chosen(4, None, 0.1, "second"),
        CurvePoint(4, 0.5, LabelFree()),
        TriggerReversed(3, runs.rate(0.5), 9.0, 10),
        TriggerReversed(1, runs.rate(0.5), 7.0, 10),
        TriggerReversed(3, runs.rate(0.9), 8.0, 20),
        Warned("a", "x"),
        Warned("a", "x"),
        Warned("b", "x"),
    ]
    run = gather(CONFIG, log)
    assert run.chosen == log[3]
    assert [(point.k, point.threshold) for point in run.curve] == [(0, None), (4, 0.5)]
    assert [(one.target, one.mask_l1) for one in run.triggers] == [(3, 8.0), (1, 7.0)]
    assert [one.code for one in run.warnings] == ["a", "b"]


def test_mask_steps_are_taken_once_and_only_theirs() -> None:
    log = [
        Progress("scores", 2, 9, {"loss": 1.0}),
        Progress("trigger", 1, 9, {"loss": 5.0}),
        Progress("scores", 1, 9, {"loss": 2.0}),
        Progress("scores", 2, 9, {"loss": 3.0}),
    ]
    steps = gather(CONFIG, log).mask_progress
    assert [(one.done, one.values["loss"]) for one in steps] == [(1, 2.0), (2, 3.0)]


def test_a_restored_stage_keeps_the_time_it_took() -> None:
    log = [
        StageFinished("target", 20.0),
        StageFinished("load", 1.0),
        StageFinished("load", 2.0),
        StageFinished("target", 0.1, restored=True),
    ]
    assert gather(CONFIG, log).seconds == (("load", 2.0), ("target", 20.0))


def test_class_names() -> None:
    run = runs.full()
    assert (run.class_name(3), run.class_name(10), run.class_name(-1)) == (
        "3 (cat)", "10", "any class",
    )  # fmt: skip
