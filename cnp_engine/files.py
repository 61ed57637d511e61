"""Writing so that a reader sees a whole file or none, and failing with a sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cnp_engine.errors import RunUnwritable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def unwritable(error: OSError, path: Path) -> RunUnwritable:
    """The sentence for an OSError met while writing ``path``."""
    if error.errno in _FULL:
        return RunUnwritable(
            f"There is no space left to write {path}.",
            "Free some space, or choose another place with --out or CNP_HOME, and resume.",
        )
    if error.errno in _REFUSED:
        return RunUnwritable(
            f"There is no permission to write {path}.",
            "Choose a folder that can be written with --out or CNP_HOME.",
        )
    return RunUnwritable(
        f"Writing {path} failed: {error.strerror or error}.",
        "Check the disk, or choose another place with --out or CNP_HOME.",
    )


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn any OSError of the block into RunUnwritable naming ``path``."""
    try:
        yield
    except OSError as error:
        raise unwritable(error, path) from error


def write_atomic(path: Path, data: bytes) -> Path:
    """Write ``data`` to ``path``: temporary file beside it, fsync, rename. Makes the folder.

    Raises RunUnwritable; the old file, if any, is then still whole and nothing is left beside it.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())  # mkstemp is private; a result is as any file
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    return path


def sync_folder(folder: Path) -> None:
    """Make a rename within ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def expanded(path: str | Path) -> Path:
    """``path`` with ~ expanded; as it is where that names a user who does not exist."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def there(path: Path) -> bool:
    """Whether something may be at ``path``, which may be no path at all: too long, or with a NUL.

    What there is no permission to look at may be there.
    """
    try:
        path.stat()
    except OSError as error:
        return error.errno not in _ABSENT
    except ValueError:
        return False
    return True


def absolute(path: str | Path) -> Path:
    """``path`` from the root, with ~ expanded and symbolic links kept as the user wrote them."""
    return Path(os.path.abspath(expanded(path)))  # noqa: PTH100  # resolve() follows links


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
