"""Numbers by content: the same in every batch, other for every image, evenly spread."""

from __future__ import annotations

import pytest
import torch

from cnp_engine.attacks.content import content_choice, content_keys

PIXELS = torch.randint(
    0, 256, (2000, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)
IMAGES = PIXELS.float() / 255


def test_a_key_is_of_the_image_and_not_of_the_batch() -> None:
    keys = content_keys(IMAGES[:50])
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    assert torch.equal(content_keys(IMAGES[:50][order]), keys[order])
    assert torch.equal(content_keys(IMAGES[7:8]), keys[7:8])
    assert torch.equal(content_keys(IMAGES[:50].double()), keys)
    assert torch.equal(content_keys(PIXELS[:50].double() / 255), keys)


def test_every_pixel_and_its_place_count() -> None:
    image = IMAGES[:1]
    changed = [image.clone() for _ in range(192)]
    for position, other in enumerate(changed):
        other.view(-1)[position] = (other.view(-1)[position] * 255 + 1) % 256 / 255
    swapped = image.clone()
    swapped[..., 0], swapped[..., 1] = image[..., 1].clone(), image[..., 0].clone()
    keys = content_keys(torch.cat([image, swapped, *changed]))
    assert len(set(keys.tolist())) == 194
    assert len(set(content_keys(IMAGES).tolist())) == 2000


def test_the_sum_is_what_arithmetic_modulo_2_64_gives() -> None:
    def mixed(z: int) -> int:  # splitmix64, as its authors give it
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    pixels = PIXELS[3].flatten().tolist()
    weights = [mixed(i * 0x9E3779B97F4A7C15 % 2**64) | 1 for i in range(1, 193)]
    total = sum((p + 1) * w for p, w in zip(pixels, weights, strict=True)) % 2**64
    assert int(content_keys(IMAGES[3:4])) % 2**64 == total


@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_choices_are_spread_evenly(count: int) -> None:
    tally = torch.bincount(content_choice(IMAGES, count), minlength=count)
    assert len(tally) == count
    expected = 2000 / count
    # chi-squared far beyond its 99.9th percentile for 15 degrees of freedom would be 38
    assert float(((tally - expected) ** 2 / expected).sum()) < 38


def test_images_that_differ_little_are_spread_too() -> None:
    base = torch.zeros(256, 3, 8, 8)
    base[:, 0, 0, 0] = torch.arange(256) / 255
    tally = torch.bincount(content_choice(base, 2), minlength=2)
    assert int(tally.min()) > 90
