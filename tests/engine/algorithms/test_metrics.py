"""BA, ASR, RA and asr_all against counting by hand, and intervals against published ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from cnp_engine.algorithms.metrics import GroundTruth, measure, measuring
from cnp_engine.algorithms.rates import share, wilson
from cnp_engine.attacks import AllToAll, Attack, Recorded, Several
from cnp_engine.attacks.protocol import AllToOne
from cnp_engine.events import Measured, Rate
from tests.engine.algorithms.nets import (
    DETECTOR,
    TARGET,
    TinyNet,
    Untouched,
    coloured,
    generator,
    masked,
    planted,
    stamp_checkerboard,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3 (score, no correction)
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # Brown, Cai & DasGupta, Statistical Science 16 (2001), and by hand: z^2 / (n + z^2)
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (27, 30, 0.7438, 0.9654),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson_intervals(successes: int, n: int, low: float, high: float) -> None:
    rate = wilson(successes, n)
    assert rate is not None
    assert (rate.value, rate.n) == (successes / n, n)
    assert rate.low == pytest.approx(low, abs=5e-5)
    assert rate.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 30, 1000, 9000])
def test_intervals_hold_their_rate_and_mirror(n: int) -> None:
    z = 1.959963984540054
    for successes in {0, 1, n // 3, n - 1, n}:
        rate, other = wilson(successes, n), wilson(n - successes, n)
        assert rate is not None
        assert other is not None
        assert 0 <= rate.low <= rate.value <= rate.high <= 1
        assert rate.low == pytest.approx(1 - other.high, abs=1e-12)
        # either end is where the normal score test just rejects
        for end in (rate.low, rate.high):
            if 0 < end < 1 and end != rate.value:
                score = abs(rate.value - end) / math.sqrt(end * (1 - end) / n)
                assert score == pytest.approx(z, rel=1e-6)


@pytest.mark.parametrize(
    ("hits", "wanted"),
    [([], None), ([True], (1.0, 1)), ([False, True, False, False], (0.25, 4))],
)
def test_share(hits: list[bool], wanted: tuple[float, int] | None) -> None:
    rate = share(torch.tensor(hits, dtype=torch.bool))
    assert (None if rate is None else (rate.value, rate.n)) == wanted


@dataclass(frozen=True)
class Darkening(AllToOne):
    """A trigger that the network with random numbers answers in several ways."""

    target: int
    name: str = "darkening"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW * 0.3


@dataclass(frozen=True)
class Checkerboard(AllToOne):
    """What the planted network answers; aims at its target."""

    target: int = TARGET
    name: str = "checkerboard"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        return stamp_checkerboard(images_BCHW)


def by_hand(truth: GroundTruth, mask_N: Tensor | None) -> dict[str, tuple[int, int]]:
    """Hits and of how many, image by image, on a plain module with its weights multiplied."""
    module = TinyNet()
    if mask_N is not None:
        for index, norm in enumerate((module.bn1, module.bn2, module.bn3)):
            norm.weight.mul_(mask_N[4 * index : 4 * index + 4])
    counts = {name: [0, 0] for name in ("ba", "asr", "ra", "asr_all")}

    def count(name: str, hit: bool) -> None:
        counts[name][0] += hit
        counts[name][1] += 1

    assert truth.attack is not None
    for image, label in zip(truth.images_BCHW, truth.labels_B.tolist(), strict=True):
        x = image[None].float() / 255
        count("ba", int(module(x).argmax()) == label)
        said = int(module(truth.attack.stamp(x)).argmax())
        aim = int(truth.attack.aims(x, torch.tensor([label])))
        count("asr_all", said == aim)
        if label != aim:
            count("asr", said == aim)
            count("ra", said == label)
    return {name: (hits, of) for name, (hits, of) in counts.items()}


def counted(rate: Rate | None) -> tuple[int, int]:
    assert rate is not None
    return round(rate.value * rate.n), rate.n


@pytest.mark.parametrize("batch", [250, 7])
@pytest.mark.parametrize("use_mask", [False, True])
@pytest.mark.parametrize("target", [0, 1, 2])
def test_rates_are_what_is_counted_by_hand(target: int, use_mask: bool, batch: int) -> None:
    draws = generator(17)
    pixels = torch.randint(0, 256, (30, 3, 8, 8), generator=draws, dtype=torch.uint8)
    pixels = (pixels * torch.rand((30, 3, 1, 1), generator=draws)).byte()
    labels_B = torch.randint(0, 3, (30,), generator=draws)
    truth = GroundTruth(pixels, labels_B, Darkening(target))
    mask_N = (torch.rand(12, generator=draws) > 0.3).float() if use_mask else None
    network = masked(TinyNet())
    before = Untouched(network.module)
    got = measure(network, truth, mask_N, batch=batch)
    before.check()
    assert list(measuring(network, truth, mask_N, batch=batch)) == [*range(batch, 30, batch), 30]
    wanted = by_hand(truth, mask_N)
    assert {name: counted(getattr(got, name)) for name in wanted} == wanted
    others = 30 - int((labels_B == target).sum())
    assert wanted["asr"][1] == wanted["ra"][1] == others < 30 == wanted["asr_all"][1]


@pytest.mark.parametrize(
    ("closed", "asr", "ra", "asr_all"),
    [([], 1.0, 0.0, 1.0), ([DETECTOR], 0.0, 1.0, 0.25)],
)
def test_the_target_class_is_left_out_of_asr(
    closed: list[int], asr: float, ra: float, asr_all: float
) -> None:
    """Repaired, the images of the target class still answer it: that is no attack success."""
    x, labels_B = coloured(40)
    truth = GroundTruth((x * 255).byte(), labels_B, Checkerboard())
    mask_N = torch.ones(8)
    mask_N[closed] = 0
    got = measure(planted(), truth, mask_N)
    assert got.ba is not None
    assert got.asr is not None
    assert got.ra is not None
    assert got.asr_all is not None
    assert (got.ba.value, got.ba.n) == (1.0, 40)
    assert (got.asr.value, got.asr.n) == (asr, 30)
    assert (got.ra.value, got.ra.n) == (ra, 30)
    assert (got.asr_all.value, got.asr_all.n) == (asr_all, 40)


def test_what_is_not_known_is_not_measured() -> None:
    x, labels_B = coloured(8)
    pixels = (x * 255).byte()
    assert measure(planted(), GroundTruth(pixels, labels_B)) == Measured(ba=wilson(8, 8))
    own = labels_B == TARGET
    alone = measure(planted(), GroundTruth(pixels[own], labels_B[own], Checkerboard()))
    assert (alone.asr, alone.ra) == (None, None)
    assert alone.asr_all == wilson(2, 2)


def test_the_attack_is_given_images_from_0_to_1() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3)[: 4 * 192].reshape(4, 3, 8, 8)
    given = []

    class Looking(Checkerboard):
        def stamp(self, images_BCHW: Tensor) -> Tensor:
            given.append(images_BCHW)
            return images_BCHW

    measure(planted(), GroundTruth(pixels, torch.arange(4), Looking()), batch=3)
    assert [len(part) for part in given] == [3, 1]
    assert torch.equal(torch.cat(given), pixels.float() / 255)
    assert float(torch.cat(given).max()) == 1.0


def test_a_sample_keeps_images_and_labels_together() -> None:
    x, labels_B = coloured(20)
    truth = GroundTruth((x * 255).byte(), labels_B, Checkerboard())
    some = truth.subset(8, generator(1))
    assert (len(some.images_BCHW), len(some.labels_B)) == (8, 8)
    assert len({bytes(image.flatten().tolist()) for image in some.images_BCHW}) == 8
    for image, label in zip(some.images_BCHW, some.labels_B, strict=True):
        at = [bool((image == one).all()) for one in truth.images_BCHW].index(True)
        assert truth.labels_B[at] == label
    assert some.attack is truth.attack
    assert truth.subset(20, generator(1)) is truth
    assert torch.equal(some.labels_B, truth.subset(8, generator(1)).labels_B)


def drawn() -> tuple[Tensor, Tensor]:
    """30 images of noise, each of a brightness of its own, and labels."""
    draws = generator(17)
    pixels = torch.randint(0, 256, (30, 3, 8, 8), generator=draws, dtype=torch.uint8)
    pixels = (pixels * torch.rand((30, 3, 1, 1), generator=draws)).byte()
    return pixels, torch.randint(0, 3, (30,), generator=draws)


MANY: dict[str, Attack] = {
    "all to all": AllToAll(Darkening(0), 3),
    "several": Several((Darkening(0), Checkerboard(2), AllToAll(Checkerboard(), 3))),
}


@pytest.mark.parametrize("batch", [250, 7])
@pytest.mark.parametrize("name", MANY)
def test_attacks_with_several_targets_are_counted_by_hand(name: str, batch: int) -> None:
    truth = GroundTruth(*drawn(), MANY[name])
    wanted = by_hand(truth, None)
    got = measure(masked(TinyNet()), truth, batch=batch)
    assert {key: counted(getattr(got, key)) for key in wanted} == wanted
    hits = wanted["asr"][0]
    assert 0 < hits < wanted["asr"][1], "a case in which the rate says something"
    part = truth.subset(12, generator(1))
    wanted = by_hand(part, None)
    got = measure(masked(TinyNet()), part)
    assert {key: counted(getattr(got, key)) for key in wanted} == wanted


def test_all_to_all_is_no_attack_on_a_network_that_answers_the_trigger_with_one_class() -> None:
    """Only images of the class before the target are answered what they are to be."""
    x, labels_B = coloured(40)
    got = measure(planted(), GroundTruth((x * 255).byte(), labels_B, AllToAll(Checkerboard(), 4)))
    assert (got.asr, got.ra) == (wilson(10, 40), wilson(10, 40))
    assert got.asr_all == got.asr


def test_images_that_are_not_triggered_count_in_no_rate_of_triggered_ones() -> None:
    x, labels_B = coloured(40)
    pixels = (x * 255).byte()
    stamped = (stamp_checkerboard(x) * 255).byte()
    known = (labels_B != TARGET) & (torch.arange(40) < 20)
    attack = Recorded.of(TARGET, pixels[known], stamped[known], "recorded")
    got = measure(planted(), GroundTruth(pixels, labels_B, attack))
    assert (got.ba, got.asr, got.ra) == (wilson(40, 40), wilson(15, 15), wilson(0, 15))
    assert got.asr_all is None
