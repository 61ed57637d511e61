"""What a checkpoint is, told without running any of it: what ``cnp inspect`` shows.

``python -m cnp_engine.models.inspect FILE [--arch A] [--classes N]`` prints the same as one JSON
object, for front ends that import no torch.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cnp_engine.errors import (
    CheckpointError,
    CheckpointUnreadable,
    CheckpointUnsafe,
    NothingToPrune,
)
from cnp_engine.models import norms
from cnp_engine.models.checkpoint import Checkpoint, file_digest, read_checkpoint
from cnp_engine.models.registry import LoadedModel, assemble

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Inspection:
    """Plain values only; null (None) where unknown.

    ``size`` in bytes; ``tensors`` and ``parameters`` count what the weights hold (``parameters``
    without running statistics); ``layers`` are (module path, channels) of the BatchNorm layers in
    module order, for an unknown network told by their tensor names; ``norm`` says what stands in
    their place where there are none. ``refused`` is the sentence for which a run would not take
    the file, ``todo`` what to do about it, ``error_code`` the kind; ``imports`` what a refused
    pickle would have imported. A file without BatchNorm has the code and a note but is not refused.
    """

    path: str
    size: int
    sha256: str
    format: str | None = None
    layout: str | None = None
    weights_at: str | None = None
    prefix: str | None = None
    dtype: str | None = None
    tensors: int | None = None
    parameters: int | None = None
    architecture: str | None = None
    describe: str | None = None
    widths: tuple[int, ...] | None = None
    depth: int | None = None
    classes: int | None = None
    input_size: tuple[int, int] | None = None
    head: str | None = None
    neurons: int | None = None
    layers: tuple[tuple[str, int], ...] = ()
    norm: str | None = None
    says: dict[str, Any] = dataclasses.field(default_factory=dict)
    refused: str | None = None
    todo: str | None = None
    error_code: str | None = None
    imports: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def inspect_file(
    path: str | Path, arch: str | None = None, classes: int | None = None
) -> Inspection:
    """Read and recognise ``path``. Raises CheckpointUnreadable; any other refusal is in the result.

    ``arch`` as for ``load_model``: a module:factory is imported because the user named it.
    """
    try:
        checkpoint = read_checkpoint(path)
    except CheckpointUnsafe as error:
        size, digest = file_digest(path)
        return _refuse(Inspection(path=str(path), size=size, sha256=digest), error)
    found = _contents(checkpoint)
    try:
        return _network(found, assemble(checkpoint, arch, classes))
    except NothingToPrune as error:
        return dataclasses.replace(
            found, norm=error.what, error_code=error.code, notes=(*found.notes, error.what)
        )
    except CheckpointError as error:
        return _refuse(found, error)


def _contents(checkpoint: Checkpoint) -> Inspection:
    """What the tensors alone tell."""
    layers = norms.named_batch_norms(checkpoint.state)
    return Inspection(
        path=checkpoint.path,
        size=checkpoint.size,
        sha256=checkpoint.sha256,
        format=checkpoint.format,
        layout=checkpoint.layout,
        weights_at=".".join(checkpoint.weights_at),
        prefix=checkpoint.prefix,
        dtype=checkpoint.dtype,
        tensors=len(checkpoint.state),
        parameters=_parameters(checkpoint.state),
        neurons=sum(layer.channels for layer in layers),
        layers=tuple((layer.name, layer.channels) for layer in layers),
        norm=None if layers else norms.explain_names(checkpoint.state),
        says=checkpoint.extras,
        notes=checkpoint.notes,
    )


def _network(found: Inspection, loaded: LoadedModel) -> Inspection:
    architecture = loaded.architecture
    planes = architecture.options.get("planes")
    found = dataclasses.replace(
        found,
        architecture=architecture.name,
        describe=architecture.describe,
        widths=tuple(planes) if planes else None,
        depth=architecture.options.get("depth"),
        classes=architecture.classes,
        input_size=architecture.input_size,
        head=architecture.head,
        neurons=loaded.neurons,
        layers=tuple((layer.name, layer.channels) for layer in loaded.layers),
        norm=None,
    )
    if loaded.layers:
        return found
    what = norms.explain(loaded.module)
    code = NothingToPrune(what).code
    return dataclasses.replace(found, norm=what, error_code=code, notes=(*found.notes, what))


def _refuse(found: Inspection, error: CheckpointError) -> Inspection:
    imports = error.imports if isinstance(error, CheckpointUnsafe) else ()
    return dataclasses.replace(
        found, refused=error.what, todo=error.todo, error_code=error.code, imports=imports
    )


def _parameters(state: Mapping[str, Tensor]) -> int:
    return sum(
        tensor.numel()
        for name, tensor in state.items()
        if name.rpartition(".")[2] not in _STATISTICS
    )


def main(arguments: list[str] | None = None) -> int:
    """Print one JSON object; the exit code is 3 for a file that a run would refuse."""
    parser = argparse.ArgumentParser(prog="python -m cnp_engine.models.inspect")
    parser.add_argument("file")
    parser.add_argument("--arch")
    parser.add_argument("--classes", type=int)
    asked = parser.parse_args(arguments)
    try:
        found = inspect_file(asked.file, asked.arch, asked.classes)
    except CheckpointUnreadable as error:
        told: dict[str, Any] = {
            "path": asked.file,
            "refused": error.what,
            "todo": error.todo,
            "error_code": error.code,
            "imports": [],
        }
    else:
        told = dataclasses.asdict(found)
    sys.stdout.write(json.dumps(told) + "\n")
    return 3 if told["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
