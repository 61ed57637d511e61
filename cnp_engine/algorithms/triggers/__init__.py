"""Kinds of triggers, one module each: what it is, how it is stamped, how it is searched.

A trigger found by reversal leans on the neurons of its own kind (METHOD section 5), so a suspect's
triggers are searched in every family in which it stands out:

* ``patch``: pattern and a mask per pixel, smallest mask L1.
* ``blend``: one pattern over the whole image, mixed in at one strength, smallest strength.
* ``warp``: a smooth field of displacements, the same for every image, smallest displacement.
* ``wave``: a plane wave added to the image; looked for in ``algorithms.waves``, by no gradient.
"""

from __future__ import annotations

from torch import Tensor

from cnp_engine.algorithms.triggers.base import Family, Trigger
from cnp_engine.algorithms.triggers.blend import Blend, BlendSearch
from cnp_engine.algorithms.triggers.patch import Patch, PatchSearch
from cnp_engine.algorithms.triggers.search import Found, ReversalPlan, Search, smallest
from cnp_engine.algorithms.triggers.warp import Warp, WarpSearch
from cnp_engine.algorithms.triggers.wave import Wave

KINDS: dict[Family, type[Trigger]] = {kind.family: kind for kind in (Patch, Blend, Warp, Wave)}
"""Every family, in the order in which a ranking looks."""

SEARCHES: dict[Family, type[Search]] = {
    kind.trigger.family: kind for kind in (PatchSearch, BlendSearch, WarpSearch)
}
"""Those that are searched by gradient."""


def made(family: Family, target: int, pattern_CHW: Tensor, mask_HW: Tensor) -> Trigger:
    """A trigger of a family by its name, as it was kept."""
    return KINDS[family](target, pattern_CHW, mask_HW)


__all__ = [
    "KINDS", "SEARCHES", "Blend", "Family", "Found", "Patch", "ReversalPlan", "Search", "Trigger",
    "Warp", "Wave", "made", "smallest",
]  # fmt: skip
