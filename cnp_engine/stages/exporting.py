"""Export on request: another number of neurons, or the same files elsewhere.

Everything is written into a folder beside its place, read back and measured there, and renamed
only then: a request that fails leaves what stood there.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cnp_engine.commands import Export
from cnp_engine.errors import SettingInvalid
from cnp_engine.events import Chosen, Event, Exported, Finished, Healed, Progress, Remeasured
from cnp_engine.export.naming import FILES, HEALED, MODEL
from cnp_engine.files import absolute, expanded, writing
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages import closing, committing
from cnp_engine.stages.answering import check
from cnp_engine.stages.delivery import (
    Delivered,
    deliver,
    deliver_healed,
    pruned,
    wanted_formats,
)
from cnp_engine.stages.healing import healing_of, load_healing
from cnp_engine.stages.session import Session, load_summary
from cnp_engine.state import RunState
from cnp_engine.steps import retold

STAGING = ".export-"

TELLINGS = 20
"""How often each step of an answer says how far it is, about."""


def export(session: Session, request: Export) -> Iterator[Event]:
    """Write what is asked for and say so. Raises CnpError; then nothing was changed."""
    store = session.material.store
    k = session.curve.chosen.k if request.k is None else request.k
    check(session, k)
    folder = destination(store, request.to)
    own = folder == store.exports
    names = _names(folder, wanted_formats(request.formats, _heals(session, k)), own)
    with _staging(folder) as staging:
        asked, delivered = yield from retold(_models(session, k, names, staging), _answering())
        healed = yield from retold(_healed(session, k, names, staging), _answering())
        if healed is None or not healed.kept:
            names = _unhealed(names)
        done = _Written(session.chosen(k), folder, names, asked, delivered, healed)
        _write_others(session, done, staging, copy=not own)
        if own:
            said = [*done.events(), _summed_up(session, done)]
            overtaken = [name for name in FILES[HEALED] if name not in names]
            committing.commit(store, staging, names, said, overtaken)
        else:
            committing.move(staging, folder, names)
    if own:
        yield from committing.settle(store)
    else:
        yield from done.events(copy=True)[0 if done.models else 1 :]  # no model, no figures of it


@dataclass(frozen=True)
class _Written:
    """What lies in the staging folder, and where it will be: ``models`` are named first.

    ``healed`` is None where no healed model was asked for.
    """

    chosen: Chosen
    folder: Path
    names: Sequence[str]
    models: Sequence[str]
    delivered: Delivered
    healing: Healed | None = None

    def paths(self) -> tuple[str, ...]:
        return tuple(str(self.folder / name) for name in self.names)

    def remeasured(self, copy: bool = False) -> Remeasured:
        done = self.delivered
        path = str(self.folder / (*self.models, f"{MODEL}.pth")[0])
        return Remeasured(path, self.chosen.k, done.label_free, done.measured, copy)

    def healed(self, copy: bool = False) -> Healed | None:
        said = self.healing
        if said is None:
            return None
        path = str(self.folder / Path(said.path).name) if said.path else ""
        return replace(said, path=path, copy=copy)

    def events(self, copy: bool = False) -> list[Event]:
        """A copy is no choice: what stands in the run's own exports is as it was."""
        chosen = [] if copy else [self.chosen]
        healed = self.healed(copy)
        exported = Exported(self.paths(), self.delivered.sha256, copy)
        return [*chosen, self.remeasured(copy), *([healed] if healed else []), exported]


def destination(store: RunDirectory, to: str | None) -> Path:
    """Raises SettingInvalid for a path that depends on where a worker happens to run."""
    if to is None:
        return store.exports
    if not expanded(to).is_absolute():
        raise SettingInvalid(f"{to} does not say from where.", "Give the whole path of the folder.")
    folder = absolute(to)
    with contextlib.suppress(OSError):
        if folder.samefile(store.exports):
            return store.exports
    return folder


def _names(folder: Path, formats: Sequence[str], own: bool) -> tuple[str, ...]:
    """File names asked for; in the run's own folder what stands there has to follow too.

    Not what was healed, which would take a training: it goes unless it is asked for.
    """
    if own:
        standing = [
            f for f, names in FILES.items()
            if f != HEALED and any((folder / n).exists() for n in names)
        ]  # fmt: skip
        formats = [*formats, *standing, "report"]
    return tuple(name for f, names in FILES.items() if f in formats for name in names)


def _heals(session: Session, k: int) -> bool:
    """Whether a healed model belongs to the files of ``k`` unless said otherwise.

    One that the run has made does; it is made now only where the run always heals.
    """
    material = session.material
    made = load_healing(material, session.scores.order_N, k)
    return made is not None or material.config.heal.when == "always"


def _unhealed(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in FILES[HEALED])


def _models(
    session: Session, k: int, names: Sequence[str], staging: Path
) -> Generator[Event, None, tuple[list[str], Delivered]]:
    """The models asked for; one is written and measured in any case, the report tells of it."""
    asked = [name for name in names if Path(name).stem == MODEL]
    paths = [staging / name for name in asked or [f"{MODEL}.pth"]]
    state = pruned(session.material, session.scores.order_N, k)
    judges = session.triggers.judges
    done = yield from deliver(session.material, session.evidence, judges, state, k, paths)
    return asked, done


def _healed(
    session: Session, k: int, names: Sequence[str], staging: Path
) -> Generator[Event, None, Healed | None]:
    """The healed models asked for; what came of it."""
    paths = [staging / name for name in FILES[HEALED] if name in names]
    if not paths:
        return None
    material, triggers, order_N = session.material, session.triggers, session.scores.order_N
    healing = yield from healing_of(material, triggers, order_N, k)
    said, _ = yield from deliver_healed(material, session.evidence, triggers.judges, healing, paths)
    return said


def _answering() -> Callable[[Event], Event | None]:
    """Tells of an answer to somebody what steps of a run tell of how far they are, now and then."""
    last: tuple[str, int] | None = None

    def tell(event: Event) -> Event | None:
        nonlocal last
        if not isinstance(event, Progress):
            return None
        now = (event.stage, TELLINGS * event.done // event.total)
        known, last = last == now, now
        return None if known else replace(event, asked=True)

    return tell


def _write_others(session: Session, done: _Written, staging: Path, copy: bool) -> None:
    """Side files, and a report that tells of these files."""
    material, triggers, scores = session.material, session.triggers, session.scores
    sides = closing.side_files(material, triggers, scores, session.curve)
    events = [*_said(material.store), done.chosen, *done.events(copy)]
    beside = set(FILES["trigger"]) <= set(done.names)
    texts = closing.reports(material, triggers, scores, done.chosen, events, beside)
    wanted = {name: data for name, data in (sides | texts).items() if name in done.names}
    closing.write_all(staging, wanted)


def _summed_up(session: Session, done: _Written) -> Finished:
    """The run's summary as it stands with these files; its times are those of the run itself."""
    store = session.material.store
    state = RunState.from_events(_said(store))
    assert state.target is not None, "a curve has a target"
    assert state.verdict is not None
    return closing.sum_up(
        session.material, session.evidence, state.target, state.triggers.values(), state.verdict,
        closing.Delivery(done.remeasured(), done.paths(), done.chosen, done.healed()),
        (load_summary(store) or {}).get("seconds") or {},
    )  # fmt: skip


def _said(store: RunDirectory) -> list[Event]:
    return [record.value for record in store.events().read()]


@contextlib.contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder beside the files' place; gone afterwards, but where ``commit`` has taken it over."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{STAGING}*"):  # a killed worker's
            shutil.rmtree(left, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=folder))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
