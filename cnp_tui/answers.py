"""Single questions put to the engine through the bridge, and their answers as text or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnp_engine import runs
from cnp_engine.codec import encode
from cnp_engine.errors import CheckpointError, SettingInvalid
from cnp_engine.export.definitions import DEFINITIONS, INTERVALS, NAMES
from cnp_engine.export.wording import ABSENT, percent
from cnp_engine.files import absolute
from cnp_engine.training.plan import TrainingPlan
from cnp_tui import bridge
from cnp_tui.faults import revive

_REFUSAL = ("refused", "todo", "error_code", "imports")


def inspect(file: Path, arch: str | None, classes: int | None, as_json: bool) -> None:
    """Raises CheckpointError for a file that is refused, after what is known of it was told."""
    try:
        found = bridge.call("inspect", file=str(file), arch=arch, classes=classes)
    except CheckpointError as error:
        told = (error.what, error.todo, error.code, list(getattr(error, "imports", ())))
        found = {"path": str(file), **dict(zip(_REFUSAL, told, strict=True))}
    if as_json:
        _print_json(found)
    else:
        _tell({key: value for key, value in found.items() if key not in _REFUSAL}, as_json)
    if found["refused"]:
        raise revive(found["error_code"], found["refused"], found["todo"], found["imports"])


def evaluate(as_json: bool, quiet: bool, **request: Any) -> None:
    request["model"] = str(absolute(request["model"]))
    found = bridge.call("evaluate", quiet=quiet, **request)
    for notice in [] if quiet else found["notices"]:
        print(f"note: {notice}", file=sys.stderr)
    if as_json:
        _print_json(found)
        return
    for key in ("ba", "asr", "ra"):
        print(f"{NAMES[key]:<10} {_rate(found, key)}")
    print(f"normalize  {found.get('normalize')}\n")
    for key in ("ba", "asr", "ra"):
        if found.get(key) is not None:
            print(f"{NAMES[key]}: {DEFINITIONS[key]}")
    print(f"Ranges: {INTERVALS}")


def poison(
    plan: TrainingPlan, out: Path, device: str, precision: str, quiet: bool, as_json: bool
) -> None:
    if precision not in ("auto", "float32", "bfloat16"):
        raise SettingInvalid(f"--precision {precision} is none.", "Give auto, float32 or bfloat16.")
    found = bridge.call(
        "poison", plan=encode(plan), out=str(absolute(out)), device=device, precision=precision,
        quiet=quiet,
    )  # fmt: skip
    if as_json:
        _print_json(found)
        return
    for key in ("ba", "asr", "ra"):
        print(f"{NAMES[key]:<10} {_rate(found, key)}")
    print(
        f"trained in {found['seconds']:.0f} s on {found['trained_on']:,} images\n{found['model']}"
    )
    if found["attack"]:
        print(found["attack"])


def prune(
    run: str, amounts: Mapping[str, Any], out: Path | None, quiet: bool, as_json: bool
) -> None:
    """Raises SettingInvalid unless exactly one amount is given."""
    given = [name for name, value in amounts.items() if value is not None]
    if len(given) != 1:
        raise SettingInvalid(
            "How much to prune is not said exactly once.",
            "Give one of --count K, --fraction F, --threshold T and --auto.",
        )
    path = str(runs.find(run).path)
    place = str(absolute(out)) if out else None
    _tell(bridge.call("prune", run=path, out=place, quiet=quiet, **amounts), as_json)


def export(run: str, formats: Sequence[str], to: Path | None, quiet: bool, as_json: bool) -> None:
    path = str(runs.find(run).path)
    place = str(absolute(to)) if to else None
    names = [name for text in formats for name in text.split(",") if name]
    found = bridge.call("export", run=path, formats=names, to=place, quiet=quiet)
    _tell(found, as_json)


def report(run: str, as_json: bool) -> None:
    _tell(bridge.call("report", run=str(runs.find(run).path)), as_json)


def _rate(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if value is None:
        return ABSENT
    interval = (found.get("intervals") or {}).get(key)
    size = (found.get("counts") or {}).get(key)
    spread = "" if interval is None else "{:.1f} to {:.1f}, ".format(*(100 * x for x in interval))
    return f"{percent(value)} ({spread}n = {size})"


def _tell(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(found)
    else:
        print("\n".join(_lines(found)))


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def _lines(found: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Plain data as an outline; what is absent is left out."""
    for key, value in found.items():
        name = f"{indent}{key.replace('_', ' ')}"
        if value is None or value in ([], {}, ""):
            continue
        if isinstance(value, Mapping):
            yield name
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, (list, str)) for item in value):
            yield name
            yield from (f"{indent}  {_item(item)}" for item in value)
        else:
            yield f"{name:<14} {_item(value)}"


def _item(value: Any) -> str:
    if isinstance(value, Mapping):
        return "  ".join(str(part) for part in value.values() if part is not None)
    if isinstance(value, list):
        return "  ".join(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
