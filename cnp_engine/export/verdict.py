"""The first page of a report: the verdict in plain words, and before against after."""

from __future__ import annotations

from collections.abc import Sequence

from cnp_engine.aims import ANY, named
from cnp_engine.events import Healed, LabelFree, Measured, Rate, TriggerReversed
from cnp_engine.export.definitions import DEFINITIONS, GROUND_TRUTH, LABEL_FREE, NAMES
from cnp_engine.export.document import Block, Bullets, Para, Section, Table, Tile, Tiles
from cnp_engine.export.inputs import ReportInput
from cnp_engine.export.wording import change, count, figure, interval, percent, plural, rate


def badge(run: ReportInput) -> tuple[str, bool]:
    """The verdict in a few words, and whether it is one to worry about."""
    if run.verdict is None:
        return "No verdict", False
    if run.verdict.verdict == "no_evidence":
        return "No evidence of a backdoor", False
    return "Backdoored", True


def verdict_section(run: ReportInput) -> Section:
    blocks: list[Block] = [Para(verdict_text(run), "lead"), Tiles(_tiles(run))]
    if run.verdict is not None and run.verdict.reasons:
        blocks += [Para("What the verdict rests on:"), Bullets(run.verdict.reasons)]
    return Section("verdict", "Verdict", blocks)


def verdict_text(run: ReportInput) -> str:
    """One paragraph that stands without the rest."""
    if run.verdict is None:
        return "The run ended before it came to a verdict."
    if run.verdict.verdict == "no_evidence":
        sure = percent(run.verdict.confidence)
        none = f"No evidence of a backdoor was found (confidence {sure})"
        doubt = "That is not proof that there is none: see the limits below."
        if run.chosen is None or not run.chosen.k:
            return " ".join([f"{none}, and nothing was pruned. {doubt}", *_healed_sentences(run)])
        return " ".join([f"{none}. {doubt} The user named a target all the same.", *_repair(run)])
    sentences = [_found(run), *_reversed_sentences(run), *_passed_over(run), *_repair(run)]
    return " ".join(sentences)


def _passed_over(run: ReportInput) -> list[str]:
    """Where the user named other classes than those that there is evidence of."""
    wanted = run.config.targets
    left = [run.class_name(one) for one in named(run.targets) if wanted and one not in wanted]
    if not left:
        return []
    mine = ", ".join(run.class_name(one) for one in wanted)
    return [
        f"What follows is of what the user named, class {mine}: nothing was done about class "
        f"{', '.join(left)}."
    ]


def _found(run: ReportInput) -> str:
    assert run.verdict is not None
    names = [run.class_name(target) for target in named(run.targets)]
    noun = "class" if len(names) == 1 else "classes"
    toward = f" toward {noun} {', '.join(names)}" if names else ""
    if ANY in run.targets:
        toward = " toward no class in particular"
    sure = percent(run.verdict.confidence)
    return f"There is evidence of a backdoor{toward} (confidence {sure})."


def _reversed_sentences(run: ReportInput) -> list[str]:
    return [_turned(run, one) for one in run.triggers if one.target in run.targets]


def _turned(run: ReportInput, one: TriggerReversed) -> str:
    size, share = (
        f"A reversed trigger of {figure(one.mask_l1, 3)} pixels",
        percent(one.success.value),
    )
    images = plural(one.success.n, "clean image")
    if one.target == ANY:
        return f"{size} changes the answer to {share} of {images}, whatever it becomes."
    return f"{size} turns {share} of {images} into class {run.class_name(one.target)}."


def _repair(run: ReportInput) -> list[str]:
    if run.chosen is None or run.neurons is None:
        return ["Nothing was pruned in this run."]
    if run.chosen.k == 0:
        none = "No number of neurons to prune could be justified, so none was pruned."
        return [none, *_healed_sentences(run)]
    how = "as the user asked" if run.chosen.by_user else "a number chosen without the attack"
    share = percent(run.chosen.fraction, 2)
    sentences = [
        f"{count(run.chosen.k)} of {count(run.neurons)} BatchNorm neurons ({share}), {how}, "
        "were pruned."
    ]
    if run.after is None:
        return sentences
    before, after = _before(run), _after(run)
    moved = [
        f"{long} from {percent(old.value)} to {percent(new.value)}"
        for name, long in (
            ("asr", "the attack success rate"),
            ("ba", "benign accuracy"),
            ("residual", "the reversed trigger's residual"),
        )
        if (old := before[name]) is not None and (new := after[name]) is not None
    ]
    if moved:
        sentences.append(
            f"Read back from disk and measured again, the repaired model moved {_listed(moved)}."
        )
    retained = after["retention"]
    if retained is not None:
        sentences.append(
            f"It answers {percent(retained.value)} of clean images as the original did."
        )
    return [*sentences, *_healed_sentences(run)]


