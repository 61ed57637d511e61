"""A document as one HTML file, in light and dark, on screen and on paper."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cnp_engine.export import canvas
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
from cnp_engine.export.markup import Html, el, join

_LIGHT = {
    "--page": "#ffffff",
    "--card": "#f5f7f9",
    "--ink": "#17202a",
    "--soft": "#566370",
    "--line": "#dde3e8",
    "--alarm": "#a82300",
    "--calm": "#00684b",
    "--warn": "#fff4d6",
    **canvas.LIGHT,
}
_DARK = {
    "--page": "#14181c",
    "--card": "#1d2329",
    "--ink": "#e8edf1",
    "--soft": "#a3afba",
    "--line": "#323b44",
    "--alarm": "#c23a12",
    "--calm": "#0b7a5a",
    "--warn": "#3a3113",
    **canvas.DARK,
}

_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main,header{max-width:960px;margin:0 auto;padding:0 24px}
header{padding-top:36px}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:44px 0 12px;padding-top:14px;border-top:1px solid var(--line)}
p{margin:10px 0}
.soft,figcaption,caption{color:var(--soft);font-size:.86rem}
.soft{overflow-wrap:anywhere}
.badge{display:inline-block;color:#fff;font-weight:650;padding:5px 14px;border-radius:6px;
margin:14px 0 4px;background:var(--calm)}
.badge.alarm{background:var(--alarm)}
.lead{font-size:1.08rem}
.warning{background:var(--warn);border-left:4px solid var(--c5);padding:8px 14px}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:14px 0 0;font-size:.9rem}
a{color:var(--c1)}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:12px;
margin:20px 0}
.tile{background:var(--card);border-radius:8px;padding:12px 14px;overflow-wrap:anywhere}
.tile b{display:block;font-size:1.14rem;line-height:1.35;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:.82rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:12px 0;font-size:.92rem}
caption{caption-side:bottom;text-align:left;padding-top:6px}
th,td{text-align:left;vertical-align:top;padding:6px 18px 6px 0;
border-bottom:1px solid var(--line);overflow-wrap:break-word}
td:last-child{overflow-wrap:anywhere}
th:last-child,td:last-child{padding-right:0}
th{font-weight:600;white-space:nowrap}
td{min-width:4.5em}
.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
figure{margin:18px 0}
figure img{max-width:100%;height:auto;image-rendering:pixelated;background:#fff;
border:1px solid var(--line)}
pre{background:var(--card);border-radius:8px;padding:12px 14px;white-space:pre-wrap;
overflow-wrap:anywhere;font:.88rem/1.5 ui-monospace,monospace}
details{margin:14px 0}
summary{cursor:pointer;color:var(--c1)}
footer{margin:48px 0 36px}
@media print{body{font-size:11pt}h2{break-after:avoid}figure,tr,.tile{break-inside:avoid}
nav{display:none}}
"""


def write_page(document: Document) -> str:
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # The report quotes untrusted names: should escaping ever fail, nothing may run or load.
        el(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        ),
        el("meta", name="color-scheme", content="light dark"),
        el("title", document.title),
        Html(f"<style>{_style()}</style>"),
    )
    body = el(
        "body",
        el(
            "header",
            el("h1", document.title),
            el("div", document.subtitle, class_="soft"),
            el("div", document.badge, class_="badge alarm" if document.alarm else "badge"),
            el("nav", *(el("a", one.title, href=f"#{one.key}") for one in document.sections)),
        ),
        el("main", *(_section(one) for one in document.sections)),
    )
    page = el("html", head, body, lang="en")
    return f"<!DOCTYPE html>\n{page.text}\n"


def _style() -> str:
    light, dark = (
        "".join(f"{name}:{value};" for name, value in colours.items())
        for colours in (_LIGHT, _DARK)
    )
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f"@media print{{:root{{{light}}}}}{_STYLE}{canvas.STYLE}"
    )


def _section(section: Section) -> Html:
    blocks = (_block(block) for block in section.blocks)
    return el("section", el("h2", section.title), *blocks, id=section.key)


def _block(block: Block) -> Html:
    match block:
        case Para():
            return el("p", block.text, class_=None if block.tone == "plain" else block.tone)
        case Bullets():
            return el("ul", *(el("li", item) for item in block.items))
        case Tiles():
            return _tiles(block)
        case Table():
            return _table(block)
        case Plot():
            return el("figure", block.picture, el("figcaption", block.caption))
        case Picture():
            return _picture(block)
        case Code():
            return el("pre", el("code", block.text))


def _tiles(block: Tiles) -> Html:
    tiles = (
        el(
            "div",
            el("span", tile.name),
            el("b", tile.value),
            el("span", tile.note),
            class_="tile",
        )
        for tile in block.items
    )
    return el("div", *tiles, class_="tiles")


def _table(block: Table) -> Html:
    caption = [el("caption", block.caption)] if block.caption else []
    head = [el("thead", _row("th", block, block.columns))] if any(block.columns) else []
    rows = join(_row("td", block, row) for row in block.rows)
    table = el("div", el("table", *caption, *head, el("tbody", rows)), class_="wide")
    return el("details", el("summary", block.fold), table) if block.fold else table


def _row(cell: str, block: Table, texts: Sequence[str]) -> Html:
    cells = (
        el(cell, text, class_="num" if index in block.numeric else None)
        for index, text in enumerate(texts)
    )
    return el("tr", *cells)


def _picture(block: Picture) -> Html:
    data = base64.b64encode(block.png).decode("ascii")
    image = el("img", src=f"data:image/png;base64,{data}", alt=block.alt)
    return el("figure", image, el("figcaption", block.caption or block.alt))
