"""Files that would run code: refused, the imports named, nothing executed."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cnp_engine.errors import CheckpointError, CheckpointUnreadable, CheckpointUnsafe
from cnp_engine.models.checkpoint import read_checkpoint, read_plain
from cnp_engine.models.inspect import inspect_file, main
from cnp_engine.models.stand_ins import NotPlainError, NumpyArray, NumpyDtype, to_plain

from .hostile import CONTAINERS, PICKLES, Calls, text, torch_zip, touch
from .tools import attack_result, small, small_state


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS.keys())
@pytest.mark.parametrize(("make", "imports"), PICKLES.values(), ids=PICKLES.keys())
def test_code_is_named_and_not_run(
    tmp_path: Path,
    container: Callable[[bytes], bytes],
    make: Callable[[Path], bytes],
    imports: tuple[str, ...],
) -> None:
    canary = tmp_path / "canary"
    file = tmp_path / "model.pth"
    file.write_bytes(container(make(canary)))
    with pytest.raises(CheckpointUnsafe) as caught:
        read_checkpoint(file)
    assert set(imports) <= set(caught.value.imports)
    assert caught.value.exit_code == 3
    assert imports[0] in caught.value.what
    assert "nothing of it was run" in caught.value.what
    assert caught.value.todo

    found = inspect_file(str(file))
    assert found.refused == caught.value.what
    assert found.imports == caught.value.imports
    assert found.error_code == "CheckpointUnsafe"
    assert found.size == file.stat().st_size
    assert not canary.exists()


def test_the_canary_would_have_sung(tmp_path: Path) -> None:
    """The attacks are real: plain unpickling runs them."""
    for name in ("os.system", "builtins.exec", "build", "stack global by memo", "nested twice"):
        canary = tmp_path / name.replace(" ", "_")
        pickle.loads(PICKLES[name][0](canary))
        assert canary.exists(), name


def test_code_beside_real_weights_is_found(tmp_path: Path) -> None:
    tree = {**attack_result(small_state()), "note": Calls(os.system, touch(tmp_path / "canary"))}
    torch.save(tree, tmp_path / "model.pt")
    with pytest.raises(CheckpointUnsafe) as caught:
        read_checkpoint(tmp_path / "model.pt")
    assert caught.value.imports == ("posix.system",)
    assert not (tmp_path / "canary").exists()


def test_a_whole_network_is_refused_with_why(tmp_path: Path) -> None:
    torch.save(small(), tmp_path / "model.pth")
    with pytest.raises(CheckpointUnsafe, match="whole pickled network") as caught:
        read_checkpoint(tmp_path / "model.pth")
    assert "torch.nn.modules.conv.Conv2d" in caught.value.imports
    assert "state_dict" in caught.value.todo


def test_torchscript_is_refused_with_why(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02c__torch__.models\nNet\n)\x81}b.")
        archive.writestr("net/constants.pkl", b"\x80\x02).")
        archive.writestr("net/code/__torch__/models.py", "class Net(Module): ...")
    with pytest.raises(CheckpointUnsafe, match="TorchScript") as caught:
        read_checkpoint(tmp_path / "model.pt")
    assert caught.value.imports == ("__torch__.models.Net",)


def test_an_endless_structure_beside_weights_is_left_aside(tmp_path: Path) -> None:
    loop: list[object] = []
    loop.append(loop)
    torch.save({"model": small_state(), "loop": loop, "epoch": 2}, tmp_path / "model.pt")
    read = read_checkpoint(tmp_path / "model.pt")
    assert list(read.root) == ["model", "epoch"]
    assert any("loop" in note for note in read.notes)


def test_inspection_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.pth").write_bytes(PICKLES["builtins.exec"][0](tmp_path / "canary"))
    assert main([str(tmp_path / "model.pth")]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["imports"] == ["builtins.exec"]
    assert told["refused"]


ESCAPE = "\x1b]0;owned\x07"


def test_nothing_from_a_file_can_drive_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.write_bytes(b"\x80\x02cposix\nsys" + ESCAPE.encode() + b"tem\n)R.")
    assert json.dumps(dataclasses.asdict(inspect_file(str(file)))).count("\\u001b") == 0
    torch.save({"model": small_state(), "note": ESCAPE, "acc": float("nan"), "n": 1}, file)
    assert read_checkpoint(file).extras == {"n": 1}
    torch.save({**small_state(), f"a{ESCAPE}.weight": torch.ones(1)}, file)
    with pytest.raises(CheckpointUnreadable, match="control characters"):
        read_checkpoint(file)


def test_an_object_array_is_never_made(tmp_path: Path) -> None:
    """A pickle may lie about an array's type; bytes taken for pointers would be code."""
    lying = NumpyDtype("O8", False, True)
    lying.__setstate__((3, "|", None, None, None, -1, -1, 0))
    array = NumpyArray()
    array.__setstate__((1, (1,), lying, False, b"A" * 8))
    with pytest.raises(NotPlainError, match="O8"):
        to_plain(array)

    tree = attack_result(small_state())
    tree["bd_train"]["images"] = np.array([{"a": 1}, None], dtype=object)
    torch.save(tree, tmp_path / "model.pt")
    read = read_checkpoint(tmp_path / "model.pt")
    assert "bd_train" not in read.root
    assert "bd_test" in read.root
    assert any("bd_train" in note and "O8" in note for note in read.notes)


