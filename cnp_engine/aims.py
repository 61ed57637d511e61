"""What a backdoor aims at: one class, or none in particular; and how that is called.

Light: no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

ANY = -1
"""In place of a class index, of a trigger that changes every answer, whatever it becomes: where the
class that is answered depends on the image's own, as in an all-to-all backdoor."""

ANY_NAME = "any class"


def named(targets: Sequence[int]) -> list[int]:
    """Those that are classes."""
    return [target for target in targets if target != ANY]


def short_name(names: Sequence[str], index: int) -> str:
    """ "cat", or "3" where the class has no name."""
    if index == ANY:
        return ANY_NAME
    return names[index] if 0 <= index < len(names) else str(index)


def titled(index: int, name: str) -> str:
    """ "3 (cat)", or "3" where the name says no more."""
    if index == ANY:
        return ANY_NAME
    return f"{index} ({name})" if name not in ("", str(index)) else str(index)


def class_name(names: Sequence[str], index: int) -> str:
    """``titled`` by the names of all classes."""
    return titled(index, short_name(names, index))


def whom(index: int, name: str = "") -> str:
    """ "class 3 (cat)"."""
    return ANY_NAME if index == ANY else f"class {titled(index, name)}"


def row_name(index: int, name: str) -> str:
    """Of a row of the ranking: "3 cat"."""
    return name if index == ANY else f"{index} {name}"
