"""BackdoorBench's folder of stamped test images, paired with the clean ones they were made of.

``bd_test_dataset/LABEL/INDEX.png`` (SCLBD/BackdoorBench, utils/bd_dataset_v2.py): LABEL is the true
class and INDEX the position in the clean test split, both from 0. An attack with one target
leaves the target's own images out, which tells the target.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnp_engine.attacks import Recorded
from cnp_engine.data.attack_trigger import UNREADABLE
from cnp_engine.data.images import LabelledImages
from cnp_engine.errors import AttackInvalid

FOLDER = "bd_test_dataset"

NEARER = 0.75
"""Share of stamped images that must be nearer to their own clean image than to another one.

In the right order nearly all are; in another order half.
"""


def stamped_folder(
    path: Path,
    name: str,
    target: int | None,
    classes: int | None,
    test: LabelledImages | None,
) -> Recorded:
    """The images in ``path``, or in the bd_test_dataset that it holds, for those of ``test``.

    target: None where only the folder tells. Raises AttackInvalid, also where labels or images
    show that ``test`` has another order than the one the folder was made from.
    """
    path = path / FOLDER if (path / FOLDER).is_dir() else path
    files = _files(path)
    if target is None:
        target = _missing_class(path, {label for label, _ in files}, classes)
    if test is None:
        raise AttackInvalid(
            f"The stamped images in {path} say nothing without the clean ones.",
            "Give the labelled test images they were made of with --data.",
        )
    at = {index: position for position, index in enumerate(test.indices.tolist())}
    pairs = [(file, label, at[i]) for (label, i), file in files.items() if i in at]
    labels = test.labels.tolist()
    if not pairs or any(labels[position] != label for _, label, position in pairs):
        raise _other_order(path)
    size = (int(test.images.shape[2]), int(test.images.shape[3]))
    stamped = torch.stack([_picture(file, size) for file, _, _ in pairs])
    clean = test.images[[position for _, _, position in pairs]]
    if not _belong(clean, stamped):
        raise _other_order(path)
    return Recorded.of(target, clean, stamped, name)


def _files(path: Path) -> dict[tuple[int, int], Path]:
    """By label and index; what has other names is left alone."""
    found = {
        (int(folder.name), int(file.stem)): file
        for folder in (sorted(path.iterdir()) if path.is_dir() else ())
        if folder.is_dir() and folder.name.isdecimal()
        for file in sorted(folder.glob("*.png"))
        if file.stem.isdecimal()
    }
    if not found:
        raise AttackInvalid(
            f"{path} holds no stamped images of the form LABEL/INDEX.png.",
            f"Give BackdoorBench's {FOLDER}, or an attack.toml.",
        )
    return found


def _missing_class(path: Path, labels: set[int], classes: int | None) -> int:
    missing = sorted(set(range(classes or len(labels) + 1)) - labels)
    if len(missing) != 1:
        which = "no class" if not missing else f"{len(missing)} classes"
        raise AttackInvalid(
            f"{path} lacks images of {which}, so that it does not tell the target.",
            "Write an attack.toml with the attack, its target or goal, and [trigger] with "
            f'folder = "{path.name}".',
        )
    return missing[0]


def _picture(file: Path, size: tuple[int, int]) -> Tensor:
    """uint8 (3, H, W)."""
    try:
        with Image.open(file, formats=("PNG",)) as image:
            width, height = image.size
            if (height, width) != size:
                raise AttackInvalid(
                    f"{file} is {height}x{width}, the images are {size[0]}x{size[1]}.",
                    "Give stamped images in the size of the test images; they are never resized.",
                )
            pixels = np.array(image.convert("RGB"))
    except UNREADABLE as error:
        raise AttackInvalid(
            f"{file} is no PNG that can be read.", "Copy or unpack the folder again."
        ) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _belong(clean_BCHW: Tensor, stamped_BCHW: Tensor, asked: int = 512) -> bool:
    """Whether stamped images are those of their clean ones, by the first ``asked``."""
    clean, stamped = clean_BCHW[:asked].float(), stamped_BCHW[:asked].float()
    if len(clean) < 4:
        return True
    own, other = ((stamped - c).abs().mean((1, 2, 3)) for c in (clean, clean.roll(1, 0)))
    return float((own < other).float().mean()) >= NEARER


def _other_order(path: Path) -> AttackInvalid:
    return AttackInvalid(
        f"The stamped images in {path} are not those of these test images, or in another order.",
        "Give the test split they were made of with --data, in its own order.",
    )
