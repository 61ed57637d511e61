"""mask_values.txt: neuron scores as ANP, CNP, RNP and BackdoorBench exchange them.

The field's scripts write a space on either side of each tab and one before the line's end, four
decimals, and read with "any white space", skipping the first line. This writes their separators
with full precision, and reads whatever splits on white space into the four columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cnp_engine.errors import DataMismatch

HEADER = "No \t Layer Name \t Neuron Idx \t Mask Score \n"
_TODO = "Give the mask_values.txt that was made for this very network."
_PREFIX = "module."


def write_mask_values(layers: Sequence[tuple[str, int]], scores: Sequence[float]) -> str:
    """The file for ``layers`` (module path, channels) and flat scores (N,) in the same order.

    Scores read back bit for bit. Lower is pruned first.
    """
    neurons = [(name, channel) for name, channels in layers for channel in range(channels)]
    assert len(neurons) == len(scores), (len(neurons), len(scores))
    rows = (
        f"{number} \t {name} \t {channel} \t {float(score)!r} \n"
        for number, ((name, channel), score) in enumerate(zip(neurons, scores, strict=True))
    )
    return HEADER + "".join(rows)


def read_mask_values(text: str, layers: Sequence[tuple[str, int]]) -> list[float]:
    """Scores (N,) in the order of ``layers``, whatever order the file has.

    Takes rounded scores, a missing header, and layer names with or without ``module.``. Raises
    DataMismatch where a row cannot be read, names no neuron of this network or one twice, or
    where a neuron has no row.
    """
    offsets, total = _offsets(layers)
    scores: list[float | None] = [None] * total
    for line, name, channel, score in _rows(text):
        place = offsets.get(_bare(name))
        if place is None:
            raise DataMismatch(
                f"Line {line} of the mask file names the layer {name!r}, "
                "which is no BatchNorm layer of this network.",
                _TODO,
            )
        start, channels = place
        if not 0 <= channel < channels:
            raise DataMismatch(
                f"Line {line} of the mask file names neuron {channel} of {name}, "
                f"which has {channels}.",
                _TODO,
            )
        if scores[start + channel] is not None:
            raise DataMismatch(
                f"Line {line} of the mask file names neuron {channel} of {name} a second time.",
                "Remove one of the two rows.",
            )
        scores[start + channel] = score
    return _complete(scores, layers)


def _offsets(layers: Sequence[tuple[str, int]]) -> tuple[dict[str, tuple[int, int]], int]:
    offsets: dict[str, tuple[int, int]] = {}
    start = 0
    for name, channels in layers:
        offsets[_bare(name)] = (start, channels)
        start += channels
    return offsets, start


def _bare(name: str) -> str:
    return name.removeprefix(_PREFIX)


def _rows(text: str) -> Iterator[tuple[int, str, int, float]]:
    """(line number, layer, channel, score) of every row but a header and empty lines."""
    for line, row in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        fields = row.split()
        if not fields or (line == 1 and fields[0].rstrip(".").lower() == "no"):
            continue
        try:
            _, name, channel, score = fields
            yield line, name, int(channel), _finite(score)
        except ValueError:
            raise DataMismatch(
                f"Line {line} of the mask file is not a number, a layer, a channel and a score.",
                "Its rows must read like: 0, layer1.0.bn1, 17, 0.9312, with tabs between.",
            ) from None


def _finite(text: str) -> float:
    score = float(text)
    if not math.isfinite(score):
        raise ValueError(text)
    return score


def _complete(scores: list[float | None], layers: Sequence[tuple[str, int]]) -> list[float]:
    known = [score for score in scores if score is not None]
    if len(known) == len(scores):
        return known
    names = [(name, channel) for name, channels in layers for channel in range(channels)]
    name, channel = names[scores.index(None)]
    raise DataMismatch(
        f"The mask file scores {len(known)} of {len(scores)} neurons; "
        f"the first without a row is neuron {channel} of {name}.",
        _TODO,
    )
