"""Tiny ImageNet as published: ``train/WNID/images``, ``val/images`` with ``val_annotations.txt``.

Labels follow the alphabetical order of the WordNet ids, as everyone's loaders do. The official
``test`` folder has no labels and is left alone.
"""

from __future__ import annotations

from cnp_engine.data.encoded import Files, open_files
from cnp_engine.data.images import DataSource, count_of
from cnp_engine.data.layout import image_entries
from cnp_engine.data.store import FileUnreadableError, Store, open_store
from cnp_engine.errors import DataMismatch, DataMissing
from cnp_engine.files import expanded

ANNOTATIONS = "val/val_annotations.txt"


def open_tiny_imagenet(spec: str, size: tuple[int, int] | None) -> DataSource:
    """``tiny-imagenet:DIR``. Raises DataMissing and DataMismatch."""
    store = open_store(expanded(spec.partition(":")[2]))
    root = _root(store)
    wanted = [e for e in store.entries if e.name.startswith((f"{root}train/", f"{root}val/"))]
    names, notices = image_entries(e for e in wanted if not e.name.endswith(".txt"))
    folders = {n: n[len(root) :].split("/")[1] for n in names if n.count("/") > root.count("/") + 1}
    train = [name for name in folders if name.startswith(f"{root}train/")]
    val = [name for name in names if name.startswith(f"{root}val/")]
    wnids = sorted({folders[name] for name in train} | _wnids(store, root))
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    wnid_of = _annotations(store, root)
    wnid_of |= {n.rpartition("/")[2]: folders[n] for n in val if folders.get(n) in label_of}
    kept = [name for name in val if wnid_of.get(name.rpartition("/")[2]) in label_of]
    if len(kept) < len(val):
        notices += (f"Left out {count_of(len(val) - len(kept), 'val image')} without a label.",)
    return open_files(
        spec,
        store,
        Files(tuple(train), tuple(label_of[folders[n]] for n in train)) if train else None,
        Files(tuple(kept), tuple(label_of[wnid_of[n.rpartition("/")[2]]] for n in kept))
        if kept
        else None,
        _class_names(store, root, wnids),
        size,
        notices,
    )


def _root(store: Store) -> str:
    """The folder that holds ``train/`` or ``val/``, as ``a/`` or empty."""
    for entry in store.entries:
        for split in ("train/", "val/"):
            before, found, _ = f"/{entry.name}".partition(f"/{split}")
            if found:
                return f"{before[1:]}/" if before else ""
    raise DataMissing(
        f"{store.path} has neither train/ nor val/.",
        "Give the folder tiny-imagenet-200 as it was unpacked.",
    )


def _text(store: Store, name: str) -> str:
    """A side file; empty where it is not there."""
    if name not in {entry.name for entry in store.entries}:
        return ""
    try:
        return store.read(name).decode("utf-8", "replace")
    except FileUnreadableError as error:
        raise DataMismatch(
            f"{name} in {store.path} cannot be read ({error}).", "Unpack the archive again."
        ) from error


def _wnids(store: Store, root: str) -> set[str]:
    return set(_text(store, f"{root}wnids.txt").split())


def _annotations(store: Store, root: str) -> dict[str, str]:
    """WordNet id by file name: lines of file name, id and a box, separated by tabs."""
    rows = (line.split("\t") for line in _text(store, root + ANNOTATIONS).splitlines())
    return {row[0]: row[1].strip() for row in rows if len(row) >= 2}


def _class_names(store: Store, root: str, wnids: list[str]) -> tuple[str, ...]:
    """The first word for each id from ``words.txt``, or the id itself."""
    rows = (line.split("\t") for line in _text(store, f"{root}words.txt").splitlines())
    words = {row[0]: row[1].split(",")[0].strip() for row in rows if len(row) == 2}
    return tuple(words.get(wnid) or wnid for wnid in wnids)
