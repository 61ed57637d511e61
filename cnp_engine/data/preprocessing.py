"""The preprocessing a checkpoint was trained with: its known forms, and how they are written.

Knows no network; `normalize` infers which of these fits one. Light: a front end checks with it what
is typed, so torch is not imported.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cnp_engine.errors import SettingInvalid

if TYPE_CHECKING:
    from torch import Tensor

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Normalize:
    """``(x - mean) / std`` on [0, 1] images; mean and std in the order the network reads them.

    ``bgr``: channels are reversed first.
    """

    name: str
    mean: Triple
    std: Triple
    bgr: bool = False

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Float (B, 3, H, W) in [0, 1], RGB, to what the network was trained on."""
        x = images_BCHW.flip(1) if self.bgr else images_BCHW
        if self.mean == (0.0, 0.0, 0.0) and self.std == (1.0, 1.0, 1.0):
            return x
        mean, std = (x.new_tensor(v) for v in (self.mean, self.std))
        return (x - mean.view(3, 1, 1)) / std.view(3, 1, 1)

    def reversed(self) -> Normalize:
        """The same statistics, in the same order, on blue, green, red."""
        return replace(self, name=f"{self.name}-bgr", bgr=True)


_CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
KNOWN: dict[str, Normalize] = {
    known.name: known
    for known in (
        Normalize("none", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        # Means of the per-image standard deviations: kuangliu/pytorch-cifar, ANP.
        Normalize("cifar10", _CIFAR10_MEAN, (0.2023, 0.1994, 0.2010)),
        # Over all pixels: BackdoorBench.
        Normalize("backdoorbench", _CIFAR10_MEAN, (0.247, 0.243, 0.261)),
        Normalize("cifar100", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        Normalize("gtsrb", (0.3403, 0.3121, 0.3214), (0.2724, 0.2608, 0.2669)),
        Normalize("tiny-imagenet", (0.4802, 0.4481, 0.3975), (0.2302, 0.2265, 0.2262)),
        Normalize("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        Normalize("mean.5", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        Normalize("255", (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
    )
}
"""The statistics of the field (METHOD section 8); ``mean.5`` is [-1, 1], ``255`` is 0 to 255."""

_TODO = (
    f"Write auto, {', '.join(KNOWN)}, any of them with -bgr, or m,m,m/s,s,s "
    "such as 0.49,0.48,0.45/0.25,0.24,0.26."
)


def parse_normalize(text: str) -> Normalize | None:
    """A name, or ``m,m,m/s,s,s``, each perhaps with ``-bgr`` or ``:bgr``; None for ``auto``.

    Raises SettingInvalid for anything else.
    """
    wanted = text.strip().lower()
    if wanted == "auto":
        return None
    plain = wanted.removesuffix("-bgr").removesuffix(":bgr")
    found = KNOWN.get(plain) or _numbers(plain, text)
    return found.reversed() if plain != wanted else found


def _numbers(plain: str, text: str) -> Normalize:
    mean, slash, std = plain.partition("/")
    if not slash:
        close = difflib.get_close_matches(plain, KNOWN, n=1)
        hint = f"Did you mean {close[0]}?" if close else _TODO
        raise SettingInvalid(f"{text!r} is no known normalisation.", hint)
    means, stds = _triple(mean), _triple(std)
    if means is None or stds is None or min(stds) <= 0:
        what = "is not three means and three positive deviations"
        raise SettingInvalid(f"The normalisation {text!r} {what}.", _TODO)
    return Normalize(plain, means, stds)


def _triple(text: str) -> Triple | None:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    if len(values) != 3 or not all(math.isfinite(value) for value in values):
        return None
    return values[0], values[1], values[2]
