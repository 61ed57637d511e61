"""A run's directory: where everything one run is told, does and says is kept.

    RUN/  run.toml  events.jsonl  commands.jsonl  lock  viewers  worker.log  curve.json
          summary.json  artifacts/  exports/

Knows files; not what a stage computes. ``run.toml`` is written last when a run is created, so a
folder that holds one is a whole run.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from cnp_engine import lock as locks
from cnp_engine.config import RunConfig, digest_of
from cnp_engine.errors import RunDamaged, RunExists, RunMissing, SettingInvalid, SettingUnknown
from cnp_engine.eventlog import CommandLog, EventLog
from cnp_engine.files import absolute, write_atomic, writing

CONFIG = "run.toml"
EVENTS = "events.jsonl"
COMMANDS = "commands.jsonl"
LOCK = "lock"
VIEWERS = "viewers"
WORKER_LOG = "worker.log"
CURVE = "curve.json"
SUMMARY = "summary.json"
ARTIFACTS = "artifacts"
EXPORTS = "exports"

_OURS = (CONFIG, EVENTS, COMMANDS, WORKER_LOG, CURVE, SUMMARY, ARTIFACTS, EXPORTS)


class RunDirectory:
    """One run on disk. Cheap to open: nothing but ``run.toml`` is read.

    ``digest`` is that of ``run.toml`` as it is written, and decides what may be resumed.
    """

    def __init__(self, path: Path, config: RunConfig, digest: str) -> None:
        self.path = path
        self.config = config
        self.digest = digest

    @classmethod
    def create(cls, path: str | Path, config: RunConfig, force: bool = False) -> RunDirectory:
        """Make a new run at ``path``.

        Raises RunExists for a path that is there already (``force`` clears it where it is a run),
        RunLocked where it is a run at work, RunUnwritable.
        """
        folder, config = absolute(path), config.absolute()
        made = _make(folder, force)
        try:
            with writing(folder):
                (folder / ARTIFACTS).mkdir(exist_ok=True)
            text = config.to_toml()
            write_atomic(folder / CONFIG, text.encode())
        except BaseException:
            if made:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(folder, config, digest_of(text))

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """Raises RunMissing where there is no run, RunDamaged where run.toml is not one."""
        folder = absolute(path)
        file = folder / CONFIG
        try:
            text = file.read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise RunMissing(
                f"There is no run at {folder}.", "List the runs with `cnp runs`."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(file, str(error)) from error
        try:
            return cls(folder, RunConfig.from_toml(text), digest_of(text))
        except (SettingUnknown, SettingInvalid) as error:
            raise _unreadable(file, error.what.rstrip(".")) from error

    def artifact(self, name: str) -> Path:
        """Where the artifact ``name`` is or will be (``artifacts/NAME``)."""
        return self.path / ARTIFACTS / name

    def write(self, name: str, data: bytes) -> Path:
        """Write ``data`` atomically to ``name``, a path relative to the run.

        Raises RunUnwritable; existence means complete.
        """
        assert not Path(name).is_absolute(), name
        assert ".." not in Path(name).parts, name
        return write_atomic(self.path / name, data)

    def events(self) -> EventLog:
        return EventLog(self.path / EVENTS)

    def commands(self) -> CommandLog:
        return CommandLog(self.path / COMMANDS)

    def lock(self, patience_s: float = locks.PATIENCE_S) -> contextlib.AbstractContextManager[int]:
        """Hold the run for a block. Raises RunLocked."""
        return locks.hold(self.lock_path, patience_s)

    @property
    def lock_path(self) -> Path:
        return self.path / LOCK

    @property
    def viewers_path(self) -> Path:
        """Locked, shared, by everybody who looks at the run."""
        return self.path / VIEWERS

    @property
    def worker_log(self) -> Path:
        return self.path / WORKER_LOG

    @property
    def exports(self) -> Path:
        return self.path / EXPORTS

    @property
    def name(self) -> str:
        return self.path.name

    def locked(self) -> bool:
        """Whether a worker is alive on this run."""
        return locks.held(self.lock_path)

    def viewed(self) -> bool:
        """Whether somebody looks at this run: its worker then stays to answer."""
        return locks.shared(self.viewers_path)


def _make(folder: Path, force: bool) -> bool:
    """Make ``folder`` (True) or clear it of an old run (False)."""
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            pass
        else:
            return True
    if not force:
        raise RunExists(
            f"{folder} is there already.",
            "Choose another --out, add --force to replace the run in it, or go on with "
            f"`cnp resume {folder}`.",
        )
    _clear(folder)
    return False


def _clear(folder: Path) -> None:
    """Remove the files of a run and nothing else.

    The lock stays, held meanwhile, and so does what viewers hold: they look at the place.
    """
    if not folder.is_dir() or not ((folder / CONFIG).is_file() or _is_empty(folder)):
        raise RunExists(
            f"{folder} is not a run, so --force does not replace it.", "Choose another --out."
        )
    with locks.hold(folder / LOCK), writing(folder):
        for name in (*_OURS[1:], CONFIG):  # run.toml last: until then it can be cleared again
            entry = folder / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


def _unreadable(file: Path, why: str) -> RunDamaged:
    return RunDamaged(f"{file} cannot be understood: {why}.", "Begin the run again.")
