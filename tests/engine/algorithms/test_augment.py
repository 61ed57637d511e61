"""Views of images: crops of the padded image, mirrored or not, and nothing else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cnp_engine.algorithms.augment import cropped, moved, several, views


def _images(count: int = 6) -> torch.Tensor:
    return torch.randint(1, 256, (count, 3, 16, 24), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )


def test_every_view_is_a_crop_of_the_padded_image_perhaps_mirrored() -> None:
    images, seen = _images(), set()
    for seed in range(20):
        got = views(images, torch.Generator().manual_seed(seed), flip=True)
        assert got.dtype == torch.float32
        assert got.shape == images.shape
        wide = F.pad(images, (2, 2, 2, 2)).float() / 255
        for one, padded in zip(got, wide, strict=True):
            places = [
                (top, left, mirrored)
                for top in range(5)
                for left in range(5)
                for mirrored in (False, True)
                if torch.equal(
                    one.flip(2) if mirrored else one, padded[:, top : top + 16, left : left + 24]
                )
            ]
            assert len(places) == 1
            seen.add(places[0])
    assert len({place[:2] for place in seen}) > 20, "nearly every place is drawn"
    assert len({place[2] for place in seen}) == 2


def test_without_flip_nothing_is_mirrored_and_a_seed_draws_the_same() -> None:
    images = _images(1)
    wide = F.pad(images, (2, 2, 2, 2)).float() / 255
    crops = [wide[0, :, t : t + 16, left : left + 24] for t in range(5) for left in range(5)]
    for seed in range(10):
        got = views(images, torch.Generator().manual_seed(seed), flip=False)
        assert any(torch.equal(got[0], crop) for crop in crops)
        assert torch.equal(got, views(images, torch.Generator().manual_seed(seed), flip=False))


def test_how_far_an_image_moves_is_a_share_of_its_height() -> None:
    image = _images(1)
    wide = F.pad(image, (4, 4, 4, 4))
    spots = {
        tuple(wide[0, 0, t : t + 16, left : left + 24].flatten().tolist()): (t, left)
        for t in range(9)
        for left in range(9)
    }
    many = image.expand(2000, -1, -1, -1)
    got = cropped(many, torch.Generator().manual_seed(0), flip=False, shift=0.25)
    places = {spots[tuple(one[0].flatten().tolist())] for one in got}
    assert len(places) == 81, "a quarter of sixteen pixels in each direction"


def test_several_views_are_the_image_itself_and_reflected_crops_of_it() -> None:
    images = _images(2).float() / 255
    got = several(images, 30, torch.Generator().manual_seed(0), flip=True)
    assert torch.equal(got[:2], images)
    wide = F.pad(images, (2, 2, 2, 2), mode="reflect")
    crops = [
        {
            tuple(side[:, t : t + 16, left : left + 24].flatten().tolist())
            for t in range(5) for left in range(5) for side in (one, one.flip(2))
        }
        for one in wide
    ]  # fmt: skip
    for number, view in enumerate(got):
        assert tuple(view.flatten().tolist()) in crops[number % 2]
    assert len({tuple(view.flatten().tolist()) for view in got}) > 40, "each at a place of its own"
    assert torch.equal(got, several(images, 30, torch.Generator().manual_seed(0), flip=True))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 3), (64, 8), (8, 64)])
@pytest.mark.parametrize("shift", [0.125, 0.5])
def test_images_of_any_shape_can_be_moved(size: tuple[int, int], shift: float) -> None:
    """Some of each is left, however narrow."""
    image = torch.ones(40, 3, *size)
    draws = torch.Generator().manual_seed(0)
    black = cropped(image, draws, flip=True, shift=shift)
    assert black.shape == image.shape
    assert float(black.amax((1, 2, 3)).min()) == 1
    assert torch.equal(cropped(image, draws, flip=True, shift=shift, edge="reflect"), image)


def test_a_moved_image_is_smaller_and_elsewhere_but_not_out_of_the_picture() -> None:
    white = torch.ones(50, 3, 32, 32)
    got = moved(white, torch.Generator().manual_seed(0))
    assert got.shape == white.shape
    assert float(got.min()) >= 0
    assert float(got.max()) <= 1.0001
    covered = got.mean((1, 2, 3))
    # shrunk to 80 to 100 % a side, at most a tenth a side moved out
    assert float(covered.min()) > 0.8 * 0.8 * 0.75
    assert float(covered.max()) <= 1.0001
    assert len(set(covered.tolist())) > 40, "each has a place of its own"
