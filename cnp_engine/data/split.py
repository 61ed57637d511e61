"""The clean images a run works with, drawn by seed, and the images that measure it.

The pool has no labels, by type. No image that measures occurs in it, by content as well as by
index: a picture that is in both splits of a source would otherwise be measured on what it tuned.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cnp_engine.data.images import DataSource, Images, ImageSet, LabelledImages, count_of
from cnp_engine.errors import TooFewImages

FEWEST = 20
"""Fewer clean images than this are refused: nothing estimated on them means anything."""

OPTIMISE = 0.7
"""Share of the pool that optimises; the rest chooses the threshold."""

MAX_TEST_BYTES = 2 << 30
"""Decoded test images beyond this are a seeded sample, so that they fit into memory."""


@dataclass(frozen=True)
class Split:
    """clean: the pool, without labels by type. optimise, select: int64 positions in the pool.

    The two are disjoint and cover the pool (70/30); ``optimise`` trains, ``select`` chooses the
    threshold. test: measures only; no image of it occurs in the pool; None without labels.
    pool: spec of the source the pool was drawn from, with the split. notices: for people, of the
    draw and the test; those of decoding the pool are ``clean.notices``.
    """

    clean: Images
    optimise: Tensor
    select: Tensor
    test: LabelledImages | None
    pool: str
    notices: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Plain data for an artifact: where the pool is from, its indices and names by use."""
        uses = {"optimise": self.optimise, "select": self.select}
        return {
            "pool": self.pool,
            **{
                use: [
                    {"index": int(self.clean.indices[i]), "name": self.clean.names[i]}
                    for i in positions.tolist()
                ]
                for use, positions in uses.items()
            },
            "test": 0 if self.test is None else len(self.test),
        }


@dataclass(frozen=True)
class _Roles:
    """Which sets the pool and the test come from; ``rest``: the test is what was not drawn."""

    pool: ImageSet
    pool_name: str
    test: ImageSet | None
    rest: bool


def split(source: DataSource, clean: int, seed: int, clean_dir: DataSource | None = None) -> Split:
    """Draw ``clean`` images from the train split, or from ``clean_dir`` where given.

    Both sources must have been opened at one size. Fewer images than asked are taken with a
    notice. Raises TooFewImages below 20 usable ones.
    """
    assert clean_dir is None or clean_dir.size == source.size, "open clean_dir at source.size"
    roles = _roles(source, clean_dir)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(roles.pool), generator=generator)
    test, notices = (None, ()) if roles.rest else _whole_test(roles.test, generator)
    pool, more = _draw(roles.pool, order, clean, set() if test is None else _contents(test.images))
    if roles.rest and roles.test is not None:
        test, about = _rest(roles, pool, generator)
        more += about
    if test is None:
        more += ("No labelled test images: BA and ASR are not measured.",)
    first = round(OPTIMISE * len(pool))
    positions = torch.arange(len(pool))
    return Split(
        clean=pool,
        optimise=positions[:first],
        select=positions[first:],
        test=test,
        pool=roles.pool_name,
        notices=(*notices, *more),
    )


def _roles(source: DataSource, clean_dir: DataSource | None) -> _Roles:
    """The pool is the train split, or all of a source without splits; the test is the rest."""
    chosen = clean_dir or source
    name = "train" if chosen.train else "test"
    pool = chosen.train or chosen.test
    assert pool is not None, "a source holds at least one split"
    apart = source.test if source.train else None
    whole = source.train or source.test
    # Without a test split, or with a clean folder that may be a part of it, what is left measures.
    rest = apart is None
    test = whole if rest else apart
    labelled = test if test is not None and test.labels is not None else None
    return _Roles(pool, f"{chosen.spec} {name}", labelled, rest)


