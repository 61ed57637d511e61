"""mask_values.txt: what we write reads back bit for bit, and theirs reads too."""

from __future__ import annotations

import math

import pytest
import torch

from cnp_engine.errors import DataMismatch
from cnp_engine.export.masks_file import read_mask_values, write_mask_values

LAYERS = (("bn1", 2), ("layer1.0.bn1", 3))

# As save_mask_scores of ANP's, CNP's and BackdoorBench's scripts lay it out, four decimals.
THEIRS = (
    "No \t Layer Name \t Neuron Idx \t Mask Score \n"
    "0 \t module.bn1 \t 0 \t 0.9998 \n"
    "1 \t module.bn1 \t 1 \t 1.0000 \n"
    "2 \t module.layer1.0.bn1 \t 0 \t 0.0412 \n"
    "3 \t module.layer1.0.bn1 \t 1 \t 0.0000 \n"
    "4 \t module.layer1.0.bn1 \t 2 \t 0.5000 \n"
)


def test_round_trip_keeps_every_bit() -> None:
    scores = torch.rand(5, generator=torch.Generator().manual_seed(3)).tolist()
    scores[0], scores[1] = 0.1, math.nextafter(1.0, 0.0)
    assert read_mask_values(write_mask_values(LAYERS, scores), LAYERS) == scores


def test_layout_is_the_one_the_field_reads() -> None:
    text = write_mask_values(LAYERS, [1.0, 0.25, 0.0, 1e-20, 0.5])
    lines = text.split("\n")
    assert lines[0] == "No \t Layer Name \t Neuron Idx \t Mask Score "
    assert lines[1] == "0 \t bn1 \t 0 \t 1.0 "
    assert lines[4] == "3 \t layer1.0.bn1 \t 1 \t 1e-20 "
    assert lines[-1] == ""
    assert len(lines) == 7


@pytest.mark.parametrize(
    "text",
    [
        THEIRS,
        THEIRS.replace("module.", ""),
        THEIRS.replace(" \t ", "  "),
        THEIRS.replace("\n", "\r\n"),
        "\ufeff" + THEIRS + "\n\n",
        THEIRS.split("\n", 1)[1],
        "".join([THEIRS.splitlines(keepends=True)[0], *THEIRS.splitlines(keepends=True)[:0:-1]]),
    ],
    ids=["literal", "no prefix", "spaces", "crlf", "bom", "no header", "sorted otherwise"],
)
def test_reads_theirs(text: str) -> None:
    assert read_mask_values(text, LAYERS) == [0.9998, 1.0, 0.0412, 0.0, 0.5]


def test_prefix_may_be_on_our_side() -> None:
    layers = [(f"module.{name}", size) for name, size in LAYERS]
    text = THEIRS.replace("module.", "")
    assert read_mask_values(text, layers) == [0.9998, 1.0, 0.0412, 0.0, 0.5]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (THEIRS.replace("module.bn1 \t 1", "bn9 \t 1"), "Line 3 .*'bn9'"),
        (THEIRS.replace("bn1 \t 2", "bn1 \t 3"), "Line 6 .*neuron 3 .*has 3"),
        (THEIRS.replace("bn1 \t 2", "bn1 \t -1"), "Line 6 .*neuron -1"),
        (THEIRS.replace("bn1 \t 2", "bn1 \t 1"), "Line 6 .*second time"),
        (THEIRS.replace("4 \t module.layer1.0.bn1 \t 2 \t 0.5000 \n", ""), "4 of 5 .*neuron 2"),
        (THEIRS.replace("0.0412", "nan"), "Line 4"),
        (THEIRS.replace("0.0412", "high"), "Line 4"),
        (THEIRS.replace("\t 0.0412 ", ""), "Line 4"),
        ("", "0 of 5"),
        ("PK\x03\x04", "Line 1"),
    ],
)
def test_refuses_what_does_not_fit(text: str, says: str) -> None:
    with pytest.raises(DataMismatch, match=says) as caught:
        read_mask_values(text, LAYERS)
    assert caught.value.todo
