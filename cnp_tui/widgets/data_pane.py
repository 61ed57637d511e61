"""The images of a new run: where they come from, what is there, and a few of them as pictures."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, ItemGrid, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Label

from cnp_engine.config import SOURCE_NAMES, SOURCE_PREFIXES
from cnp_engine.errors import CnpError, DataMissing
from cnp_tui import bridge, told
from cnp_tui.completion import Rules
from cnp_tui.draft import LABELS
from cnp_tui.told import Told
from cnp_tui.widgets.field import Entry, Field
from cnp_tui.widgets.late import late
from cnp_tui.widgets.path_input import PathInput
from cnp_tui.widgets.picture import Picture
from cnp_tui.widgets.rows import Rows

REST_S = 0.5
"""How long a source rests before it is surveyed."""

SOURCES = Rules((".zip", ".npz"), folders=True, prefixes=SOURCE_PREFIXES, names=SOURCE_NAMES)

SMALL, LARGE = 18, 34
"""Columns of a thumbnail: of half its pixels, or of all where there is room."""

Asked = tuple[str, int, str | None]
"""Source, number of clean images, folder of clean images."""


class Thumbnail(Vertical):
    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        self._found = found

    def compose(self) -> ComposeResult:
        found = self._found
        rgba = base64.b64decode(found["rgba"])
        yield Picture(rgba, height=found["height"], width=found["width"])
        yield Label(Content(str(found["label"] or "")))


class DataPane(Vertical):
    DEFAULT_CLASSES: ClassVar[str] = "part"

    def __init__(self, recent: Sequence[str]) -> None:
        super().__init__()
        self._recent = tuple(recent)
        self._asked: Asked | None = None
        self._known: dict[Asked, Mapping[str, Any]] = {}
        self._empty: Asked | None = None

    def compose(self) -> ComposeResult:
        source = PathInput(SOURCES, self._recent, "folder, zip, .npz, cifar10:DIR or demo")
        yield Field("data", LABELS["data"], source)
        with Horizontal(classes="pair"):
            yield Field("clean", LABELS["clean"], Entry(placeholder="1000", compact=True))
            auto = Entry(placeholder="auto", compact=True)
            yield Field("normalize", LABELS["normalize"], auto)
        folder = PathInput(SOURCES, (), "in place of the train images")
        yield Field("clean_dir", LABELS["clean_dir"], folder)
        with VerticalScroll(id="survey"):
            yield Rows(id="surveyed")
            yield ItemGrid(id="thumbnails", min_column_width=SMALL)

    def on_resize(self) -> None:
        tall = self.screen.has_class("-tall")
        self.query_one(ItemGrid).min_column_width = LARGE if tall else SMALL

    def look_into(self, asked: Asked) -> None:
        """Say what is at a source, soon; a newer question ends an older one."""
        if asked != self._asked:
            self._asked = asked
            self._survey(asked)

    @property
    def nothing_there(self) -> bool:
        """Whether the source was looked at and there are no images in it."""
        return self._asked is not None and self._asked == self._empty

    @work(group="survey", exclusive=True)
    async def _survey(self, asked: Asked) -> None:
        await asyncio.sleep(REST_S)
        source, clean, clean_dir = asked
        if not source:
            await self._show((), ())
            return
        if asked not in self._known:
            await self._show((Told("", f"Looking at {source} ..."),), ())
            try:
                self._known[asked] = await bridge.ask(
                    "survey", data=source, clean=clean, clean_dir=clean_dir, model_size=None
                )
            except CnpError as error:
                hint = told.in_form(error.todo)
                self._empty = asked if isinstance(error, DataMissing) else None
                await self._show((Told("data", error.what, "bad"), Told("to do", hint)), ())
                return
        await self.tell(asked, self._known[asked])

    async def tell(self, asked: Asked, found: Mapping[str, Any]) -> None:
        """What is known of a source."""
        self._asked = asked
        await self._show(told.data(found), found["thumbnails"])

    async def _show(self, rows: Sequence[Told], thumbnails: Sequence[Mapping[str, Any]]) -> None:
        with late():
            self.query_one("#surveyed", Rows).update(rows)
            shown = self.query_one("#thumbnails")
            await shown.remove_children()
            await shown.mount_all(Thumbnail(each) for each in thumbnails)
            shown.display = bool(thumbnails)