def _draw(
    pool: ImageSet, order: Tensor, clean: int, forbidden: set[bytes]
) -> tuple[Images, tuple[str, ...]]:
    """The first ``clean`` images in ``order`` that can be read, each once, none of the test."""
    parts: list[Images] = []
    seen: set[bytes] = set()
    shared = repeated = have = asked = 0
    while have < clean and asked < len(order):
        got = pool.take(order[asked : asked + clean - have])
        asked += clean - have
        keep = []
        for position, content in enumerate(_digests(got.images)):
            if content in forbidden:
                shared += 1
            elif content in seen:
                repeated += 1
            else:
                seen.add(content)
                keep.append(position)
        parts.append(_only(got, keep))
        have += len(keep)
    if have < FEWEST:
        raise TooFewImages(
            f"Only {count_of(have, 'clean image')} can be used; at least {FEWEST} are needed.",
            "Give more images, or another folder with --clean-dir; 1,000 is a good number.",
        )
    notices: list[str] = []
    if shared:
        notices.append(
            f"Dropped {count_of(shared, 'clean image')} that also occur in the test split."
        )
    if repeated:
        notices.append(f"Dropped {count_of(repeated, 'clean image')} that occur twice.")
    if have < clean:
        notices.append(f"Using {have:,} clean images, all there are; {clean:,} were asked for.")
    return _join(parts), tuple(notices)


def _whole_test(
    test: ImageSet | None, generator: torch.Generator
) -> tuple[LabelledImages | None, tuple[str, ...]]:
    if test is None:
        return None, ()
    measured, notices = _measured(test, torch.arange(len(test)), generator)
    return (measured, notices) if len(measured) else (None, notices)


def _rest(
    roles: _Roles, pool: Images, generator: torch.Generator
) -> tuple[LabelledImages | None, tuple[str, ...]]:
    """What was not drawn, without copies of what was."""
    assert roles.test is not None
    free = torch.ones(len(roles.test), dtype=torch.bool)
    if roles.test is roles.pool:
        free[pool.indices] = False
    if not free.any():
        return None, ()
    test, notices = _measured(roles.test, free.nonzero().flatten(), generator)
    drawn = _contents(pool.images)
    keep = [i for i, content in enumerate(_digests(test.images)) if content not in drawn]
    if len(keep) < len(test):
        dropped = count_of(len(test) - len(keep), "test image")
        notices += (f"Dropped {dropped} that also occur among the clean images.",)
        names = tuple(test.names[i] for i in keep)
        test = LabelledImages(
            test.images[keep], test.labels[keep], test.indices[keep], names, test.notices
        )
    return (test, notices) if len(test) else (None, notices)


def _measured(
    test: ImageSet, indices: Tensor, generator: torch.Generator
) -> tuple[LabelledImages, tuple[str, ...]]:
    """Decode the test, or a seeded sample of it where it would not fit into memory."""
    probe = test.take(indices[:1])
    limit = MAX_TEST_BYTES // max(1, probe.images[0].numel() if len(probe) else 1)
    notices: tuple[str, ...] = ()
    if len(indices) > limit:
        chosen = torch.randperm(len(indices), generator=generator)[:limit]
        notices = (f"Measuring on {limit:,} of {len(indices):,} test images, drawn by seed.",)
        indices = indices[chosen.sort().values]
    got = test.labelled(indices)
    return got, notices + tuple(f"Test images: {notice}" for notice in got.notices)


def _digests(images: Tensor) -> list[bytes]:
    return [hashlib.blake2b(i, digest_size=16).digest() for i in images.contiguous().numpy()]


def _contents(images: Tensor) -> set[bytes]:
    return set(_digests(images))


def _only(images: Images, keep: list[int]) -> Images:
    names = tuple(images.names[i] for i in keep)
    return Images(images.images[keep], images.indices[keep], names, images.notices)


def _join(parts: list[Images]) -> Images:
    return Images(
        torch.cat([part.images for part in parts]),
        torch.cat([part.indices for part in parts]),
        tuple(name for part in parts for name in part.names),
        tuple(notice for part in parts for notice in part.notices),
    )
