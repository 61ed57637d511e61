"""Put finished files in the place of the run's own exports: all of them, or none.

Files, report, summary and log have to agree whenever the worker dies. So what is to be done is
written down first, as an artifact: from then on it will be done, by the next worker if need be.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from cnp_engine.eventlog import EVENTS
from cnp_engine.events import Event, Finished
from cnp_engine.files import sync_folder, writing
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages import closing
from cnp_engine.stages.material import has, load_json, save_json

DELIVERY = "delivery.json"
READY = ".ready"
"""The staging folder once it is complete; nothing but ``settle`` removes it."""


def commit(
    store: RunDirectory,
    staging: Path,
    names: Sequence[str],
    said: Sequence[Event],
    overtaken: Sequence[str] = (),
) -> None:
    """``names`` in ``staging`` are to stand in the exports, and ``said`` is to be said of them.

    ``overtaken``: what may stand there of an earlier choice, and is to go.
    """
    ready = store.exports / READY
    with writing(ready):
        shutil.rmtree(ready, ignore_errors=True)
        staging.rename(ready)
    events = [EVENTS.encode(event) for event in said]
    record = {"names": list(names), "overtaken": list(overtaken), "events": events}
    save_json(store, DELIVERY, record)


def settle(store: RunDirectory) -> Iterator[Event]:
    """Do and say what was committed; nothing where that is done. Raises RunUnwritable."""
    if not has(store, DELIVERY):
        return
    record = load_json(store, DELIVERY)
    ready = store.exports / READY
    move(ready, store.exports, [name for name in record["names"] if (ready / name).exists()])
    with writing(store.exports):
        for name in record.get("overtaken", ()):
            (store.exports / name).unlink(missing_ok=True)
    events = [EVENTS.decode(event) for event in record["events"]]
    for event in events:
        if isinstance(event, Finished):
            closing.write_summary(store, event)
    yield from events
    with writing(ready):
        store.artifact(DELIVERY).unlink()
    shutil.rmtree(ready, ignore_errors=True)


def forget(store: RunDirectory) -> None:
    """What was committed is overtaken: the run writes its exports anew."""
    with writing(store.exports):
        store.artifact(DELIVERY).unlink(missing_ok=True)
    shutil.rmtree(store.exports / READY, ignore_errors=True)


def move(staging: Path, folder: Path, names: Sequence[str]) -> None:
    """One rename after the other, with nothing between them that can take long."""
    with writing(folder):
        for name in names:
            (staging / name).replace(folder / name)
        sync_folder(folder)
