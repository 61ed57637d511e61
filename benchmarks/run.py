"""Whole runs of the command line, preset against preset: seconds by stage, memory, figures.

    python benchmarks/run.py                                        the embedded demo
    python benchmarks/run.py --model FILE --data SOURCE --attack FILE.toml --seeds 0,1,2
    python benchmarks/run.py --presets fast,fast+precision=float32+masks.early_stop=false

A preset may have settings of its own behind it, which is how a shortcut is held against the same
work without it: one table says whether target, threshold, BA and ASR are the same.

Every run is `cnp run --json` in processes of its own, with an empty image cache. Within a seed
the presets follow each other, and every other seed turns their order round, so that a machine
that gets slower or busier costs them the same. The true target is compared after a run has ended;
no run is told.

Standard output is Markdown; OUT gets `bench.md`, `bench.json` (rewritten after every run, so an
interrupted benchmark keeps what it has) and the runs themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
STAGES = ("load", "target", "trigger", "scores", "sweep", "heal", "export")


@dataclass(frozen=True)
class Job:
    """What is run; ``sets`` are `--set key=value` for every run alike.

    A preset may be "NAME+key=value+...", with settings for itself alone.
    """

    model: str
    data: str
    attack: str | None
    presets: tuple[str, ...]
    seeds: tuple[int, ...]
    sets: tuple[str, ...]
    out: Path

    @property
    def target(self) -> int | None:
        """The class the known attack aims at; None where it is not known, or is no single one."""
        if self.attack is None:
            return None
        known: int | None = tomllib.loads(Path(self.attack).read_text("utf-8")).get("target")
        return known

    def plan(self) -> Iterator[tuple[str, int]]:
        """Preset and seed of every run, in the order they are run."""
        for number, seed in enumerate(self.seeds):
            for preset in self.presets if number % 2 == 0 else reversed(self.presets):
                yield preset, seed


@dataclass(frozen=True)
class Result:
    """One run. ``wall_s`` is of the command, starting its processes included; ``summary`` is the
    object of `--json`, empty where the run failed; ``load_1m`` the machine's load before it."""

    preset: str
    seed: int
    exit_code: int
    wall_s: float
    load_1m: float
    summary: dict[str, Any] = field(default_factory=dict)
    started: dict[str, Any] = field(default_factory=dict)

    def target_right(self, target: int | None) -> bool | None:
        """Whether the class found, or one of several, is the true one; None where unknown."""
        found = self.summary.get("target")
        if target is None or not self.summary:
            return None
        return target in found if isinstance(found, list) else found == target

    def figure(self, when: str, name: str) -> float | None:
        value = self.summary.get(when, {}).get(name)
        return None if value is None else float(value)

    def interval(self, when: str, name: str) -> tuple[float, float] | None:
        """Wilson score interval, 95 %."""
        found = self.summary.get("evidence", {}).get("intervals", {}).get(f"{when}.{name}")
        return None if found is None else (float(found[0]), float(found[1]))

    def seconds(self, stage: str) -> float | None:
        """Of a stage, ``total`` of all of them, or ``wall``."""
        if stage == "wall":
            return self.wall_s
        value = self.summary.get("seconds", {}).get(stage)
        return None if value is None else float(value)

    def mebibytes(self) -> float | None:
        value = self.summary.get("peak_memory_bytes")
        return None if value is None else value / 2**20


def execute(job: Job, preset: str, seed: int) -> Result:
    """Run one, to its end."""
    path = job.out / "runs" / f"{re.sub(r'[^A-Za-z0-9.]+', '-', preset)}-seed{seed}"
    name, *own = preset.split("+")
    words = ["run", "--model", job.model, "--data", job.data, "--preset", name]
    words += ["--seed", str(seed), "--out", str(path), "--json", "--quiet"]
    words += ["--attack", job.attack] if job.attack else []
    words += [word for text in (*job.sets, *own) for word in ("--set", text)]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="cnp-bench-") as cache:
        env = {**os.environ, "CNP_HOME": str(job.out), "CNP_CACHE": cache}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
        begun = time.perf_counter()
        code, answer = _call([sys.executable, "-m", "cnp_tui", *words], env)
        wall_s = time.perf_counter() - begun
    summary = json.loads(answer) if code == 0 else {}
    return Result(preset, seed, code, wall_s, load, summary, _started(path))


