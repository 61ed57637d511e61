"""The page of a finished run, and the lines on the way: figures with n, interval, definition."""

from __future__ import annotations

import dataclasses

import pytest

from cnp_engine import events as ev
from cnp_engine.config import RunConfig
from cnp_engine.state import RunState
from cnp_tui import phrases, summary
from cnp_tui.plain import EVERY_S, Lines

CONFIG = RunConfig.build({"model": "a b.pth", "data": "demo", "seed": 4}, env={})


def rate(value: float, n: int = 200) -> ev.Rate:
    return ev.Rate(value, n, value - 0.01, value + 0.01)


DATA = ev.DataLoaded("demo", "sha", ("stop", "yield"), 32, 32, 900, 100, 200, True)
MODEL = ev.ModelLoaded("m", "sha", "torch zip", "", "resnet18", 2, 2400, (("bn", 2400),), 9)
BEFORE = ev.Measured(rate(0.84), rate(0.98, 180), rate(0.02, 180))
AFTER = ev.Measured(rate(0.831), rate(0.015, 180), rate(0.81, 180))
FREE = ev.LabelFree(rate(0.95, 100), rate(0.03, 90))
FOUND: tuple[ev.Event, ...] = (
    MODEL,
    DATA,
    ev.MeasuredBefore(BEFORE),
    ev.TriggerReversed(1, rate(0.97, 100), 9.25, 100),
    ev.Chosen(24, 0.31, 0.01, "at the knee"),
    ev.VerdictReached("backdoored", (1,), 0.98, ("its trigger is small",)),
    ev.Remeasured("/r/exports/purified.pth", 24, FREE, AFTER),
    ev.Warned("weak", "The trigger is weak."),
    ev.Finished({"exports": ["/r/exports/purified.pth", "/r/exports/report.html"]}),
)


def page(*events: ev.Event, config: RunConfig = CONFIG) -> str:
    return summary.render(config, RunState.from_events(events))


@pytest.mark.parametrize(
    "line",
    [
        "verdict    backdoored, target 1 (yield) (confidence 98.0 %)",
        "           - its trigger is small",
        "warning    The trigger is weak.",
        "trigger    reversed for class 1: success 97.0 % (96.0 to 98.0, n = 100), mask L1 9.25 px",
        "pruned     24 of 2,400 neurons (1.00 %, threshold 0.31); at the knee",
        "BA         84.0 % (83.0 to 85.0, n = 200)  ->  83.1 % (82.1 to 84.1, n = 200)",
        "ASR        98.0 % (97.0 to 99.0, n = 180)  ->  1.5 % (0.5 to 2.5, n = 180)",
        "RA         2.0 % (1.0 to 3.0, n = 180)  ->  81.0 % (80.0 to 82.0, n = 180)",
        "retention  95.0 % (94.0 to 96.0, n = 100)",
        "residual   3.0 % (2.0 to 4.0, n = 90)",
        "exports    /r/exports/purified.pth",
        "           /r/exports/report.html",
        "repeat     cnp run --model 'a b.pth' --data demo --seed 4",
        "Ranges: Wilson score intervals, 95 %.",
    ],
)
def test_a_repaired_model(line: str) -> None:
    assert line in page(*FOUND).splitlines()


def test_every_figure_shown_is_defined_and_no_other() -> None:
    whole = page(*FOUND)
    for name in ("BA: ", "ASR: ", "RA: ", "Retention: ", "Residual: "):
        assert f"\n{name}" in whole
    assert "whose true class is not the target" in whole
    bare = page(MODEL, DATA, ev.MeasuredBefore(ev.Measured(rate(0.84))), FOUND[-1])
    assert "\nBA: " in bare
    assert "\nASR: " not in bare
    assert "Retention" not in bare


def test_what_was_not_measured_says_why() -> None:
    assert "no --attack was given" in page(MODEL, DATA, ev.MeasuredBefore(ev.Measured(rate(0.8))))
    unlabelled = dataclasses.replace(DATA, labelled_test=False)
    assert "no labelled test images" in page(MODEL, unlabelled)


def test_a_clean_model_is_left_alone() -> None:
    verdict = ev.VerdictReached("no_evidence", (), 0.9, ())
    whole = page(MODEL, DATA, ev.Chosen(0, None, 0.0, "clean"), verdict)
    assert "verdict    no evidence of a backdoor (confidence 90.0 %)" in whole
    assert "pruned     none of 2,400 neurons" in whole


def test_a_scan_speaks_of_no_pruning() -> None:
    config = dataclasses.replace(CONFIG, until="verdict")
    whole = page(MODEL, DATA, FOUND[5], config=config)
    assert "pruned" not in whole


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (MODEL, "model    resnet18: 2,400 neurons in 1 layer"),
        (DATA, "data     32x32, 900 images optimise, 100 choose, 200 test"),
        (
            ev.NormalizeChosen("cifar10", (0.5,), (0.2,), True, 0.875),
            "pixels   normalised as cifar10, BGR, confidence 87.5 %",
        ),
        (
            ev.TargetRanked((ev.TargetRow(1, "yield", 3.0),), (1,), 2.5, True),
            "target   class 1 (yield) stands out, margin 2.50",
        ),
        (
            ev.TargetRanked((ev.TargetRow(1, "1", 3.0),), (), 0.5, False),
            "target   class 1 is first, but does not stand out, margin 0.50",
        ),
        (
            ev.ScoresReady(2400, 30, 0.91, 200),
            "scores   30 of 2,400 masks under 0.5, recovery 91.0 %",
        ),
        (ev.StageFinished("sweep", 65.0), "sweep    done in 1 min 05 s"),
        (ev.StageFinished("sweep", 0.0, True), "sweep    taken over from before"),
        (ev.MeasuredBefore(ev.Measured()), "before   no ground truth was given"),
        (ev.Warned("a", "Mind this."), "warning: Mind this."),
        (ev.Progress("scores", 1, 2), None),
        (FOUND[-1], None),
    ],
    ids=lambda value: getattr(value, "tag", ""),
)
def test_lines(event: ev.Event, line: str | None) -> None:
    assert phrases.line(event) == line


def test_progress_is_a_line_every_few_seconds_only() -> None:
    now = 0.0
    written: list[str] = []
    view = Lines(written.append, clock=lambda: now)
    state = RunState()
    for step in range(100):
        now = step * EVERY_S / 10
        view.show(state, ev.Progress("scores", step, 100, {"loss": 0.5, "gone": None}, "round 1"))
    assert len(written) == 9
    assert written[0].strip() == "scores   10/100  round 1  loss 0.5"
