"""HTML and SVG put together so that nothing of a checkpoint or a folder can become markup.

A child that is a plain ``str`` is text and is escaped; only this module makes ``Html``, the one
thing that is not. Attribute values are escaped too.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from cnp_engine.printing import printable

_VOID = frozenset({"meta", "img", "br", "hr"})


@dataclass(frozen=True)
class Html:
    """Markup that is safe as it stands."""

    text: str

    def __str__(self) -> str:
        return self.text


Child: TypeAlias = "Html | str"
Attribute: TypeAlias = "str | int | float | None"


def el(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """One element. ``class_`` writes class, ``stroke_width`` stroke-width; None leaves one out."""
    written = "".join(
        f' {_attribute_name(key)}="{html.escape(_attribute_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        assert not children, name
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child], between: str = "") -> Html:
    """Children one after the other, text escaped."""
    return Html(html.escape(between).join(_written(child) for child in children))


def number(value: float) -> str:
    """A coordinate: at most two decimals, no negative zero, the same on every machine."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _written(child: Child) -> str:
    return child.text if isinstance(child, Html) else html.escape(printable(child))


def _attribute_name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _attribute_value(value: str | int | float) -> str:
    return printable(value) if isinstance(value, str) else number(value)
