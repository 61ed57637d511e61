"""Every layout that users have: read, recognised, written back so that their loader takes it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from cnp_engine.models.checkpoint import (
    Checkpoint,
    read_checkpoint,
    read_plain,
    write_like,
    write_safetensors,
)
from cnp_engine.models.registry import load_model

from .tools import LAYOUTS, State, attack_result, images, saver, small, small_state

Save = Callable[[State, Path], None]


def foreign(path: Path, keys: tuple[str, ...]) -> Any:
    """The user's own loader: full torch.load of a file we made ourselves, then indexing."""
    tree = torch.load(path, weights_only=False)
    for key in keys:
        tree = tree[key]
    return tree


@pytest.mark.parametrize(
    ("save", "format", "keys", "prefix", "layout"), LAYOUTS.values(), ids=LAYOUTS.keys()
)
def test_layout_is_read_and_written_back(
    tmp_path: Path, save: Save, format: str, keys: tuple[str, ...], prefix: str, layout: str
) -> None:
    module = small()
    state = module.state_dict()
    save(state, tmp_path / "in.pth")
    read = read_checkpoint(tmp_path / "in.pth")
    assert (read.format, read.layout, read.weights_at, read.prefix) == (
        format, layout, keys, prefix,
    )  # fmt: skip
    assert read.dtype == "float32"
    assert read.state.keys() == state.keys()
    if format != "safetensors":
        assert list(read.state) == list(state)
    assert all(torch.equal(read.state[key], state[key]) for key in state)

    loaded = load_model(read)
    assert (loaded.architecture.name, loaded.architecture.classes) == ("resnet18-cifar", 5)
    assert torch.equal(loaded.module(images()), module(images()))

    pruned = loaded.module.state_dict()
    pruned["layer1.0.bn1.weight"][2] = 0.0
    write_like(read, pruned, tmp_path / "out.pth")
    if format == "safetensors":
        out: Any = torch.load(tmp_path / "out.pth", weights_only=True)
        stored: Any = {prefix + key: tensor for key, tensor in read.state.items()}
    else:
        out, stored = foreign(tmp_path / "out.pth", keys), foreign(tmp_path / "in.pth", keys)
    assert_pruned_copy(stored, out, prefix + "layer1.0.bn1.weight", 2)

    again = read_checkpoint(tmp_path / "out.pth")
    assert (again.layout, again.weights_at, again.prefix) == (layout, keys, prefix)
    assert again.format == ("torch zip" if format == "safetensors" else format)
    assert again.extras == read.extras


def assert_pruned_copy(before: State, after: State, key: str, at: int) -> None:
    """Same keys, order, kinds and bytes, but for one zero."""
    assert list(before) == list(after)
    assert type(before) is type(after)
    assert getattr(before, "_metadata", None) == getattr(after, "_metadata", None)
    for name, tensor in before.items():
        copy = after[name]
        assert type(tensor) is type(copy)
        assert (tensor.dtype, tensor.requires_grad) == (copy.dtype, copy.requires_grad)
        expected = tensor.detach().clone()
        if name == key:
            expected[at] = 0.0
        assert torch.equal(expected, copy)


def test_what_lay_beside_the_weights_is_written_again(tmp_path: Path) -> None:
    made = attack_result(small_state())
    saver(attack_result)(small_state(), tmp_path / "in.pt")
    read = read_checkpoint(tmp_path / "in.pt")
    assert read.extras == {
        "model_name": "resnet18", "num_classes": 5, "data_path": "../data",
        "img_size": [32, 32, 3], "clean_data": "cifar10",
    }  # fmt: skip
    assert load_model(read).architecture.input_size == (32, 32)
    write_like(read, read.state, tmp_path / "out.pt")
    out = torch.load(tmp_path / "out.pt", weights_only=False)
    assert list(out) == list(made)
    for part in ("bd_train", "bd_test"):
        assert list(out[part]) == list(made[part])
        for key, value in made[part].items():
            assert type(out[part][key]) is type(value)
            assert np.array_equal(out[part][key], value)
            assert getattr(out[part][key], "dtype", None) == getattr(value, "dtype", None)


def test_training_extras_keep_their_kind(tmp_path: Path) -> None:
    LAYOUTS["training"][0](small_state(), tmp_path / "in.pth")
    read = read_checkpoint(tmp_path / "in.pth")
    assert read.extras == {"epoch": 3, "best_acc": 0.5}
    write_like(read, read.state, tmp_path / "out.pth")
    out = torch.load(tmp_path / "out.pth", weights_only=False)
    assert out["args"].lr == 0.1
    assert torch.equal(out["optimizer"]["state"][0]["momentum_buffer"], torch.ones(3))


