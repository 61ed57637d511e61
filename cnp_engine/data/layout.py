"""Which file is in which split and class: pure reasoning over relative names.

Reads nothing. The layouts: ``train/CLASS/FILE`` and ``test/CLASS/FILE``, ``CLASS/FILE``, and
files without classes, each perhaps inside one more folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from cnp_engine.data.decode import SUFFIXES
from cnp_engine.data.images import count_of
from cnp_engine.data.store import Entry
from cnp_engine.printing import name_some

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
"""In order of preference, where a source has several."""


@dataclass(frozen=True)
class Listing:
    """names: of the files. folders: the class folder of each, or None where there are none."""

    names: tuple[str, ...]
    folders: tuple[str, ...] | None


@dataclass(frozen=True)
class Layout:
    train: Listing | None
    test: Listing | None
    notices: tuple[str, ...]


def image_entries(entries: Iterable[Entry]) -> tuple[list[str], tuple[str, ...]]:
    """Names that may be images, and a notice of what is left out."""
    names, others, empty = [], [], []
    for entry in entries:
        if PurePosixPath(entry.name).suffix.lower() not in SUFFIXES:
            others.append(entry.name)
        elif entry.size == 0:
            empty.append(entry.name)
        else:
            names.append(entry.name)
    notices = []
    if others:
        count = count_of(len(others), "file")
        notices.append(f"Left out {count} that are not images by name: {name_some(others)}.")
    if empty:
        notices.append(f"Left out {count_of(len(empty), 'empty file')}: {name_some(empty)}.")
    return names, tuple(notices)


def find_layout(names: list[str]) -> Layout:
    """Splits and class folders of image files, by name."""
    root = _common_wrapper(names)
    tops = {top.lower(): top for top in (_first(name, root) for name in names) if top}
    train = next((tops[name] for name in TRAIN if name in tops), None)
    tests = [tops[name] for name in TEST if name in tops]
    if train is None and not tests:
        everything, left_out = _classes(names, root)
        return Layout(everything, None, left_out)
    notices: tuple[str, ...] = ()
    listings: list[Listing | None] = [None, None]
    for index, split in enumerate((train, *tests[:1])):
        inside = [name for name in names if split and _first(name, root) == split]
        if inside:
            listings[index], left_out = _classes(inside, f"{root}{split}/")
            notices += left_out
    outside = sum(_first(name, root) not in (train, *tests[:1]) for name in names)
    if outside:
        used = " and ".join(f"{name}/" for name in (train, *tests[:1]) if name)
        notices += (f"Left out {count_of(outside, 'image')} outside {used}.",)
    return Layout(listings[0], listings[1], notices)


def class_order(folders: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes in label order, and notices: alphabetical, but numbers numerically."""
    every = sorted(set(folders))
    if not every or not all(name.isdecimal() for name in every):
        return tuple(every), ()
    ordered = tuple(sorted(every, key=lambda name: (int(name), name)))
    notices = []
    if list(ordered) != every:
        notices.append("Class folders are numbers and taken in that order (10 after 9).")
    if [int(name) for name in ordered] != list(range(len(ordered))):
        notices.append(
            "Class folders are numbers that do not run from 0 without a gap; "
            "a label is the position of its folder, not the number."
        )
    return ordered, tuple(notices)


def _classes(names: list[str], root: str) -> tuple[Listing, tuple[str, ...]]:
    """Split ``names`` under ``root`` by their next folder, if they have one."""
    flat = [name for name in names if not _first(name, root)]
    if len(flat) == len(names):
        return Listing(tuple(names), None), ()
    deep = [name for name in names if _first(name, root)]
    notices: tuple[str, ...] = ()
    if flat:
        text = f"Left out {count_of(len(flat), 'image')} outside the class folders: "
        notices = (text + f"{name_some(flat)}.",)
    return Listing(tuple(deep), tuple(_first(name, root) for name in deep)), notices


def _first(name: str, root: str) -> str:
    """The folder ``name`` lies in directly below ``root``; empty where it lies in ``root``."""
    top, slash, _ = name[len(root) :].partition("/")
    return top if slash else ""


def _common_wrapper(names: list[str]) -> str:
    """Folders that everything lies in and that hold folders only, as ``a/b/``."""
    root = ""
    while names:
        tops = {_first(name, root) for name in names}
        top = tops.pop()
        if tops or not top or top.lower() in (*TRAIN, *TEST):
            return root
        inner = f"{root}{top}/"
        if any(not _first(name, inner) for name in names):
            return root
        root = inner
    return root
