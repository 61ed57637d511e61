"""The method as research scripts run it, beside this engine: a step, a sweep, a whole repair.

    python benchmarks/baseline.py                                   the embedded demo
    python benchmarks/baseline.py --model FILE --data SOURCE --attack FILE.toml

The baseline is written from the method's description alone and shares no algorithm with the
engine: float32, gradients of every weight, nine forward passes and two backward calls a mask step,
test images decoded by PIL at every access, BA and ASR of all of them after every round, the sweep
by full evaluation at 21 thresholds. It knows the attack, which it needs; the engine does not.

Mask steps take turns, on as many images; the sweeps ask for the same 21 prunings on the same test
images. A whole repair of the baseline is EXTRAPOLATED from medians of its steps and the time of
one evaluation; the engine's is a run of the command line with the default preset, to its end.
"""

from __future__ import annotations

import argparse
import copy
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import run as whole  # noqa: E402  # the checkout, from any folder
from benchmarks import schedule  # noqa: E402
from cnp_engine.attacks import NO_AIM  # noqa: E402
from cnp_engine.errors import CnpError  # noqa: E402

if TYPE_CHECKING:
    from cnp_engine.algorithms.metrics import GroundTruth
    from cnp_engine.stages.material import Material

BATCH, ROUNDS, BATCHES, REVERSAL_STEPS, THRESHOLDS = 128, 30, 40, 800, 21
"""The published schedule."""

Rates = tuple[float, float]
"""BA and ASR."""

EPS, TEMPERATURE, LR, MOMENTUM, L1, REVERSAL_LR = 0.4, 0.3, 0.2, 0.9, 0.01, 0.005


class NoisyNorm(nn.Module):
    """A BatchNorm whose weight and bias are masked and disturbed; batch statistics throughout."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm
        self.mask = nn.Parameter(torch.ones_like(norm.weight))
        self.noise_w = nn.Parameter(torch.zeros_like(norm.weight))
        self.noise_b = nn.Parameter(torch.zeros_like(norm.bias))
        self.masked = self.noisy = False

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        factor = self.mask if self.masked else torch.ones_like(self.mask)
        weight: Tensor = norm.weight * factor
        bias: Tensor = norm.bias
        if self.noisy:
            weight, bias = norm.weight * (factor + self.noise_w), bias * (1 + self.noise_b)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, var = norm.running_mean, norm.running_var
        return F.batch_norm(x, mean, var, weight, bias, self.training, 0.1, norm.eps)


class Baseline:
    """One network and all the steps of the scripts on it."""

    def __init__(self, material: Material) -> None:
        self.network = copy.deepcopy(material.loaded.module).to(
            memory_format=torch.contiguous_format
        )
        self.normalize = material.normalize
        self.images = material.optimise
        self.norms: list[NoisyNorm] = []
        for layer in material.loaded.layers:
            parent, _, name = layer.name.rpartition(".")
            norm = self.network.get_submodule(layer.name)
            assert isinstance(norm, nn.BatchNorm2d)
            self.norms.append(NoisyNorm(norm))
            setattr(self.network.get_submodule(parent), name, self.norms[-1])
        self.network.requires_grad_(True).train()
        self.original = copy.deepcopy(self.network)
        self._features: list[Tensor] = []
        for network in (self.network, self.original):
            head = network.get_submodule(material.loaded.architecture.head)
            head.register_forward_pre_hook(lambda _, given: self._features.append(given[0]))
        self.optimiser = torch.optim.SGD([n.mask for n in self.norms], lr=LR, momentum=MOMENTUM)
        self.pattern = torch.rand_like(self.images[0]).requires_grad_()
        self.weight = torch.rand_like(self.images[0, :1]).requires_grad_()
        self.reversal = torch.optim.Adam([self.pattern, self.weight], lr=REVERSAL_LR)

    def logits(self, network: nn.Module, x: Tensor) -> Tensor:
        logits: Tensor = network(self.normalize(x))
        return logits

    def features(self, network: nn.Module, x: Tensor) -> Tensor:
        self._features.clear()
        self.logits(network, x)
        return self._features.pop()

    def batch(self) -> Tensor:
        return self.images[torch.randint(len(self.images), (BATCH,))]

    def stamped(self, x: Tensor) -> Tensor:
        return (1 - self.weight) * x + self.weight * self.pattern

    def disturb(self, x: Tensor, labels: Tensor) -> None:
        """One sign-gradient step that raises the loss, from a random start."""
        for norm in self.norms:
            norm.noisy = True
            for noise in (norm.noise_w, norm.noise_b):
                nn.init.uniform_(noise, -EPS, EPS)
                noise.grad = None
        torch.autograd.backward(F.cross_entropy(self.logits(self.network, x), labels))
        with torch.no_grad():
            for norm in self.norms:
                for noise in (norm.noise_w, norm.noise_b):
                    assert noise.grad is not None
                    noise.add_(noise.grad.sign(), alpha=EPS)

    def masked(self, masked: bool, noisy: bool = False) -> None:
        for norm in self.norms:
            norm.masked, norm.noisy = masked, noisy

    def vote(self) -> None:
        """One batch of the target's ranking."""
        x = self.batch()
        labels = self.logits(self.original, x).argmax(1)
        self.masked(False)
        self.disturb(x, labels)
        self.logits(self.network, x).argmax(1)

    def reverse(self) -> None:
        """One step of the trigger's reversal."""
        x = self.batch()
        target = torch.zeros(BATCH, dtype=torch.int64)
        self.reversal.zero_grad()
        loss = F.cross_entropy(self.logits(self.original, self.stamped(x)), target)
        torch.autograd.backward(loss + L1 * self.weight.abs().sum())
        self.reversal.step()
        with torch.no_grad():
            self.pattern.clamp_(0, 1)
            self.weight.clamp_(0, 1)

    def step(self) -> None:
        """One step on the masks: nine forward passes, two backward calls."""
        x = self.batch()
        stamped = self.stamped(x).detach()
        labels = self.logits(self.original, x).argmax(1)
        self.masked(True)
        self.disturb(x, labels)
        perturbed = self.features(self.network, x)
        self.masked(True)
        z_m, z_tm = self.features(self.network, x), self.features(self.network, stamped)
        z_o, z_to = self.features(self.original, x), self.features(self.original, stamped)
        pairs = [(z_m, z_o), (z_tm, z_o), (perturbed, z_o)]
        pairs += [(perturbed, z_to), (z_m, z_to), (z_tm, z_to)]
        rows = torch.stack([F.cosine_similarity(a, b) for a, b in pairs], 1) / TEMPERATURE
        every = [torch.full((len(x),), i) for i in range(3)]
        self.optimiser.zero_grad()
        torch.autograd.backward(torch.stack([F.cross_entropy(rows, i) for i in every]).mean())
        self.optimiser.step()
        with torch.no_grad():
            for norm in self.norms:
                norm.mask.clamp_(0, 1)
        # what the scripts log: recovery, and agreement on clean images
        (self.logits(self.network, stamped).argmax(1) == labels).float().mean().item()
        (self.logits(self.network, x).argmax(1) == labels).float().mean().item()


