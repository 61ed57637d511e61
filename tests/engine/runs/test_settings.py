"""Settings of any frozen dataclass: parsing, bounds, nearest keys. No real setting is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from cnp_engine import settings
from cnp_engine.config import setting
from cnp_engine.errors import SettingInvalid, SettingUnknown


@dataclass(frozen=True)
class Inner:
    rate: float = setting(0.5, "a rate", low=0.0, high=1.0)
    learning: bool = setting(False, "on or off")


@dataclass(frozen=True)
class Outer:
    name: str
    size: int = setting(3, "a size", low=1)
    limit: int | None = setting(7, "a limit", low=0)
    mood: Literal["good", "bad"] = setting("good", "a mood")
    picks: tuple[int, ...] = setting((), "picks", low=0)
    pair: tuple[float, float] = setting((1.0, 2.0), "a pair")
    inner: Inner = field(default_factory=Inner)


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("name", " a b ", "a b"),
        ("size", "12", 12),
        ("size", 12, 12),
        ("limit", "none", None),
        ("limit", "0", 0),
        ("mood", "bad", "bad"),
        ("picks", "1, 2,3", (1, 2, 3)),
        ("picks", "4", (4,)),
        ("picks", 4, (4,)),
        ("picks", [1, 2], (1, 2)),
        ("picks", "none", ()),
        ("pair", "3,4.5", (3.0, 4.5)),
        ("inner.rate", "1e-3", 0.001),
        ("inner.rate", 1, 1.0),
        ("inner.learning", "yes", True),
        ("inner.learning", "OFF", False),
        ("inner.learning", True, True),
    ],
)
def test_values_as_people_and_toml_write_them(key: str, raw: Any, value: Any) -> None:
    parsed = settings.find(Outer, key).parse(raw)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("key", "raw", "says"),
    [
        ("name", "", "text"),
        ("name", 3, "text"),
        ("size", "0", "a whole number from 1 upwards"),
        ("size", "1.5", "a whole number"),
        ("size", 1.0, "a whole number"),
        ("size", True, "a whole number"),
        ("size", "", "a whole number"),
        ("limit", "-1", "from 0 upwards"),
        ("mood", "fair", "one of good, bad"),
        ("picks", "1,,2", "commas"),
        ("picks", "1,-2", "from 0"),
        ("pair", "1", "commas"),
        ("inner.rate", "1.01", "a number from 0 to 1"),
        ("inner.rate", "nan", "a number"),
        ("inner.rate", "inf", "a number"),
        ("inner.rate", "fast", "a number"),
        ("inner.learning", "maybe", "true or false"),
    ],
)
def test_values_that_cannot_be(key: str, raw: Any, says: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        settings.find(Outer, key).parse(raw)
    assert caught.value.what.startswith(f"{key} cannot be ")
    assert says in caught.value.todo
    assert ("The default is" in caught.value.todo) == (key != "name")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("sise", "size"),
        ("inner.rte", "inner.rate"),
        ("rate", "inner.rate"),
        ("iner.rate", "inner.rate"),
        ("inner-rate", "inner.rate"),
        ("Size", "size"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(key: str, near: str) -> None:
    with pytest.raises(SettingUnknown, match=f"Did you mean {near}") as caught:
        settings.find(Outer, key)
    assert caught.value.exit_code == 2


def test_a_key_like_no_other_gets_no_guess() -> None:
    with pytest.raises(SettingUnknown, match="cnp config show"):
        settings.find(Outer, "zzz")


def test_a_tree_is_flattened_checked_and_put_together() -> None:
    flat = settings.flatten({"name": "n", "inner": {"rate": 1}})
    assert flat == {"name": "n", "inner.rate": 1}
    made = settings.assemble(Outer, settings.check(Outer, flat))
    assert made == Outer("n", inner=Inner(rate=1.0))
    assert settings.values_of(made)["inner.rate"] == 1.0
    assert list(settings.values_of(made)) == list(settings.catalogue(Outer))


def test_what_has_no_default_has_to_be_given() -> None:
    with pytest.raises(SettingInvalid, match=r"No name is given. Give it with --name"):
        settings.assemble(Outer, {})
