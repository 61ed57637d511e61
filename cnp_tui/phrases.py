"""Events as short lines of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnp_engine import events as ev
from cnp_engine.aims import whom
from cnp_engine.export.wording import count, figure, percent, plural, rate, seconds
from cnp_engine.state import RunState


def elapsed(state: RunState) -> str:
    """Time since the worker began, as a column."""
    if state.at is None or state.worker_at is None:
        return " " * 10
    return f"[{state.at - state.worker_at:6.1f} s]"


def line(event: ev.Event) -> str | None:
    """What is worth a line for itself; None for the rest."""
    tell = _LINES.get(type(event))
    return tell(event) if tell else None


def progress(event: ev.Event) -> str | None:
    if not isinstance(event, ev.Progress):
        return None
    now = values(event.values, event.label)
    return f"{event.stage:<8} {event.done}/{event.total}  {now}".rstrip()


def values(values: Mapping[str, float | None], label: str = "") -> str:
    """The latest of what a stage computes, on one line."""
    parts = [f"{name} {value:.4g}" for name, value in values.items() if value is not None]
    return "  ".join([label, *parts] if label else parts)


UNHEALED = "no better than the pruned model on clean images: not kept"
"""Of a healed model that was not kept."""


def rates(measured: ev.Measured, label_free: ev.LabelFree) -> dict[str, ev.Rate]:
    """What is known, by the word for it; what ground truth says first."""
    named = {
        "BA": measured.ba, "ASR": measured.asr, "RA": measured.ra,
        "retention": label_free.retention, "residual": label_free.residual,
    }  # fmt: skip
    return {word: share for word, share in named.items() if share is not None}


def measured(value: ev.Measured) -> str:
    return _listed(rates(value, ev.LabelFree())) or "no ground truth was given"


def label_free(value: ev.LabelFree) -> str:
    return _listed(rates(ev.Measured(), value))


def _listed(known: Mapping[str, ev.Rate]) -> str:
    return ", ".join(f"{word} {rate(share)}" for word, share in known.items())


def _model(event: ev.ModelLoaded) -> str:
    size = f"{count(event.neurons)} neurons in {plural(len(event.layers), 'layer')}"
    return f"model    {event.architecture}: {size}"


def _data(event: ev.DataLoaded) -> str:
    used = f"{event.optimise} images optimise, {event.select} choose, {event.test} test"
    text = f"data     {event.height}x{event.width}, {used}"
    return "\n         note: ".join([text, *event.notices])


def _normalize(event: ev.NormalizeChosen) -> str:
    bgr = ", BGR" if event.bgr else ""
    sure = "" if event.confidence is None else f", confidence {percent(event.confidence)}"
    return f"pixels   normalised as {event.name}{bgr}{sure}"


def _target(event: ev.TargetRanked) -> str:
    first = event.ranking[0] if event.ranking else None
    name = whom(first.index, first.name) if first else "class ?"
    kind = "stands out" if event.suspicious else "is first, but does not stand out"
    return f"target   {name} {kind}, margin {event.margin:.2f}"


def _trigger(event: ev.TriggerReversed) -> str:
    size = f"mask L1 {figure(event.mask_l1, 3)} px"
    return f"trigger  for {whom(event.target)}: success {rate(event.success)}, {size}"


def _scores(event: ev.ScoresReady) -> str:
    recovery = "" if event.recovery is None else f", recovery {percent(event.recovery)}"
    return f"scores   {count(event.under_half)} of {count(event.neurons)} masks under 0.5{recovery}"


def _healed(event: ev.Healed) -> str:
    if not event.kept:
        return f"healed   {UNHEALED}; {label_free(event.label_free)}"
    return f"healed   {measured(event.measured)}; {label_free(event.label_free)}"


def _finished(event: ev.StageFinished) -> str:
    how = "taken over from before" if event.restored else f"done in {seconds(event.seconds)}"
    return f"{event.stage:<8} {how}"


_LINES: dict[type[ev.Event], Callable[[Any], str]] = {
    ev.RunStarted: lambda e: f"{'resumed' if e.resumed else 'started'}  on {e.device}",
    ev.ModelLoaded: _model,
    ev.DataLoaded: _data,
    ev.NormalizeChosen: _normalize,
    ev.MeasuredBefore: lambda e: f"before   {measured(e.measured)}",
    ev.TargetRanked: _target,
    ev.TriggerReversed: _trigger,
    ev.ScoresReady: _scores,
    ev.Chosen: lambda e: f"chosen   {plural(e.k, 'neuron')} ({percent(e.fraction, 2)}): {e.rule}",
    ev.VerdictReached: lambda e: f"verdict  {e.verdict}, confidence {percent(e.confidence)}",
    ev.Remeasured: lambda e: f"after    {measured(e.measured)}; {label_free(e.label_free)}",
    ev.Healed: _healed,
    ev.StageFinished: _finished,
    ev.Warned: lambda e: f"warning: {e.text}",
    ev.Paused: lambda e: "paused",
    ev.Continued: lambda e: "goes on",
}
