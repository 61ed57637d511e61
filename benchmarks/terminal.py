"""How quick the terminal application is: first paint, keys beside a repair, bytes on the wire.

    python benchmarks/terminal.py                   all of it, about two minutes
    python benchmarks/terminal.py --starts 20 --keys 200 --seconds 30

Works in a folder of its own. First paint: from starting `cnp` to Home in a terminal, every start a
process of its own, the first apart. Keys: from writing one to the next paint, on Home while the
demo, which is started for it, uses every core. Bytes: what the Run screen writes while ten events
a second of a recorded run come in.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import platform
import pty
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "tests" / "fixtures" / "runs" / "demo.jsonl"
CNP = (sys.executable, "-m", "cnp_tui")
PATIENCE_S = 600.0
EVENTS_A_SECOND = 10.0
SIZES = ((80, 24), (120, 40), (200, 50))


class Screen:
    """A process in a terminal of ``size``; what it paints is kept with its time."""

    def __init__(
        self, words: Sequence[str], env: Mapping[str, str], size: tuple[int, int] = (120, 40)
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.begun = time.perf_counter()
        self._child = subprocess.Popen(
            words, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._painted = bytearray()
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def painted(self) -> int:
        """Bytes so far."""
        return len(self._painted)

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def wait_for(self, text: str, since: int = 0) -> float:
        """The moment it stands in what was painted after byte ``since``."""
        wanted = text.encode()
        return self._wait(lambda: wanted in self._painted[since:], text)

    def wait_for_paint(self, since: int) -> float:
        return self._wait(lambda: len(self._painted) > since, "anything")

    def close(self) -> None:
        self._child.send_signal(signal.SIGTERM)
        self._child.wait()
        os.close(self._ours)

    def _wait(self, holds: Callable[[], bool], what: str) -> float:
        with self._news:
            if not self._news.wait_for(holds, PATIENCE_S):
                raise TimeoutError(f"waited {PATIENCE_S:.0f} s for {what}")
            return time.perf_counter()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while part := os.read(self._ours, 65536):
                with self._news:
                    self._painted += part
                    self._news.notify_all()


@dataclass(frozen=True)
class Spread:
    """Of times in seconds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def p95(self) -> float:
        return sorted(self.values)[max(0, -(-95 * len(self.values) // 100) - 1)]


def environment(home: Path) -> dict[str, str]:
    env = {**os.environ, "CNP_HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    for name in ("NO_COLOR", "LC_ALL", "TMUX", "SSH_CONNECTION"):
        env.pop(name, None)
    return env


def first_paint(env: Mapping[str, str], starts: int) -> tuple[float, Spread]:
    """The first start, and the others: `cnp` to a Home that is empty."""
    seconds: list[float] = []
    for _ in range(starts + 1):
        screen = Screen(CNP, env, (80, 24))
        seconds.append(screen.wait_for("There are no runs yet.") - screen.begun)
        screen.close()
    return seconds[0], Spread(tuple(seconds[1:]))


def many_runs(env: Mapping[str, str], count: int) -> tuple[float, float]:
    """Seconds from the start to the first row, and those that reading ``count`` runs takes."""
    home = Path(env["CNP_HOME"]).parent / "many"
    first = made(home / "runs" / "run-000")
    shutil.copy(RECORDED, first / "events.jsonl")
    for number in range(1, count):
        shutil.copytree(first, home / "runs" / f"run-{number:03d}")
    code = (
        "import time; from cnp_tui.index import Index; i = Index(); a = time.perf_counter()\n"
        "i.scan()\nwhile not i.complete: i.step()\nprint(time.perf_counter() - a)"
    )
    given = {**env, "CNP_HOME": str(home)}
    read = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, check=True)
    screen = Screen(CNP, given)
    shown = screen.wait_for("run-") - screen.begun
    screen.close()
    return shown, float(read.stdout)


def made(folder: Path) -> Path:
    """A new run of the demo, not begun."""
    from cnp_engine.config import RunConfig
    from cnp_engine.rundir import RunDirectory
    from cnp_tui import jobs

    return RunDirectory.create(folder, RunConfig.build(jobs.demo_inputs(), env={})).path


@contextlib.contextmanager
def demo_at_work(env: Mapping[str, str]) -> Iterator[Path]:
    """The demo, in a process of its own; its run."""
    words = [*CNP, "demo", "--detach"]
    said = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    run = Path(said.stdout.strip())
    try:
        yield run
    finally:
        subprocess.run([*CNP, "cancel", str(run)], env=env, capture_output=True, check=False)


def keys(env: Mapping[str, str], run: Path, count: int) -> Iterator[tuple[str, Spread]]:
    """Down and up on Home, then help opened and left, beside a run at work."""
    shutil.copy(RECORDED, made(run.parent / "recorded") / "events.jsonl")
    wait_until(lambda: "progress" in log(run))
    screen = Screen(CNP, env)
    screen.wait_for("at work")
    for name, pressed in (("up and down", (b"j", b"k")), ("help and back", (b"?", b"\x7f"))):
        seconds: list[float] = []
        for number in range(count):
            settle(screen)
            since = screen.painted
            begun = time.perf_counter()
            screen.press(pressed[number % 2])
            seconds.append(screen.wait_for_paint(since) - begun)
        yield name, Spread(tuple(seconds))
    screen.close()


def settle(screen: Screen, quiet_s: float = 0.03) -> None:
    """Until nothing is painted for a moment: the next paint is then the key's."""
    before = -1
    while screen.painted != before:
        before = screen.painted
        time.sleep(quiet_s)


def bytes_a_second(env: Mapping[str, str], size: tuple[int, int], seconds: float) -> float:
    """What the Run screen writes while recorded events come in at ``EVENTS_A_SECOND``."""
    from cnp_engine.eventlog import EventLog
    from cnp_engine.rundir import RunDirectory

    records = EventLog(RECORDED).read()
    skipped = next(n for n, r in enumerate(records) if r.value.tag == "target_ranked")
    run = RunDirectory.open(made(Path(env["CNP_HOME"]) / f"fed-{size[0]}"))
    for record in records[:skipped]:
        run.events().append(record.value, durable=False)
    with run.lock():
        screen = Screen([*CNP, "tui", str(run.path)], env, size)
        screen.wait_for("Quit")
        settle(screen, 1.0)
        begun, before = time.perf_counter(), screen.painted
        for number, record in enumerate(records[skipped:-1]):
            run.events().append(record.value, durable=False)
            time.sleep(max(0.0, begun + (number + 1) / EVENTS_A_SECOND - time.perf_counter()))
            if time.perf_counter() - begun > seconds:
                break
        painted = (screen.painted - before) / (time.perf_counter() - begun)
        screen.close()
    return painted


def log(run: Path) -> str:
    with contextlib.suppress(OSError):
        return (run / "events.jsonl").read_text("utf-8")
    return ""


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("the demo did not get there")
        time.sleep(0.1)


def row(name: str, figure: str, bar: str) -> str:
    return f"| {name} | {figure} | {bar} |"


def paints(first: float, others: Spread) -> str:
    figure = f"median {1000 * others.median:.0f}, p95 {1000 * others.p95:.0f} ms"
    name = f"first paint of Home, {len(others.values)} starts (the first of all: {first:.2f} s)"
    return row(name, figure, "500 ms")


def answered(name: str, spread: Spread) -> str:
    figure = f"median {1000 * spread.median:.0f}, p95 {1000 * spread.p95:.0f} ms"
    count = len(spread.values)
    return row(f"a key answered beside a repair, {name}, {count} keys", figure, "50 ms at p95")


def measured(env: Mapping[str, str], given: argparse.Namespace) -> Iterator[str]:
    """A row each, as they come."""
    yield paints(*first_paint(env, given.starts))
    with demo_at_work(env) as run:
        for name, spread in keys(env, run, given.keys):
            yield answered(name, spread)
    shown, read = many_runs(env, given.runs)
    yield row(f"start to the first rows of {given.runs} runs", f"{shown:.2f} s", "")
    yield row(f"reading {given.runs} runs", f"{1000 * read:.0f} ms", "100 ms")
    for size in SIZES:
        rate = bytes_a_second(env, size, given.seconds) / 1000
        name = f"Run screen at {size[0]}x{size[1]}, {EVENTS_A_SECOND:.0f} events a second"
        yield row(name, f"{rate:.1f} kB/s", "60 kB/s")


def main(argv: Sequence[str] | None = None) -> int:
    head, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=9, help="[default: %(default)s]")
    parser.add_argument("--keys", type=int, default=100, help="[default: %(default)s]")
    parser.add_argument("--runs", type=int, default=200, help="[default: %(default)s]")
    parser.add_argument("--seconds", type=float, default=15.0,
                        help="of events, for each size [default: %(default)s]")  # fmt: skip
    given = parser.parse_args(argv)
    sys.path.insert(0, str(ROOT))
    print("| | figure | bar |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="cnp-bench-") as folder:
        env = environment(Path(folder) / "home")
        for line in measured(env, given):
            print(line, flush=True)
    print(f"\nPython {platform.python_version()}, {platform.platform()}, {os.cpu_count()} CPUs, "
          f"load {os.getloadavg()[0]:.1f}.")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
