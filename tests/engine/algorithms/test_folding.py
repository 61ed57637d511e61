"""BatchNorm as part of the convolution before it: the same answers, without its passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from cnp_engine.algorithms.folding import folded, follows
from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.target import rank_classes
from cnp_engine.algorithms.triggers import ReversalPlan
from cnp_engine.errors import Interrupted
from cnp_engine.models.registry import build, create
from tests.engine.algorithms.drive import result
from tests.engine.algorithms.nets import TinyNet, Untouched, generator, images, masked


class ReadTwice(TinyNet):
    """What the second convolution returns goes round its BatchNorm as well."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.conv2(x)
        x = F.relu(self.bn2(x) + x)
        logits: Tensor = self.linear(self.bn3(self.mix(x.mean((2, 3)))))
        return logits


class AddedInPlace(TinyNet):
    """A shortcut is added to what the second convolution returned, in its own memory."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        y = self.conv2(x)
        y += x[:, :, ::2, ::2]
        logits: Tensor = self.linear(self.bn3(self.mix(F.relu(self.bn2(y)).mean((2, 3)))))
        return logits


class CalledTwice(TinyNet):
    """The second block is gone through twice."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for _ in range(2):
            x = F.relu(self.bn2(self.conv2(x)))
        logits: Tensor = self.linear(self.bn3(self.mix(x.mean((2, 3)))))
        return logits


class Uncopied(TinyNet):
    def __deepcopy__(self, memo: object) -> Uncopied:
        raise TypeError("this one is not copied")


class Kept(TinyNet):
    """Its copy is itself."""

    def __deepcopy__(self, memo: object) -> Kept:
        return self


