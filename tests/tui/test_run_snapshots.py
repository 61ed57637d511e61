"""The Run screen as it looks, from recorded runs. Never updated by a check; look at each before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cnp_tui import preferences
from tests.tui.recorded import state
from tests.tui.screens import pressed, watching

Compare = Callable[..., bool]


@pytest.mark.parametrize(
    ("name", "size", "keys"),
    [
        ("warning", (80, 24), ()),
        ("finished", (80, 24), ()),
        ("target", (120, 40), ()),
        ("masks", (160, 50), ("v", "v")),
    ],
    ids=["warning", "finished", "target", "masks"],
)
def test_run(
    name: str, size: tuple[int, int], keys: tuple[str, ...], snap_compare: Compare
) -> None:
    app = watching(state(name))
    assert snap_compare(app, terminal_size=size, run_before=pressed(*keys))


def test_run_in_ascii(snap_compare: Compare) -> None:
    preferences.save(replace(preferences.load(), glyphs="ascii"))
    app = watching(state("trigger"))
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressed())


def test_run_without_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = watching(state("sweep"))
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressed("left_square_bracket"))