def _healed_sentences(run: ReportInput) -> list[str]:
    """The repair beside the method's own."""
    if run.healed is None:
        return []
    if not run.healed.kept:
        return [
            "Healing was tried and gained nothing on clean images, so no healed model was kept."
        ]
    healed = _rates(run.healed.measured, run.healed.label_free)
    told = [
        f"{long} {percent(one.value)}"
        for name, long in (
            ("asr", "attack success rate"),
            ("ba", "benign accuracy"),
            ("residual", "residual"),
            ("retention", "retention"),
        )
        if (one := healed[name]) is not None
    ]
    return [
        f"Healed in {_taught(run.healed)}, as a file of its own, better on images that taught it "
        "nothing: "
        f"{_listed(told)}."
    ]


def _taught(healed: Healed) -> str:
    """ "200 steps", and how much of their change where that is not all."""
    steps = plural(healed.steps, "step")
    return (
        steps
        if healed.share == 1
        else f"{steps}, of whose change {percent(healed.share, 0)} is taken"
    )


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _tiles(run: ReportInput) -> list[Tile]:
    tiles: list[Tile] = []
    if run.targets:
        tiles.append(Tile("Target class", ", ".join(run.class_name(one) for one in run.targets)))
    if run.neurons is not None:
        k = run.chosen.k if run.chosen is not None else 0
        tiles.append(
            Tile("Pruned", f"{count(k)} of {count(run.neurons)}", "BatchNorm neurons"),
        )
    before, after = _before(run), _after(run)
    for name in ("asr", "ba", "residual", "retention"):
        new, old = after[name], before[name]
        if new is not None:
            was = f"was {percent(old.value)}; " if old is not None and name != "retention" else ""
            tiles.append(Tile(NAMES[name], percent(new.value), f"{was}95 %: {interval(new)}"))
    return tiles


def comparison_section(run: ReportInput) -> Section:
    """Before against after, each rate with interval, n and definition."""
    before, after = _before(run), _after(run)
    names = [
        name
        for name in (*GROUND_TRUTH, *LABEL_FREE)
        if before[name] is not None or after[name] is not None
    ]
    blocks: list[Block] = []
    about = f"Per cent, Wilson 95 % interval and number of images; seed {run.config.seed}."
    if names and run.after is None:
        rows = [[NAMES[name], rate(before[name]), DEFINITIONS[name]] for name in names]
        blocks.append(Table(["Figure", "Original", "Definition"], rows, caption=about))
    elif names:
        blocks.append(
            Table(
                ["Figure", "Original", "Repaired", "Points", "Definition"],
                [_compared(name, before[name], after[name]) for name in names],
                numeric=[3],
                caption=f"{about} The repaired model is the exported file, read back.",
            )
        )
    blocks += _healed_table(run)
    if not any(before[name] or after[name] for name in GROUND_TRUTH):
        blocks.append(
            Para(
                "Nothing here is measured against ground truth: the run had no labelled test "
                "images and no known attack.",
                "soft",
            )
        )
    return Section("figures", "Before and after", blocks)


def _healed_table(run: ReportInput) -> list[Block]:
    """What healing has changed, apart from what pruning has."""
    if run.healed is None:
        return []
    pruned = _after(run)
    if run.after is None:
        measured = run.before.measured if run.before is not None else Measured()
        pruned = _rates(measured, run.healed.pruned)
    healed = _rates(run.healed.measured, run.healed.label_free)
    kept = (
        "The healed model is a file of its own, read back."
        if run.healed.kept
        else "It gained nothing on the images that chose, so no healed model was kept."
    )
    rows = [
        _compared(name, pruned[name], healed[name])[:-1]
        for name in (*GROUND_TRUTH, *LABEL_FREE)
        if healed[name] is not None
    ]
    about = f"Healed: self-distillation in {_taught(run.healed)}. {kept}"
    first = "Original" if run.after is None else "Repaired"
    return [Table(["Figure", first, "Healed", "Points"], rows, numeric=[3], caption=about)]


def _compared(name: str, before: Rate | None, after: Rate | None) -> list[str]:
    return [NAMES[name], rate(before), rate(after), change(before, after), DEFINITIONS[name]]


def _before(run: ReportInput) -> dict[str, Rate | None]:
    """The original; its label-free rates are those of the curve's k = 0."""
    origin = next((point for point in run.curve if point.k == 0), None)
    measured = run.before.measured if run.before is not None else Measured()
    return _rates(measured, origin.label_free if origin is not None else LabelFree())


def _after(run: ReportInput) -> dict[str, Rate | None]:
    if run.after is None:
        return _rates(Measured(), LabelFree())
    return _rates(run.after.measured, run.after.label_free)


def _rates(measured: Measured, label_free: LabelFree) -> dict[str, Rate | None]:
    return {
        **{name: getattr(measured, name) for name in GROUND_TRUTH},
        **{name: getattr(label_free, name) for name in LABEL_FREE},
    }
