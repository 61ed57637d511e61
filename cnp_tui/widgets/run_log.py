"""What a run said, line by line, the newest last."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from textual.events import Resize
from textual.widgets import RichLog

from cnp_engine.eventlog import EventRecord
from cnp_engine.events import RunStarted
from cnp_tui import phrases

MOST = 2000
"""Lines kept."""


class RunLog(RichLog):
    """Follows the end unless scrolled up."""

    DEFAULT_CSS = """
    RunLog { border: round $secondary; padding: 0 1; background: $background;
        border-title-color: $foreground; }
    RunLog:focus { border: heavy $primary; }
    """

    ALLOW_MAXIMIZE = True
    BORDER_TITLE = "Log"

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(
            id=id, classes=classes, max_lines=MOST, wrap=True, markup=False, min_width=20
        )
        self.told: deque[str] = deque(maxlen=MOST)
        self._last: EventRecord | None = None
        self._count = 0
        self._began: float | None = None
        self._width = 0

    def update(self, records: Sequence[EventRecord]) -> None:
        """Write what is new; everything anew where the past is another one."""
        goes_on = self._count <= len(records) and (
            self._count == 0 or records[self._count - 1] is self._last
        )
        if not goes_on:
            self._count, self._began = 0, None
            self.told.clear()
            self.clear()
        for at in range(self._count, len(records)):
            self._tell(records[at])
        self._count = len(records)
        self._last = records[-1] if len(records) else None

    def _tell(self, record: EventRecord) -> None:
        if self._began is None or isinstance(record.value, RunStarted):
            self._began = record.at
        said = phrases.line(record.value)
        if said is not None:
            line = f"[{record.at - self._began:6.1f} s] {said}"
            self.told.append(line)
            self.write(line, scroll_end=self.is_vertical_scroll_end)

    def on_resize(self, event: Resize) -> None:
        """Lines are wrapped to the width they were written at."""
        width = self.scrollable_content_region.width
        if width != self._width:
            rewrap = self._width > 0
            self._width = width
            if rewrap:
                self.clear()
                for line in self.told:
                    self.write(line)
