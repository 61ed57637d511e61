"""Which split and class a file is in, from its name alone."""

from __future__ import annotations

import pytest

from cnp_engine.data.layout import Layout, class_order, find_layout, image_entries
from cnp_engine.data.store import Entry
from tests.engine.data.pictures import said

Found = tuple[int, set[str] | None] | None
"""How many files, and in which class folders."""


def _found(layout: Layout) -> tuple[Found, Found]:
    listings = (layout.train, layout.test)
    first, second = (
        (len(x.names), None if x.folders is None else set(x.folders)) if x else None
        for x in listings
    )
    return first, second


ROWS: dict[str, tuple[list[str], Found, Found]] = {
    "splits and classes": (
        ["train/a/1.png", "train/b/1.png", "test/a/1.png"],
        (2, {"a", "b"}),
        (1, {"a"}),
    ),
    "other names of splits": (["Training/a/1.png", "validation/b/1.png"], (1, {"a"}), (1, {"b"})),
    "val is the test": (["train/a/1.png", "val/b/1.png"], (1, {"a"}), (1, {"b"})),
    "test before val": (
        ["train/a/1.png", "val/b/1.png", "test/c/1.png"],
        (1, {"a"}),
        (1, {"c"}),
    ),
    "inside one more folder": (["x/train/a/1.png", "x/test/a/2.png"], (1, {"a"}), (1, {"a"})),
    "inside two more": (["x/y/a/1.png", "x/y/b/2.png"], (2, {"a", "b"}), None),
    "classes only": (["a/1.png", "b/1.png"], (2, {"a", "b"}), None),
    "deeper than a class": (["a/x/1.png", "b/y/z/1.png"], (2, {"a", "b"}), None),
    "flat": (["1.png", "2.png"], (2, None), None),
    "flat in a folder": (["a/1.png", "a/2.png"], (2, {"a"}), None),
    "flat splits": (["train/1.png", "test/2.png"], (1, None), (1, None)),
    "test only": (["test/a/1.png", "test/b/1.png"], None, (2, {"a", "b"})),
    "train only": (["train/a/1.png", "train/b/1.png"], (2, {"a", "b"}), None),
    "a class named as a split is": (["x/a/train/1.png", "x/b/1.png"], (2, {"a", "b"}), None),
}


@pytest.mark.parametrize("case", ROWS)
def test_layouts(case: str) -> None:
    names, train, test = ROWS[case]
    assert _found(find_layout(names)) == (train, test)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a/1.png", "b/2.png", "3.png"], ("1 image outside the class folders", "3.png")),
        (["train/a/1.png", "test/a/1.png", "extra/a/1.png"], ("1 image outside train/ and test/",)),
        (["train/a/1.png", "val/b/1.png", "test/c/1.png"], ("1 image outside train/ and test/",)),
    ],
)
def test_what_is_left_out_is_said(names: list[str], words: tuple[str, ...]) -> None:
    assert said(find_layout(names).notices, *words)


@pytest.mark.parametrize(
    ("folders", "expected", "words"),
    [
        (["b", "a", "C"], ("C", "a", "b"), ()),
        (["10", "9", "0"], ("0", "9", "10"), ("10 after 9", "do not run from 0")),
        (["00010", "00002"], ("00002", "00010"), ("do not run from 0",)),
        ([str(i) for i in range(12)], tuple(str(i) for i in range(12)), ("10 after 9",)),
        (["0", "1", "2"], ("0", "1", "2"), ()),
        (["1", "a"], ("1", "a"), ()),
        ([], (), ()),
    ],
)
def test_order_of_classes(
    folders: list[str], expected: tuple[str, ...], words: tuple[str, ...]
) -> None:
    order, notices = class_order(folders)
    assert order == expected
    assert len(notices) == len(words)
    assert all(said(notices, word) for word in words)


def test_only_what_may_be_an_image_is_listed_and_the_rest_named() -> None:
    entries = [Entry("a.PNG", 9), Entry("b.txt", 9), Entry("c.jpg", 0), Entry("d", 9)]
    entries += [Entry(f"e{i}.csv", 9) for i in range(5)]
    names, notices = image_entries(entries)
    assert names == ["a.PNG"]
    assert said(notices, "7 files that are not images", "b.txt, d, e0.csv and 4 more")
    assert said(notices, "1 empty file", "c.jpg")