def _call(words: Sequence[str], env: dict[str, str]) -> tuple[int, bytes]:
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE) as child:
        try:
            answer, _ = child.communicate()
        except KeyboardInterrupt:  # it was told too, and takes its worker along
            child.wait()
            raise
    return child.returncode, answer


def _started(path: Path) -> dict[str, Any]:
    """The first word of the worker: versions, device, threads."""
    try:
        with (path / "events.jsonl").open(encoding="utf-8") as log:
            event: dict[str, Any] = json.loads(log.readline())
    except (OSError, ValueError):
        return {}
    return {key: event.get(key) for key in ("versions", "device", "threads")}


def medians(results: Sequence[Result], preset: str) -> dict[str, float | None]:
    """Median seconds by stage, total, wall, and median peak memory, of one preset's runs."""
    mine = [result for result in results if result.preset == preset]
    rows = {name: _median(r.seconds(name) for r in mine) for name in (*STAGES, "total", "wall")}
    return {**rows, "peak_mib": _median(r.mebibytes() for r in mine)}


def ratio(results: Sequence[Result], of: str, to: str, name: str) -> float | None:
    """Median over seeds of ``of`` divided by ``to``, both of one seed."""
    read: Callable[[Result], float | None] = (
        Result.mebibytes if name == "peak_mib" else lambda result: result.seconds(name)
    )
    found = {(r.preset, r.seed): read(r) for r in results}
    seeds = dict.fromkeys(r.seed for r in results)
    pairs = [(found.get((of, seed)), found.get((to, seed))) for seed in seeds]
    return _median(a / b if a is not None and b else None for a, b in pairs)


