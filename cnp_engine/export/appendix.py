"""The end of a report: warnings, limits, where everything came from, how to repeat it."""

from __future__ import annotations

from cnp_engine.export.command import command_line
from cnp_engine.export.definitions import DEFINITIONS, INTERVALS, NAMES
from cnp_engine.export.document import Block, Bullets, Code, Para, Section, Table
from cnp_engine.export.inputs import ReportInput
from cnp_engine.export.wording import count, mebibytes, percent, seconds

LIMITS = (
    "Suppressed is the claim, for the trigger that was measured. A low attack success rate does "
    "not prove that no backdoor is left; no evidence does not prove that there is none.",
    "The reversed trigger is a static patch. Warps and triggers made for each image cannot be "
    "expressed as one; there it acts only as a general push toward the target, and its success "
    "and the residual say little about the true trigger.",
    "Several targets break the idea of a single answer: read the whole ranking. A target that "
    "depends on the image's own class is looked for as a patch only.",
    "Retention counts every changed answer, among the network's mistakes too, and falls faster "
    "than benign accuracy does.",
    "Every figure depends on the preprocessing being the one the network was trained with.",
)


def warnings_section(run: ReportInput) -> Section:
    blocks: list[Block] = [Para(one.text, "warning") for one in run.warnings]
    if run.data is not None:
        blocks += [Para(text, "warning") for text in run.data.notices]
    if not blocks:
        blocks.append(Para("The run gave no warning."))
    return Section("limits", "Warnings and limits", [*blocks, Bullets(LIMITS)])


def provenance_section(run: ReportInput) -> Section:
    rows = [*_model_rows(run), *_data_rows(run), *_machine_rows(run)]
    settings = Table(
        ["Setting", "Value", "Default", "Meaning"],
        [[one.key, one.value, one.default, one.help] for one in run.config.describe()],
        fold="All settings of the run",
    )
    blocks: list[Block] = [Table(["", ""], rows), settings]
    if run.seconds:
        total = sum(value for _, value in run.seconds)
        times = [[stage, seconds(value)] for stage, value in run.seconds]
        blocks.insert(
            1, Table(["Stage", "Time"], [*times, ["all stages", seconds(total)]], numeric=[1])
        )
    return Section("provenance", "Provenance", blocks)


def repeat_section(run: ReportInput) -> Section:
    blocks: list[Block] = [Code(command_line(run.config))]
    files = [
        f"{name} with sha256 {one.sha256}"
        for name, one in (("the model", run.model), ("the data", run.data))
        if one is not None
    ]
    if files:
        blocks.append(Para(f"It repeats this run on {' and '.join(files)}."))
    return Section("repeat", "How to repeat it", blocks)


def definitions_section() -> Section:
    rows = [[NAMES.get(key, "Neuron"), meaning] for key, meaning in DEFINITIONS.items()]
    return Section(
        "definitions",
        "Definitions",
        [Table(["Figure", "Meaning"], [*rows, ["Intervals", INTERVALS]])],
    )


def _model_rows(run: ReportInput) -> list[list[str]]:
    if run.model is None:
        return [["Model", run.config.model]]
    model = run.model
    return [
        ["Model", model.path],
        ["Model's sha256", model.sha256],
        ["Format", f"{model.format}, weights at {model.weights_at}"],
        ["Architecture", f"{model.architecture}, {count(model.classes)} classes"],
        ["Parameters", count(model.parameters)],
        ["BatchNorm neurons", f"{count(model.neurons)} in {len(model.layers)} layers"],
    ]


def _data_rows(run: ReportInput) -> list[list[str]]:
    rows: list[list[str]] = []
    if run.data is not None:
        data = run.data
        test = "labelled" if data.labelled_test else "unlabelled"
        rows += [
            ["Data", data.source],
            ["Data's sha256", data.sha256],
            ["Image size", f"{data.height} x {data.width}"],
            ["Images that optimised", count(data.optimise)],
            ["Images that chose k", f"{count(data.select)}, none of them among the former"],
            ["Images that measured", f"{count(data.test)}, {test}, none of them among the former"],
        ]
    if run.normalize is not None:
        one = run.normalize
        values = f"mean {_triple(one.mean)}, std {_triple(one.std)}, {'BGR' if one.bgr else 'RGB'}"
        sure = "given" if one.confidence is None else f"inferred, {percent(one.confidence)} sure"
        rows.append(["Preprocessing", f"{one.name} ({values}; {sure})"])
    return rows


def _machine_rows(run: ReportInput) -> list[list[str]]:
    rows = [["Seed", str(run.config.seed)]]
    if run.started is not None:
        versions = ", ".join(f"{name} {version}" for name, version in run.started.versions.items())
        rows += [
            ["Device", run.started.device],
            ["Threads", str(run.started.threads)],
            ["Versions", versions],
            ["Digest of the settings", run.started.digest],
        ]
    if run.peak_memory_bytes is not None:
        rows.append(["Peak memory", mebibytes(run.peak_memory_bytes)])
    if run.exported is not None:
        rows.append(["Exported weights' sha256", run.exported.sha256])
    if run.healed is not None and run.healed.sha256:
        rows.append(["Healed weights' sha256", run.healed.sha256])
    if run.measured_at is not None:
        rows.append(["When", run.measured_at])
    return rows


def _triple(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
