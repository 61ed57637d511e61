"""A run that is being put together: what was typed, what is wrong with it, and the line it makes.

Pure but for ``missing``, which looks at files and is called aside. Knows no widgets. What starts
and what is shown come from the same ``values``, so that they cannot differ.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_origin

from cnp_engine import settings
from cnp_engine.config import RunConfig, under
from cnp_engine.data.preprocessing import parse_normalize
from cnp_engine.errors import CnpError, RunExists, RunMissing, SettingInvalid
from cnp_engine.export.command import command_line
from cnp_engine.files import absolute
from cnp_engine.rundir import RunDirectory
from cnp_engine.settings import Setting
from cnp_tui import preflight

CATALOGUE = settings.catalogue(RunConfig)
OUT = "out"
"""Where the run goes: no setting of it, but a field like any other."""

LABELS: Mapping[str, str] = {
    "model": "Checkpoint", "data": "Images", "clean": "How many", "normalize": "Normalize",
    "clean_dir": "Clean from", "attack": "Attack", "trigger": "Trigger", OUT: "Run folder",
}  # fmt: skip
"""What the fields of the form are called."""

_INPUTS = ("model", "data")
_STAND_IN = {"model": "FILE", "data": "SOURCE"}
_NEEDED = {
    "model": SettingInvalid("No checkpoint is given.", "Type its path, or pick one below."),
    "data": SettingInvalid("No data is given.", "Type a folder, an archive, or demo."),
}

_CHECK = {
    "model": "Check the path to the model.",
    "data": "Check the path to the images.",
    "clean_dir": "Check the path to the clean images.",
    "attack": "Check the path to the attack.",
    "trigger": "Check the path to the trigger.",
}
"""The command line says the same by its options."""


@dataclass(frozen=True)
class Draft:
    """``given``: text by setting, only where something was typed; ``force`` replaces ``out``."""

    given: Mapping[str, str] = field(default_factory=dict)
    out: str = ""
    force: bool = False

    def put(self, key: str, text: str) -> Draft:
        """With ``text`` for a setting; an empty one leaves it at its default."""
        if key == OUT:
            return replace(self, out=text.strip())
        given = {name: value for name, value in self.given.items() if name != key}
        return replace(self, given={**given, key: text} if text.strip() else given)

    def text(self, key: str) -> str:
        return self.out if key == OUT else self.given.get(key, "")

    @property
    def preset(self) -> str:
        """The one that is chosen, as far as there is such a one."""
        known = CATALOGUE["preset"]
        text = self.given.get("preset", "").strip()
        return text if text in choices(known) else str(known.default)

    def problem(self, key: str) -> CnpError | None:
        """What is wrong with the text of one setting, by the parser that takes it in the end."""
        if key == OUT:
            return None
        text = self.given.get(key)
        if text is None:
            return _NEEDED.get(key)
        try:
            under(self.preset, key).parse(text)
            if key == "normalize":
                parse_normalize(text)
        except SettingInvalid as error:
            return error
        return None

    def problems(self) -> dict[str, CnpError]:
        """All of them, in the order in which settings are listed."""
        named = ((key, self.problem(key)) for key in CATALOGUE)
        return {key: error for key, error in named if error is not None}

    def values(self) -> dict[str, Any]:
        """What a start is given: every text that parses."""
        return {key: text.strip() for key, text in self.given.items() if not self.problem(key)}

    def config(self) -> RunConfig:
        """With what parses; stand-ins where an input is missing."""
        return RunConfig.build({**_STAND_IN, **self.values()})

    def base(self) -> RunConfig:
        """What every setting is where nothing was typed: the preset, the environment, defaults."""
        kept = {key: text for key, text in self.values().items() if key == "preset"}
        return RunConfig.build({**_STAND_IN, **kept})

    def changed(self) -> frozenset[str]:
        """The settings that are not what they would be by themselves."""
        now, base = self.config().values(), self.base().values()
        return frozenset(key for key in CATALOGUE if now[key] != base[key] or key in self.given)

    def line(self) -> str:
        """The command that starts the same run from any folder."""
        missing = {key: word for key, word in _STAND_IN.items() if key not in self.values()}
        config = self.config().absolute()
        words = [command_line(replace(config, **missing))]  # type: ignore[arg-type]  # both text
        if self.out:
            words.append(f"--out {shlex.quote(str(absolute(self.out)))}")
            words += ["--force"] * self.force
        return " ".join(words)

    def place(self) -> Path | None:
        return absolute(self.out) if self.out else None


EMPTY = Draft()


def missing(draft: Draft) -> dict[str, CnpError]:
    """What only the disk knows: paths that lead nowhere, a run that is there already.

    May hang where a share does.
    """
    needed = {key for key in _INPUTS if key not in draft.given}
    found: dict[str, CnpError] = {
        key: type(error)(error.what, _CHECK[key])
        for key, error in preflight.problems(draft.config()).items()
        if key not in needed
    }
    place = draft.place()
    if place is not None:
        error = _taken(place, draft.force)
        if error is not None:
            found[OUT] = error
    return found


def _taken(place: Path, force: bool) -> CnpError | None:
    if not place.exists():
        return None
    if not force:
        return RunExists(f"{place} is there already.", "Choose another folder, or replace it.")
    try:
        run = RunDirectory.open(place)
    except RunMissing:
        if place.is_dir() and next(place.iterdir(), None) is None:
            return None
        return RunExists(f"{place} is not a run, so it is not replaced.", "Choose another folder.")
    except CnpError:
        return None  # a damaged run may be replaced
    if run.locked():
        return RunExists(f"The run at {place} is at work.", "Choose another folder, or stop it.")
    return None


def choices(item: Setting) -> tuple[str, ...]:
    """The texts a setting can be, where they can be counted off: not of a list."""
    if get_origin(item.hint) is tuple:
        return ()
    expects = item.expects
    if expects == "true or false":
        return ("true", "false")
    listed = expects.removeprefix("one of ")
    return tuple(listed.split(", ")) if listed != expects else ()
