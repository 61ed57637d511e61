"""The series behind plots: right when a worker begins again, cheap however long it works."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import pytest

from cnp_engine.eventlog import EventRecord
from cnp_engine.events import Event, Paused, Progress, Resources, Stage, Warned
from cnp_tui.history import History, Points, Series

LOSS: tuple[Stage, str] = ("target", "loss")


def records(*events: Event) -> list[EventRecord]:
    return [EventRecord(number, float(number), event) for number, event in enumerate(events)]


def step(done: int, value: float | None, name: str = "loss") -> Progress:
    return Progress("target", done, 100, {name: value})


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([[]], ()),
        ([[step(1, 5.0)]], ((1, 5.0),)),
        ([[step(1, 5.0), step(2, 4.0)], [step(3, 3.0)]], ((1, 5.0), (2, 4.0), (3, 3.0))),
        ([[step(1, None), step(2, 4.0)]], ((2, 4.0),)),
        ([[step(1, 5.0)], [step(1, 6.0)]], ((1, 6.0),)),
        ([[step(1, 5.0), step(2, 4.0), step(3, 3.0)], [step(2, 9.0)]], ((1, 5.0), (2, 9.0))),
        ([[step(4, 5.0), step(5, 4.0)], [step(1, 9.0), step(2, 8.0)]], ((1, 9.0), (2, 8.0))),
        ([[step(4, 5.0), step(5, 4.0), step(1, 9.0)]], ((1, 9.0),)),
    ],
    ids=[
        "nothing", "one", "grows", "null is no point", "same step again", "goes back one step",
        "begins again", "begins again within one look",
    ],
)  # fmt: skip
def test_series(batches: Sequence[Sequence[Event]], expected: Points) -> None:
    history = History()
    for batch in batches:
        history = history.extended(records(*batch))
    assert tuple(history.series.get(LOSS, ())) == expected


def test_series_of_a_stage_and_a_name_are_apart() -> None:
    events = records(step(1, 5.0), step(1, 0.5, "success"), Progress("trigger", 1, 9, {"loss": 2}))
    series = History().extended(events).series
    assert {key: tuple(points) for key, points in series.items()} == {
        ("target", "loss"): ((1, 5.0),),
        ("target", "success"): ((1, 0.5),),
        ("trigger", "loss"): ((1, 2),),
    }


def test_what_was_asked_for_later_is_no_step_of_the_run() -> None:
    asked = Progress("heal", 10, 200, {"loss": 0.5}, asked=True)
    history = History().extended(records(asked))
    assert not history.series
    assert not len(history.records)


def test_records_are_what_a_log_may_show() -> None:
    events = records(step(1, 5.0), Paused(), Resources(1), Warned("code", "text"))
    history = History().extended(events[:2]).extended(events[2:])
    assert [record.value for record in history.records] == [Paused(), Warned("code", "text")]
    assert history.records[-1].seq == 3


def test_an_earlier_history_stays_as_it_was() -> None:
    first = History().extended(records(step(1, 5.0), step(2, 4.0), Paused()))
    grown = first.extended(records(step(3, 3.0), Paused()))
    back = first.extended(records(step(2, 9.0), Warned("code", "text")))
    longer = grown.extended(records(step(4, 2.0)))
    assert [tuple(h.series[LOSS])[-1] for h in (first, grown, back, longer)] == [
        (2, 4.0), (3, 3.0), (2, 9.0), (4, 2.0),
    ]  # fmt: skip
    assert [len(h.records) for h in (first, grown, back, longer)] == [1, 2, 2, 2]


def test_what_got_nothing_new_is_the_same_object() -> None:
    first = History().extended(records(step(1, 5.0), step(1, 0.5, "success")))
    assert first.extended([]) is first
    assert first.extended(records(Resources(1))) is first
    second = first.extended(records(step(2, 4.0)))
    assert second.series["target", "success"] is first.series["target", "success"]
    assert second.records is first.records


def test_a_look_costs_what_is_new() -> None:
    """After an hour at ten events a second nothing is copied: both snapshots share their memory."""
    tracemalloc.start()
    try:
        long = History({LOSS: Series.of((float(i), 1.0) for i in range(360_000))})
        before, _ = tracemalloc.get_traced_memory()
        longer = long.extended(records(step(360_000, 1.0)))
        added = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert (len(long.series[LOSS]), len(longer.series[LOSS])) == (360_000, 360_001)
    assert added < 360_000 * 8, "less than one copy of one axis"
