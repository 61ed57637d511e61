"""The preprocessing is told from images alone: right, or unsure and saying so."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnp_engine.data.normalize import HEADS, KNOWN, Normalize, infer_normalize
from cnp_engine.data.sources import open_source
from cnp_engine.errors import NormalizeUnsure
from tests.engine.data.pictures import CIFAR_ZIP, SHARED

ORDERS = [order for known in KNOWN.values() for order in (known, known.reversed())]
SIDE = 16


def _images(count: int, seed: int) -> Tensor:
    """uint8 pictures of smooth blobs, redder and brighter than blue and dark."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    grey = torch.rand(count, 1, 4, 4, generator=generator)
    mixed = 0.6 * grey + 0.4 * coarse
    tint = torch.tensor([0.9, 0.75, 0.6]).view(3, 1, 1)
    smooth = F.interpolate(mixed * tint, (SIDE, SIDE), mode="bilinear")
    return (smooth * 255).round().to(torch.uint8)


def _network(classes: int = 10, norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = nn.Sequential(
            nn.Conv2d(3, 24, 3, padding=1, bias=False), norm(24), nn.ReLU(),
            nn.Conv2d(24, 16, 3, stride=2, padding=1, bias=False), norm(16), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        )  # fmt: skip
        head = nn.Linear(64, classes)
        # Weights that learnt nothing are surest where contrast is highest; make them say little.
        nn.init.normal_(head.weight, std=1e-3)
    return trunk.append(head)


def _trained_on(inputs: Tensor, classes: int = 10) -> nn.Sequential:
    """A network whose BatchNorm remembers ``inputs``, as training leaves it."""
    network = _network(classes)
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    network.train()
    with torch.no_grad():
        for part in torch.split(inputs, 128):
            network(part)
    return network.eval()


def _padded(images: Tensor, seed: int = 0) -> Tensor:
    """Random crops after padding with black, as in training."""
    pad = SIDE // 8
    padded = F.pad(images, (pad,) * 4)
    offsets = torch.randint(0, 2 * pad + 1, (len(images), 2),
                            generator=torch.Generator().manual_seed(seed))  # fmt: skip
    rows = [
        padded[i, :, top : top + SIDE, left : left + SIDE]
        for i, (top, left) in enumerate(offsets.tolist())
    ]
    return torch.stack(rows)


def _same_answers(network: nn.Module, a: Normalize, b: Normalize, images: Tensor) -> float:
    with torch.no_grad():
        x = images.float() / 255
        return float((network(a(x)).argmax(1) == network(b(x)).argmax(1)).float().mean())


@pytest.mark.parametrize(
    ("truth", "crops"),
    [(order, False) for order in ORDERS] + [(order, True) for order in KNOWN.values()],
    ids=lambda value: value.name if isinstance(value, Normalize) else "crops" * value,
)
def test_the_preprocessing_of_training_is_found(truth: Normalize, crops: bool) -> None:
    seen = _images(512, 0).float() / 255
    classes = HEADS.get(truth.name.removesuffix("-bgr"), 10)
    network = _trained_on(truth(_padded(seen) if crops else seen), classes)
    images = _images(128, 1)
    guess = infer_normalize(network, images)
    same = _same_answers(network, guess.best, truth, images)
    assert guess.best.name == truth.name or same >= 0.95
    assert guess.best.bgr == truth.bgr
    assert 0 <= guess.confidence <= 1
    if not guess.unsure:
        assert guess.require() == guess.best
        assert guess.confidence >= 0.9


@pytest.mark.parametrize("name", ["none", "none-bgr", "cifar10", "mean.5-bgr", "255", "gtsrb"])
def test_clear_cases_are_sure(name: str) -> None:
    truth = next(order for order in ORDERS if order.name == name)
    network = _trained_on(truth(_images(512, 0).float() / 255))
    guess = infer_normalize(network, _images(128, 1))
    assert guess.require() == truth
    assert guess.confidence > 0.9
    names, scores = zip(*guess.candidates, strict=True)
    assert names[0] == name
    assert list(scores) == sorted(scores, reverse=True)
    assert all(math.isfinite(score) for score in scores)


def test_nothing_of_the_network_is_changed() -> None:
    network = _trained_on(_images(256, 0).float() / 255)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = _images(64, 1)
    first = infer_normalize(network, images)
    assert infer_normalize(network, images) == first
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in network.modules())
    assert not network.training


