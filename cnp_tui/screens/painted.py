"""When a screen was first seen: what was typed ahead of it is not meant for it."""

from __future__ import annotations

import math


class Painted:
    """A screen whose keys that stop, delete or answer do nothing before it was seen."""

    painted_at = math.inf
    """On the clock of events, set by the application."""

    @property
    def painted(self) -> bool:
        return self.painted_at < math.inf
