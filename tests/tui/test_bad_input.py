"""Bad input through the whole of ``cnp run``, real worker included: code, sentence, whole log."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from cnp_engine import launch
from cnp_engine.rundir import RunDirectory
from tests.tui.test_inspect import Hostile
from tests.tui.tools import call

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "models" / "badnet_w32.pth"


@pytest.mark.parametrize(
    ("model", "words", "code", "says"),
    [
        (b"hello", [], 3, "not a checkpoint"),
        (pickle.dumps(Hostile()), [], 3, "refused import: "),
        (b"hello", ["--device", "cuda:99"], 2, "cuda:99"),
        (SHARED, [], 4, "image"),
    ],
    ids=["text", "hostile", "device", "no images"],
)
def test_a_run_that_cannot_be_says_why_and_keeps_its_log(
    model: bytes | Path, words: list[str], code: int, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if isinstance(model, Path):
        if not model.exists():
            pytest.skip("the shared models are not here")
        model = model.read_bytes()
    Path("model.pth").write_bytes(model)
    Path("images").mkdir()
    inputs = ["--model", "model.pth", "--data", "images", "--out", "run", "--json", "--quiet"]
    said = call(capfd, "run", *inputs, *words)
    assert (said.code, said.out) == (code, "")
    assert says in said.err
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    status, state = launch.status(RunDirectory.open("run"))
    assert status == "failed"
    assert state.failure is not None
    assert state.failure.exit_code == code
    assert not Path("executed").exists()
    assert not Path("run", "exports").exists()