ARRAYS = {
    "short data": ("f4", (3,), b"\0" * 8),
    "long data": ("f4", (1,), b"\0" * 8),
    "negative": ("f4", (-1,), b"\0" * 4),
    "huge": ("f4", (1 << 40, 1 << 40), b"\0" * 4),
    "huge empty": ("f4", (0, 1 << 62, 1 << 62), b""),
    "no items": ("U0", (1 << 40,), b""),
    "structured": ("V8", (1,), b"\0" * 8),
    "dates": ("M8", (1,), b"\0" * 8),
    "three bytes": ("f3", (1,), b"\0" * 3),
}


@pytest.mark.parametrize(("code", "shape", "data"), ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays_that_do_not_add_up(code: str, shape: tuple[int, ...], data: bytes) -> None:
    dtype = NumpyDtype(code, False, True)
    dtype.__setstate__((3, "<", None, None, None, -1, -1, 0))
    array = NumpyArray()
    array.__setstate__((1, shape, dtype, False, data))
    with pytest.raises(NotPlainError):
        to_plain(array)


def endless() -> bytes:
    """A list that contains itself."""
    return b"\x80\x02]q\x00h\x00a."


def laughs() -> bytes:
    """Sixty lists, each ten times the one before."""
    return (
        b"\x80\x02]" + b"".join(b"q%c](" % i + b"h%c" % i * 10 + b"e" for i in range(1, 50)) + b"."
    )


def storage(numel: int, sizes: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """A state dict of one tensor that claims what it likes."""

    def number(value: int) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    return (
        b"\x80\x02}" + text("conv.weight") + b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(numel)
        + b"tQK\x00" + numbers(sizes) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


BOMBS: dict[str, Callable[[], bytes]] = {
    "endless list": endless,
    "billion laughs": laughs,
    "numel beyond the file": lambda: storage(1 << 40, (1 << 40,), (1,)),
    "negative numel": lambda: storage(-1, (1,), (1,)),
    "expanded view": lambda: storage(16, (1 << 40,), (0,)),
    "sizes beyond the storage": lambda: storage(16, (1 << 20,), (1,)),
    "deep tuples": lambda: b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "bytearray": lambda: b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x40\x85R.",
    "big bytes": lambda: b"\x80\x02c__builtin__\nbytes\n\x8a\x06\x00\x00\x00\x00\x00\x40\x85R.",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_cheaply(tmp_path: Path, make: Callable[[], bytes]) -> None:
    (tmp_path / "model.pth").write_bytes(torch_zip(make()))
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "model.pth")


def test_the_storage_maker_makes_good_files_too(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(torch_zip(storage(16, (4, 4), (4, 1))))
    assert read_plain(tmp_path / "model.pth")["conv.weight"].shape == (4, 4)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("second", "said"),
    [("archive/data.pkl", "same name"), ("archive/DATA.pkl", "same name")],
)
def test_twin_entries_are_refused(tmp_path: Path, second: str, said: str) -> None:
    """One reader would see the first, another the second."""
    torch.save(small_state(), tmp_path / "model.pth")
    with zipfile.ZipFile(tmp_path / "model.pth", "a") as archive:
        first = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        archive.writestr(second.replace("archive", first.partition("/")[0]), b"\x80\x02}.")
    with pytest.raises(CheckpointUnreadable, match=said):
        read_checkpoint(tmp_path / "model.pth")


def test_a_zip_bomb_is_refused_unread(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/data/0", bytes(70 << 20))
    with pytest.raises(CheckpointUnreadable, match="unpack to"):
        read_checkpoint(tmp_path / "model.pth")


def test_a_repacked_checkpoint_is_read(tmp_path: Path) -> None:
    """Unzipped and zipped again by hand, now deflated."""
    state = small_state()
    torch.save(state, tmp_path / "in.pth")
    with (
        zipfile.ZipFile(tmp_path / "in.pth") as source,
        zipfile.ZipFile(tmp_path / "out.pth", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    read = read_checkpoint(tmp_path / "out.pth").state
    assert all(torch.equal(read[key], state[key]) for key in state)
