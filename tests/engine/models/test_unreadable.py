"""What is not a checkpoint: one sentence on what it is, one on what to do."""

from __future__ import annotations

import functools
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cnp_engine.errors import CheckpointError, CheckpointUnreadable
from cnp_engine.models.checkpoint import read_checkpoint
from cnp_engine.models.inspect import inspect_file, main

from .hostile import LEGACY_HEAD, PICKLES, torch_zip
from .tools import LAYOUTS, save_safetensors, small_state


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    return buffer.getvalue()


def torch_bytes(tree: object, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(tree, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(3))
    return buffer.getvalue()


def safetensors_of(header: bytes, length: int | None = None) -> bytes:
    size = len(header) if length is None else length
    return size.to_bytes(8, "little") + header


def whole(legacy: bool = False) -> bytes:
    return torch_bytes(small_state(), legacy)


CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "zero bytes": (lambda: b"", "empty"),
    "text": (lambda: b"conv1 is a layer\nof mine\n", "text file"),
    "text in another script": (lambda: ("веса" * 40).encode(), "text file"),
    "web page": (lambda: b"<!DOCTYPE html><html>not found</html>", "web page"),
    "git lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
    "png": (lambda: picture("PNG"), "PNG picture"),
    "jpeg": (lambda: picture("JPEG"), "JPEG picture"),
    "bmp": (lambda: picture("BMP"), "BMP picture"),
    "noise": (lambda: bytes(range(255, 0, -1)) * 10, "no known format"),
    "zeros": (lambda: bytes(5000), "no known format"),
    "tar": (tarred, "not a checkpoint"),
    "zip of text": (lambda: zipped("a.txt"), "without torch weights"),
    "npz": (npz, "without torch weights"),
    "cut zip": (lambda: whole()[:5000], "damaged or cut short"),
    "cut zip at the end": (lambda: whole()[:-30], "damaged or cut short"),
    "cut legacy": (lambda: whole(legacy=True)[:-500], "damaged or cut short"),
    "cut legacy head": (lambda: whole(legacy=True)[:120], "damaged"),
    "legacy without more": (lambda: LEGACY_HEAD, "damaged"),
    "cut safetensors header": (lambda: safetensors_of(b'{"a":', 900), "cut short"),
    "bad safetensors header": (lambda: safetensors_of(b"{nonsense"), "safetensors header"),
    "safetensors without data": (
        lambda: safetensors_of(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'),
        "damaged or cut short",
    ),
    "plain pickle": (lambda: pickle.dumps({"a": [1, 2]}, 2), "without torch weights"),
    "a tensor": (lambda: torch_bytes(torch.ones(3)), "no named weights"),
    "a list": (lambda: torch_bytes([torch.ones(3)]), "no named weights"),
    "no weights": (lambda: torch_bytes({"epoch": 3, "x": torch.ones(3)}), "no named weights"),
    "empty dict": (lambda: torch_bytes({}), "no named weights"),
    "sparse": (
        lambda: torch_bytes({"a.weight": torch.ones(2, 2), "b": torch.empty(2, device="meta")}),
        "a.weight|b is|import",
    ),
    "protocol 4": (lambda: torch_zip(pickle.dumps({"a": 1}, 4)), "with protocol 4, which is not"),
    "protocol 5": (lambda: torch_zip(pickle.dumps({"a": 1}, 5)), "with protocol 5, which is not"),
    "a huge number": (
        lambda: torch_zip(pickle.dumps({"a": 1 << 5000}, 2)), r"Unpickl\w+: (?!Weights only)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "said"), CASES.values(), ids=CASES.keys())
def test_it_is_called_by_name(tmp_path: Path, make: Callable[[], bytes], said: str) -> None:
    (tmp_path / "model.pth").write_bytes(make())
    with pytest.raises(CheckpointError, match=said) as caught:
        read_checkpoint(tmp_path / "model.pth")
    assert caught.value.exit_code == 3
    assert caught.value.what.endswith(".")
    assert caught.value.what.count("\n") == 0
    assert caught.value.todo.endswith(".")
    assert main([str(tmp_path / "model.pth")]) == 3


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "absent.pth", "does not exist"),
        (tmp_path, "a folder"),
        (tmp_path / "pipe", "not a file"),
        (Path("/dev/zero"), "not a file"),
        (tmp_path / ("n" * 300), "cannot be opened"),
        (tmp_path / "nul\0byte", "cannot be opened"),
    ):
        with pytest.raises(CheckpointUnreadable, match=said):
            read_checkpoint(path)
        with pytest.raises(CheckpointUnreadable, match=said):
            inspect_file(str(path))


@functools.cache
def seeds() -> dict[str, bytes]:
    """Small good files, one of every format, and a bad one.

    Made once: some hold addresses, so another one may have another length.
    """
    state = {"conv.weight": torch.ones(3, 2), "bn.running_mean": torch.zeros(3)}
    made = {"zip": torch_bytes(state), "legacy": torch_bytes(state, legacy=True)}
    made["evil"] = torch_zip(PICKLES["os.system"][0](Path("canary")))
    buffer = Path("seed.safetensors")
    save_safetensors(state, buffer)
    made["safetensors"] = buffer.read_bytes()
    LAYOUTS["attack_result legacy"][0](state, buffer)
    made["numpy"] = buffer.read_bytes()
    return made


@settings(max_examples=40, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(draw=st.data())
@pytest.mark.parametrize("kind", ["zip", "legacy", "evil", "safetensors", "numpy"])
def test_damage_never_does_more_than_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, draw: st.DataObject
) -> None:
    monkeypatch.chdir(tmp_path)  # where the canary would be touched
    good = seeds()[kind]
    data = bytearray(good[: draw.draw(st.integers(1, len(good)), label="length")])
    for _ in range(draw.draw(st.integers(0, 6), label="flips")):
        where = draw.draw(st.integers(0, len(data) - 1))
        data[where] = draw.draw(st.integers(0, 255))
    (tmp_path / "model.pth").write_bytes(data)
    try:
        read = read_checkpoint(tmp_path / "model.pth")
    except CheckpointError:
        pass  # the one thing that may leave
    else:
        assert read.state
    assert not (tmp_path / "canary").exists()
