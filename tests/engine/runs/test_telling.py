"""How far a single job is: one line on a terminal, lines elsewhere, nothing where it is quiet."""

from __future__ import annotations

import io
import sys
from collections.abc import Generator

import pytest

from cnp_engine.events import Event, Progress, StageStarted
from cnp_engine.steps import result, retold
from cnp_engine.telling import narrated, telling


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_one_line_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with telling(quiet=False) as tell:
        tell("epoch 1 of 2")
    assert screen.getvalue() == "\r\x1b[Kepoch 1 of 2\r\x1b[K"
    with telling(quiet=True) as tell:
        tell("epoch 2 of 2")
    assert screen.getvalue().count("epoch") == 1


def test_progress_elsewhere_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    with telling(quiet=False) as tell:
        tell("epoch 1 of 2")
    assert written.getvalue() == "epoch 1 of 2\n"


class _Gone(_Terminal):
    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_nobody_left_to_tell_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Gone())
    with telling(quiet=False) as tell:
        tell("epoch 1 of 2")


def test_progress_of_steps_is_told_and_their_result_returned() -> None:
    def steps() -> Generator[Event, None, int]:
        yield StageStarted("heal", 2000, "steps")
        yield Progress("heal", 1, 2000)
        yield Progress("export", 64, 1000, label="measuring")
        return 7

    told: list[str] = []
    assert narrated(steps(), told.append) == 7
    assert told == ["heal 1 of 2,000", "measuring 64 of 1,000"]


def test_steps_in_other_words_are_the_same_work() -> None:
    def steps() -> Generator[int, None, str]:
        yield from (1, 2, 3)
        return "done"

    other = retold(steps(), lambda step: None if step == 2 else step * 10)
    told: list[int] = []
    assert result(other, told.append) == "done"
    assert told == [10, 30]
