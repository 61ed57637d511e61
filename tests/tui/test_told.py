"""What the engine found out, in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from cnp_tui import told
from cnp_tui.told import Told

SOUND: dict[str, Any] = {
    "path": "/m.pth", "size": 391051, "sha256": "88ab", "format": "torch zip",
    "layout": "BackdoorBench", "weights_at": "model", "prefix": "module.", "dtype": "float16",
    "tensors": 122, "architecture": "resnet18-cifar",
    "describe": "ResNet-18 for small images (3x3 stem), widths 8-16-32-64, 10 classes",
    "classes": 10, "neurons": 600, "layers": [["bn1", 8], ["bn2", 592]], "norm": None,
    "refused": None, "todo": None, "error_code": None, "imports": [], "notes": ["BGR, it says."],
}  # fmt: skip
UNSAFE: dict[str, Any] = {
    **dict.fromkeys(SOUND), "path": "/m.pth", "size": 573, "sha256": "59", "layers": [],
    "refused": "/m.pth is a pickle that would import posix.system.", "notes": [],
    "todo": "Ask for the weights alone.", "error_code": "CheckpointUnsafe",
    "imports": ["posix.system", "builtins.exec"],
}  # fmt: skip


def test_a_sound_checkpoint() -> None:
    assert told.checkpoint(SOUND) == (
        Told("safe", "read as data; nothing in it was executed", "good"),
        Told("format", "torch zip, BackdoorBench"),
        Told("weights", "model, names begin with module.: 122 tensors, float16"),
        Told("network", SOUND["describe"]),
        Told("classes", "10"),
        Told("neurons", "600 in 2 BatchNorm layers"),
        Told("size", "382 KiB"),
        Told("sha256", "88ab"),
        Told("note", "BGR, it says.", "note"),
    )


def test_an_unsafe_checkpoint_names_what_it_tries_to_import() -> None:
    assert told.checkpoint(UNSAFE) == (
        Told("refused", "it tries to import posix.system and 1 other; nothing in it was executed",
             "bad"),
        Told("imports", "posix.system", "bad"),
        Told("imports", "builtins.exec", "bad"),
        Told("to do", "Ask for the weights alone."),
        Told("size", "573 bytes"),
        Told("sha256", "59"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "row"),
    [
        ({"refused": "No known network.", "error_code": "ArchitectureUnknown"},
         Told("refused", "No known network.", "bad")),
        ({"norm": "There is no BatchNorm.", "error_code": "NothingToPrune"},
         Told("neurons", "There is no BatchNorm.", "bad")),
        ({"weights_at": "", "prefix": ""}, Told("weights", "at the top: 122 tensors, float16")),
    ],
)  # fmt: skip
def test_what_a_checkpoint_lacks(changed: dict[str, Any], row: Told) -> None:
    assert row in told.checkpoint({**SOUND, **changed})


def test_data_with_labels_and_without() -> None:
    found: dict[str, Any] = {
        "counts": {"train": 1200, "test": None, "clean": 1000}, "size": [32, 24],
        "labelled": True, "classes": ["cat", "dog"], "notices": ["2 images are unreadable."],
    }  # fmt: skip
    assert [row.text for row in told.data(found)] == [
        "1,200 train; 1,000 taken as clean, without labels",
        "the test images are labelled: BA can be measured",
        "32x24 pixels",
        "2: cat, dog",
        "2 images are unreadable.",
    ]
    bare = told.data({**found, "labelled": False, "classes": []})
    assert "BA and ASR are not" in bare[1].text
    assert [row.name for row in bare] == ["images", "labels", "size", "note"]
    assert told.data({**found, "classes": ["0", "1"]})[3].text == "2"


def test_devices_with_their_memory() -> None:
    found = {"devices": [
        {"name": "cpu", "title": "EPYC, 2 threads", "memory_bytes": 2**34, "free_bytes": 2**33},
        {"name": "mps", "title": "Apple GPU", "memory_bytes": 2**33, "free_bytes": None},
    ]}  # fmt: skip
    assert told.devices(found) == [
        ("auto", "the fastest that is there"),
        ("cpu", "EPYC, 2 threads, 8.0 GiB free of 16.0 GiB"),
        ("mps", "Apple GPU, 8.0 GiB"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1,023 bytes"), (1024, "1.0 KiB"), (2**20, "1.0 MiB"),
     (150 * 2**20, "150 MiB"), (5 * 2**29, "2.5 GiB")],
)  # fmt: skip
def test_sizes(value: int, text: str) -> None:
    assert told.size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (59, "just now"), (60, "1 minute ago"), (7300, "2 hours ago"),
     (86400, "1 day ago"), (86400 * 40, "40 days ago")],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert told.age(seconds) == text


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("Check the path given as --data.", 'Check the path given as "Images".'),
        ("Give more, or --clean-dir; 1,000.", 'Give more, or "Clean from"; 1,000.'),
        ("Give --target K beside it.", 'Give "targets" K beside it.'),
        ("Give --device auto.", 'Give "device" auto.'),
        ("Give another model.", "Give another model."),
    ],
)  # fmt: skip
def test_a_form_has_fields_where_a_shell_has_options(hint: str, said: str) -> None:
    assert told.in_form(hint) == said
