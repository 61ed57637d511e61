"""The help of a screen says what its words mean."""

from __future__ import annotations

import importlib

import pytest

from cnp_tui.app import SCREENS
from cnp_tui.glossary import WORDS
from cnp_tui.screens.help import HelpScreen, sections
from tests.tui.recorded import recorded
from tests.tui.screens import watching

LINE = 100
"""Cells of the help page where there is room."""


def test_every_topic_is_that_of_a_screen() -> None:
    topics = set()
    for place in SCREENS.values():
        module, _, kind = place.partition(":")
        topics.add(getattr(importlib.import_module(f"cnp_tui.screens.{module}"), kind).TOPIC)
    assert set(WORDS) <= topics


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("Run", ("octaves", "patch, blend", "votes", "residual", "retention", "strength")),
        ("Prune", ("residual", "retention", "threshold", "~")),
        ("Export", ("residual", "retention", "preview")),
        ("Compare", ("residual", "retention", "*  =")),
    ],
)
def test_words_of_a_screen_are_defined_in_a_line(topic: str, words: tuple[str, ...]) -> None:
    assert set(words) <= set(WORDS[topic])
    assert all(len(meaning) < LINE for meaning in WORDS[topic].values())


@pytest.mark.asyncio
async def test_help_shows_them_under_the_keys_of_the_screen() -> None:
    app = watching(recorded("demo"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        found = list(sections(app.screen))
        assert [section.title for section in found][:2] == ["On this screen", "Words"]
        assert ("octaves",) in [row.keys for row in found[1].rows]
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        shown = app.screen.query_one("#help")
        shown.scroll_to(y=18, animate=False)
        await pilot.pause()
        lines = ["".join(s.text for s in line) for line in app.screen._compositor.render_strips()]
        assert any("octaves" in line and "half" in line for line in lines)