def _median(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def markdown(job: Job, results: Sequence[Result]) -> str:
    """Every run's figures, whether they are the same, seconds by stage, how it was measured."""
    parts = (_figures, _equal, _times, _how)
    return "\n\n".join("\n".join(part) for make in parts if (part := make(job, results)))


def _figures(job: Job, results: Sequence[Result]) -> list[str]:
    head = ("preset", "seed", "verdict", "target right", "BA", "ASR", "RA", "pruned k")
    rows = [table_row(head), table_row("---" for _ in head)]
    for r in results:
        if r.exit_code:
            rows.append(table_row([r.preset, r.seed, f"failed with exit code {r.exit_code}"]))
            continue
        right = {True: "yes", False: "no", None: "-"}[r.target_right(job.target)]
        changes = [
            f"{_percent(r.figure('before', name))} -> {_percent(r.figure('after', name))}"
            for name in ("ba", "asr", "ra")
        ]
        neurons = r.summary["neurons"]
        pruned = f"{neurons['pruned']} of {neurons['total']}"
        rows.append(table_row([r.preset, r.seed, r.summary["verdict"], right, *changes, pruned]))
    return rows


def _equal(job: Job, results: Sequence[Result]) -> list[str]:
    """Each other preset's result beside the first one's of the same seed."""
    found = {(r.preset, r.seed): r for r in results if r.summary}
    first, *others = job.presets
    rows = []
    for seed, other in ((seed, other) for seed in job.seeds for other in others):
        one, two = found.get((first, seed)), found.get((other, seed))
        if one is None or two is None:
            continue
        targets = [_class(r.summary["target"]) for r in (one, two)]
        counts = [r.summary["neurons"]["pruned"] for r in (one, two)]
        rates = [_met(one, two, name) for name in ("ba", "asr")]
        rows.append(table_row([other, seed, _pair(targets), _pair(counts), *rates]))
    if not rows:
        return []
    head = (f"beside {first}", "seed", "target", "pruned k", "BA", "ASR")
    return [table_row(head), table_row("---" for _ in head), *rows]


def meets(one: tuple[float, float] | None, two: tuple[float, float] | None) -> bool | None:
    """Whether two intervals have something in common; None where one is not known."""
    if one is None or two is None:
        return None
    return max(one[0], two[0]) <= min(one[1], two[1])


def _met(one: Result, two: Result, name: str) -> str:
    word = {True: "intervals meet", False: "APART", None: "-"}[
        meets(one.interval("after", name), two.interval("after", name))
    ]
    return f"{_pair([_percent(r.figure('after', name)) for r in (one, two)])} ({word})"


def _pair(values: Sequence[object]) -> str:
    return ", ".join(str(value) for value in values)


def _class(target: object) -> str:
    if isinstance(target, list):
        return "+".join(str(index) for index in target)
    return "-" if target is None else str(target)


def _times(job: Job, results: Sequence[Result]) -> list[str]:
    first, *others = job.presets
    head = ["median", *job.presets, *(f"{first}/{other}" for other in others)]
    rows = [table_row(head), table_row("---" for _ in head)]
    columns = {preset: medians(results, preset) for preset in job.presets}
    for name in (*STAGES, "total", "wall", "peak_mib"):
        values = [_number(columns[preset][name]) for preset in job.presets]
        ratios = [_number(ratio(results, first, other, name), 3) for other in others]
        label = "peak memory, MiB" if name == "peak_mib" else f"{name}, s"
        rows.append(table_row([label, *values, *ratios]))
    return rows


def _how(job: Job, results: Sequence[Result]) -> list[str]:
    started = next((r.started for r in results if r.started), {})
    versions = started.get("versions") or {}
    loads = [r.load_1m for r in results]
    return [
        f"model `{Path(job.model).name}`, data `{job.data}`, seeds {list(job.seeds)}, "
        f"settings {list(job.sets) or 'of the presets'}; each run with an empty image cache.",
        "BA, ASR, RA before -> after, in %: definitions in README.md; n and intervals in "
        "bench.json. Ratios are medians over seeds, each within one seed.",
        f"{started.get('device')}, {os.cpu_count()} CPUs seen, torch {versions.get('torch')}, "
        f"Python {versions.get('python')}, {platform.platform()}; load before a run "
        f"{min(loads):.1f} to {max(loads):.1f}.",
    ]


def table_row(cells: Sequence[object] | Iterator[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def save(job: Job, results: Sequence[Result]) -> None:
    first, *others = job.presets
    names = (*STAGES, "total", "wall", "peak_mib")
    content = {
        "job": {**asdict(job), "out": str(job.out), "target": job.target},
        "runs": [{**asdict(r), "target_right": r.target_right(job.target)} for r in results],
        "medians": {preset: medians(results, preset) for preset in job.presets},
        "ratios": {
            f"{first}/{other}": {name: ratio(results, first, other, name) for name in names}
            for other in others
        },
    }
    (job.out / "bench.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    (job.out / "bench.md").write_text(markdown(job, results) + "\n", "utf-8")


def parse(argv: Sequence[str] | None = None, about: str | None = __doc__) -> Job:
    """``about``: of the script, its first line and the rest."""
    head, _, rest = (about or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", metavar="FILE", help="checkpoint; the demo's by default")
    parser.add_argument("--data", metavar="SOURCE", help="as `cnp run` takes it")
    parser.add_argument("--attack", metavar="FILE.toml", help="known attack: measures only")
    parser.add_argument("--presets", default="fast,reference",
                        help="NAME or NAME+key=value+... [default: %(default)s]")  # fmt: skip
    parser.add_argument("--seeds", default="0", help="[default: %(default)s]")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="key=value",
                        help="a setting of every run, clean=500 say; may be repeated")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="runs/bench-TIME by default")
    given = parser.parse_args(argv)
    if (given.model is None) != (given.data is None):
        parser.error("--model and --data belong together")
    demo = given.model is None
    if demo and given.attack is None:
        given.attack = str(ASSETS / "demo_attack.toml")
    out = given.out or ROOT / "runs" / f"bench-{time.strftime('%Y%m%d-%H%M%S')}"
    return Job(
        model=given.model or str(ASSETS / "demo_model.pth"),
        data=given.data or "demo",
        attack=given.attack,
        presets=tuple(given.presets.split(",")),
        seeds=tuple(int(seed) for seed in given.seeds.split(",")),
        sets=tuple(given.sets),
        out=out.resolve(),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """0 where every run ended well."""
    job = parse(argv)
    job.out.mkdir(parents=True)
    results: list[Result] = []
    for preset, seed in job.plan():
        sys.stderr.write(f"{preset}, seed {seed} ... ")
        sys.stderr.flush()
        results.append(execute(job, preset, seed))
        sys.stderr.write(f"{results[-1].wall_s:.0f} s\n")
        save(job, results)
    print(markdown(job, results))
    sys.stderr.write(f"written to {job.out}\n")
    return max(result.exit_code for result in results)


if __name__ == "__main__":
    sys.exit(main())
