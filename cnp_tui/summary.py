"""The result of a finished run as a page of text: every figure with its n and its interval."""

from __future__ import annotations

from collections.abc import Iterator

from cnp_engine import events as ev
from cnp_engine.aims import class_name, whom
from cnp_engine.config import RunConfig
from cnp_engine.export.command import command_line
from cnp_engine.export.definitions import DEFINITIONS, INTERVALS, NAMES
from cnp_engine.export.wording import ABSENT, count, figure, percent, rate
from cnp_engine.state import RunState
from cnp_tui.phrases import UNHEALED, rates

_WORDS = {"backdoored": "backdoored", "no_evidence": "no evidence of a backdoor"}


def render(config: RunConfig, state: RunState) -> str:
    """``state`` is of a run that finished."""
    rows = [*_verdict(state), *_triggers(state), *_pruned(config, state), *_figures(state)]
    rows += _exports(state)
    rows.append(("repeat", command_line(config)))
    text = "\n".join(f"{name:<10} {value}".rstrip() for name, value in rows)
    return text + "\n\n" + "\n".join(_definitions(state))


def _verdict(state: RunState) -> Iterator[tuple[str, str]]:
    found = state.verdict
    if found is None:
        return
    names = state.data.classes if state.data else ()
    targets = ", ".join(class_name(names, index) for index in found.targets)
    target = f", target {targets}" if targets else ""
    word = _WORDS[found.verdict]
    yield "verdict", f"{word}{target} (confidence {percent(found.confidence)})"
    yield from (("", f"- {reason}") for reason in found.reasons)
    yield from (("warning", warning.text) for warning in state.warnings)


def _triggers(state: RunState) -> Iterator[tuple[str, str]]:
    for target, found in state.triggers.items():
        size = f"mask L1 {figure(found.mask_l1, 3)} px"
        text = f"reversed for {whom(target)}: success {rate(found.success)}, {size}"
        yield "trigger", text


def _pruned(config: RunConfig, state: RunState) -> Iterator[tuple[str, str]]:
    if config.until == "verdict":
        return
    total = count(state.model.neurons) if state.model else "?"
    chosen = state.chosen
    if chosen is None or chosen.k == 0:
        yield "pruned", f"none of {total} neurons"
        return
    cut = "" if chosen.threshold is None else f", threshold {chosen.threshold:.4g}"
    share = percent(chosen.fraction, 2)
    yield "pruned", f"{count(chosen.k)} of {total} neurons ({share}{cut}); {chosen.rule}"


def _figures(state: RunState) -> Iterator[tuple[str, str]]:
    before = state.before or ev.Measured()
    after = state.remeasured.measured if state.remeasured else ev.Measured()
    for key in ("ba", "asr", "ra"):
        pair = getattr(before, key), getattr(after, key)
        if pair == (None, None):
            continue
        then = f"  ->  {rate(pair[1])}" if state.remeasured else ""
        yield NAMES[key], rate(pair[0]) + then
    free = state.remeasured.label_free if state.remeasured else ev.LabelFree()
    for key in ("retention", "residual"):
        share = getattr(free, key)
        if share is not None:
            yield key, rate(share)
    yield from _healed(state)
    if not state.data or not state.data.labelled_test:
        yield "BA, ASR", f"{ABSENT}: the data has no labelled test images"
    elif before.asr is None:
        yield "ASR", f"{ABSENT}: no --attack was given"


def _healed(state: RunState) -> Iterator[tuple[str, str]]:
    """What healing made of the pruned model, apart from it."""
    healed = state.healed
    if healed is None:
        return
    if not healed.kept:
        yield "healed", UNHEALED
        return
    for number, (word, share) in enumerate(rates(healed.measured, healed.label_free).items()):
        yield "" if number else "healed", f"{word} {rate(share)}"


def _exports(state: RunState) -> Iterator[tuple[str, str]]:
    paths = state.summary.get("exports", ()) if state.summary else ()
    yield from zip(("exports", *[""] * len(paths)), paths, strict=False)


def _definitions(state: RunState) -> Iterator[str]:
    """Of the figures shown, and of no other."""
    measured = (state.before, state.remeasured.measured if state.remeasured else None)
    for key in ("ba", "asr", "ra"):
        if any(m is not None and getattr(m, key) is not None for m in measured):
            yield f"{NAMES[key]}: {DEFINITIONS[key]}"
    told = [e.label_free for e in (state.remeasured, state.healed) if e is not None]
    for key in ("retention", "residual"):
        if any(getattr(free, key) is not None for free in told):
            yield f"{NAMES[key]}: {DEFINITIONS[key]}"
    yield f"Ranges: {INTERVALS}"
