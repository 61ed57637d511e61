"""A healed model is told of apart from the pruned one, in the report and in the summary."""

from __future__ import annotations

import dataclasses
import json

from cnp_engine.events import Healed, LabelFree, Measured, Remeasured
from cnp_engine.export.report import gather, report_md
from cnp_engine.export.summary import SummaryParts, summary, summary_json
from tests.engine.export.runs import CHOSEN, events, full, rate

HEALED = Healed(
    CHOSEN, 200, True, LabelFree(rate(0.9, 500), rate(0.2, 450)),
    LabelFree(rate(0.973, 500), rate(0.0156, 450)),
    Measured(rate(0.9277, 10000), rate(0.0123, 9000), rate(0.9111, 9000)), "exports/healed.pth",
)  # fmt: skip
DROPPED = dataclasses.replace(HEALED, kept=False, measured=Measured(), path="")


def told(*more: Healed | Remeasured) -> str:
    run = full()
    again = gather(run.config, [*events(), *more], scores=run.scores, pruned=run.pruned)
    return report_md(again)


def test_the_report_holds_the_healed_model_against_the_pruned_one() -> None:
    text = told(HEALED)
    assert "Healed in 200 steps, as a file of its own, better on images that taught it" in text
    assert "nothing: attack success rate 1.2 %" in text
    row = next(line for line in text.splitlines() if "Healed" not in line and "92.8 %" in line)
    assert "90.7 %" in row  # BA of the pruned model
    assert "+2.1" in row


def test_it_says_how_much_of_what_was_learnt_is_taken() -> None:
    half = told(dataclasses.replace(HEALED, share=0.5))
    assert "Healed in 200 steps, of whose change 50 % is taken, as a file of its own" in half
    assert "self-distillation in 200 steps, of whose change 50 % is taken. The healed model" in half


def test_a_healed_model_that_was_not_kept_is_told_of_too() -> None:
    text = told(DROPPED)
    assert "gained nothing" in text
    assert "healed.pth" not in text


def test_what_was_healed_of_an_earlier_choice_is_not_of_this_one() -> None:
    later = next(event for event in events() if isinstance(event, Remeasured))
    assert "ealed" not in told(HEALED, later)
    assert "ealed" not in told()


def test_the_summary_has_its_rates_with_their_evidence() -> None:
    found = json.loads(summary_json(summary(SummaryParts(seed=0, healed=HEALED))))
    assert found["healed"] == {
        "kept": True, "steps": 200, "share": 1.0, "ba": 0.9277, "asr": 0.0123, "ra": 0.9111,
        "retention": 0.973, "residual": 0.0156, "recovery": None,
    }  # fmt: skip
    assert found["evidence"]["n"]["healed.asr"] == 9000
    assert found["evidence"]["n"]["healed.retention"] == 500


def test_the_summary_of_one_that_was_not_kept_has_no_ground_truth() -> None:
    found = json.loads(summary_json(summary(SummaryParts(seed=0, healed=DROPPED))))
    assert (found["healed"]["kept"], found["healed"]["ba"]) == (False, None)
    assert found["healed"]["residual"] == 0.0156