class Files:
    """Test images as files, decoded by PIL one by one at every access."""

    def __init__(self, truth: GroundTruth) -> None:
        self.truth = truth
        self.encoded = [_png(image) for image in truth.images_BCHW]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(self.encoded), BATCH):
            part = self.encoded[start : start + BATCH]
            images = [np.array(Image.open(io.BytesIO(data)).convert("RGB")) for data in part]
            x = torch.stack([torch.from_numpy(i).permute(2, 0, 1).float() / 255 for i in images])
            yield x, self.truth.labels_B[start : start + BATCH]


def _png(image_CHW: Tensor) -> bytes:
    target = io.BytesIO()
    Image.fromarray(image_CHW.permute(1, 2, 0).numpy()).save(target, "PNG")
    return target.getvalue()


@torch.no_grad()
def evaluate(ask: Callable[[Tensor], Tensor], files: Files) -> tuple[float, float]:
    """BA, and ASR where the attack is known, each from a reading of all files of its own."""
    right = [ask(x).argmax(1) == y for x, y in files]
    attack, hit = files.truth.attack, []
    if attack is None:
        return float(torch.cat(right).float().mean()), 0.0
    for x, y in files:
        aims = attack.aims(x, y)
        others = (aims != NO_AIM) & (y != aims)
        hit.append(ask(attack.stamp(x)).argmax(1)[others] == aims[others])
    return float(torch.cat(right).float().mean()), float(torch.cat(hit).float().mean())


def swept(material: Material, files: Files, order_N: Tensor, counts: Sequence[int]) -> list[Rates]:
    """The scripts' sweep: weights of a copy set to 0, all of it measured in float32."""
    from cnp_engine.algorithms.pruning import prune_state

    module = copy.deepcopy(material.loaded.module).to(memory_format=torch.contiguous_format).eval()
    layers = [(layer.name, layer.channels) for layer in material.loaded.layers]
    found = []
    for k in counts:
        module.load_state_dict(prune_state(material.loaded.module.state_dict(), layers, order_N, k))
        found.append(evaluate(lambda x: module(material.normalize(x)), files))
    return found


def engine_swept(
    material: Material, truth: GroundTruth, order_N: Tensor, counts: Sequence[int]
) -> list[Rates]:
    """The engine's own measuring of the same prunings on the same images."""
    from cnp_engine.algorithms.metrics import measure
    from cnp_engine.algorithms.overlay import pruned_mask

    every = [measure(material.network, truth, pruned_mask(order_N, k), exact=False) for k in counts]
    return [(m.ba.value if m.ba else 0.0, m.asr.value if m.asr else 0.0) for m in every]


