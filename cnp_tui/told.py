"""What the engine found out about a checkpoint or a data source, in plain words for a screen.

Pure: the answers of the tasks ``inspect``, ``survey`` and ``devices`` in, lines out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cnp_engine.export.wording import count, plural
from cnp_tui.draft import LABELS

Tone = Literal["", "good", "bad", "note"]
"""Beside its colour each tone has a mark: ``glyphs.tick``, ``glyphs.cross``, ``!``."""


@dataclass(frozen=True)
class Told:
    """One row: what it is about, what is so, and how that is meant."""

    name: str
    text: str
    tone: Tone = ""


def in_form(hint: str) -> str:
    """The engine speaks of options; a form has fields, and settings in a list."""
    return re.sub(r"--([a-z][a-z-]*)", lambda found: f'"{_label(found[1])}"', hint)


def _label(option: str) -> str:
    key = option.replace("-", "_")
    return LABELS.get(key, "targets" if key == "target" else key)


def checkpoint(found: Mapping[str, Any]) -> tuple[Told, ...]:
    """The answer of ``inspect``, the safety verdict first."""
    rows = [_safety(found)]
    if found["refused"]:
        rows += [Told("imports", name, "bad") for name in found["imports"]]
        rows.append(Told("to do", in_form(found["todo"] or "")))
    if found["format"]:
        rows += [*_contents(found), *_network(found)]
    rows += [
        Told("size", size(found["size"])),
        Told("sha256", found["sha256"]),
    ]
    rows += [Told("note", note, "note") for note in found["notes"]]
    return tuple(row for row in rows if row.text)


def _safety(found: Mapping[str, Any]) -> Told:
    if found["error_code"] == "CheckpointUnsafe":
        names = found["imports"]
        tried = f"it tries to import {names[0]}" if names else "it is not plain data"
        more = f" and {plural(len(names) - 1, 'other')}" if len(names) > 1 else ""
        return Told("refused", f"{tried}{more}; nothing in it was executed", "bad")
    if found["refused"]:
        return Told("refused", found["refused"], "bad")
    return Told("safe", "read as data; nothing in it was executed", "good")


def _contents(found: Mapping[str, Any]) -> list[Told]:
    where = found["weights_at"] or "at the top"
    prefix = f", names begin with {found['prefix']}" if found["prefix"] else ""
    tensors = plural(found["tensors"], "tensor")
    return [
        Told("format", f"{found['format']}, {found['layout']}"),
        Told("weights", f"{where}{prefix}: {tensors}, {found['dtype']}"),
    ]


def _network(found: Mapping[str, Any]) -> list[Told]:
    layers = plural(len(found["layers"]), "BatchNorm layer")
    rows = [
        Told("network", found["describe"] or found["architecture"] or ""),
        Told("classes", "" if found["classes"] is None else count(found["classes"])),
    ]
    if found["norm"]:
        return [*rows, Told("neurons", found["norm"], "bad")]
    if found["neurons"]:
        rows.append(Told("neurons", f"{count(found['neurons'])} in {layers}"))
    return rows


def data(found: Mapping[str, Any]) -> tuple[Told, ...]:
    """The answer of ``survey``."""
    counts: Mapping[str, int | None] = found["counts"]
    splits = [f"{count(value)} {name}" for name in ("train", "test") if (value := counts[name])]
    used = f"; {count(counts['clean'] or 0)} taken as clean, without labels"
    height, width = found["size"]
    labelled = (
        Told("labels", "the test images are labelled: BA can be measured", "good")
        if found["labelled"]
        else Told("labels", "none: retention and residual are measured, BA and ASR are not", "note")
    )
    rows = [
        Told("images", ", ".join(splits) + used),
        labelled,
        Told("size", f"{height}x{width} pixels"),
        Told("classes", _classes(found["classes"])),
    ]
    rows += [Told("note", notice, "note") for notice in found["notices"]]
    return tuple(row for row in rows if row.text)


def devices(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The answer of ``devices``, as names to choose from and what each is."""
    rows = [("auto", "the fastest that is there")]
    for each in found["devices"]:
        free, whole = each["free_bytes"], size(each["memory_bytes"])
        memory = whole if free is None else f"{size(free)} free of {whole}"
        rows.append((each["name"], f"{each['title']}, {memory}"))
    return rows


def size(value: int) -> str:
    """Bytes for people: 391,051 as "382 KiB"."""
    if value < 1024:
        return plural(value, "byte")
    for unit in ("KiB", "MiB"):
        value_in = value / (1024 if unit == "KiB" else 2**20)
        if value_in < 1024:
            return f"{value_in:.{0 if value_in >= 100 else 1}f} {unit}"
    return f"{value / 2**30:.1f} GiB"


def age(seconds: float) -> str:
    """Since when, in the largest unit that fits."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{plural(int(seconds // length), unit)} ago"
    return "just now"


def _classes(names: Sequence[str]) -> str:
    """``10: airplane, automobile, ...``; bare numbers say no more than how many."""
    if not names:
        return ""
    if all(name.isdecimal() for name in names):
        return count(len(names))
    return f"{count(len(names))}: {', '.join(names)}"
