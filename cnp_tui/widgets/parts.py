"""The parts of a form as tabs, each reached by a key of its own and marked where it is wrong."""

from __future__ import annotations

from collections.abc import Collection

from textual.content import Content
from textual.widgets import TabbedContent

from cnp_tui.form import PARTS, TITLES, Part

WRONG = " !"


def title(part: Part) -> str:
    """Its key and its name."""
    return f"F{PARTS.index(part) + 2} {TITLES[part]}"


class Parts(TabbedContent):
    @property
    def part(self) -> Part:
        return next(part for part in PARTS if part == self.active)

    def turn_to(self, part: Part) -> None:
        """Nothing keeps the focus: hidden with it, a button hands it to its hidden neighbour,
        whose part then comes back for a moment and takes the focus of the new one along."""
        if part != self.part:
            self.screen.set_focus(None)
        self.active = part

    def mark(self, wrong: Collection[Part]) -> None:
        """What stands wrong in a part is seen from the others too."""
        for part in PARTS:
            tab, label = self.get_tab(part), title(part) + WRONG * (part in wrong)
            if tab.label_text != label:
                tab.label = Content(label)