NEVER: dict[str, Callable[[], nn.Module]] = {
    "no BatchNorm": lambda: _network(norm=nn.Identity).eval(),
    "BatchNorm that remembers nothing": lambda: _network(
        norm=lambda n: nn.BatchNorm2d(n, track_running_stats=False)
    ).eval(),
    "fresh statistics": lambda: _network().eval(),
    "statistics of another scale": lambda: _trained_on(_images(256, 0).float() * 40 - 7),
    "noise in place of images": lambda: _trained_on(torch.randn(256, 3, SIDE, SIDE) * 9),
}


@pytest.mark.parametrize("case", NEVER)
def test_what_fits_nothing_is_unsure_and_asks(case: str) -> None:
    guess = infer_normalize(NEVER[case](), _images(128, 1))
    assert guess.unsure
    with pytest.raises(NormalizeUnsure) as raised:
        guess.require()
    assert guess.candidates[0][0] in raised.value.what
    assert "--normalize" in raised.value.todo
    assert raised.value.exit_code == 4


@pytest.mark.parametrize("name", ["gtsrb-bgr", "gtsrb", "none"])
def test_a_network_that_is_surest_elsewhere_is_not_believed(name: str) -> None:
    """Weights of no sense, made very sure of it: entropy then speaks for contrast alone."""
    truth = next(order for order in ORDERS if order.name == name)
    network = _trained_on(truth(_images(512, 0).float() / 255))
    head = network[-1]
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.mul_(1000)
    images = _images(128, 1)
    guess = infer_normalize(network, images)
    assert guess.unsure == (name == "gtsrb-bgr")
    assert guess.unsure or _same_answers(network, guess.best, truth, images) >= 0.95


def test_two_that_answer_the_same_are_sure_with_a_notice() -> None:
    grey = _images(512, 0)[:, :1].expand(-1, 3, -1, -1)
    network = _trained_on(grey.float() / 255)
    guess = infer_normalize(network, grey[:200])
    assert guess.require().name in ("none", "none-bgr")
    assert guess.notice is not None
    assert "none and none-bgr" in guess.notice or "none-bgr and none" in guess.notice


def test_statistics_of_a_data_set_need_its_number_of_classes() -> None:
    seen = KNOWN["imagenet"](_images(512, 0).float() / 255)
    gaps = []
    for classes in (10, 200):
        scores = dict(infer_normalize(_trained_on(seen, classes), _images(256, 1)).candidates)
        gaps.append(scores["tiny-imagenet"] - scores["imagenet"])
    assert gaps[1] - gaps[0] == pytest.approx(2.0, abs=0.5)


@pytest.mark.parametrize("shape", [(3, 48, 24), (3, 8, 8)])
def test_any_image_size_will_do(shape: tuple[int, int, int]) -> None:
    images = torch.randint(0, 256, (40, *shape), dtype=torch.uint8,
                           generator=torch.Generator().manual_seed(0))  # fmt: skip
    network = _trained_on(KNOWN["mean.5"](images.float() / 255))
    assert infer_normalize(network, images).best.name.startswith("mean.5")


class _Undo(nn.Module):
    """The network as it would be, had it been trained on ``normalize`` in place of none."""

    def __init__(self, network: nn.Module, normalize: Normalize) -> None:
        super().__init__()
        self.network, self.normalize = network, normalize

    def forward(self, inputs: Tensor) -> Tensor:
        mean, std = (
            torch.tensor(v).view(3, 1, 1) for v in (self.normalize.mean, self.normalize.std)
        )
        images = inputs * std + mean
        answers: Tensor = self.network(images.flip(1) if self.normalize.bgr else images)
        return answers


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("badnet_w32", "none"),
        ("blended_w32", "none-bgr"),
        ("badnet_w32", "backdoorbench-bgr"),
    ],
)
def test_real_networks(model: str, name: str) -> None:
    path = SHARED / "models" / f"{model}.pth"
    if not path.is_file() or not CIFAR_ZIP.is_file():
        pytest.skip("the shared models and data are not here")
    from cnp_engine.models.checkpoint import read_checkpoint
    from cnp_engine.models.registry import load_model

    truth = next(order for order in ORDERS if order.name == name)
    source = open_source(str(CIFAR_ZIP))
    assert source.train is not None
    images = source.train.take(range(0, 20_000, 157)).images
    guess = infer_normalize(_Undo(load_model(read_checkpoint(path)).module, truth).eval(), images)
    assert guess.require() == truth
