"""Before and after as a small table: values, intervals, sample sizes, exact or interpolated.

Knows figures and their names; not where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widget import Widget

from cnp_engine.export.wording import ABSENT, count, interval, percent
from cnp_tui.curves import LABEL_FREE, NAMES, TRUTH, WORDS, Curves, Figure, Name
from cnp_tui.glossary import DEFINITIONS

CAPTION = "retention, residual: label-free, on images that optimised nothing"
ATTACKED = "against the attack given"
UNATTACKED = "no attack was given: ASR and RA are not known"
BETWEEN = "~ interpolated"
UNMEASURED = "no ground truth was given: BA, ASR and RA are not known"

NAME, VALUE, SPAN, CHANGE, DEFINED = 10, 9, 24, 7, 82
"""Columns; ``SPAN`` of a value with its interval, ``DEFINED`` where definitions begin."""


@dataclass(frozen=True)
class Row:
    """One figure of the checkpoint, and of the model as it is set."""

    name: Name
    before: Figure | None
    after: Figure | None


def rows(curves: Curves, k: int) -> tuple[Row, ...]:
    """Every figure that is known of the run; the label-free ones first."""
    return tuple(
        Row(name, curves.figure(name, 0), curves.figure(name, k))
        for name in NAMES
        if curves.known(name)
    )


class Figures(Widget):
    """``show`` repaints only where something is different."""

    DEFAULT_CSS = """
    Figures { height: auto; width: 1fr; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: tuple[Row, ...] = ()

    def show(self, rows: Sequence[Row]) -> None:
        if tuple(rows) != self._rows:
            taller = len(rows) != len(self._rows)
            self._rows = tuple(rows)
            self.refresh(layout=taller)

    def render(self) -> Content:
        return table(self._rows, self.content_size.width)


def table(rows: Sequence[Row], width: int) -> Content:
    """As many columns as fit: name, before, after, change, n, definition."""
    defined = width >= DEFINED + max((len(DEFINITIONS[row.name]) for row in rows), default=0)
    lines = [Content.styled(_head(width), "$foreground 70%")]
    lines += [_line(row, width, defined) for row in rows]
    lines.append(Content.styled(_caption(rows, width), "$foreground 70%"))
    return Content("\n").join(lines)


def _caption(rows: Sequence[Row], width: int) -> str:
    """The longest way to say it that fits."""
    known, short = _of_truth([row.name for row in rows])
    free = "label-free: " + ", ".join(LABEL_FREE)
    sign = f"{BETWEEN}.  " if any(_between(row) for row in rows) else ""
    ways = (f"{CAPTION}.  {known}", f"{free}.  {known}", f"{free}; {short}", free, "label-free")
    return next((f"{sign}{way}" for way in ways if len(sign + way) <= width), sign.strip())


def _of_truth(names: Sequence[Name]) -> tuple[str, str]:
    """What figures with ground truth are against, in many words and in few; BA needs no attack."""
    truth = [WORDS[name] for name in names if name in TRUTH]
    attacked = [word for word in truth if word != WORDS["ba"]]
    if not truth:
        return UNMEASURED, "no BA or ASR"
    if not attacked:
        return UNATTACKED, "no attack given"
    return f"{', '.join(attacked)}: {ATTACKED}", f"{', '.join(truth)}: measured"


def _between(row: Row) -> bool:
    return any(one is not None and not one.exact for one in (row.before, row.after))


def _head(width: int) -> str:
    if width < 54:
        return f"{'':<{NAME}}{'before':<{VALUE}}after"
    before = "before" if width < 76 else "before (95 % interval)"
    first = VALUE if width < 76 else SPAN
    after = "after (95 % interval)"
    return f"{'':<{NAME}}{before:<{first}}{after:<{SPAN}}{'change':<{CHANGE}}n"


def _line(row: Row, width: int, defined: bool) -> Content:
    name = f"{WORDS[row.name]:<{NAME}}"
    before, after = row.before, row.after
    strong = "bold" if after is not None and after.exact else ""
    if width < 54:
        return Content.assemble(f"{name}{_value(before):<{VALUE}}", (_value(after), strong))
    told = f"{_value(before):<{VALUE}}" if width < 76 else f"{_span(before):<{SPAN}}"
    rest = f"{_change(before, after):<{CHANGE}}{_sizes(before, after)}"
    line = Content.assemble(f"{name}{told}", (f"{_span(after):<{SPAN}}", strong), rest)
    if not defined:
        return line
    meaning = (DEFINITIONS[row.name], "$foreground 60%")
    return Content.assemble(line.pad_right(DEFINED - line.cell_length), meaning)


def _value(figure: Figure | None) -> str:
    if figure is None:
        return ABSENT
    text = percent(figure.value).replace("under ", "<")
    return text if figure.exact else f"~{text}"


def _span(figure: Figure | None) -> str:
    """With its interval where it was measured, with its neighbours where it was not."""
    if figure is None:
        return ABSENT
    if figure.rate is not None:
        return f"{_value(figure)} ({interval(figure.rate)})"
    assert figure.between is not None
    low, high = figure.between
    return f"{_value(figure)} (k {low}-{high})"


def _change(before: Figure | None, after: Figure | None) -> str:
    if before is None or after is None:
        return ""
    points = 100 * (after.value - before.value)
    return f"{points:+.1f}" if abs(points) >= 0.05 else "0.0"


def _sizes(before: Figure | None, after: Figure | None) -> str:
    """Sample size; both, where before and after were not measured on the same images."""
    sizes = ["~" if one.rate is None else count(one.rate.n) for one in (before, after) if one]
    return "/".join(dict.fromkeys(sizes))
