"""The pictures: what ships is what the code draws, and no picture is in two splits."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from assets.demo.dataset import PER_CLASS, decode, encode, files, read_zip
from assets.demo.draws import Draws
from assets.demo.scene import SIZE, draw
from assets.demo.shapes import CANVAS, REACH
from assets.demo.signs import CLASSES, SIGNS
from assets.make_demo import HERE

DATA = HERE / "demo_data.zip"
SHIPPED = ("train", "test")


def test_classes_are_in_the_order_a_folder_is_read_in() -> None:
    assert len(CLASSES) == 10
    assert list(CLASSES) == sorted(CLASSES)


@pytest.mark.parametrize("split", SHIPPED)
def test_shipped_pictures_are_small_rgb_and_evenly_many(split: str) -> None:
    shipped = list(read_zip(DATA, split))
    assert Counter(label for label, _, _ in shipped) == dict.fromkeys(range(10), PER_CLASS[split])
    assert {decode(jpeg).shape for _, _, jpeg in shipped} == {(SIZE, SIZE, 3)}


def test_no_shipped_picture_is_there_twice() -> None:
    """By content: train against test, and within each."""
    seen = Counter(
        decode(jpeg).tobytes() for split in SHIPPED for _, _, jpeg in read_zip(DATA, split)
    )
    assert max(seen.values()) == 1
    assert len(seen) == 10 * (PER_CLASS["train"] + PER_CLASS["test"])


def test_the_networks_saw_none_of_the_first_shipped_pictures() -> None:
    """The keys of ``fit`` and of what ships differ in the split: so must the pixels."""
    fit = {decode(encode("fit", label, i)).tobytes() for label in range(10) for i in range(3)}
    assert len(fit) == 30
    for split in SHIPPED:
        assert not fit & {decode(jpeg).tobytes() for _, _, jpeg in read_zip(DATA, split)}


@pytest.mark.parametrize("split", SHIPPED)
@pytest.mark.parametrize("label", range(10))
def test_drawing_again_gives_the_shipped_bytes(split: str, label: int) -> None:
    shipped = {name: jpeg for _, name, jpeg in read_zip(DATA, split)}
    for number in (0, 1, PER_CLASS[split] - 1):
        name = f"{split}/{CLASSES[label]}/{number:04d}.jpg"
        assert encode(split, label, number) == shipped[name]


def test_files_come_in_the_order_they_were_written() -> None:
    first = [name for (_, name, _), _ in zip(files("test"), range(3), strict=False)]
    assert first == [name for _, name, _ in read_zip(DATA, "test")][:3]
    assert first == [f"test/crossing/{i:04d}.jpg" for i in range(3)]


def test_pixels_before_jpeg() -> None:
    """Tells a change of the drawing from one of the JPEG encoder."""
    digest = hashlib.sha256(b"".join(draw(i, Draws(1, 2, i)).tobytes() for i in range(10)))
    assert digest.hexdigest()[:16] == "4efbee49b669928e"


def test_the_stream_of_a_picture_depends_on_every_part_of_its_key() -> None:
    keys = [(1, 2, 3, 4), (0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4), (1, 2, 3, 0)]
    assert len({Draws(*key).uniform() for key in keys}) == len(keys)


def _at(name: str, u: float, v: float) -> np.ndarray:
    """Colour of a template at sign coordinates, or zeros where it is transparent."""
    canvas = SIGNS[name]()
    column, row = (int((place + REACH) / (2 * REACH) * CANVAS) for place in (u, v))
    return np.asarray(canvas.rgb[row, column] * canvas.alpha[row, column])


@pytest.mark.parametrize(
    ("name", "u", "v", "dominant"),
    [
        ("no-entry", 0.0, 0.6, "red"),
        ("no-entry", 0.0, 0.0, "white"),
        ("stop", 0.0, 0.7, "red"),
        ("stop", 0.95, 0.95, "nothing"),  # the octagon's corner is cut
        ("yield", 0.0, -0.72, "red"),
        ("yield", 0.0, 0.0, "white"),
        ("yield", 0.8, 0.7, "nothing"),  # it stands on its tip
        ("priority", 0.0, 0.0, "yellow"),
        ("priority", 0.8, 0.8, "nothing"),
        ("speed-30", 0.0, 0.88, "red"),
        ("speed-80", 0.0, 0.6, "white"),
        ("speed-80", -0.30, 0.0, "black"),  # the waist of the 8
        ("speed-50", 0.31, 0.0, "white"),  # the hole of the 0
        ("turn-left", -0.5, -0.18, "white"),
        ("turn-left", 0.5, -0.18, "blue"),
        ("turn-right", 0.5, -0.18, "white"),
        ("turn-right", -0.6, -0.18, "blue"),
        ("crossing", -0.8, -0.8, "blue"),
        ("crossing", 0.03, -0.36, "black"),  # the head
    ],
)
def test_a_sign_has_its_colours_where_they_belong(
    name: str, u: float, v: float, dominant: str
) -> None:
    red, green, blue = _at(name, u, v)
    seen = {
        "red": red > 0.6 and green < 0.2,
        "white": min(red, green, blue) > 0.8,
        "yellow": red > 0.8 and green > 0.6 and blue < 0.3,
        "black": 0.0 < max(red, green, blue) < 0.2,
        "blue": blue > 0.5 and red < 0.2,
        "nothing": red == green == blue == 0.0,
    }
    assert [colour for colour, is_it in seen.items() if is_it] == [dominant]


def test_left_and_right_are_mirror_images() -> None:
    left, right = SIGNS["turn-left"](), SIGNS["turn-right"]()
    assert np.abs(left.rgb - right.rgb[:, ::-1]).max() < 1e-9


def test_one_class_varies_in_light_and_place() -> None:
    several = np.stack([draw(6, Draws(5, i)) for i in range(40)]).astype(np.float64)
    brightness = several.mean(axis=(1, 2, 3))
    assert brightness.max() > 2.0 * brightness.min()
    assert several.std(axis=0).min() > 20.0  # no pixel is nearly the same in all of them
