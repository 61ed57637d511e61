"""What kind of file stands at a path, told by its first bytes, and whether its shell is sound.

Reads; never unpickles and imports no torch. Every sentence about a file that cannot be read is
written here, so that a wrong download, a picture and a cut-off archive are each called by name.
"""

from __future__ import annotations

import codecs
import io
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal

from cnp_engine.errors import CheckpointUnreadable, CheckpointUnsafe
from cnp_engine.models import pickles

Kind = Literal["torch zip", "torch legacy", "safetensors"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First object of the stream that torch.save wrote before version 1.6."""

_LEGACY_PICKLES = 5  # magic, protocol, system, object, storage keys; then raw storages
_LONGEST_HEADER = 100_000_000  # safetensors' own limit; a pickle's first bytes exceed it
_LARGEST_RATIO = 16
_SMALL = 64 << 20

ASK = "Give a checkpoint that torch.save or safetensors wrote."
AGAIN = "Download or copy it again."
STATE_DICT = (
    "Ask its author for the weights alone: torch.save(model.state_dict(), FILE), or safetensors."
)

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"RIFF", "a RIFF media file"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file, as Keras writes"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)


_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,  # a compression method of another age
    RuntimeError,
    OSError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
)
"""What zipfile answers damaged directories and damaged streams with."""


@dataclass(frozen=True)
class Sniffed:
    """``extra`` are the allowed names outside torch's own that its pickles use.

    ``protocol``: the highest of them; 0 of a file without any.
    """

    kind: Kind
    extra: tuple[str, ...] = ()
    protocol: int = 0


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """The regular, non-empty file at ``path``, or a sentence on what is there instead."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise CheckpointUnreadable(f"{path} is a folder, not a checkpoint.", ASK)
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointUnreadable(f"{path} is a device or pipe, not a file.", ASK)
        if status.st_size == 0:
            raise CheckpointUnreadable(f"{path} is empty (0 bytes).", AGAIN)
        file = path.open("rb")
    except FileNotFoundError as error:
        raise CheckpointUnreadable(f"{path} does not exist.", "Check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CheckpointUnreadable(f"{path} cannot be opened: {reason}.", "Check the path.") from (
            error
        )
    with file:
        try:
            yield file
        except OSError as error:  # a failing disk or a vanished network share
            raise CheckpointUnreadable(
                f"{path} cannot be read: {error.strerror or error}.", AGAIN
            ) from error


def examine(path: Path, file: BufferedReader, size: int, extra: frozenset[str]) -> Sniffed:
    """Tell the format and read every import of its pickles, before any loader sees the file.

    ``extra``: names allowed beside torch's own. CheckpointUnreadable, CheckpointUnsafe.
    """
    file.seek(0)
    head = file.read(64)
    if head.startswith(b"PK\x03\x04"):
        return Sniffed("torch zip", *_examine_zip(path, file, size, extra))
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length <= _LONGEST_HEADER:
        _examine_safetensors(path, file, size)
        return Sniffed("safetensors")
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            raise CheckpointUnreadable(f"{path} is {what}, not a checkpoint.", ASK)
    return Sniffed("torch legacy", *_examine_stream(path, file, extra, _is_text(head)))


def _examine_safetensors(path: Path, file: BufferedReader, size: int) -> None:
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise CheckpointUnreadable(
            f"{path} is cut short: its safetensors header ends past the file.", AGAIN
        )
    try:
        json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise CheckpointUnreadable(f"{path} has a damaged safetensors header.", AGAIN) from error


def _examine_zip(
    path: Path, file: BufferedReader, size: int, extra: frozenset[str]
) -> tuple[tuple[str, ...], int]:
    try:
        with zipfile.ZipFile(file) as archive:
            _check_entries(path, archive.infolist(), size)
            names = archive.namelist()
            scripted = any(name.endswith("/constants.pkl") for name in names)
            if not scripted and not any(name.endswith("/data.pkl") for name in names):
                raise CheckpointUnreadable(f"{path} is a zip archive without torch weights.", ASK)
            data = [archive.read(name) for name in names if name.endswith(".pkl")]
    except _DAMAGED as error:
        raise CheckpointUnreadable(f"{path} is damaged or cut short.", AGAIN) from error
    if scripted:
        listed = [name for pickle in data for name in pickles.imports_in(pickle)]
        raise CheckpointUnsafe(
            f"{path} is a TorchScript archive: a program with its weights; nothing of it was run.",
            STATE_DICT,
            tuple(dict.fromkeys(listed)),
        )
    scans = [pickles.scan(io.BytesIO(pickle)) for pickle in data]
    return _judge(path, scans, extra), max(seen.protocol for seen in scans)


def _check_entries(path: Path, entries: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse what a loader could be led astray or flooded by: twins, overlaps, zip bombs."""
    names = [entry.filename.lower() for entry in entries]  # torch's own look-up ignores case
    if len(set(names)) < len(names):
        raise CheckpointUnreadable(f"{path} holds two entries of the same name.", ASK)
    if any(entry.flag_bits & 1 for entry in entries):
        raise CheckpointUnreadable(f"{path} is an encrypted zip archive.", ASK)
    stored = sum(entry.compress_size for entry in entries)
    unpacked = sum(entry.file_size for entry in entries)
    if stored > size or unpacked > max(_LARGEST_RATIO * size, _SMALL):
        raise CheckpointUnreadable(
            f"{path} claims to unpack to {unpacked:,} bytes, which no file of weights does.", ASK
        )


def _examine_stream(
    path: Path, file: BufferedReader, extra: frozenset[str], text: bool
) -> tuple[tuple[str, ...], int]:
    """A raw pickle stream: torch's legacy layout, or any other pickle."""
    file.seek(0)
    scans = [pickles.scan(file)]
    legacy = scans[0].complete and LEGACY_MAGIC in scans[0].integers
    while legacy and scans[-1].complete and len(scans) < _LEGACY_PICKLES:
        scans.append(pickles.scan(file))
    prose = text and not scans[0].complete and not any(map(_importable, scans[0].imports))
    used = () if prose else _judge(path, scans, extra)
    if not scans[0].complete:
        what = "a text file" if text else "of no known format, or damaged"
        raise CheckpointUnreadable(f"{path} is {what}, not a checkpoint.", ASK)
    if not legacy:
        raise CheckpointUnreadable(f"{path} is a pickle without torch weights.", ASK)
    if not scans[-1].complete:
        raise CheckpointUnreadable(f"{path} is damaged or cut short.", AGAIN)
    return used, max(seen.protocol for seen in scans)


def _judge(path: Path, scans: list[pickles.Scan], extra: frozenset[str]) -> tuple[str, ...]:
    """Names of ``extra`` in use, once nothing else is: CheckpointUnsafe otherwise."""
    imports = [name for scan in scans for name in scan.imports]
    if all(pickles.allowed(name, extra) for name in imports):
        return tuple(dict.fromkeys(name for name in imports if name in extra))
    nested = [name for scan in scans for blob in scan.nested for name in pickles.imports_in(blob)]
    foreign = tuple(
        dict.fromkeys(name for name in imports + nested if not pickles.allowed(name, extra))
    )
    shown = ", ".join(foreign[:4]) + (f" and {len(foreign) - 4} more" if len(foreign) > 4 else "")
    if pickles.is_whole_network(foreign):
        what = f"{path} holds a whole pickled network, whose loading would run code of {shown}"
    else:
        what = f"{path} is a pickle that would import {shown}"
    raise CheckpointUnsafe(f"{what}; nothing of it was run.", STATE_DICT, foreign)


def _importable(name: str) -> bool:
    """Whether Python could import it: prose that starts with "c" reads as a GLOBAL opcode too."""
    return all(part.isidentifier() for part in name.split("."))


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # may end within a character
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign in "\r\n\t" for sign in text)
