"""Where encoded files lie: a folder or a zip, listed and read by relative name.

Knows no image format. Nothing is ever unpacked to disk, so a zip's own paths are labels only;
links out of a folder are followed, a loop of them is not.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cnp_engine.errors import DataMissing
from cnp_engine.files import there

MAX_FILE_BYTES = 1 << 28
"""Largest single file that is read (256 MiB): a zip entry that claims more is left out."""


class FileUnreadableError(Exception):
    """One file of a store that cannot be read; the caller names it and goes on."""


@dataclass(frozen=True)
class Entry:
    """name: relative, with forward slashes. size: bytes when unpacked."""

    name: str
    size: int


class Store(Protocol):
    """Files by relative name; hidden files and ``__MACOSX`` are not listed."""

    @property
    def path(self) -> Path: ...

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every file, sorted by name."""
        ...

    def read(self, name: str) -> bytes:
        """The content. Raises FileUnreadableError."""
        ...

    def digest(self) -> str:
        """sha256 of the content as 64 hexadecimal digits."""
        ...


@dataclass(frozen=True)
class Folder:
    path: Path

    @functools.cached_property
    def entries(self) -> tuple[Entry, ...]:
        found: list[Entry] = []
        seen: set[str] = set()
        for root, folders, files in os.walk(self.path, followlinks=True):
            real = os.path.realpath(root)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            found.extend(self._files(Path(root), files))
        return tuple(sorted((e for e in found if not _hidden(e.name)), key=lambda e: e.name))

    def _files(self, root: Path, files: list[str]) -> list[Entry]:
        found = []
        for file in files:
            try:
                status = (root / file).stat()
            except OSError:  # a dangling link, or removed since it was listed
                continue
            if stat.S_ISREG(status.st_mode):
                found.append(Entry((root / file).relative_to(self.path).as_posix(), status.st_size))
        return found

    def read(self, name: str) -> bytes:
        try:
            with (self.path / name).open("rb") as file:
                return _whole(file.read(MAX_FILE_BYTES + 1))
        except OSError as error:
            raise FileUnreadableError(error.strerror or "cannot be read") from error

    def digest(self) -> str:
        """Over sorted relative names, sizes and contents; an unreadable file counts as empty."""
        total = hashlib.sha256()
        for entry in self.entries:
            content = hashlib.sha256()
            try:
                with (self.path / entry.name).open("rb") as file:
                    content = hashlib.file_digest(file, "sha256")
            except OSError:  # named when it is decoded
                pass
            total.update(f"{entry.name}\0{entry.size}\0{content.hexdigest()}\n".encode())
        return total.hexdigest()


@dataclass(frozen=True)
class Zip:
    path: Path

    @functools.cached_property
    def _file(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DataMissing(
                f"{self.path} is not a zip file that can be read ({error}).",
                "Check that the download is complete.",
            ) from error

    @functools.cached_property
    def entries(self) -> tuple[Entry, ...]:
        infos = {i.filename: i for i in self._file.infolist() if not i.is_dir()}
        names = sorted(name for name in infos if not _hidden(name))
        return tuple(Entry(name, infos[name].file_size) for name in names)

    def read(self, name: str) -> bytes:
        info = self._file.getinfo(name)
        if info.file_size > MAX_FILE_BYTES:
            raise FileUnreadableError("too large")
        try:
            return self._file.read(info)
        except NotImplementedError as error:
            raise FileUnreadableError("compressed in an unknown way") from error
        except RuntimeError as error:  # what zipfile raises for a password
            raise FileUnreadableError("encrypted") from error
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, zlib.error) as error:
            raise FileUnreadableError("damaged in the zip") from error

    def digest(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def open_store(path: Path) -> Store:
    """A folder or a zip. Raises DataMissing where ``path`` is neither."""
    if there(path) and path.is_dir():
        return Folder(path)
    if there(path) and path.is_file():
        return Zip(path)
    raise DataMissing(f"There is no data at {path}.", "Check the path given as --data.")


def _hidden(name: str) -> bool:
    parts = [part for part in name.split("/") if part not in (".", "..")]
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _whole(data: bytes) -> bytes:
    if len(data) > MAX_FILE_BYTES:
        raise FileUnreadableError("too large")
    return data
