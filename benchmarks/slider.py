"""Seconds of an exact answer to the slider of finished runs, beside measuring all of it again.

    python benchmarks/slider.py RUN...                  runs that have a curve; they are not touched
    python benchmarks/slider.py --demo                  the embedded demo, made first

Each run is copied, opened as the worker opens it, and asked about one k after the other: the
recommended point, single steps from there, then jumps. `cold` is what comes before the first
answer: finding the cuts, and the first pass. `full` measures the same k as the curve does, in the
same moment, so `ratio` holds on a busy machine too; answers are compared and must be the same.
A neighbour that was thought of while nobody asked is answered at once; that is the last column.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from cnp_engine import launch, process  # noqa: E402  # the checkout, from any folder
from cnp_engine.config import RunConfig  # noqa: E402
from cnp_engine.rundir import RunDirectory  # noqa: E402

if TYPE_CHECKING:
    from cnp_engine.stages.session import Session

STEPS = (0, 1, 2, 1, -1, -2, 3)
"""From the recommended point, one after the other."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--demo", action="store_true", help="make a run of the demo and take that")
    parser.add_argument("--jumps", type=int, default=6, help="answers far from the last one")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        runs = [*given.runs, *([made(Path(folder))] if given.demo else [])]
        if not runs:
            parser.error("name a run, or --demo")
        for run in runs:
            copy = Path(folder) / f"copy-{run.name}"
            shutil.copytree(run, copy)
            print(table(run.name, RunDirectory.open(copy), given.jumps))
    return 0


def made(folder: Path) -> Path:
    """A run of the demo with the default preset."""
    assets = ROOT / "assets"
    values = {
        "model": str(assets / "demo_model.pth"), "data": "demo",
        "attack": str(assets / "demo_attack.toml"),
    }  # fmt: skip
    run = RunDirectory.create(folder / "demo", RunConfig.build(values, env={}))
    for _ in launch.attach(run, launch.start(run)):
        pass
    return run.path


def table(name: str, run: RunDirectory, jumps: int) -> str:
    """Markdown: one row an answer, then the medians."""
    import torch

    from cnp_engine.stages.answering import Answers
    from cnp_engine.stages.session import reopen
    from cnp_engine.state import RunState

    session = reopen(run.config, run, RunState.from_records(run.events().read()))
    full = Full(session)
    begun = time.perf_counter()
    answers = Answers(session)
    start = session.curve.chosen.k
    answers.evaluate(start)
    cold = time.perf_counter() - begun
    rows, ratios = [], []
    for k in asked(start, min(60, session.neurons), jumps):
        fresh = k not in answers.known
        took = answers.evaluate(k).seconds
        plain = full.seconds(k, answers)
        ratios += [took / plain] if fresh else []
        rows.append(f"| {k} | {took:.3f} | {plain:.3f} | {took / plain:.2f} |")
    while answers.ponder():
        pass
    ahead = answers.evaluate(k + 1 if k < session.neurons else k - 1).seconds
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    return "\n".join([
        f"\n{name}: {full.images} images an answer, {session.material.network.device}, "
        f"{threads} threads, load {load:.1f}; {answers.held_bytes / 2**20:.0f} MiB kept\n",
        "| k | answer s | full s | ratio |", "|---|---|---|---|", *rows,
        f"\ncold {cold:.2f} s; median ratio of answers not known before "
        f"{statistics.median(ratios):.2f}; a neighbour thought of ahead {ahead * 1e3:.1f} ms\n",
    ])  # fmt: skip


def asked(start: int, most: int, jumps: int) -> list[int]:
    draws = random.Random(0)
    near = [max(0, min(most, start + step)) for step in STEPS]
    return [*near, *(draws.randrange(most + 1) for _ in range(jumps))]


class Full:
    """The same figures as the curve has them: every image through the whole network."""

    def __init__(self, session: Session) -> None:
        from cnp_engine.algorithms.pruning import Judge
        from cnp_engine.stages.answering import sample

        self._session = session
        self._judge = Judge(
            session.material.network, session.material.select, session.triggers.judges
        )
        self._sample = sample(session)
        measured = 0 if self._sample is None else len(self._sample.labels_B)
        triggered = self._sample is not None and self._sample.stamp is not None
        self.images = sum(self._judge.sizes) + measured * (2 if triggered else 1)

    def seconds(self, k: int, answers: object) -> float:
        """Time of measuring ``k``; the figures have to be those that were answered."""
        from cnp_engine.algorithms.metrics import measure
        from cnp_engine.algorithms.overlay import pruned_mask
        from cnp_engine.stages.answering import Answers

        assert isinstance(answers, Answers)
        network, order_N = self._session.material.network, self._session.scores.order_N
        begun = time.perf_counter()
        point = self._judge.point(k, order_N)
        mask_N = pruned_mask(order_N.to(network.device), k)
        measured = self._sample and measure(network, self._sample, mask_N, exact=False)
        took = time.perf_counter() - begun
        said = answers.known[k]
        assert said.label_free == point.label_free
        assert not measured or said.measured == measured
        return took


if __name__ == "__main__":
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ:  # as the worker's process has it
        os.execve(sys.executable, [sys.executable, *sys.argv], process.environment())
    sys.exit(main())
