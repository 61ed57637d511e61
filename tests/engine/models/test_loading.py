"""Strict loading: all tensors or a refusal that says which; and networks of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.models as zoo
from torch import nn

from cnp_engine.errors import (
    ArchitectureUnknown,
    CheckpointError,
    NothingToPrune,
    WeightsMismatch,
    WeightsNotFinite,
)
from cnp_engine.models.checkpoint import Checkpoint, pth_bytes, read_checkpoint, write_like
from cnp_engine.models.registry import assemble, load_model

from .tools import State, fill, images, saver, small_state, wrapped


def saved(path: Path, state: State) -> Checkpoint:
    torch.save(state, path)
    return read_checkpoint(path)


def drop(*keys: str) -> Callable[[State], State]:
    return lambda state: {key: tensor for key, tensor in state.items() if key not in keys}


def put(key: str, value: torch.Tensor) -> Callable[[State], State]:
    return lambda state: {**state, key: value}


def spoil(key: str, value: float) -> Callable[[State], State]:
    def change(state: State) -> State:
        state[key].view(-1)[1] = value
        return state

    return change


REFUSED: dict[str, tuple[Callable[[State], State], type[CheckpointError], str]] = {
    "a tensor less": (
        drop("layer3.0.bn2.bias"), WeightsMismatch, r"missing layer3\.0\.bn2\.bias\.",
    ),
    "two less": (
        drop("bn1.running_var", "layer4.1.conv2.weight"),
        WeightsMismatch, r"missing bn1\.running_var, layer4\.1\.conv2\.weight\.",
    ),
    "no bias": (drop("linear.bias"), WeightsMismatch, r"missing linear\.bias"),
    "a tensor more": (
        put("layer1.0.se.fc.weight", torch.ones(4, 4)),
        WeightsMismatch, r"unexpected layer1\.0\.se\.fc\.weight",
    ),
    "a negative variance": (
        spoil("layer1.0.bn1.running_var", -0.1),
        WeightsNotFinite, r"negative variances in layer1\.0\.bn1\.running_var",
    ),
    "another shape": (
        put("layer2.0.conv2.weight", torch.ones(8, 8, 1, 1)),
        WeightsMismatch, r"layer2\.0\.conv2\.weight is \[8, 8, 1, 1\].*\[8, 8, 3, 3\]",
    ),
    "whole numbers": (
        put("layer2.0.conv2.weight", torch.ones(8, 8, 3, 3, dtype=torch.int8)),
        WeightsMismatch, r"int8",
    ),
    "NaN": (spoil("layer3.1.conv1.weight", float("nan")), WeightsNotFinite, r"layer3\.1\.conv1"),
    "infinity": (spoil("bn1.running_var", float("inf")), WeightsNotFinite, r"bn1\.running_var"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_nothing_is_loaded_in_part(
    tmp_path: Path, change: Callable[[State], State], kind: type[CheckpointError], said: str
) -> None:
    torch.save(change(small_state()), tmp_path / "model.pth")
    with pytest.raises(kind, match=said) as caught:
        load_model(read_checkpoint(tmp_path / "model.pth"))
    assert caught.value.exit_code == 3
    assert caught.value.todo


def test_averaged_batch_counters_are_taken(tmp_path: Path) -> None:
    """Weight averaging makes floats of them; nothing looks at their value."""
    state = small_state()
    x = images()
    wanted = load_model(saved(tmp_path / "whole.pth", state)).module(x)
    state["bn1.num_batches_tracked"] = torch.tensor(7.25)
    loaded = load_model(saved(tmp_path / "model.pth", state))
    assert torch.equal(loaded.module(x), wanted)
    checkpoint = loaded.checkpoint
    (tmp_path / "back.pth").write_bytes(pth_bytes(checkpoint, dict(checkpoint.state)))
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert float(back["bn1.num_batches_tracked"]) == 7.25, "as it came"
    state["bn1.num_batches_tracked"] = torch.tensor(torch.nan)
    with pytest.raises(WeightsNotFinite, match=r"in bn1\.num_batches_tracked\."):
        load_model(saved(tmp_path / "nan.pth", state))


def test_a_variance_of_next_to_nothing_is_one(tmp_path: Path) -> None:
    """Differences leave -1e-12 behind; what is added under the root is 1e-5."""
    state = small_state()
    state["bn1.running_var"][0] = -1e-12
    module = load_model(saved(tmp_path / "model.pth", state)).module
    assert bool(torch.isfinite(module(images())).all())


def test_a_single_output_tells_no_classes_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="linear has a single output"):
        load_model(saved(tmp_path / "model.pth", small_state(classes=1)))


def test_many_missing_are_counted(tmp_path: Path) -> None:
    state = {k: v for k, v in small_state().items() if not k.endswith("running_var")}
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(WeightsMismatch, match="and 17 more"):
        load_model(read_checkpoint(tmp_path / "model.pth"))


def test_wrong_class_count(tmp_path: Path) -> None:
    torch.save(small_state(classes=5), tmp_path / "model.pth")
    read = read_checkpoint(tmp_path / "model.pth")
    assert load_model(read, classes=5).architecture.classes == 5
    with pytest.raises(WeightsMismatch, match="5 outputs, not 43"):
        load_model(read, classes=43)


class Grouped(nn.Module):
    """Group and layer normalisation, no BatchNorm."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.GroupNorm(2, 6)
        self.last = nn.LayerNorm(6)
        self.fc = nn.Linear(6, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.fc(self.last(self.norm(self.conv(x)).mean((2, 3))))
        return y


class Unaffine(nn.Module):
    """BatchNorm without weights: nothing of it can be set to zero."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6, affine=False)
        self.fc = nn.Linear(6, 4)


def narrow_vgg_state(**_: object) -> State:
    """VGG-11 without BatchNorm, narrow."""
    layout: list[str | int] = [4, "M", 4, "M", 8, 8, "M", 8, 8, "M", 8, 8, "M"]
    state = {f"features.{k}": v for k, v in zoo.vgg.make_layers(layout).state_dict().items()}
    return {**state, "classifier.weight": torch.ones(4, 8), "classifier.bias": torch.ones(4)}


def grouped_resnet() -> State:
    net: nn.Module = zoo.resnet18(num_classes=4, norm_layer=lambda c: nn.GroupNorm(4, c))
    return net.state_dict()


WITHOUT: dict[str, tuple[Callable[[], State], str | None, str]] = {
    "GroupNorm, named": (
        lambda: Grouped().state_dict(), f"{__name__}:Grouped", "1 GroupNorm, 1 LayerNorm",
    ),
    "not affine": (
        lambda: Unaffine().state_dict(), f"{__name__}:Unaffine", "1 BatchNorm2d instead",
    ),
    "GroupNorm, unknown": (lambda: Grouped().state_dict(), None, "2 scale-and-shift pairs"),
    "ResNet of GroupNorm": (grouped_resnet, None, "20 scale-and-shift pairs"),
    "not affine, unknown": (
        lambda: Unaffine().state_dict(), None, r"no weights beside them \(affine=False\)",
    ),
    "VGG without": (narrow_vgg_state, None, "no other normalisation layer"),
    "a Linear": (lambda: nn.Linear(2, 2).state_dict(), None, "no other normalisation layer"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "arch", "said"), WITHOUT.values(), ids=WITHOUT.keys())
def test_without_batch_norm(
    tmp_path: Path, make: Callable[[], State], arch: str | None, said: str
) -> None:
    torch.save(make(), tmp_path / "model.pth")
    with pytest.raises(NothingToPrune, match=said):
        load_model(read_checkpoint(tmp_path / "model.pth"), arch)


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes=3, width=4):
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.flat = nn.BatchNorm1d(width)
        self.fc = nn.Linear(width, num_classes)
    def forward(self, x):
        return self.fc(self.flat(self.model(x).mean((2, 3))))

class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net(7)
    def forward(self, x):
        return self.net(x)

class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.out = nn.Conv2d(4, 7, 1)
    def forward(self, x):
        return self.out(self.bn(self.conv(x))).mean((2, 3))

def make():
    return Net(7)

def failing():
    raise RuntimeError("no such weights here")

def number(num_classes):
    return num_classes

ready = Net(7)
headless = lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the user's module in it, and the user standing there."""
    (tmp_path / "my_own_nets.py").write_text(OWN)
    (tmp_path / "broken_net.py").write_text("import absent_dependency\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def own_state(own: Path, name: str = "Net", **options: object) -> State:
    names: dict[str, object] = {}
    exec(OWN, names)
    made = names[name]
    assert callable(made)
    return fill(made(**options)).state_dict()


@pytest.mark.parametrize(
    ("spec", "head"),
    [
        ("my_own_nets:Net", "fc"),
        ("my_own_nets:make", "fc"),
        ("my_own_nets:ready", "fc"),
        ("my_own_nets.py:Net", "fc"),
    ],
)
def test_networks_of_ones_own(own: Path, spec: str, head: str) -> None:
    """The class count is read off the file and handed to a factory that asks for it."""
    state = own_state(own, num_classes=7)
    saver(lambda s: {"state_dict": wrapped(s, "module.")})(state, own / "model.pth")
    before = torch.get_rng_state()
    loaded = load_model(read_checkpoint(own / "model.pth"), spec)
    assert torch.equal(before, torch.get_rng_state())
    assert (loaded.architecture.head, loaded.architecture.classes) == (head, 7)
    assert [(x.name, x.channels) for x in loaded.layers] == [("model.1", 4), ("flat", 4)]
    assert loaded.module(images()).shape == (2, 7)
    assert all(torch.equal(v, state[k]) for k, v in loaded.module.state_dict().items())


def test_a_prefix_that_is_the_networks_own_name(own: Path) -> None:
    """``net.`` looks like a wrapper's prefix, but the user's network has it too."""
    state = own_state(own, "Wrapped")
    torch.save(wrapped(state, "module."), own / "model.pth")
    read = read_checkpoint(own / "model.pth")
    assert read.prefix == "module.net."
    loaded = load_model(read, "my_own_nets:Wrapped")
    assert loaded.checkpoint.prefix == "module."
    assert [x.name for x in loaded.layers] == ["net.model.1", "net.flat"]
    pruned = loaded.module.state_dict()
    pruned["net.flat.weight"][0] = 0
    write_like(loaded.checkpoint, pruned, own / "out.pth")
    out = torch.load(own / "out.pth", weights_only=True)
    assert list(out) == [f"module.{key}" for key in state]
    assert out["module.net.flat.weight"][0] == 0


def test_a_convolution_as_head(own: Path) -> None:
    torch.save(own_state(own, "Convolutional"), own / "model.pth")
    loaded = load_model(read_checkpoint(own / "model.pth"), "my_own_nets:Convolutional")
    assert (loaded.architecture.head, loaded.architecture.classes) == ("out", 7)
    assert "1x1 convolution" in loaded.architecture.describe


FACTORIES = {
    "absent_module:Net": "ModuleNotFoundError.*absent_module",
    "broken_net:Net": "absent_dependency",
    "absent_file.py:Net": "absent_file",
    "my_own_nets:Nothing": "Nothing",
    "my_own_nets:failing": "RuntimeError: no such weights here",
    "my_own_nets:number": "gave a int",
    "my_own_nets:headless": "neither a Linear",
    ":": "could not be imported",
}


@pytest.mark.parametrize(("spec", "said"), FACTORIES.items(), ids=FACTORIES.keys())
def test_factories_that_fail(own: Path, spec: str, said: str) -> None:
    torch.save(own_state(own, num_classes=7), own / "model.pth")
    with pytest.raises(ArchitectureUnknown, match=said):
        load_model(read_checkpoint(own / "model.pth"), spec)


def test_a_factory_of_another_network(own: Path) -> None:
    torch.save(own_state(own, num_classes=7), own / "model.pth")
    read = read_checkpoint(own / "model.pth")
    with pytest.raises(WeightsMismatch, match=r"my_own_nets:Convolutional: missing conv\.weight"):
        load_model(read, "my_own_nets:Convolutional")
    with pytest.raises(WeightsMismatch, match=r"fc.weight is \[7, 4\].*\[9, 4\]"):
        load_model(read, "my_own_nets:Net", classes=9)


def test_a_file_never_chooses_the_factory(own: Path) -> None:
    """What a checkpoint calls itself is not imported."""
    torch.save(
        {"model_name": "my_own_nets:failing", "num_classes": 7, "model": own_state(own)},
        own / "model.pth",
    )
    with pytest.raises(ArchitectureUnknown, match="No known network"):
        assemble(read_checkpoint(own / "model.pth"))
