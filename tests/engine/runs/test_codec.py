"""Every event and command survives JSON, and nothing else passes for one."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnp_engine.codec import UndecodableError, decode, encode
from cnp_engine.commands import Command
from cnp_engine.eventlog import COMMANDS, EVENTS
from cnp_engine.events import SCHEMA, CurvePoint, Event, Finished, LabelFree, Progress, Rate, finite

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=5)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    Any: PLAIN,
    int: st.integers(),
    float: FINITE,
    str: TEXT,
    bool: st.booleans(),
    type(None): st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type hint, as events use them."""
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if hint in LEAVES:
        return LEAVES[hint]
    if origin is typing.Literal:
        return st.sampled_from(members)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values(member) for member in members])
    if origin is tuple and members[-1] is Ellipsis:
        return st.lists(values(members[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, members))
    if origin is dict:
        return st.dictionaries(TEXT, values(members[1]), max_size=3)
    return instances(hint)


def instances(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    fields = {field.name: values(hints[field.name]) for field in dataclasses.fields(kind)}
    if "schema" in fields:  # a newer one is refused
        fields["schema"] = st.integers(0, SCHEMA)
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", Event.__subclasses__(), ids=lambda kind: str(kind.tag))
def test_every_event_reads_back_as_written(kind: type[Event]) -> None:
    _round_trip(EVENTS, kind)


@pytest.mark.parametrize("kind", Command.__subclasses__(), ids=lambda kind: str(kind.tag))
def test_every_command_reads_back_as_written(kind: type[Command]) -> None:
    _round_trip(COMMANDS, kind)


def _round_trip(vocabulary: Any, kind: type[Any]) -> None:
    @settings(max_examples=20, deadline=None)
    @given(instances(kind))
    def check(value: Any) -> None:
        text = json.dumps(vocabulary.encode(value), allow_nan=False)
        assert vocabulary.decode(json.loads(text)) == value

    check()


def test_tags_are_distinct_and_say_what_the_class_is() -> None:
    tags = [kind.tag for kind in Event.__subclasses__()]
    assert len(set(tags)) == len(tags)
    assert all(tags)


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (Rate, {"value": 1.0, "n": 2.5, "low": 0.0, "high": 1.0}, "Rate.n is 2.5, not int"),
        (Rate, {"value": 1.0, "n": True, "low": 0.0, "high": 1.0}, "Rate.n is True, not int"),
        (Rate, {"value": None, "n": 1, "low": 0.0, "high": 1.0}, "Rate.value is None"),
        (Rate, {"value": 1.0, "n": 2, "low": 0.0}, "high"),
        (Rate, {"value": 1.0, "n": 2, "low": 0.0, "high": 1.0, "mid": 1}, "no field 'mid'"),
        (Rate, [1.0], "not an object"),
        (Progress, {"stage": "lunch", "done": 1, "total": 2}, "'lunch', not one of"),
        (Progress, {"stage": "load", "done": 1, "total": 2, "values": {"a": "b"}}, "values.a"),
        (CurvePoint, {"k": 1, "threshold": None, "label_free": {"residual": 3}}, "residual"),
    ],
)
def test_what_is_no_such_object_is_refused(hint: type[Any], value: Any, says: str) -> None:
    with pytest.raises(UndecodableError, match=says.replace("(", r"\(")):
        decode(hint, value)


def test_whole_numbers_are_floats_where_a_float_is_asked_for() -> None:
    rate = decode(Rate, {"value": 1, "n": 2, "low": 0, "high": 1})
    assert rate == Rate(1.0, 2, 0.0, 1.0)
    assert type(rate.value) is float


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_absent(number: float) -> None:
    assert finite(number) is None
    body = EVENTS.encode(Progress("load", 1, 2, {"loss": number}))
    assert body["values"] == {"loss": None}


def test_an_event_that_would_not_read_back_is_never_written() -> None:
    with pytest.raises(UndecodableError, match="value is None"):
        EVENTS.encode(CurvePoint(1, None, LabelFree(Rate(math.nan, 1, 0.0, 1.0))))
    with pytest.raises(TypeError, match="object is not plain data"):
        EVENTS.encode(Finished({"a": object()}))


def test_tuples_become_lists_and_come_back_as_tuples() -> None:
    assert encode((1, (2, 3))) == [1, [2, 3]]
    assert decode(tuple[tuple[str, int], ...], [["a", 1]], "pairs") == (("a", 1),)
