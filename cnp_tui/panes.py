"""Which panes Run has, and where they stand in a terminal of a size: tables, no widgets."""

from __future__ import annotations

from typing import Literal

from cnp_engine.events import Stage
from cnp_tui.plotted import PLACES

Layout = Literal["one", "stacked", "beside", "everything"]

PANES: dict[str, str] = {
    "stages": "Stages",
    "rates": "Rates",
    "loss": "Loss",
    "size": "Size",
    "trigger": "Trigger",
    "classes": "Classes",
    "outcome": "Verdict",
    "log": "Log",
}
"""By id, in the order of their tabs."""

ELSEWHERE: dict[Layout, frozenset[str]] = {
    "one": frozenset(),
    "stacked": frozenset({"stages"}),
    "beside": frozenset({"stages", "trigger"}),
    "everything": frozenset({"stages", "trigger"}),
}
"""What stands beside the panes in a layout, and so is none of them."""

TELLING: dict[Stage, str] = {
    "load": "outcome",
    "target": "classes",
    "trigger": "trigger",
    "scores": "rates",
    "sweep": "rates",
    "heal": "loss",
    "export": "outcome",
}
"""The pane that tells most while a stage is at work; shown until the user picks one."""


def layout(width: int, height: int) -> Layout:
    """How much is shown at once in a terminal of this size."""
    if width < 80 or height < 24:
        return "one"
    if width < 120:
        return "stacked"
    return "everything" if width >= 160 and height >= 45 else "beside"


assert set(PLACES) <= set(PANES)
