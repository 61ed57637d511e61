"""CIFAR's pickles are read; a pickle that would do anything is refused and does nothing."""

from __future__ import annotations

import builtins
import os
import pickle
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnp_engine.data.unpickle import PickleRefusedError, read_pickle

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 12)


class _Call:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.made = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.made


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_protocol(protocol: int, order: str) -> None:
    array = np.asfortranarray(ARRAY) if order == "F" else ARRAY
    if protocol == 5:
        # Protocol 5 asks for numpy's own reader of buffers; nothing CIFAR comes in uses it.
        with pytest.raises(PickleRefusedError, match="_frombuffer"):
            read_pickle(pickle.dumps({"data": array}, protocol=5))
        return
    got = read_pickle(pickle.dumps({"data": array, "labels": [1, 2], b"n": "x"}, protocol))
    np.testing.assert_array_equal(got["data"], ARRAY)
    assert got["data"].dtype == np.uint8
    assert got["labels"] == [1, 2]
    assert got["n"] == "x"


# What Python 2 wrote for {"data": numpy.arange(6, dtype=numpy.uint8).reshape(2, 3)}, protocol 2.
PYTHON_2 = (
    b"\x80\x02}q\x01U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04"
    b"K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07"
    b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x01\x02\x03\x04\xfftb"
    b"s."
)


def test_bytes_as_python_2_wrote_them() -> None:
    got = read_pickle(PYTHON_2)["data"]
    np.testing.assert_array_equal(got, np.array([[0, 1, 2], [3, 4, 255]], dtype=np.uint8))


def _attacks(marker: Path) -> dict[str, Any]:
    command = f"touch {marker}"
    return {
        "os.system": _Call(os.system, command),
        "exec": _Call(builtins.exec, f"open({str(marker)!r}, 'w')"),
        "eval": _Call(builtins.eval, f"open({str(marker)!r}, 'w')"),
        "nested": [{"a": (_Call(subprocess.call, ["touch", str(marker)]),)}],
        "getattr": _Call(getattr, "text", "upper"),
        "a harmless class": OrderedDict(a=1),
    }


@pytest.mark.parametrize(
    "case", ["os.system", "exec", "eval", "nested", "getattr", "a harmless class"]
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_code_does_not(tmp_path: Path, case: str, protocol: int) -> None:
    marker = tmp_path / "ran"
    data = pickle.dumps({"data": _attacks(marker)[case]}, protocol)
    with pytest.raises(PickleRefusedError, match="it asks for"):
        read_pickle(data)
    assert not marker.exists()


GOOD = pickle.dumps({"data": ARRAY}, 2)
DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "cut": GOOD[: len(GOOD) // 2],
    "no dict": pickle.dumps([1, 2], 2),
    "array of objects": pickle.dumps({"data": np.array([None, {}], dtype=object)}, 2),
    "array of floats": pickle.dumps({"data": np.zeros(3)}, 2),
    "array shorter than its shape": GOOD.replace(ARRAY.tobytes(), ARRAY.tobytes()[:0]),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_no_batch_is_refused(case: str) -> None:
    with pytest.raises(PickleRefusedError):
        read_pickle(DAMAGED[case])


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_is_refused_or_harmless(seed: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(pickle.dumps({"data": ARRAY, "labels": list(range(9))}, 2))
    for position in random.integers(0, len(data), 4):
        data[position] = int(random.integers(0, 256))
    try:
        got = read_pickle(bytes(data))
    except PickleRefusedError:
        return
    assert isinstance(got, dict)
