"""Open what ``--data`` names: a folder, a zip, a known data set, an .npz, the demo.

Lists and digests the source; decodes nothing but a few headers (see `images.ImageSet`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from cnp_engine.data.cifar import open_cifar
from cnp_engine.data.encoded import open_image_folder
from cnp_engine.data.gtsrb import open_gtsrb
from cnp_engine.data.images import DataSource, Images, ImageSet, LabelledImages
from cnp_engine.data.npz import open_npz
from cnp_engine.data.store import Zip, open_store
from cnp_engine.data.tiny_imagenet import open_tiny_imagenet
from cnp_engine.errors import DataMissing
from cnp_engine.files import expanded, there

__all__ = ["KINDS", "DataSource", "ImageSet", "Images", "LabelledImages", "open_source"]

Opener = Callable[[str, tuple[int, int] | None], DataSource]

KINDS: dict[str, Opener] = {
    "cifar10": open_cifar,
    "cifar100": open_cifar,
    "gtsrb": open_gtsrb,
    "tiny-imagenet": open_tiny_imagenet,
}
"""What may stand before the colon of ``KIND:DIR``."""


def open_source(spec: str, size: tuple[int, int] | None = None) -> DataSource:
    """Open a SOURCE; ``size`` is (height, width), else the most common one of the images.

    Raises DataMissing (not there, no image, unreadable) and DataMismatch (not 8-bit images,
    labels that do not fit).
    """
    if spec == "demo":
        return open_image_folder(spec, _demo(), size)
    kind, colon, _ = spec.partition(":")
    if colon and kind in KINDS:
        return KINDS[kind](spec, size)
    path = expanded(spec)
    if path.suffix.lower() == ".npz":
        return open_npz(spec, size)
    if there(path):
        return open_image_folder(spec, open_store(path), size)
    raise DataMissing(f"There is no data at {spec}.", _hint(kind if colon else ""))


def _demo() -> Zip:
    """The images that come with the package."""
    try:
        path = Path(str(resources.files("assets").joinpath("demo_data.zip")))
    except ModuleNotFoundError:
        path = Path()
    if not path.is_file():
        raise DataMissing(
            "The demo's images are not part of this installation.",
            "Install the package again with its assets, or give another --data.",
        )
    return Zip(path)


def _hint(kind: str) -> str:
    kinds = ", ".join(f"{name}:DIR" for name in KINDS)
    # One letter before a colon is a drive, not a kind of source.
    if re.fullmatch(r"[A-Za-z][\w-]+", kind):
        close = difflib.get_close_matches(kind.lower(), KINDS, n=1)
        if close:
            return f"Did you mean {close[0]}:DIR?"
        return f"The known kinds of source are {kinds}."
    return f"Give a folder, a zip, an .npz, {kinds}, or demo."