class ByName(TinyNet):
    """The second norm gets its input by name, so nothing is known of it."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(input=self.conv2(x)))
        logits: Tensor = self.linear(self.bn3(self.mix(x.mean((2, 3)))))
        return logits


class TwoNames(TinyNet):
    """One norm is known by two names."""

    def __init__(self) -> None:
        super().__init__()
        self.again = self.bn2


class Stopped(TinyNet):
    def __deepcopy__(self, memo: object) -> Stopped:
        raise Interrupted("SIGINT")


class OfItsOwn(TinyNet):
    """It looks into its own BatchNorm: without it, it would answer something else."""

    def forward(self, x: Tensor) -> Tensor:
        scale = self.bn1.weight.sum() if isinstance(self.bn1, nn.BatchNorm2d) else 7.0
        answers: Tensor = scale * super().forward(x)
        return answers


class Passes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts convolutions and BatchNorm passes, and keeps nothing else of what is computed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = Counter[str]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = str(func.overloadpacket)
        for kind in ("batch_norm", "convolution"):
            self.counts[kind] += kind in name and "backward" not in name
        return func(*args, **(kwargs or {}))


def kept_for_backward(network: MaskedNetwork, images_BCHW: Tensor) -> int:
    """Bytes of what a forward keeps for the backward to the images, weights aside."""
    kept: dict[int, int] = {}
    weights = {value.untyped_storage().data_ptr() for value in network.module.parameters()}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        output = network(images_BCHW.clone().requires_grad_())
    assert output.logits_BK.requires_grad
    return sum(size for place, size in kept.items() if place not in weights)


def input_gradient(network: MaskedNetwork, images_BCHW: Tensor) -> Tensor:
    x = images_BCHW.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).logits_BK[:, 1].sum(), [x])
    return gradient


def with_statistics(module: nn.Module) -> nn.Module:
    """Running statistics and affine parameters as training leaves them: none is 0 or 1."""
    draws = generator(3)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value, low in ((part.weight.data, 0.5), (part.running_var, 0.5),
                               (part.bias.data, -0.3), (part.running_mean, -0.3)):  # fmt: skip
                assert value is not None
                value.uniform_(low, low + 0.6, generator=draws)
    return module.eval().requires_grad_(False)


def test_answers_features_and_gradients_stay() -> None:
    network, x = masked(TinyNet(), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), bgr=True), images(9)
    before = Untouched(network.module)
    plain = folded(network, x)
    assert plain.neurons == 0
    assert not [m for m in plain.module.modules() if isinstance(m, nn.BatchNorm2d)]
    one, two = network(x), plain(x)
    assert_close(two.logits_BK, one.logits_BK, atol=1e-5, rtol=1e-5)
    assert_close(two.features_BD, one.features_BD, atol=1e-5, rtol=1e-5)
    assert_close(input_gradient(plain, x), input_gradient(network, x), atol=1e-5, rtol=1e-4)
    before.check()


def test_a_norm_behind_something_else_stays() -> None:
    network = masked(TinyNet())
    assert follows(network, images(2)) == [("conv1", "bn1"), ("conv2", "bn2")]
    assert isinstance(folded(network, images(2)).module.get_submodule("bn3"), nn.BatchNorm1d)


def test_what_another_reads_too_stays() -> None:
    assert follows(masked(ReadTwice()), images(2)) == [("conv1", "bn1")]
    assert follows(masked(AddedInPlace()), images(2)) == [("conv1", "bn1")]


@pytest.mark.parametrize("kind", [ByName, TwoNames])
def test_a_norm_of_which_little_is_known_stays(kind: type[TinyNet]) -> None:
    network = masked(kind())
    assert follows(network, images(2)) == [("conv1", "bn1")]
    plain, x = folded(network, images(4)), images(4)
    assert plain is not network
    assert_close(plain(x).logits_BK, network(x).logits_BK, atol=1e-5, rtol=1e-5)


def test_to_be_stopped_is_no_reason_to_go_on() -> None:
    with pytest.raises(Interrupted):
        folded(masked(Stopped()), images(4))


@pytest.mark.parametrize("kind", [Uncopied, Kept, OfItsOwn])
def test_what_cannot_be_folded_is_used_as_it_is(kind: type[TinyNet]) -> None:
    network = masked(kind())
    before = Untouched(network.module)
    assert follows(network, images(4))
    assert folded(network, images(4)) is network
    assert isinstance(network.module.get_submodule("bn1"), nn.BatchNorm2d)
    before.check()


def test_a_block_gone_through_twice_stays() -> None:
    assert follows(masked(CalledTwice()), images(2)) == [("conv1", "bn1")]


def test_a_watched_layer_stays() -> None:
    module = TinyNet()
    module.bn1.register_forward_hook(lambda *_: None)
    assert follows(masked(module), images(2)) == [("conv2", "bn2")]
    module.conv2.forward = module.conv2.forward  # type: ignore[method-assign]
    assert follows(masked(module), images(2)) == []


@pytest.mark.parametrize(
    "name",
    ["resnet18-cifar", "resnet50-cifar", "preactresnet18-cifar", "vgg16_bn-cifar",
     "mobilenet_v2-cifar"],
)  # fmt: skip
def test_networks_of_the_registry(name: str) -> None:
    architecture = create(name, 10, 16)
    torch.manual_seed(0)
    module = with_statistics(build(architecture))
    network = MaskedNetwork(module, architecture.head, ())
    x = images(2, 32)
    plain = folded(network, x)
    assert plain is not network
    assert_close(plain(x).logits_BK, network(x).logits_BK, atol=1e-3, rtol=1e-3)
    assert kept_for_backward(plain, x) < 0.9 * kept_for_backward(network, x)


def test_a_ranking_passes_through_no_norm_that_can_be_folded() -> None:
    """But to look, to compare, and for the votes, which perturb them."""
    plan = ReversalPlan(steps=8, batch=4)
    counted: Mapping[str, int]
    with Passes() as passes:
        result(rank_classes(masked(TinyNet()), images(12), ["a", "b", "c"], plan, generator(),
                         threshold=99, eps=0.4, families=["patch", "blend"]))  # fmt: skip
        counted = passes.counts
    steps = counted["convolution"] // 2
    assert steps > 20
    assert counted["batch_norm"] <= steps + 2 * 8  # of three, the third stays
