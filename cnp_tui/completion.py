"""What a path that is being typed can become: reads one folder, within bounds, and nothing else.

No widgets, no event loop. A folder of any size costs one bounded look; only a dead network share
can hang here, so this is called aside (``aside.aside``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CHECKPOINTS = (".pth", ".pt", ".th", ".safetensors", ".bin", ".ckpt", ".tar")
ATTACKS = (".toml",)

SHOWN = 200
SECONDS = 1.0
"""How many candidates are shown, and how long a folder is read for them."""


@dataclass(frozen=True)
class Rules:
    """What a field takes: ``suffixes`` of files (empty: any), ``folders`` whether one is an answer.

    ``prefixes`` may stand before a colon, ``names`` are answers that are no path.
    """

    suffixes: tuple[str, ...] = ()
    folders: bool = False
    prefixes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def takes(self, name: str) -> bool:
        return not self.suffixes or name.lower().endswith(self.suffixes)


ANYTHING = Rules()


@dataclass(frozen=True)
class Candidate:
    """``text`` is what the field would hold, ``label`` what the list shows of it."""

    text: str
    label: str
    folder: bool = False


@dataclass(frozen=True)
class Listing:
    """``note`` says what the list does not: that it was cut, or why there is none."""

    candidates: tuple[Candidate, ...] = ()
    note: str = ""


def complete(
    text: str,
    rules: Rules = ANYTHING,
    *,
    shown: int = SHOWN,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Listing:
    """The entries that ``text`` can go on to, folders first; it keeps its ``~`` and its dots."""
    prefix, text = split_prefix(text, rules.prefixes)
    head, _, start = text.rpartition("/")
    head = text[: len(text) - len(start)]
    words = [] if prefix or head else _words(start, rules)
    if text in ("~", "..", "."):
        return Listing((Candidate(f"{prefix}{text}/", f"{text}/", True),))
    try:
        found = _read(head, start, rules, clock, clock() + seconds)
    except (OSError, RuntimeError) as error:  # RuntimeError: no such ~user
        reason = getattr(error, "strerror", None) or str(error)
        return Listing(tuple(words), "" if words else f"{head or '.'}: {reason}")
    entries = [
        Candidate(f"{prefix}{head}{name}{'/' * folder}", name + "/" * folder, folder)
        for name, folder in found.ranked()
    ]
    note = found.note(shown)
    return Listing((*words, *entries)[:shown], note)


def common(text: str, candidates: Iterable[Candidate]) -> str:
    """As far as all candidates agree, never less than ``text``."""
    texts = [candidate.text for candidate in candidates]
    shared = os.path.commonprefix(texts) if texts else text  # noqa: RUF071  # by letters
    return shared if len(shared) > len(text) else text


def split_prefix(text: str, prefixes: Sequence[str]) -> tuple[str, str]:
    """``cifar10:DIR`` as its ``cifar10:`` and its DIR."""
    kind, colon, rest = text.partition(":")
    return (kind + colon, rest) if colon and kind in prefixes else ("", text)


@dataclass
class _Found:
    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    cut: bool = False
    """Reading stopped before the end of the folder."""

    def ranked(self) -> list[tuple[str, bool]]:
        ordered = [(name, True) for name in sorted(self.folders, key=str.lower)]
        return ordered + [(name, False) for name in sorted(self.files, key=str.lower)]

    def note(self, shown: int) -> str:
        more = len(self.folders) + len(self.files) - shown
        if self.cut:
            return "a large folder, read in part: type more of the name"
        return f"{more:,} more: type more of the name" if more > 0 else ""


def _read(
    head: str, start: str, rules: Rules, clock: Callable[[], float], deadline: float
) -> _Found:
    found, wanted = _Found(), start.lower()
    with os.scandir(Path(head).expanduser() if head else ".") as entries:
        for number, entry in enumerate(entries):
            if number % 256 == 255 and clock() > deadline:
                found.cut = True
                break
            name = entry.name
            hidden = name.startswith(".") and not start.startswith(".")
            if hidden or not name.lower().startswith(wanted):
                continue
            if _is_folder(entry):
                found.folders.append(name)
            elif rules.takes(name):
                found.files.append(name)
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere readable
        return False


def _words(start: str, rules: Rules) -> list[Candidate]:
    words = (*rules.names, *(f"{prefix}:" for prefix in rules.prefixes))
    return [
        Candidate(word, word if not word.endswith(":") else f"{word}FOLDER")
        for word in words
        if start and word.startswith(start.lower())
    ]
