"""The German Traffic Sign Recognition Benchmark in its official layout.

``Final_Training/Images/000NN/*.ppm`` (torchvision keeps it as ``GTSRB/Training``) and
``Final_Test/Images/*.ppm`` with ``GT-final_test.csv``. Whole pictures, not cropped to the sign:
that is what the field's models were trained on.
"""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath

from cnp_engine.data.encoded import Files, open_files
from cnp_engine.data.images import DataSource, count_of
from cnp_engine.data.layout import image_entries
from cnp_engine.data.store import FileUnreadableError, Store, open_store
from cnp_engine.errors import DataMismatch, DataMissing
from cnp_engine.files import expanded
from cnp_engine.printing import name_some

CLASSES = (
    "speed limit 20", "speed limit 30", "speed limit 50", "speed limit 60", "speed limit 70",
    "speed limit 80", "end of speed limit 80", "speed limit 100", "speed limit 120",
    "no overtaking", "no overtaking by lorries", "right of way at next crossing",
    "priority road", "yield", "stop", "no vehicles", "no lorries", "no entry", "danger",
    "bend left", "bend right", "double bend", "uneven road", "slippery road", "road narrows",
    "road works", "traffic signals", "pedestrians", "children", "bicycles", "snow", "animals",
    "end of all limits", "turn right ahead", "turn left ahead", "ahead only",
    "ahead or right", "ahead or left", "keep right", "keep left", "roundabout",
    "end of no overtaking", "end of no overtaking by lorries",
)  # fmt: skip

TRAINING = ("Final_Training/Images/", "GTSRB/Training/")
TESTING = "Final_Test/Images/"
SIZE = (32, 32)
"""What the field resizes these pictures of 15 to 250 pixels to, where nothing else is asked."""


def open_gtsrb(spec: str, size: tuple[int, int] | None) -> DataSource:
    """``gtsrb:DIR``. Raises DataMissing and DataMismatch."""
    store = open_store(expanded(spec.partition(":")[2]))
    names, notices = image_entries(e for e in store.entries if not e.name.endswith(".csv"))
    train = _training(store, names)
    test, more = _testing(store, [name for name in names if _below(name, TESTING)])
    if not train.names and test is None:
        raise DataMissing(
            f"{store.path} has neither {TRAINING[0]} nor {TESTING}.",
            "Give the folder the official archives were unpacked into.",
        )
    if size is None:
        notices = (*notices, f"Images of many sizes; all are brought to {SIZE[0]}x{SIZE[1]}.")
    return open_files(
        spec, store, train if train.names else None, test, CLASSES, size or SIZE, notices + more
    )


def _below(name: str, part: str) -> str | None:
    """What follows ``part`` in a name, or None."""
    _, found, rest = f"/{name}".partition(f"/{part}")
    return rest if found else None


def _training(store: Store, names: list[str]) -> Files:
    kept, labels = [], []
    for name in names:
        rest = next((r for part in TRAINING if (r := _below(name, part)) is not None), None)
        if rest is None:
            continue
        folder = rest.partition("/")[0]
        if not folder.isdecimal() or int(folder) >= len(CLASSES):
            raise DataMismatch(
                f"{name} in {store.path} lies in no class folder from 00000 to 00042.",
                "Unpack the official archive again.",
            )
        kept.append(name)
        labels.append(int(folder))
    return Files(tuple(kept), tuple(labels))


def _testing(store: Store, names: list[str]) -> tuple[Files | None, tuple[str, ...]]:
    if not names:
        return None, ()
    tables = [e.name for e in store.entries if PurePosixPath(e.name).name == "GT-final_test.csv"]
    if not tables:
        return Files(tuple(names), None), (
            "Without GT-final_test.csv the test split is unlabelled.",
        )
    labels = _labels(store, tables[0])
    kept = [name for name in names if PurePosixPath(name).name in labels]
    others = [name for name in names if PurePosixPath(name).name not in labels]
    notices: tuple[str, ...] = ()
    if others:
        text = f"Left out {count_of(len(others), 'test image')} without a label in {tables[0]}: "
        notices = (text + f"{name_some(others)}.",)
    return Files(tuple(kept), tuple(labels[PurePosixPath(n).name] for n in kept)), notices


def _labels(store: Store, table: str) -> dict[str, int]:
    """Class by file name, from a table with the columns Filename and ClassId."""
    try:
        text = store.read(table).decode("utf-8-sig")
        rows = csv.DictReader(io.StringIO(text), delimiter=";")
        labels = {row["Filename"]: int(row["ClassId"]) for row in rows}
    except (
        FileUnreadableError,
        UnicodeDecodeError,
        KeyError,
        ValueError,
        TypeError,
        csv.Error,
    ) as error:
        raise DataMismatch(
            f"{table} in {store.path} is no table of Filename and ClassId.",
            "Take GT-final_test.csv from the official archive GTSRB_Final_Test_GT.zip.",
        ) from error
    if not set(labels.values()) <= set(range(len(CLASSES))):
        raise DataMismatch(f"{table} names classes beyond 0 to 42.", "Take the official table.")
    return labels