@dataclass(frozen=True)
class Times:
    """Seconds of one of each, or of all where it says so."""

    vote: float
    reverse: float
    step: float
    evaluation: float
    sweep: float
    engine_step: float
    engine_sweep: float
    engine_whole: float
    """0 where it was left out."""
    images: int

    @property
    def baseline_whole(self) -> float:
        batches = -(-self.images // BATCH)
        return (
            batches * self.vote
            + REVERSAL_STEPS * self.reverse
            + ROUNDS * BATCHES * self.step
            + (ROUNDS + THRESHOLDS) * self.evaluation
        )


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def markdown(times: Times, test: int, differ: str) -> str:
    def row(name: str, baseline: float, engine: float) -> str:
        return f"| {name} | {baseline:.3g} | {engine:.3g} | {baseline / engine:.1f} |"

    return "\n".join([
        "| seconds | scripts' way | this engine | ratio |", "|---|---|---|---|",
        row(f"one mask step on {BATCH} images", times.step, times.engine_step),
        row(f"{THRESHOLDS} prunings on {test} test images, BA and ASR", times.sweep,
            times.engine_sweep),
        *([row("a whole repair; the scripts' extrapolated", times.baseline_whole,
               times.engine_whole)] if times.engine_whole else []),
        "",
        f"Scripts' way: vote {times.vote:.2f} s a batch, reversal {times.reverse:.2f} s a step, "
        f"one evaluation {times.evaluation:.1f} s. {differ}",
        f"{torch.get_num_threads()} threads, torch {torch.__version__}.",
    ])  # fmt: skip


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    head, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    assets = ROOT / "assets"
    parser.add_argument("--model", default=str(assets / "demo_model.pth"), metavar="FILE")
    parser.add_argument("--data", default="demo", metavar="SOURCE")
    parser.add_argument("--attack", default=str(assets / "demo_attack.toml"), metavar="FILE.toml")
    parser.add_argument("--normalize", default="auto", help="[default: %(default)s]")
    parser.add_argument("--clean", type=int, default=1000, help="[default: %(default)s]")
    parser.add_argument("--steps", type=int, default=5, help="of each kind [default: %(default)s]")
    parser.add_argument("--test", type=int, default=2000, help="images a sweep measures on")
    parser.add_argument("--no-run", action="store_true", help="leave the engine's whole run out")
    given = parser.parse_args(argv)
    given.sets = [f"masks.batch={BATCH}"]
    return given


def compare(given: argparse.Namespace, folder: Path) -> str:
    material, truth = prepared(given, folder)
    files, baseline = Files(truth), Baseline(material)
    lane = next(a for a, _ in schedule.lanes(material) if a.stage == "masks")
    lane.take()
    baseline.step()
    steps = []
    for _ in range(given.steps):
        steps.append(timed(baseline.step))
        lane.take()
    votes = statistics.median(timed(baseline.vote) for _ in range(given.steps))
    reversals = statistics.median(timed(baseline.reverse) for _ in range(given.steps))
    order_N = torch.randperm(material.network.neurons, generator=torch.Generator().manual_seed(0))
    last = material.network.neurons * 0.05
    counts = [round(last * i / (THRESHOLDS - 1)) for i in range(THRESHOLDS)]
    begun = time.perf_counter()
    theirs = swept(material, files, order_N, counts)
    between = time.perf_counter()
    ours = engine_swept(material, truth, order_N, counts)
    sweep, engine_sweep = between - begun, time.perf_counter() - between
    worst = max(
        abs(a - b) for x, y in zip(theirs, ours, strict=True) for a, b in zip(x, y, strict=True)
    )
    engine_whole = 0.0 if given.no_run else run_engine(given, folder)
    times = Times(
        votes, reversals, statistics.median(steps), sweep / THRESHOLDS, sweep, lane.median,
        engine_sweep, engine_whole, len(material.optimise),
    )  # fmt: skip
    return markdown(
        times, len(truth.labels_B), f"BA and ASR of the sweeps differ by at most {worst:.2%}."
    )


def prepared(given: argparse.Namespace, folder: Path) -> tuple[Material, GroundTruth]:
    """What a run works on, and the labelled test images with the attack."""
    from cnp_engine.data.sources import open_source
    from cnp_engine.data.split import split
    from cnp_engine.stages.loading import ground_truth

    material = schedule.load(given.model, given.data, "fast", given, folder)
    source = open_source(given.data, material.loaded.architecture.input_size)
    drawn = split(source, given.clean, material.config.seed)
    config = replace(material.config, attack=given.attack)
    truth = ground_truth(config, drawn, material.names)
    assert truth is not None, "the data has no labelled test images"
    return material, truth.subset(given.test, torch.Generator().manual_seed(0))


def run_engine(given: argparse.Namespace, folder: Path) -> float:
    """Seconds of the command line's whole run, processes and decoding included."""
    job = whole.Job(given.model, given.data, given.attack, ("fast",), (0,), (), folder / "whole")
    job.out.mkdir()
    result = whole.execute(job, "fast", 0)
    if result.exit_code:
        raise SystemExit(result.exit_code)
    return result.wall_s


def main(argv: Sequence[str] | None = None) -> int:
    given = parse(argv)
    with tempfile.TemporaryDirectory(prefix="cnp-bench-") as folder:
        try:
            print(compare(given, Path(folder)))
        except CnpError as error:
            sys.stderr.write(f"error: {error.what}\n  {error.todo}\n")
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
