"""An append-only file of tagged JSON lines: the event log and the command log are two of them.

Each line is ``{"seq", "at", "tag", ...fields}``. ``seq`` counts from 0 without a gap; ``at`` is in
seconds since the epoch. A line without its newline is unfinished: readers wait for the rest, and
the next writer cuts it off. Anything else that cannot be understood is damage.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from cnp_engine.codec import UndecodableError, decode, encode
from cnp_engine.errors import RunDamaged
from cnp_engine.files import writing


class Tagged(Protocol):
    """A dataclass with a literal tag: an Event or a Command."""

    tag: ClassVar[str]


V = TypeVar("V", bound=Tagged)


@dataclass(frozen=True)
class Record(Generic[V]):
    """One line of the file; ``at`` in seconds since the epoch."""

    seq: int
    at: float
    value: V


class Vocabulary(Generic[V]):
    """The classes a file may hold: every direct subclass of ``base``, found by its tag."""

    def __init__(self, base: type[V]) -> None:
        self.kinds: dict[str, type[V]] = {kind.tag: kind for kind in base.__subclasses__()}

    def encode(self, value: V) -> dict[str, Any]:
        """One JSON object, sure to read back: an unreadable log would be our own mistake."""
        body = {"tag": value.tag, **encode(value)}
        self.decode(body)
        return body

    def decode(self, body: Mapping[str, Any]) -> V:
        """Raises UndecodableError."""
        rest = dict(body)
        tag = rest.pop("tag", None)
        if not isinstance(tag, str) or tag not in self.kinds:
            raise UndecodableError(f"there is no {tag!r}")
        return decode(self.kinds[tag], rest, tag)


class JsonLines(Generic[V]):
    """Reader and writer of one such file; each front end and the worker makes its own."""

    def __init__(
        self, path: Path, vocabulary: Vocabulary[V], clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self._vocabulary = vocabulary
        self._clock = clock

    def read(self) -> list[Record[V]]:
        """All finished lines; an unfinished last one is left out. Raises RunDamaged."""
        return self.tail().poll()

    def tail(self, offset: int = 0) -> Tail[V]:
        """A reader that goes on where it stopped, from byte ``offset``."""
        return Tail(self, offset)

    def size(self) -> int:
        """Bytes of finished lines, 0 where there is no file."""
        return _whole(self._bytes(0))

    def length(self) -> int:
        """Bytes of the file, an unfinished line included; 0 where there is none."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise damaged(self.path, error.strerror or str(error)) from error

    def append(self, value: V, *, durable: bool = True) -> Record[V]:
        """Add one line; an unfinished last line is cut off first, a failed write leaves none.

        Safe with several writers. ``durable`` waits for the disk. Raises RunUnwritable.
        """
        body = self._vocabulary.encode(value)
        with writing(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                end = _cut(handle)
                record = Record(_next_seq(handle, end, self.path), self._clock(), value)
                _write_whole(handle, end, _line(record, body))
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
        return record

    def _bytes(self, offset: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise damaged(self.path, error.strerror or str(error)) from error

    def _parse(self, line: bytes) -> Record[V]:
        try:
            body = json.loads(line.decode())  # of bytes, json would guess the encoding
            if not isinstance(body, dict):
                raise UndecodableError("a line is not an object")
            seq, at = body.pop("seq", None), body.pop("at", None)
            if type(seq) is not int or not isinstance(at, (int, float)):
                raise UndecodableError("a line has no seq or no at")
            return Record(seq, float(at), self._vocabulary.decode(body))
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise damaged(self.path, str(error)) from error


class Tail(Generic[V]):
    """Follows a file; ``offset`` is the byte after the last finished line it has returned."""

    def __init__(self, lines: JsonLines[V], offset: int = 0) -> None:
        self._lines = lines
        self._next: int | None = 0 if offset == 0 else None
        self.offset = offset

    def poll(self) -> list[Record[V]]:
        """Lines finished since the last call. Raises RunDamaged, also for a gap in ``seq``.

        Cheap where nothing has come: only the size of the file is asked for.
        """
        if self._lines.length() == self.offset:
            return []
        data = self._lines._bytes(self.offset)
        whole = data[: _whole(data)]
        records = [self._lines._parse(line) for line in whole.split(b"\n")[:-1]]
        for record in records:
            if self._next is not None and record.seq != self._next:
                raise damaged(
                    self._lines.path, f"line {record.seq} stands where {self._next} should"
                )
            self._next = record.seq + 1
        self.offset += len(whole)
        return records


def damaged(path: Path, why: str) -> RunDamaged:
    """The sentence for a file of a run that cannot be understood."""
    return RunDamaged(
        f"{path} is damaged: {why}.",
        "Begin the run again, or put this file back from a copy.",
    )


def _line(record: Record[Any], body: Mapping[str, Any]) -> bytes:
    whole = {"seq": record.seq, "at": record.at, **body}
    return json.dumps(whole, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _whole(data: bytes) -> int:
    return data.rfind(b"\n") + 1


def _cut(handle: int) -> int:
    """Cut an unfinished last line off; the length that is left, in bytes."""
    size = os.fstat(handle).st_size
    end = size
    while end > 0:
        start = max(0, end - 65536)
        found = _whole(os.pread(handle, end - start, start))
        if found:
            end = start + found
            break
        end = start
    if end != size:
        os.ftruncate(handle, end)
    return end


def _next_seq(handle: int, end: int, path: Path) -> int:
    """One more than the ``seq`` of the last line, which ends at byte ``end``."""
    start, tail = end, b""
    while start > 0 and b"\n" not in tail[:-1]:
        step = max(0, start - 65536)
        tail = os.pread(handle, start - step, step) + tail
        start = step
    if not tail:
        return 0
    try:
        return int(json.loads(tail[:-1].rpartition(b"\n")[2])["seq"]) + 1
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"its last line has no seq ({error})") from error


def _write_whole(handle: int, end: int, line: bytes) -> None:
    """Write at ``end``, all of it or nothing."""
    done = 0
    try:
        while done < len(line):
            done += os.pwrite(handle, line[done:], end + done)
    except OSError:
        os.ftruncate(handle, end)
        raise
