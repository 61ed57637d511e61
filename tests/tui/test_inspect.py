"""``cnp inspect``: what a file is, or why it is refused, for people and for scripts."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from tests.tui.tools import call


class Hostile:
    """Would leave a file behind if it were unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (None, "CheckpointUnreadable", "does not exist"),
        (b"", "CheckpointUnreadable", "empty"),
        (b"hello", "CheckpointUnreadable", "not a checkpoint"),
        (pickle.dumps({"state": Hostile()}), "CheckpointUnsafe", "import"),
    ],
    ids=["missing", "empty", "text", "hostile"],
)
def test_a_refusal_is_an_answer_too(
    content: bytes | None, code: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("model.pth").write_bytes(content)
    said = call(capfd, "inspect", "model.pth", "--json")
    found = json.loads(said.out)
    assert said.code == 3
    assert found["error_code"] == code
    assert says in found["refused"]
    assert said.err.startswith(f"error: {found['refused']}\n  {found['todo']}\n")
    assert "Traceback" not in said.err
    assert ("refused import: " in said.err) == bool(found["imports"]) == (says == "import")
    assert not Path("executed").exists()


def test_a_real_checkpoint_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    model = Path(__file__).resolve().parents[2] / ".." / "shared" / "models" / "badnet_w32.pth"
    if not model.exists():
        pytest.skip("the shared models are not here")
    said = call(capfd, "inspect", str(model))
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert "architecture   resnet18-cifar" in lines
    assert "neurons        2400" in lines
    assert "widths         32  64  128  256" in lines
    assert "  layer4.1.bn2  256" in lines
