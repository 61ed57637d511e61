"""Answers from kept activations are those of a full call, on every architecture, for every mask."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnp_engine.algorithms.execution import trace
from cnp_engine.algorithms.overlay import MaskedNetwork, answers
from cnp_engine.algorithms.prefix import Batch, Prefix
from cnp_engine.models.norms import batch_norms
from tests.engine.algorithms.nets import TINY_LAYERS, TinyNet, Untouched, images, masked
from tests.engine.models.test_architectures import dense_state
from tests.engine.models.tools import fill, small

MANY = 1e9
"""Bytes of memory that every state fits into."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are faster so, by far where the machine is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Twice(TinyNet):
    """Its second BatchNorm is asked twice: not to be replayed."""

    def forward(self, x: Tensor) -> Tensor:
        more: Tensor = self.bn3(self.mix(x.mean((2, 3)).repeat(1, 2)[:, :4]))
        return super().forward(x) + more[:, :3]


class InPlace(nn.Module):
    """Works in place on what its layers return, with a function that is not idempotent."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.act = nn.Hardswish(inplace=True)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(4)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU(True))
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(x))
        y += x
        y = self.act(y)
        y *= 0.5
        z = self.block(y)
        z += y
        logits: Tensor = self.linear(z.mean((2, 3)))
        return logits


class Several(nn.Module):
    """A block that returns a pair, and one that is skipped over."""

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, bias=False)
            self.bn = nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.bn(self.conv(x))
            return y, y.relu()

    def __init__(self) -> None:
        super().__init__()
        self.pair = self.Pair()
        self.conv = nn.Conv2d(4, 4, 1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y, z = self.pair(x)
        logits: Tensor = self.linear((self.bn(self.conv(z)) + y).mean((2, 3)))
        return logits


def network(module: nn.Module, head: str, autocast: torch.dtype | None = None) -> MaskedNetwork:
    module.eval().requires_grad_(False)
    module.to(memory_format=torch.channels_last)
    layers = [(layer.name, layer.channels) for layer in batch_norms(module)]
    return MaskedNetwork(module, head, layers, autocast=autocast)


def densenet() -> nn.Module:
    from cnp_engine.models.families import densenet as family

    state = dense_state()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    module = family.DenseNet(family.FAMILY.match(shapes))
    module.load_state_dict(state)
    return module


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "resnet": (lambda: small("resnet18-cifar"), "linear"),
    "preactresnet": (lambda: small("preactresnet18-cifar"), "linear"),
    "vgg": (lambda: small("vgg16_bn-cifar"), "classifier"),
    "mobilenet": (lambda: small("mobilenet_v2-cifar", width=8), "linear"),
    "densenet": (densenet, "linear"),
    "in place": (lambda: fill(InPlace()), "linear"),
    "several": (lambda: fill(Several()), "linear"),
}


def batches(x: Tensor, size: int = 5) -> list[Batch]:
    return [Batch(len(part), lambda part=part: part) for part in torch.split(x, size)]  # type: ignore[misc]


def full(asked: MaskedNetwork, parts: list[Batch], mask_N: Tensor) -> Tensor:
    return torch.cat([answers(asked, part.make(), mask_N) for part in parts])


def prunings(asked: MaskedNetwork) -> list[Tensor]:
    """Of neurons in the first, a middle, and the last layers, alone and growing, and back."""
    sizes = [channels for _, channels in asked.overlay.layers]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    masks = [asked.ones()]
    for index in (len(sizes) - 1, len(sizes) // 2, 0, len(sizes) - 1, len(sizes) // 3):
        mask_N = masks[-1].clone()
        mask_N[starts[index] : starts[index] + max(1, sizes[index] // 2)] = 0
        masks.append(mask_N)
    return [*masks, masks[1]]


@pytest.mark.parametrize(
    ("name", "autocast"),
    [
        *((name, None) for name in NETWORKS),
        ("resnet", torch.bfloat16),
        ("in place", torch.bfloat16),
    ],
)
def test_answers_are_those_of_a_full_call(name: str, autocast: torch.dtype | None) -> None:
    """To the bit, and nothing of it stays in the module."""
    make, head = NETWORKS[name]
    asked = network(make(), head, autocast)
    before = Untouched(asked.module)
    x = images(3, 32)
    prefix = Prefix(asked, [Batch(3, lambda: x)], MANY)
    assert prefix.plan is not None
    assert len(prefix.plan.cuts) > min(20, len(asked.overlay.layers)) // 2
    seen: list[Tensor] = []
    for mask_N in prunings(asked):
        with torch.no_grad():
            wanted = asked(x, mask_N).logits_BK
        assert torch.equal(prefix.logits(0, x, mask_N), wanted)
        assert torch.equal(next(prefix.answers(mask_N)), wanted.argmax(1))
        seen.append(wanted)
    assert not torch.equal(seen[0], seen[1]), "a pruning changes something"
    assert not any("forward" in vars(part) for part in asked.module.modules())
    assert not any(part._forward_hooks for part in asked.module.modules())
    before.check()


class Counting(nn.Module):
    """A chain of convolutions that counts how many of them really compute."""

    def __init__(self, depth: int = 6) -> None:
        super().__init__()
        self.counted = 0
        self.stem = nn.Conv2d(3, 4, 1)
        for index in range(depth):
            conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
            conv.register_forward_pre_hook(self._count)
            self.add_module(f"conv{index}", conv)
            self.add_module(f"bn{index}", nn.BatchNorm2d(4))
        self.depth = depth
        self.linear = nn.Linear(4, 3)

    def _count(self, module: nn.Module, inputs: Any) -> None:
        self.counted += "forward" not in vars(module)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for index in range(self.depth):
            conv, norm = self.get_submodule(f"conv{index}"), self.get_submodule(f"bn{index}")
            x = F.relu(norm(conv(x)))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


def test_only_what_lies_behind_the_change_is_computed() -> None:
    module = Counting()
    asked = network(fill(module), "linear")
    parts = batches(images(4), 4)
    prefix = Prefix(asked, parts, MANY)

    def computed(*pruned: int) -> int:
        mask_N = asked.ones()
        mask_N[list(pruned)] = 0
        module.counted = 0
        list(prefix.answers(mask_N))
        return module.counted

    assert computed() == 6
    assert computed() == 0, "nothing has changed"
    assert computed(21) == 0, "behind the last convolution"
    assert computed(21, 9) == 3
    assert computed(21, 9, 17) == 1
    assert computed(9) == 0, "from an older state, which differs in the last layer only"
    assert computed(1) == 5
    assert computed(21, 9, 17) == 0, "an older state is as good"


@pytest.mark.parametrize("limit", [0.0, 3e4, 1e5, MANY])
def test_memory_stays_within_its_limit(limit: float) -> None:
    asked = network(small(), "linear")
    parts = batches(images(12))
    prefix = Prefix(asked, parts, limit)
    held = set()
    for mask_N in prunings(asked):
        assert torch.equal(torch.cat(list(prefix.answers(mask_N))), full(asked, parts, mask_N))
        held.add(prefix.held_bytes)
        assert prefix.held_bytes <= limit
    assert (max(held) > 0) == (limit > 0)


def test_a_layer_that_is_asked_twice_is_answered_in_full() -> None:
    asked = masked(Twice(), TINY_LAYERS)
    prefix = Prefix(asked, batches(images(6)), MANY)
    assert prefix.plan is None
    mask_N = asked.ones()
    mask_N[5] = 0
    assert torch.equal(
        torch.cat(list(prefix.answers(mask_N))), full(asked, batches(images(6)), mask_N)
    )


def test_a_module_left_alone_when_a_call_fails() -> None:
    asked = network(fill(Counting()), "linear")
    prefix = Prefix(asked, batches(images(4), 4), MANY)
    list(prefix.answers(asked.ones()))
    broken = Prefix(asked, batches(images(4), 4), MANY)
    broken._batches = [Batch(4, lambda: torch.zeros(4, 5, 8, 8))]
    with pytest.raises(RuntimeError):
        list(broken.answers(asked.ones()))
    assert not any("forward" in vars(part) for part in asked.module.modules())


def test_the_trace_tells_what_ends_before_what() -> None:
    seen = trace(masked(TinyNet()), images(2))
    assert seen.before("bn1") == ("conv1",)
    assert seen.before("bn3") == ("conv1", "bn1", "conv2", "bn2", "mix")
    assert not seen.fragile
    seen = trace(network(small(), "linear"), images(2))
    assert seen.before("layer2.0.bn1") == ("conv1", "bn1", "layer1", "layer2.0.conv1")
    assert {"bn1", "bn2"} <= trace(network(fill(InPlace()), "linear"), images(2)).fragile


def test_slides_at_random_stay_exact() -> None:
    asked = network(small("preactresnet18-cifar"), "linear", torch.bfloat16)
    parts = batches(images(10, 32), 6)
    prefix = Prefix(asked, parts, 2e6)
    draws = random.Random(3)
    order_N = torch.tensor(draws.sample(range(asked.neurons), 40))
    for _ in range(15):
        mask_N = asked.ones()
        mask_N[order_N[: draws.randrange(41)]] = 0
        assert torch.equal(torch.cat(list(prefix.answers(mask_N))), full(asked, parts, mask_N))
