"""Trigger pictures decode to the sizes and pixels they were made of."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image
from torch import Tensor

from cnp_engine.export.pictures import examples_png, trigger_png


def decode(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    assert image.format == "PNG"
    assert image.mode == "RGB"
    return image


def corner() -> tuple[Tensor, Tensor]:
    pattern, mask = torch.zeros(3, 4, 6), torch.zeros(4, 6)
    pattern[0, 3, 5] = 1.0
    mask[3, 5] = 1.0
    return pattern, mask


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(32, 32, (3 * 256 + 16, 256)), (4, 6, (3 * 48 + 16, 32)), (224, 224, (3 * 448 + 16, 448))],
)
def test_three_panels_side_by_side(height: int, width: int, size: tuple[int, int]) -> None:
    image = decode(trigger_png(torch.rand(3, height, width), torch.rand(height, width)))
    assert image.size == size


def test_pixels_are_the_triggers() -> None:
    image = decode(trigger_png(*corner()))
    bottom, right = 31, 47
    assert image.getpixel((right, bottom)) == (255, 0, 0)  # pattern
    assert image.getpixel((right - 8, bottom)) == (0, 0, 0)
    assert image.getpixel((56 + right, bottom)) == (255, 255, 255)  # mask
    assert image.getpixel((56 + right - 8, bottom)) == (0, 0, 0)
    assert image.getpixel((112 + right, bottom)) == (255, 0, 0)  # stamp
    assert image.getpixel((112 + right - 8, bottom)) == (128, 128, 128)
    assert image.getpixel((50, bottom)) == (255, 255, 255)  # between


def test_an_example_takes_the_place_of_grey() -> None:
    example = torch.full((3, 4, 6), 0.2)
    image = decode(trigger_png(*corner(), example))
    assert image.getpixel((112, 0)) == (51, 51, 51)


def test_values_outside_the_range_and_gradients_are_taken() -> None:
    pattern = torch.full((3, 2, 2), 1.7, requires_grad=True)
    image = decode(trigger_png(pattern, torch.full((2, 2), -0.5)))
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((24, 0)) == (0, 0, 0)


def test_same_input_same_bytes() -> None:
    assert trigger_png(*corner()) == trigger_png(*corner())


def test_contact_sheet_has_a_row_before_and_after() -> None:
    clean = torch.zeros(5, 3, 8, 8)
    image = decode(examples_png(clean, torch.ones_like(clean)))
    assert image.size == (5 * 64 + 4 * 8, 2 * 64 + 8)
    assert image.getpixel((0, 0)) == (0, 0, 0)
    assert image.getpixel((0, 64 + 8)) == (255, 255, 255)
