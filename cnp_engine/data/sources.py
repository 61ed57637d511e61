"""Open what ``--data`` names: a folder, a zip, a known data set, an .npz, the demo.

Lists and digests the source; decodes nothing but a few headers (see `images.ImageSet`).
"""

from __future__ import annotations

from dataclasses import dataclass

from cnp_engine.data.images import ImageSet


@dataclass(frozen=True)
class DataSource:
    """spec: as given. sha256: of the content. size: (height, width) every image is brought to.

    classes: names by label, empty where unlabelled. train, test: None where there is no such
    split; a source without splits is all in ``train``. notices: sentences for people.
    """

    spec: str
    sha256: str
    size: tuple[int, int]
    classes: tuple[str, ...]
    train: ImageSet | None
    test: ImageSet | None
    notices: tuple[str, ...] = ()


def open_source(spec: str, size: tuple[int, int] | None = None) -> DataSource:
    """Open a SOURCE; ``size`` is (height, width), else the most common one of the images.

    Raises DataMissing (not there, no image, unreadable) and DataMismatch (not 8-bit images,
    labels that do not fit).
    """
    raise NotImplementedError
