"""What a front end may ask of a running worker, one class a request (``commands.jsonl``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Command:
    tag: ClassVar[str] = ""


@dataclass(frozen=True)
class Cancel(Command):
    """Stop at once; what is done stays and the run can be resumed."""

    tag: ClassVar[str] = "cancel"
    reason: str = "cancelled on request"
    exit_code: int = 130


@dataclass(frozen=True)
class Pause(Command):
    """Hold between two events until Continue or Cancel."""

    tag: ClassVar[str] = "pause"


@dataclass(frozen=True)
class Continue(Command):
    tag: ClassVar[str] = "continue"


@dataclass(frozen=True)
class Evaluate(Command):
    """Measure the model with exactly the first ``k`` neurons of the order pruned."""

    tag: ClassVar[str] = "evaluate"
    k: int


@dataclass(frozen=True)
class Export(Command):
    """Write the model with ``k`` neurons pruned (null: the recommended point)."""

    tag: ClassVar[str] = "export"
    k: int | None = None
    formats: tuple[str, ...] = ()
    to: str | None = None
