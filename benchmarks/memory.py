"""Peak memory of a whole run beside that of one forward and backward of its largest batch.

    python benchmarks/memory.py                                     the embedded demo
    python benchmarks/memory.py --model FILE --data SOURCE --attack FILE.toml

The plain step is the untouched network on as many images as the largest step of a run puts through
it at once, in the same precision and with the same allocator, in a process of its own that has read
the same clean images. Interpreter and libraries are in both; the test images, which only a run
holds, are added to the plain step's side. On a CPU peaks are resident sizes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import run as whole  # noqa: E402  # the checkout, from any folder
from benchmarks import schedule  # noqa: E402

STEPS = 3


@dataclass(frozen=True)
class Plain:
    """A forward and backward of ``images``: bytes before it, at its peak, and of test images."""

    images: int
    before: int
    peak: int
    data: int

    def ratio(self, peak: int) -> float:
        """A run's peak over what is needed."""
        return peak / (self.peak + self.data)


def plain(model: str, data: str, sets: Sequence[str]) -> Plain:
    """Measure it in this process, which has done nothing before."""
    import torch

    from cnp_engine import runtime
    from cnp_engine.algorithms.target import searched
    from cnp_engine.algorithms.triggers import ReversalPlan
    from cnp_engine.data.sources import open_source

    given = argparse.Namespace(clean=1000, normalize="none", sets=list(sets))  # infers nothing
    with tempfile.TemporaryDirectory(prefix="cnp-bench-") as folder:
        material = schedule.load(model, data, "fast", given, Path(folder))
        config = material.config
        ranking = ReversalPlan(config.target.steps, config.target.first_batch)
        first, _ = searched(len(material.names), ranking, config.target.restarts)
        images = max(
            first * ranking.batch, config.reversal.restarts * config.reversal.batch,
            config.masks.batch,
        )  # fmt: skip
        device = material.network.device
        before = runtime.peak_memory_bytes(device)
        step = schedule.plain(material, images)
        for _ in range(STEPS):
            step()
        test = open_source(data, material.loaded.architecture.input_size).test
        size = int(torch.tensor(material.optimise.shape[1:]).prod())
        held = 0 if test is None else len(test.names) * size
        return Plain(images, before, runtime.peak_memory_bytes(device), held)


def markdown(job: whole.Job, found: Plain, result: whole.Result) -> str:
    mib, peak = 2**20, result.summary["peak_memory_bytes"]
    rows = [
        ("before a plain step, MiB", f"{found.before / mib:.0f}"),
        (f"a plain step of {found.images} images, MiB", f"{found.peak / mib:.0f}"),
        ("test images, MiB", f"{found.data / mib:.0f}"),
        ("a whole run, MiB", f"{peak / mib:.0f}"),
        ("run / (plain step + test images)", f"{found.ratio(peak):.2f}"),
    ]
    started = result.started
    about = (
        f"model `{Path(job.model).name}`, data `{job.data}`; {started.get('device')}, "
        f"torch {(started.get('versions') or {}).get('torch')}."
    )
    table = [whole.table_row(row) for row in (("peak memory", ""), ("---", "---"), *rows)]
    return "\n".join([*table, "", about])


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--plain"]:
        request: dict[str, Any] = json.loads(words[1])
        print(json.dumps(vars(plain(**request))))
        return 0
    job = whole.parse(words, __doc__)
    from cnp_engine import process

    request = {"model": job.model, "data": job.data, "sets": job.sets}
    asked = [sys.executable, str(Path(__file__).resolve()), "--plain", json.dumps(request)]
    told = subprocess.run(asked, env=process.environment(), check=True, stdout=subprocess.PIPE)
    job.out.mkdir(parents=True)
    result = whole.execute(job, "fast", job.seeds[0])
    if result.exit_code:
        return result.exit_code
    print(markdown(job, Plain(**json.loads(told.stdout)), result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