HALVES = [torch.float16, torch.bfloat16, torch.float64]


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("safe", [False, True], ids=["pth", "safetensors"])
def test_stored_precision_comes_back_bit_for_bit(
    tmp_path: Path, dtype: torch.dtype, safe: bool
) -> None:
    draw = torch.Generator().manual_seed(3)
    state = {
        key: (tensor.double() + 1e-9 * torch.rand(tensor.shape, generator=draw)).to(dtype)
        if tensor.is_floating_point()
        else tensor
        for key, tensor in small_state().items()
    }
    torch.save(state, tmp_path / "in.pth")
    read = read_checkpoint(tmp_path / "in.pth")
    loaded = load_model(read)
    assert read.dtype == str(dtype).removeprefix("torch.")
    assert {p.dtype for p in loaded.module.parameters()} == {torch.float32}
    pruned = loaded.module.state_dict()
    pruned["bn1.weight"][0] = 0.0
    write = write_safetensors if safe else write_like
    write(read, pruned, tmp_path / "out")
    back = read_checkpoint(tmp_path / "out").state
    for key, tensor in state.items():
        expected = tensor.clone()
        if key == "bn1.weight":
            expected[0] = 0.0
        assert back[key].dtype == tensor.dtype
        assert torch.equal(back[key], expected)


def test_safetensors_name_their_source(tmp_path: Path) -> None:
    LAYOUTS["net parallel"][0](small_state(), tmp_path / "in.pth")
    read = read_checkpoint(tmp_path / "in.pth")
    write_safetensors(read, read.state, tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", framework="pt") as opened:
        assert opened.metadata()["source_sha256"] == read.sha256
        assert set(opened.keys()) == {f"module.{key}" for key in small_state()}


def test_tied_and_strided_tensors_are_written(tmp_path: Path) -> None:
    state = small_state()
    state["layer1.1.conv1.weight"] = state["layer1.0.conv1.weight"]
    state["layer4.0.conv2.weight"] = state["layer4.0.conv2.weight"].to(
        memory_format=torch.channels_last
    )
    torch.save(state, tmp_path / "in.pth")
    read = read_checkpoint(tmp_path / "in.pth")
    for write in (write_like, write_safetensors):
        write(read, read.state, tmp_path / "out")
        back = read_checkpoint(tmp_path / "out").state
        assert all(torch.equal(back[key], state[key]) for key in state)


def test_missing_batch_counters_stay_missing(tmp_path: Path) -> None:
    state = OrderedDict(
        (key, tensor) for key, tensor in small_state().items() if "num_batches" not in key
    )
    torch.save(state, tmp_path / "in.pth")
    read = read_checkpoint(tmp_path / "in.pth")
    loaded = load_model(read)
    assert torch.equal(loaded.module(images()), small()(images()))
    write_like(read, loaded.module.state_dict(), tmp_path / "out.pth")
    assert list(torch.load(tmp_path / "out.pth", weights_only=True)) == list(state)


def test_a_foreign_tensor_is_the_programmers_mistake(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "in.pth")
    read = read_checkpoint(tmp_path / "in.pth")
    with pytest.raises(AssertionError, match="extra"):
        write_like(read, {**read.state, "extra.weight": torch.ones(1)}, tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()


def test_other_weights_in_the_file_are_named(tmp_path: Path) -> None:
    """Whoever examines one network has to know that another one lies beside it."""
    state = small_state()
    tree = {"model": state, "ema": {"module": small_state()}, "optimizer": {"state": {}}}
    torch.save(tree, tmp_path / "two.pth")
    read = read_checkpoint(tmp_path / "two.pth")
    assert (read.weights_at, read.others) == (("model",), ("ema.module",))
    assert any("also holds weights at ema.module" in note for note in read.notes)
    torch.save({"teacher": state, "student": small_state()}, tmp_path / "unknown.pth")
    read = read_checkpoint(tmp_path / "unknown.pth")
    assert {*read.others, *read.weights_at} == {"teacher", "student"}
    generator = {"main.0.weight": torch.ones(3, 3, 3, 3), "main.0.bias": torch.ones(3)}
    trees: tuple[dict[str, Any], ...] = (
        {"state_dict": state, "epoch": 3},
        {"model": state, "state_dict": state},
        {"netC": state, "netG": generator},
    )
    for single in trees:
        torch.save(single, tmp_path / "one.pth")
        assert read_checkpoint(tmp_path / "one.pth").others == ()


def test_a_crowd_of_weights_is_told_in_a_line(tmp_path: Path) -> None:
    state = small_state()
    crowd = {f"{number}" + "x" * 500: {"fc.weight": torch.ones(2, 2)} for number in range(40)}
    torch.save({"model": state, **crowd}, tmp_path / "crowd.pth")
    read = read_checkpoint(tmp_path / "crowd.pth")
    assert len(read.others) == 40
    (note,) = read.notes
    assert note.endswith("and 37 more, which are not examined")
    assert len(note) < 400


def test_read_plain_gives_a_trigger_file(tmp_path: Path) -> None:
    """ANP's trigger_info.th: NumPy arrays and no weights at all."""
    pattern = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 2, 2)
    torch.save({"trigger_pattern": pattern, "poison_target": np.array([0])}, tmp_path / "t.th")
    plain = read_plain(tmp_path / "t.th")
    assert np.array_equal(plain["trigger_pattern"], pattern)
    assert plain["poison_target"].tolist() == [0]


def test_checkpoint_is_not_compared_by_tensors(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "in.pth")
    read: Checkpoint = read_checkpoint(str(tmp_path / "in.pth"))
    assert read != read_checkpoint(tmp_path / "in.pth")
    assert "tensor" not in repr(read)
