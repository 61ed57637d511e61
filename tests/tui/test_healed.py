"""A healed model in the application: asked for, and told of beside the pruned one."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pytest
from textual.widgets import Checkbox

from cnp_engine.commands import Export
from cnp_engine.events import (
    Chosen,
    Exported,
    Healed,
    LabelFree,
    Measured,
    Rate,
    StageFinished,
    StageStarted,
)
from cnp_engine.rundir import RunDirectory
from cnp_tui import comparison, phrases, summary
from cnp_tui.watching import outcome
from cnp_tui.widgets.stages import Stages
from tests.tui.alone import Alone
from tests.tui.recorded import Recorded, recorded, state
from tests.tui.screens import exported, heard, text, until

KEPT = Healed(
    12, 200, True, LabelFree(Rate(0.9, 300, 0.86, 0.93)),
    LabelFree(Rate(0.95, 300, 0.92, 0.97), Rate(0.01, 260, 0.0, 0.03)),
    Measured(Rate(0.885, 1000, 0.86, 0.9), Rate(0.004, 900, 0.0, 0.01), Rate(0.88, 900, 0.86, 0.9)),
    "/runs/demo/exports/healed.pth",
)  # fmt: skip
DROPPED = dataclasses.replace(KEPT, kept=False, measured=Measured(), path="")


def healing(link: Recorded, when: Literal["auto", "always", "never"] = "always") -> Recorded:
    """The same of a run that is told when to heal."""
    config = link.run.config
    config = dataclasses.replace(config, heal=dataclasses.replace(config.heal, when=when))
    link.run = RunDirectory(link.run.path, config, "digest")
    return link


def compared(link: Recorded) -> comparison.Compared:
    return comparison.Compared(
        link.run.path.name, link.run.path, link.run.config, "finished", link.snapshot.state
    )


@pytest.mark.asyncio
async def test_a_healed_model_is_asked_for_by_its_box() -> None:
    for link, ticked in ((state("answering"), False), (healing(state("answering")), True)):
        app = Alone(link, "export")
        async with app.run_test(size=(80, 24)) as pilot:
            box = app.screen.query_one("#format-healed", Checkbox)
            assert box.value is ticked
            box.value = True
            await pilot.pause()
            await pilot.press("enter")
            await until(pilot, lambda one=link: bool(one.sent), "the request")  # type: ignore[misc]
            (sent,) = link.sent
            assert isinstance(sent, Export)
            assert "healed" in sent.formats


@pytest.mark.asyncio
async def test_the_export_screen_says_what_healing_came_to() -> None:
    link = state("answering")
    app = Alone(link, "export")
    async with app.run_test(size=(80, 40)) as pilot:
        chosen, again, done = exported(12)
        await heard(pilot, link, chosen, again, KEPT, done)
        said = "Healed: BA 88.5 %, ASR 0.4 %, RA 88.0 %, retention 95.0 %, residual 1.0 %"
        assert said in text(app, "healed")
        await heard(pilot, link, chosen, again, DROPPED, done)
        assert phrases.UNHEALED in text(app, "healed")
        await heard(pilot, link, chosen, again, done)
        assert text(app, "healed") == ""
        await heard(
            pilot, link, dataclasses.replace(DROPPED, copy=True), Exported((), "", copy=True)
        )
        assert phrases.UNHEALED in text(app, "healed"), "of a copy too"


def test_the_outcome_holds_it_against_the_pruned_model() -> None:
    link = recorded("demo", extra=[*exported(12), KEPT])
    rows = [f"{name} {said}" for name, said in outcome(link.run, link.snapshot, "->")]
    assert "healed BA 87.7 % (85.0 to 90.0) ->\u00a088.5 % (86.0 to 90.0), n = 1,000" in rows
    link = recorded("demo", extra=[*exported(12), DROPPED])
    assert f"healed {phrases.UNHEALED}" in [
        " ".join(r) for r in outcome(link.run, link.snapshot, "->")
    ]


def unpruned() -> Recorded:
    """A run that could prune nothing, and healed the checkpoint itself."""
    none = Chosen(0, None, 0.0, "no k is worth its cost")
    return recorded("demo", upto="sweep", extra=[none, dataclasses.replace(KEPT, k=0)])


def test_where_nothing_was_pruned_it_is_held_against_the_checkpoint() -> None:
    link = unpruned()
    rows = [f"{name} {said}" for name, said in outcome(link.run, link.snapshot, "->")]
    assert any(row.startswith("healed BA 98.1 %") and "88.5 %" in row for row in rows)
    text = comparison.text([compared(link), compared(link)])
    (row,) = [line for line in text.splitlines() if line.startswith("ASR healed")]
    assert row.count("0.4 %") == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("heals", [False, True])
async def test_the_stage_is_listed_where_it_is_asked_for_else_when_it_begins(heals: bool) -> None:
    link = recorded("demo", upto="sweep")
    app = Alone(healing(link, "always" if heals else "auto"), "run")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        shown = app.screen.query(Stages).first().render().plain.split("\n")
        assert len(shown) == (7 if heals else 6)
        assert any("heal" in row for row in shown) is heals
        await heard(pilot, link, StageStarted("heal", 200, "steps"))
        await heard(pilot, link, StageFinished("heal", 41.0))
        await pilot.pause()
        listed = app.screen.query(Stages).first()
        assert listed.size.height == 7
        row = next(row for row in listed.render().plain.split("\n") if "heal" in row)
        assert "41" in row


def test_words_for_it() -> None:
    line = phrases.line(KEPT)
    assert line is not None
    assert line.startswith("healed   BA 88.5 %")
    line = phrases.line(DROPPED)
    assert line is not None
    assert phrases.UNHEALED in line
    link = recorded("demo", extra=[*exported(12), KEPT])
    assert "healed     BA 88.5 %" in summary.render(link.run.config, link.snapshot.state)


def test_runs_are_compared_by_it_where_one_has_it() -> None:
    def run(*extra: Healed) -> comparison.Compared:
        return compared(recorded("demo", extra=extra))

    assert "healed" not in comparison.text([run(), run()])
    told = comparison.text([run(), run(KEPT)])
    row = next(line for line in told.splitlines() if line.startswith("ASR healed"))
    assert "0.4 %" in row
    assert comparison.table([run(KEPT)])[0]["healed"]["ba"]["value"] == 0.885
