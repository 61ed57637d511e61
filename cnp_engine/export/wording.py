"""Figures as people read them: a rate always with its interval and its sample size."""

from __future__ import annotations

from cnp_engine.events import Rate

ABSENT = "not measured"


def percent(value: float | None, digits: int = 1) -> str:
    """0.9531 as "95.3 %". A rate just short of a whole is not rounded up to it."""
    if value is None:
        return ABSENT
    text = f"{100 * value:.{digits}f}"
    if float(text) == 100.0 and value < 1.0:
        text = f"{100 - 10**-digits:.{digits}f}"
    if float(text) == 0.0 and value > 0.0:
        return f"under {10**-digits:.{digits}f} %"
    return f"{text} %"


def rate(value: Rate | None) -> str:
    """Value, Wilson interval and n in one phrase."""
    if value is None:
        return ABSENT
    return f"{percent(value.value)} ({interval(value)}, n = {count(value.n)})"


def interval(value: Rate) -> str:
    return f"{100 * value.low:.1f} to {100 * value.high:.1f}"


def change(before: Rate | None, after: Rate | None) -> str:
    """Difference in percentage points, signed."""
    if before is None or after is None:
        return ""
    points = 100 * (after.value - before.value)
    return f"{points:+.1f}" if abs(points) >= 0.05 else "0.0"


def count(value: int) -> str:
    return f"{value:,}"


def plural(value: int, one: str, many: str = "") -> str:
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def seconds(value: float | None) -> str:
    if value is None:
        return ABSENT
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def mebibytes(value: int | None) -> str:
    return ABSENT if value is None else f"{value / 2**20:,.0f} MiB"


def figure(value: float | None, digits: int = 4) -> str:
    return ABSENT if value is None else f"{value:.{digits}g}"


def shorten(text: str, width: int) -> str:
    """At most ``width`` characters, the middle left out: both ends of a path tell it apart."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
