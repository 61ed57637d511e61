"""The models that a bench trains, each once: `cnp poison` in a folder of its own."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from cnp_engine import lock
from cnp_engine.codec import encode
from cnp_engine.errors import RunDamaged, RunExists
from cnp_engine.grid.cells import DONE_FILE, PLAN_FILE, model_folder
from cnp_engine.grid.models import Model
from cnp_tui import bridge


def ready(folder: Path, model: Model) -> bool:
    """Whether ``model`` is there: none of the bench's to train, or trained to the end."""
    return model.plan is None or (model_folder(folder, model) / DONE_FILE).is_file()


def check(folder: Path, model: Model) -> None:
    """Raises RunExists for a cached model that was trained otherwise, RunDamaged."""
    if model.plan is None:
        return
    place = model_folder(folder, model)
    wanted = json.loads(json.dumps(encode(model.plan)))
    for there in (_plan(place / PLAN_FILE), _finished(place / DONE_FILE)):
        for key, value in wanted.items():
            if there is not None and there.get(key) != value:
                raise RunExists(
                    f"The model in {place} was trained with {key} = {there.get(key)}, and the grid "
                    f"now says {value}.",
                    "Choose another --out, or delete that model and its runs.",
                )


def train(folder: Path, model: Model, device: str | None, quiet: bool) -> None:
    """Train ``model``, or what is left of that; a training that outlived its bench is waited for.

    Raises what `cnp poison` raises.
    """
    place = model_folder(folder, model)
    while lock.held(place / "lock"):
        time.sleep(0.5)
    bridge.call(
        "poison", plan=encode(model.plan), out=str(place), device=device or "auto",
        precision="auto", quiet=quiet,
    )  # fmt: skip


def _finished(path: Path) -> dict[str, Any] | None:
    found = _plan(path)
    return None if found is None else dict(found.get("plan") or {})


def _plan(path: Path) -> dict[str, Any] | None:
    """The object in ``path``, None where there is no file."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not isinstance(found, dict):
        raise _unreadable(path)
    return found


def _unreadable(path: Path) -> RunDamaged:
    return RunDamaged(f"{path} cannot be read.", "Delete that model and its runs.")
