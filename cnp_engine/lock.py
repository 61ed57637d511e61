"""The lock of a run: held by its worker, released by any death, so it is the liveness test too.

``flock`` belongs to an open file, not to a process: a front end takes the lock, starts the worker
with the open file and closes its own copy, so no moment passes in which nobody holds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cnp_engine.errors import RunLocked
from cnp_engine.files import writing

PATIENCE_S = 1.0
"""How long taking the lock retries: a liveness test elsewhere holds it for microseconds."""


@dataclass(frozen=True)
class Holder:
    """Who took the lock last, and when (seconds since the epoch); true while it is held."""

    pid: int
    host: str
    since: float

    @property
    def here(self) -> bool:
        """Whether ``pid`` is a process of this machine."""
        return self.host == socket.gethostname()


def acquire(path: Path, patience_s: float = PATIENCE_S) -> int:
    """Lock ``path`` and return its open handle; closing it releases. Raises RunLocked."""
    with writing(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            os.close(handle)
            raise _locked(path) from None
        return handle


def sign(handle: int, pid: int) -> None:
    """Write down which process of this machine holds the lock."""
    text = f"{pid} {socket.gethostname()} {time.time()!r}\n".encode()
    os.ftruncate(handle, 0)
    os.pwrite(handle, text, 0)


def adopt(handle: int) -> None:
    """Take over a lock inherited from the process that started this one."""
    os.set_inheritable(handle, False)
    sign(handle, os.getpid())


@contextlib.contextmanager
def hold(path: Path, patience_s: float = PATIENCE_S) -> Iterator[int]:
    """Hold the lock for a block, signed by this process. Raises RunLocked."""
    handle = acquire(path, patience_s)
    try:
        with writing(path):
            sign(handle, os.getpid())
        yield handle
    finally:
        os.close(handle)


def held(path: Path) -> bool:
    """Whether some process holds the lock."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextlib.contextmanager
def share(path: Path, patience_s: float = PATIENCE_S) -> Iterator[bool]:
    """Be one of any number that look at ``path``, for a block; released by any death.

    False, and no lock, where the folder cannot be written or the file system has no locks:
    looking never fails.
    """
    handle = _open_to_share(path)
    try:
        yield handle is not None and _take_share(handle, patience_s)
    finally:
        if handle is not None:
            os.close(handle)


def shared(path: Path) -> bool:
    """Whether anybody shares ``path``."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def holder(path: Path) -> Holder | None:
    """Who signed last; None where nobody did."""
    try:
        pid, host, since = path.read_text("utf-8").split()
        return Holder(int(pid), host, float(since))
    except (OSError, ValueError):
        return None


def _open_to_share(path: Path) -> int | None:
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(path, flags | os.O_CLOEXEC, 0o666)
    return None


def _take_share(handle: int, patience_s: float) -> bool:
    """``shared`` holds the lock alone for microseconds, so a refusal is tried again."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        except OSError:
            return False
        else:
            return True


def _locked(path: Path) -> RunLocked:
    by = holder(path)
    who = f"process {by.pid} on {by.host}" if by else "another process"
    run = path.parent
    return RunLocked(
        f"The run {run} is being worked on by {who}.",
        f"Follow it with `cnp attach {run}`, or stop it with `cnp cancel {run}`.",
    )
