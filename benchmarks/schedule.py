"""Seconds of one step of each stage, fast against reference, without running whole schedules.

    python benchmarks/schedule.py                                   the embedded demo
    python benchmarks/schedule.py --model FILE --data SOURCE --steps 8

The stages of the engine itself are started on one model in this process and taken step by step,
one preset after the other, so that a busy moment costs both. Beside every step stands the bound:
a plain forward and backward of as many images through the same network, in the same precision,
with running statistics and gradients with respect to the images only.

The last column is EXTRAPOLATED: what comes before the first step, plus the median step times the
schedule's steps. Early stopping makes the fast preset shorter than that; ordering the pruned
neurons, up to 48 evaluations more, is not in it. Whole runs are `run.py`'s matter.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnp_engine.events import Event
    from cnp_engine.stages.material import Material

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ("fast", "reference")


@dataclass
class Lane:
    """One stage of one preset, or its bound; ``step`` does one step and says when there is none.

    ``images`` a step puts through the network once (a plain pass of as many is the bound);
    ``total`` steps in the whole schedule; the first step holds what comes before it, too.
    """

    stage: str
    preset: str
    images: int
    total: int
    step: Callable[[], bool]
    seconds: list[float] = field(default_factory=list)

    def take(self) -> bool:
        begun = time.perf_counter()
        went = self.step()
        if went:
            self.seconds.append(time.perf_counter() - begun)
        return went

    @property
    def median(self) -> float:
        """Of the steps after the first, which warms up and holds the preparation."""
        return statistics.median(self.seconds[1:] or self.seconds)

    @property
    def extrapolated(self) -> float:
        return self.seconds[0] + self.median * (self.total - 1)


def stepper(events: Generator[Event, None, Any]) -> Callable[[], bool]:
    """Every call goes on to the next progress of a stage; False once the stage has ended."""
    from cnp_engine.events import Progress

    def step() -> bool:
        return any(isinstance(event, Progress) for event in events)

    return step


def plain(material: Material, images: int) -> Callable[[], bool]:
    """A forward and a backward of ``images`` images through the untouched network."""
    import torch

    pool = material.optimise
    batch = pool[torch.arange(images) % len(pool)].clone().requires_grad_()

    def step() -> bool:
        (_,) = torch.autograd.grad(material.network(batch).logits_BK.sum(), [batch])
        return True

    return step


def load(model: str, data: str, preset: str, given: argparse.Namespace, folder: Path) -> Material:
    """What a run of ``preset`` would work on, without the labels."""
    import torch

    from cnp_engine import runtime
    from cnp_engine.config import RunConfig
    from cnp_engine.data.sources import open_source
    from cnp_engine.data.split import split
    from cnp_engine.models.checkpoint import read_checkpoint
    from cnp_engine.models.registry import load_model
    from cnp_engine.rundir import RunDirectory
    from cnp_engine.stages import loading
    from cnp_engine.stages.material import Material, floats

    values = {"model": model, "data": data, "preset": preset, "clean": given.clean}
    config = RunConfig.build({**values, "normalize": given.normalize}, given.sets)
    device = runtime.pick_device(config.device)
    loaded = load_model(read_checkpoint(model), config.arch, config.classes)
    source = open_source(data, loaded.architecture.input_size)
    drawn = split(source, config.clean, config.seed)
    normalize, _ = loading.choose_normalize(config.normalize, loaded, drawn)
    loaded.module.to(device).to(memory_format=torch.channels_last)
    precision = runtime.autocast_dtype(config.precision, device)
    return Material(
        config=config,
        store=RunDirectory.create(folder / preset, config),
        loaded=loaded,
        network=loading.masked_network(loaded, normalize, precision),
        normalize=normalize,
        optimise=floats(drawn.clean.images[drawn.optimise], device),
        select=floats(drawn.clean.images[drawn.select], device),
        names=loading.class_names(source.classes, loaded.architecture.classes),
    )


def lanes(material: Material) -> Iterator[tuple[Lane, Lane]]:
    """Every stage that takes steps, with its bound."""
    import torch

    from cnp_engine.algorithms.target import searched
    from cnp_engine.algorithms.triggers import Patch, ReversalPlan
    from cnp_engine.events import TargetRanked
    from cnp_engine.stages import finding, reversing

    config, classes = material.config, len(material.names)
    preset, reversal, masks = config.preset, config.reversal, config.masks

    def pair(stage: str, images: int, total: int, step: Callable[[], bool]) -> tuple[Lane, Lane]:
        bound = Lane(f"{stage}, bound", preset, images, 1, plain(material, images))
        return Lane(stage, preset, images, total, step), bound

    if config.target.method == "reversal":
        plan = ReversalPlan(config.target.steps, config.target.first_batch)
        first, passes = searched(classes, plan, config.target.restarts)
        # later batches are smaller: as many steps of the first size as come to the same images
        yield pair(
            "ranking", first * plan.batch, round(passes / first),
            stepper(finding.target_stage(material)),
        )  # fmt: skip
    ranked = TargetRanked((), (0,), 0.0, True)
    yield pair(
        "reversal, one class and family", reversal.restarts * reversal.batch, reversal.steps,
        stepper(reversing.trigger_stage(material, finding.Target(ranked, {"0": ("patch",)}))),
    )  # fmt: skip
    draws = torch.Generator().manual_seed(0)
    pattern = torch.rand(material.optimise.shape[1:], generator=draws).to(material.optimise)
    # The work is the same whatever the trigger shows.
    trigger = Patch(0, pattern, torch.full_like(pattern[0], 0.1))
    strong = [(trigger, 1.0)] * reversal.restarts
    yield pair(
        "masks", masks.batch, masks.rounds * masks.batches,
        stepper(finding.scores_stage(material, strong, ())),
    )  # fmt: skip


def go(every: Sequence[tuple[Lane, Lane]], steps: int) -> None:
    """``steps`` of every lane after a first one, all of them taking turns."""
    for _ in range(steps + 1):
        for lane, bound in every:
            if len(lane.seconds) < lane.total and lane.take():
                bound.take()


def markdown(every: Sequence[tuple[Lane, Lane]], device: str) -> str:
    head = (
        "stage", "preset", "images a pass", "s a step", "s bound", "step / bound",
        "before the first, s", "steps", "whole schedule, s, extrapolated",
    )  # fmt: skip
    rows = [head, tuple("---" for _ in head)]
    for lane, bound in sorted(every, key=lambda pair: pair[0].stage):
        before = max(0.0, lane.seconds[0] - lane.median)
        rows.append((
            lane.stage, lane.preset, str(lane.images), f"{lane.median:.3f}", f"{bound.median:.3f}",
            f"{lane.median / bound.median:.1f}", f"{before:.1f}", str(lane.total),
            f"{lane.extrapolated:.0f}",
        ))  # fmt: skip
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    counted = min(len(lane.seconds) for lane, _ in every) - 1
    how = (
        f"Medians of {counted} steps or more, taken in turn. The reference ranks classes by votes, "
        f"which take no steps. {device}, {platform.platform()}, load {os.getloadavg()[0]:.1f}."
    )
    return "\n".join([*lines, "", how])


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    head, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", metavar="FILE", help="checkpoint; the demo's by default")
    parser.add_argument("--data", metavar="SOURCE", help="as `cnp run` takes it")
    parser.add_argument("--normalize", default="auto", help="[default: %(default)s]")
    parser.add_argument("--clean", type=int, default=1000, help="[default: %(default)s]")
    parser.add_argument("--steps", type=int, default=5, help="of each kind [default: %(default)s]")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="key=value",
                        help="a setting of both presets; may be repeated")  # fmt: skip
    given = parser.parse_args(argv)
    if (given.model is None) != (given.data is None):
        parser.error("--model and --data belong together")
    return given


def main(argv: Sequence[str] | None = None) -> int:
    given = parse(argv)
    sys.path.insert(0, str(ROOT))
    from cnp_engine import runtime
    from cnp_engine.errors import CnpError

    model = given.model or str(ROOT / "assets" / "demo_model.pth")
    with tempfile.TemporaryDirectory(prefix="cnp-bench-") as folder:
        try:
            materials = [load(model, given.data or "demo", p, given, Path(folder)) for p in PRESETS]
        except CnpError as error:
            sys.stderr.write(f"error: {error.what}\n  {error.todo}\n")
            return error.exit_code
        every = [pair for material in materials for pair in lanes(material)]
        go(every, max(1, given.steps))
    print(markdown(every, runtime.describe(materials[0].network.device)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
