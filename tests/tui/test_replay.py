"""A recorded run played again, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnp_engine.errors import UsageError
from cnp_engine.eventlog import EventRecord
from cnp_engine.events import STAGES
from cnp_engine.state import RunState
from cnp_tui.app import CnpApp
from cnp_tui.glyphs import ASCII
from cnp_tui.history import History
from cnp_tui.replay import LONGEST_GAP_S, SPEEDS, Replay, timeline
from cnp_tui.screens.help import sections
from tests.engine.runs.tools import CANCELLED, RESUMED, STARTED, new_run
from tests.tui.recorded import folder, log


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(name="clock")
def clock_of_the_test() -> Clock:
    return Clock()


@pytest.fixture(name="replay")
def replay_of_the_demo(tmp_path: Path, clock: Clock) -> Replay:
    return Replay.of(folder(tmp_path / "run", "demo"), clock=clock)


def test_at_every_moment_it_is_what_the_log_says(replay: Replay, clock: Clock) -> None:
    records = log("demo")
    seen = 0
    for _ in range(40):
        clock.now_s += replay.length_s / 30
        replay.poll()
        upto = replay.snapshot.state.seq + 1
        assert upto >= seen
        seen = upto
        assert replay.snapshot.state.seq == RunState.from_records(records[:upto]).seq
        assert all(
            record.at - records[0].at <= replay.position_s + 1e-6 for record in records[:upto]
        )
    assert replay.over
    assert replay.snapshot.status == "finished"
    assert replay.snapshot.history.series == History().extended(records).series


@pytest.mark.parametrize("speed", [0.5, 1.0, 8.0])
def test_speed(replay: Replay, clock: Clock, speed: float) -> None:
    replay.speed = speed
    clock.now_s += 0.25
    replay.poll()
    assert replay.position_s == pytest.approx(0.25 * speed)


def test_faster_and_slower_stay_in_bounds(replay: Replay) -> None:
    for _ in range(20):
        replay.faster(1)
    assert replay.speed == SPEEDS[-1]
    for _ in range(20):
        replay.faster(-1)
    assert replay.speed == SPEEDS[0]


def test_a_pause_holds_the_time(replay: Replay, clock: Clock) -> None:
    clock.now_s += 1.0
    replay.pause()
    at = replay.position_s
    clock.now_s += 60.0
    assert replay.poll()  # that it holds is news, once
    assert not replay.poll()
    assert replay.position_s == at
    replay.pause()
    clock.now_s += 1.0
    replay.poll()
    assert replay.position_s == pytest.approx(at + 1.0)


def test_seeking_back_forgets_what_came_later(replay: Replay) -> None:
    replay.seek(replay.length_s)
    assert replay.snapshot.state.curve
    replay.seek(1.0)
    assert not replay.snapshot.state.curve
    assert all(replay.snapshot.state.stages[stage].status != "done" for stage in STAGES[1:])
    replay.seek(-5.0)
    assert replay.position_s == 0.0
    assert replay.snapshot.state.model is None


def test_at_the_end_it_begins_again(replay: Replay) -> None:
    replay.seek(replay.length_s)
    replay.pause()
    assert (replay.position_s, replay.paused) == (0.0, False)


def test_nothing_new_is_no_news(replay: Replay, clock: Clock) -> None:
    replay.poll()
    replay.pause(True)
    replay.poll()
    clock.now_s += 10
    assert not replay.poll()


def test_the_night_between_two_workers_is_short() -> None:
    night = 8 * 3600.0
    records = [
        EventRecord(0, 100.0, STARTED),
        EventRecord(1, 120.0, CANCELLED),
        EventRecord(2, 120.0 + night, RESUMED),
        EventRecord(3, 140.0 + night, CANCELLED),
    ]
    assert timeline(records) == [0.0, 20.0, 20.0 + LONGEST_GAP_S, 40.0 + LONGEST_GAP_S]


def test_it_says_where_it_stands_in_ascii(replay: Replay) -> None:
    replay.seek(replay.length_s / 2)
    assert replay.told(ASCII).isascii()
    assert replay.told(ASCII).endswith("1x")


def test_a_run_that_was_never_begun_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no events"):
        Replay.of(new_run(tmp_path))


def test_it_asks_nobody(replay: Replay) -> None:
    assert not replay.live
    replay.wake()
    assert not replay.run.lock_path.exists()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("space", lambda r: r.paused),
        ("plus", lambda r: r.speed == 2.0),
        ("minus", lambda r: r.speed == 0.5),
    ],
)
async def test_keys(replay: Replay, key: str, changed: Callable[[Replay], bool]) -> None:
    async with CnpApp(replay, "run").run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(key)
        assert changed(replay)
        assert "Of the replay" in [section.title for section in sections(pilot.app.screen)]
        await pilot.press("1")  # on Home the same keys are no replay's
        await pilot.press("space")
        assert changed(replay)
        await pilot.press("q")  # nobody is at work, so nothing is asked
    assert pilot.app.return_value == 0
