"""Atomic writes, and an OSError as a sentence with exit code 6."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from cnp_engine.errors import RunUnwritable
from cnp_engine.files import absolute, unwritable, write_atomic


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.EACCES, "There is no permission to write"),
        (errno.EPERM, "There is no permission to write"),
        (errno.EROFS, "There is no permission to write"),
        (errno.ENOSPC, "There is no space left to write"),
        (errno.EDQUOT, "There is no space left to write"),
        (errno.EIO, "failed: Input/output error"),
    ],
)
def test_each_cause_has_its_sentence(number: int, what: str) -> None:
    error = unwritable(OSError(number, os.strerror(number)), Path("/there/file"))
    assert what in error.what
    assert "/there/file" in error.what
    assert error.todo
    assert error.exit_code == 6


def test_writes_whole_files_and_makes_their_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert write_atomic(path, b"one") == path
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_permissions_are_those_of_any_other_file(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    assert write_atomic(tmp_path / "file", b"").stat().st_mode == other.stat().st_mode


def test_a_full_disk_keeps_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = write_atomic(tmp_path / "file", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(RunUnwritable, match="no space left"):
            write_atomic(path, b"new" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunUnwritable, match="file"):
        write_atomic(tmp_path / "file" / "inside", b"")


def test_absolute_expands_and_normalises_but_follows_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert absolute("x/../link/y") == tmp_path / "link" / "y"
    assert absolute("~/y") == tmp_path / "y"
