"""What a backdoor aims at, in words."""

from __future__ import annotations

import pytest

from cnp_engine.aims import ANY, class_name, named, row_name, short_name, whom

NAMES = ("cat", "1", "")


@pytest.mark.parametrize(
    ("index", "title", "short"),
    [
        (0, "0 (cat)", "cat"),
        (1, "1", "1"),
        (2, "2", ""),
        (3, "3", "3"),  # the data names no such class
        (ANY, "any class", "any class"),
    ],
)
def test_a_class_by_its_number_and_name(index: int, title: str, short: str) -> None:
    assert class_name(NAMES, index) == title
    assert short_name(NAMES, index) == short
    assert whom(index, short) == (title if index == ANY else f"class {title}")


def test_no_class_in_particular_has_no_number() -> None:
    assert named([3, ANY, 0]) == [3, 0]
    assert row_name(ANY, "any class") == "any class"
    assert row_name(3, "cat") == "3 cat"
