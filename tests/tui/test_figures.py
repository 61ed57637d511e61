"""The table of figures: what its last line claims. Marks: no sign that a series has."""

from __future__ import annotations

from dataclasses import fields

import pytest

from cnp_engine.events import Rate
from cnp_tui.curves import Figure, Name
from cnp_tui.glyphs import BY_MODE, Mode
from cnp_tui.widgets.chart import MARKERS
from cnp_tui.widgets.figures import Row, table

RATE = Rate(0.5, 100, 0.4, 0.6)
FREE: tuple[Name, ...] = ("retention", "residual")


def caption(names: tuple[Name, ...], width: int) -> str:
    figure = Figure(RATE.value, RATE)
    return table([Row(name, figure, figure) for name in names], width).plain.splitlines()[-1]


@pytest.mark.parametrize("width", [60, 78, 118, 158])
@pytest.mark.parametrize(
    ("truth", "says"),
    [
        (("ba", "asr", "ra"), "ASR, RA: against the attack given"),
        (("ba",), "no attack was given"),
        ((), "no ground truth was given"),
    ],
    ids=["attack", "labels alone", "no labels"],
)
def test_an_attack_is_named_where_one_was_given(
    truth: tuple[Name, ...], says: str, width: int
) -> None:
    said = caption((*FREE, *truth), width)
    assert len(said) <= width
    assert "BA: against" not in said
    assert "BA, ASR, RA: against" not in said
    if truth != ("ba", "asr", "ra"):
        assert "against the attack" not in said
    if width > 100:
        assert says in said


@pytest.mark.parametrize("mode", list(BY_MODE))
def test_marks_have_signs_that_no_series_has(mode: Mode) -> None:
    glyphs = BY_MODE[mode]
    marks = [glyphs.handle, glyphs.recommended, glyphs.reference]
    assert len(set(marks)) == 3
    assert not set(marks) & set(MARKERS[mode])
    if mode == "ascii":
        told = [str(getattr(glyphs, field.name)) for field in fields(glyphs)]
        assert "".join(told).isascii()
        assert not {mark.casefold() for mark in marks} & set(MARKERS[mode].casefold())
