"""What Prune says: how much is suppressed, where figures come from, why there are none. Pure."""

from __future__ import annotations

from pathlib import Path

from textual.content import Content

from cnp_engine.export.wording import percent, plural
from cnp_engine.state import RunState
from cnp_tui.curves import Curves
from cnp_tui.drawing import HERE, RECOMMENDED, REFERENCE, Mark
from cnp_tui.link import Snapshot
from cnp_tui.scale import Mode


def words(curves: Curves, k: int, mode: Mode) -> Content:
    """The same position as count, fraction and threshold; what a typed value sets is underlined."""
    threshold = curves.threshold(k)
    share = percent(k / curves.neurons, 2) if k else "0 %"
    value = "none" if threshold.value is None else f"{threshold.value:.4g}"
    if not threshold.exact:
        value = "unknown" if threshold.value is None else f"~{value}"
    told = {"fraction": share, "threshold": f"threshold {value}"}
    parts: list[tuple[str, str]] = [
        (f"pruned {k} of {curves.neurons}", "bold underline" if mode == "count" else "bold")
    ]
    for name, text in told.items():
        parts += [("   ", ""), (text, "bold underline" if mode == name else "")]
    return Content.assemble(*parts, (f"   (m: {mode})", "$foreground 60%"))


def measured(state: RunState, k: int) -> str:
    """Figures that are exact, and on what: a file in float32 may differ from a preview."""
    again = state.remeasured is not None and state.remeasured.k == k
    where = "on the written file" if again else "as a preview"
    return f"measured with exactly {plural(k, 'neuron')} suppressed, {where}"


def marks(curves: Curves, k: int, recommended: int | None) -> list[Mark]:
    """Those that the curve reaches, where the slider is first."""
    named = ((k, HERE), (recommended, RECOMMENDED), (curves.reference, REFERENCE))
    return [Mark(at, name) for at, name in named if at is not None and at <= curves.end]


GREY = "The keys that are grey below set something on the curve: they come with it."


def why_empty(snapshot: Snapshot, run: Path) -> str:
    """In plain words why there is nothing to set, and what to do."""
    state = snapshot.state
    if state.verdict is not None and state.verdict.verdict == "no_evidence":
        return (
            "No evidence of a backdoor was found, so no neurons were scored and there is nothing "
            "to suppress. The keys that are grey below set something on a curve, and there is "
            "none.\n\nIf you know better, begin a run that names the target class: press 2, "
            "or give --target on the command line."
        )
    if snapshot.status in ("failed", "cancelled", "died"):
        return (
            f"The run ended before it had a curve. {GREY}\n\nGo on with it from Home, or with "
            f"`cnp resume {run}`; what was done is kept."
        )
    now = f" It is at {state.stage} now." if state.stage else ""
    return (
        f"There is no curve yet: the sweep measures it, after the masks.{now} {GREY}\n\n"
        "Press backspace to watch the run; the curve appears here as it is measured."
    )
