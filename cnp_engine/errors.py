"""Every way a run can fail, one leaf a cause.

Each error is two sentences, *what* happened and *what to do*, and an exit code (README, "Exit
codes"). A front end prints them; nothing else is shown without ``--debug``.

CnpError
├── UsageError ............ 2   SettingUnknown, SettingInvalid, DeviceMissing
├── CheckpointError ....... 3   CheckpointUnreadable, CheckpointUnsafe, ArchitectureUnknown,
│                               WeightsMismatch, WeightsNotFinite, NothingToPrune
├── DataError ............. 4   DataMissing, TooFewImages, NormalizeUnsure, DataMismatch,
│                               AttackInvalid
├── EngineError ........... 5   OutOfMemory, WorkerDied, ExportMismatch, TrainingDiverged
├── RunDirectoryError ..... 6   RunExists, RunLocked, RunDamaged, RunMissing, RunUnwritable
└── Interrupted ........... 130 (Ctrl-C, cancelled), 143 Terminated (SIGTERM)
"""

from __future__ import annotations

from typing import ClassVar

from cnp_engine.printing import printable


class CnpError(Exception):
    """A failure with what happened and what to do about it."""

    exit_code: ClassVar[int] = 5

    def __init__(self, what: str, todo: str = "") -> None:
        what, todo = printable(what, keep="\n"), printable(todo, keep="\n")  # they quote files
        super().__init__(f"{what} {todo}".strip())
        self.what = what
        self.todo = todo

    @property
    def code(self) -> str:
        """Name of the leaf, as the event log records it."""
        return type(self).__name__


class UsageError(CnpError):
    exit_code = 2


class SettingUnknown(UsageError):
    """A configuration key that does not exist."""


class SettingInvalid(UsageError):
    """A configuration value that cannot be used."""


class DeviceMissing(UsageError):
    """A device that this machine does not have."""


class CheckpointError(CnpError):
    exit_code = 3


class CheckpointUnreadable(CheckpointError):
    """Missing, empty, truncated, or not a checkpoint at all."""


class CheckpointUnsafe(CheckpointError):
    """A pickle that would import or run code; nothing of it was executed."""

    def __init__(self, what: str, todo: str = "", imports: tuple[str, ...] = ()) -> None:
        super().__init__(what, todo)
        self.imports = imports


class ArchitectureUnknown(CheckpointError):
    """No known network has these tensor names and shapes."""


class WeightsMismatch(CheckpointError):
    """The tensors do not fit the network exactly."""


class WeightsNotFinite(CheckpointError):
    """NaN or infinity among the weights."""


class NothingToPrune(CheckpointError):
    """The network has no affine BatchNorm layer."""


class DataError(CnpError):
    exit_code = 4


class DataMissing(DataError):
    """A source that is not there or holds no image."""


class TooFewImages(DataError):
    """Fewer clean images than the method can work with."""


class NormalizeUnsure(DataError):
    """The preprocessing could not be told from the images alone."""


class DataMismatch(DataError):
    """The images or classes do not fit the network."""


class AttackInvalid(DataError):
    """An attack description or trigger file that is not what it says."""


class EngineError(CnpError):
    exit_code = 5


class OutOfMemory(EngineError):
    """Not even the smallest batch fits."""


class WorkerDied(EngineError):
    """The worker process ended without saying why; ``details`` are the last lines of its log."""

    def __init__(self, what: str, todo: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(what, todo)
        self.details = details


class ExportMismatch(EngineError):
    """A written file did not read back as what was measured."""


class TrainingDiverged(EngineError):
    """The loss of a training is no longer a number."""


class RunDirectoryError(CnpError):
    exit_code = 6


class RunExists(RunDirectoryError):
    """--out names a folder that is already there."""


class RunLocked(RunDirectoryError):
    """Another worker holds this run."""


class RunDamaged(RunDirectoryError):
    """run.toml or the event log cannot be understood."""


class RunMissing(RunDirectoryError):
    """No run of that name."""


class RunUnwritable(RunDirectoryError):
    """No permission or no space where the run is kept."""


class Interrupted(CnpError):
    """Stopped by a signal; the run can be resumed."""

    exit_code = 130


class Terminated(Interrupted):
    """Stopped by SIGTERM; the run can be resumed."""

    exit_code = 143
