"""Figures in words: no rate is rounded to a whole or to nothing that it is not."""

from __future__ import annotations

import pytest

from cnp_engine.events import Rate
from cnp_engine.export import wording
from cnp_engine.export.markup import Html, el, number
from cnp_engine.printing import printable


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.9531, 1, "95.3 %"),
        (1.0, 1, "100.0 %"),
        (0.99999, 1, "99.9 %"),
        (0.0, 1, "0.0 %"),
        (0.0001, 1, "under 0.1 %"),
        (0.0123, 2, "1.23 %"),
        (None, 1, "not measured"),
    ],
)
def test_percent(value: float | None, digits: int, text: str) -> None:
    assert wording.percent(value, digits) == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(0.9, 0.85, "-5.0"), (0.1, 0.2, "+10.0"), (0.5, 0.5001, "0.0"), (0.5, None, "")],
)
def test_change_in_points(before: float, after: float | None, text: str) -> None:
    later = None if after is None else Rate(after, 10, 0, 1)
    assert wording.change(Rate(before, 10, 0, 1), later) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "not measured"), (1.25, "1.2 s"), (59.99, "60.0 s"), (75, "1 min 15 s")],
)
def test_seconds(value: float | None, text: str) -> None:
    assert wording.seconds(value) == text


@pytest.mark.parametrize("width", [3, 8, 20])
def test_shorten_keeps_both_ends(width: int) -> None:
    text = wording.shorten("layer4.1.conv.norm", width)
    assert len(text) == min(width, 18)
    assert text[0] == "l"
    assert text[-1] == "m"


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (-0.001, "0"), (12.345, "12.35"), (120, "120"), (0.1, "0.1")]
)
def test_coordinates(value: float, text: str) -> None:
    assert number(value) == text


def test_text_and_attributes_are_escaped_and_markup_is_not() -> None:
    made = el("p", "<b>&", Html("<i>x</i>"), title='">', class_="a", data_k=None)
    assert made.text == '<p title="&quot;&gt;" class="a">&lt;b&gt;&amp;<i>x</i></p>'


def test_visible_spells_out_what_does_not_print() -> None:
    assert printable("é\x1b\u202e\n\udcff") == "é\\x1b\\u202e\\n\\udcff"
