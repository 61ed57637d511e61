"""A document as Markdown that any reader shows the same, tables included."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cnp_engine.export.document import (
    Block,
    Bullets,
    Code,
    Document,
    Para,
    Plot,
    Section,
    Table,
    Tiles,
)
from cnp_engine.export.inputs import Picture
from cnp_engine.printing import printable

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$])")
# What opens a heading, a list or a rule, but only where white space or nothing follows.
_STARTS = re.compile(r"^(#{1,6}|[+=-]+|\d+[.)])(?=\s|$)")
# An address would become a link by itself in many readers; a checkpoint's name must not.
_ADDRESS = re.compile(r"(?i)(?<=[a-z]):(?=//)|(?<=www)\.")


def escape(text: str) -> str:
    """Plain text as Markdown that shows exactly it: no markup, HTML, link or table out of it."""
    plain = printable(text).strip().replace("&", "&amp;").replace("@", "&#64;")
    plain = _SPECIAL.sub(r"\\\1", plain)
    plain = _ADDRESS.sub(lambda found: f"&#{ord(found[0])};", plain)
    return _STARTS.sub(lambda found: _escaped_start(found[1]), plain)


def write_markdown(document: Document) -> str:
    parts = [
        f"# {escape(document.title)}",
        escape(document.subtitle),
        f"**{escape(document.badge)}**",
        *(_section(section) for section in document.sections),
    ]
    return "\n\n".join(parts) + "\n"


def _escaped_start(start: str) -> str:
    return f"{start[:-1]}\\{start[-1]}" if start[0].isdigit() else f"\\{start}"


def _section(section: Section) -> str:
    blocks = (_block(block) for block in section.blocks)
    return "\n\n".join([f"## {escape(section.title)}", *(text for text in blocks if text)])


def _block(block: Block) -> str:
    match block:
        case Para():
            text = escape(block.text)
            return f"> {text}" if block.tone == "warning" else text
        case Bullets():
            return "\n".join(f"- {escape(item)}" for item in block.items)
        case Tiles():
            return ""  # the verdict and the table say the same
        case Table():
            return _table(block)
        case Plot():
            return (
                "" if block.table is None else f"{_table(block.table)}\n\n{escape(block.caption)}"
            )
        case Picture():
            return _picture(block)
        case Code():
            return _fenced(block.text)


def _table(block: Table) -> str:
    rules = ["--:" if index in block.numeric else ":--" for index in range(len(block.columns))]
    lines = [_row(block.columns), f"| {' | '.join(rules)} |", *(_row(row) for row in block.rows)]
    table = "\n".join(lines)
    above = f"{escape(block.fold)}:\n\n" if block.fold else ""
    below = f"\n\n{escape(block.caption)}" if block.caption else ""
    return above + table + below


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escape(cell) for cell in cells)} |"


def _picture(block: Picture) -> str:
    if block.file is None:
        return ""
    caption = escape(block.caption or block.alt)
    return f"![{escape(block.alt)}](<{_target(block.file)}>)\n\n{caption}"


def _target(file: str) -> str:
    return re.sub(r"([<>\\])", r"\\\1", printable(file))


def _fenced(text: str) -> str:
    """A fence longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{printable(text)}\n{fence}"
