"""Deliver: a repaired model on disk, read back and measured before it is announced."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from cnp_engine.algorithms.pruning import Judge, Strong, prune_state
from cnp_engine.errors import ExportMismatch, SettingInvalid
from cnp_engine.events import Event, Healed, LabelFree, Measured
from cnp_engine.export.naming import FILES, HEALED
from cnp_engine.files import write_atomic, writing
from cnp_engine.models.checkpoint import (
    pth_bytes,
    read_checkpoint,
    safetensors_bytes,
)
from cnp_engine.models.registry import LoadedModel, load_model
from cnp_engine.stages.evidence import Evidence, measured
from cnp_engine.stages.healing import Healing
from cnp_engine.stages.loading import masked_network
from cnp_engine.stages.material import Material

WRITERS = {"pth": pth_bytes, "safetensors": safetensors_bytes}
"""Model formats: the layout the checkpoint came in, and safetensors."""


def wanted_formats(formats: Sequence[str], healed: bool) -> tuple[str, ...]:
    """All of them where none is named, a healed model only where the run heals.

    Raises SettingInvalid for one that does not exist.
    """
    for name in formats:
        if name not in FILES:
            raise SettingInvalid(
                f"{name!r} is no export format.", f"Give one of {', '.join(FILES)}."
            )
    return tuple(formats) or tuple(name for name in FILES if healed or name != HEALED)


@dataclass(frozen=True)
class Delivered:
    """``sha256`` is that of the file that was measured."""

    paths: tuple[str, ...]
    sha256: str
    label_free: LabelFree
    measured: Measured


def deliver(
    material: Material,
    evidence: Evidence,
    triggers: Sequence[Strong],
    state: dict[str, Tensor],
    k: int,
    paths: Iterable[Path],
) -> Generator[Event, None, Delivered]:
    """Write ``state``, of a model with ``k`` neurons pruned, to each path by its suffix, in steps.

    Every file is read back through the safe reader, its tensors compared with what was meant, and
    the first is measured in float32. Raises ExportMismatch, RunUnwritable.
    """
    written = [(path, _write_checked(material, state, path)) for path in paths]
    _, reloaded = written[0]
    reloaded.module.to(material.network.device).to(memory_format=torch.channels_last)
    network = masked_network(reloaded, material.normalize, None)
    judge = Judge(material.network, material.select, triggers, exact=True)
    point = judge.judge(k, None, network)
    after = Measured()
    if evidence.truth is not None:
        after = yield from measured("export", network, evidence.truth)
    digest = reloaded.checkpoint.sha256
    return Delivered(tuple(str(path) for path, _ in written), digest, point.label_free, after)


def deliver_healed(
    material: Material,
    evidence: Evidence,
    triggers: Sequence[Strong],
    healing: Healing,
    paths: Iterable[Path],
) -> Generator[Event, None, tuple[Healed, tuple[str, ...]]]:
    """The same for a healed model: what is to be said of it, and the files; none if not kept."""
    said = healing.event
    if not said.kept:
        return said, ()
    state = healing.state(material)
    done = yield from deliver(material, evidence, triggers, state, said.k, paths)
    return replace(
        said, label_free=done.label_free, measured=done.measured, path=done.paths[0],
        sha256=done.sha256,
    ), done.paths  # fmt: skip


def pruned(material: Material, order_N: Tensor, k: int) -> dict[str, Tensor]:
    """The checkpoint's own tensors with the BN weights of the first ``k`` neurons at 0."""
    return prune_state(material.loaded.checkpoint.state, material.layers, order_N, k)


def format_of(path: Path) -> str:
    """Raises SettingInvalid for a suffix that is no model format."""
    suffix = path.suffix.lower().lstrip(".")
    name = "safetensors" if suffix == "safetensors" else "pth"
    if suffix not in {"safetensors", "pth", "pt", "th", "bin", "ckpt", "tar"}:
        raise SettingInvalid(
            f"{path.name} does not say which format to write.",
            "End the name in .pth (the checkpoint's own layout) or .safetensors.",
        )
    return name


def _write_checked(material: Material, state: dict[str, Tensor], path: Path) -> LoadedModel:
    """Write under another name, read back, compare, then rename."""
    data = WRITERS[format_of(path)](material.loaded.checkpoint, state)
    temporary = path.with_name(f".{path.stem}.unchecked{path.suffix}")
    write_atomic(temporary, data)
    try:
        reloaded = load_model(read_checkpoint(temporary), material.config.arch)
        _compare(path, material.loaded, reloaded, state)
        with writing(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return reloaded


def _compare(
    path: Path, loaded: LoadedModel, reloaded: LoadedModel, state: dict[str, Tensor]
) -> None:
    for key, meant in state.items():
        got = reloaded.checkpoint.state.get(key)
        if got is None or not torch.equal(got, meant.to(got.dtype)):
            raise ExportMismatch(
                f"{path} did not read back as it was meant ({key} differs).",
                "Check the disk and export again; the run itself is whole.",
            )
    if reloaded.architecture.name != loaded.architecture.name:
        raise ExportMismatch(
            f"{path} reads back as {reloaded.architecture.name}.", "Please report this."
        )
