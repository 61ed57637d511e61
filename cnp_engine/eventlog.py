"""The event log of a run, and the commands that go the other way (both JSON lines)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from cnp_engine.commands import Command
from cnp_engine.errors import RunDamaged
from cnp_engine.events import (
    SCHEMA,
    Cancelled,
    Event,
    Failed,
    Finished,
    Progress,
    Resources,
    RunStarted,
    TargetSizes,
    TriggerPreview,
)
from cnp_engine.jsonl import JsonLines, Record, Tail, Vocabulary

EventRecord: TypeAlias = Record[Event]
EventTail: TypeAlias = Tail[Event]
CommandTail: TypeAlias = Tail[Command]

ENDS = (Finished, Failed, Cancelled)
"""An event of one of these classes is the last a worker writes."""


FREQUENT = (Progress, TargetSizes, TriggerPreview, Resources)
"""What a power cut may take: the next of its kind says it again."""


class _Events(Vocabulary[Event]):
    def decode(self, body: Mapping[str, Any]) -> Event:
        schema = body.get("schema")
        if body.get("tag") == RunStarted.tag and isinstance(schema, int) and schema > SCHEMA:
            raise RunDamaged(
                f"A newer cnp wrote this run (schema {schema}; this one reads up to {SCHEMA}).",
                "Update cnp to read it.",
            )
        return super().decode(body)


EVENTS: Vocabulary[Event] = _Events(Event)
COMMANDS: Vocabulary[Command] = Vocabulary(Command)


class EventLog(JsonLines[Event]):
    """``events.jsonl``: written by the worker that holds the lock, read by anyone."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path, EVENTS, clock)

    def append(self, value: Event, *, durable: bool | None = None) -> EventRecord:
        """Add an event; all but the frequent kinds are on disk when this returns."""
        if durable is None:
            durable = not isinstance(value, FREQUENT)
        return super().append(value, durable=durable)


class CommandLog(JsonLines[Command]):
    """``commands.jsonl``: written by front ends, read by the worker."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path, COMMANDS, clock)
