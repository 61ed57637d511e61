"""Load: checkpoint, images, preprocessing, and what ground truth says of the model as it came."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from cnp_engine import codec, runtime
from cnp_engine.algorithms.metrics import GroundTruth
from cnp_engine.algorithms.overlay import MaskedNetwork, logits_of
from cnp_engine.config import RunConfig
from cnp_engine.data.attack_file import load_attack, load_trigger
from cnp_engine.data.images import DataSource
from cnp_engine.data.normalize import Normalize, infer_normalize, parse_normalize
from cnp_engine.data.sources import open_source
from cnp_engine.data.split import Split, split
from cnp_engine.errors import AttackInvalid, DataMismatch, WeightsMismatch, WeightsNotFinite
from cnp_engine.events import (
    DataLoaded,
    Event,
    Measured,
    MeasuredBefore,
    ModelLoaded,
    NormalizeChosen,
    StageStarted,
    Warned,
)
from cnp_engine.models.checkpoint import read_checkpoint
from cnp_engine.models.registry import LoadedModel, load_model
from cnp_engine.printing import name_some
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages.evidence import Evidence, measured
from cnp_engine.stages.material import Clock, Material, floats, has, load_json, save_json

BEFORE = "before.json"
SPLIT = "split.json"
GUESS_IMAGES = 256
"""Clean images the preprocessing is told from."""

ASKED = 8
"""Clean images that show whether the network can be asked at all."""


def load_stage(
    config: RunConfig, store: RunDirectory
) -> Generator[Event, None, tuple[Material, Evidence]]:
    """Everything later stages work on. Raises CheckpointError, DataError, DeviceMissing."""
    clock, measured_before = Clock(), has(store, BEFORE)
    yield StageStarted("load")
    device = runtime.pick_device(config.device)
    loaded = load_model(read_checkpoint(config.model), config.arch, config.classes)
    yield model_event(loaded)
    source = open_source(config.data, loaded.architecture.input_size)
    pool = open_source(config.clean_dir, source.size) if config.clean_dir else None
    drawn = split(source, config.clean, config.seed, pool)
    names = class_names(source.classes, loaded.architecture.classes)
    check_targets(config.targets, names)
    yield _data_event(source, drawn, names)
    save_json(store, SPLIT, drawn.record())
    yield from ask_first(loaded, drawn)
    normalize, said = choose_normalize(config.normalize, loaded, drawn)
    yield from said
    loaded.module.to(device).to(memory_format=torch.channels_last)
    network = masked_network(loaded, normalize, runtime.autocast_dtype(config.precision, device))
    material = Material(
        config=config,
        store=store,
        loaded=loaded,
        network=network,
        normalize=normalize,
        optimise=floats(drawn.clean.images[drawn.optimise], device),
        select=floats(drawn.clean.images[drawn.select], device),
        names=names,
    )
    evidence = yield from _evidence(config, store, network, drawn, names)
    yield clock.finished("load", restored=measured_before)
    return material, evidence


def model_event(loaded: LoadedModel) -> ModelLoaded:
    checkpoint = loaded.checkpoint
    return ModelLoaded(
        path=checkpoint.path,
        sha256=checkpoint.sha256,
        format=checkpoint.format,
        weights_at=".".join(checkpoint.weights_at),
        architecture=loaded.architecture.describe,
        classes=loaded.architecture.classes,
        neurons=loaded.neurons,
        layers=tuple((layer.name, layer.channels) for layer in loaded.layers),
        parameters=sum(p.numel() for p in loaded.module.parameters()),
    )


def masked_network(loaded: LoadedModel, normalize: Normalize, autocast: Any) -> MaskedNetwork:
    return MaskedNetwork(
        loaded.module,
        loaded.architecture.head,
        [(layer.name, layer.channels) for layer in loaded.layers],
        mean=normalize.mean,
        std=normalize.std,
        bgr=normalize.bgr,
        autocast=autocast,
    )


def class_names(names: tuple[str, ...], classes: int) -> tuple[str, ...]:
    """The data's names where they fit the network, numbers where the data has none.

    Raises DataMismatch where the data names another number of classes.
    """
    if not names or len(names) == 1:
        return tuple(str(index) for index in range(classes))
    if len(names) != classes:
        raise DataMismatch(
            f"The data has {len(names)} classes, the network answers {classes}.",
            "Give the data the network was trained on, or a folder of unlabelled images.",
        )
    return names


def check_targets(targets: tuple[int, ...], names: tuple[str, ...]) -> None:
    """Raises DataMismatch for a class that the network does not have."""
    for target in targets:
        if not 0 <= target < len(names):
            raise DataMismatch(
                f"--target {target} is no class of a network with {len(names)} classes.",
                f"Give a number from 0 to {len(names) - 1}.",
            )


def _data_event(source: DataSource, drawn: Split, names: tuple[str, ...]) -> DataLoaded:
    height, width = source.size
    return DataLoaded(
        source=source.spec,
        sha256=source.sha256,
        classes=names,
        height=height,
        width=width,
        optimise=len(drawn.optimise),
        select=len(drawn.select),
        test=0 if drawn.test is None else len(drawn.test),
        labelled_test=drawn.test is not None,
        notices=(*source.notices, *drawn.clean.notices, *drawn.notices),
    )


def ask_first(loaded: LoadedModel, drawn: Split) -> list[Event]:
    """What a checkpoint has to be warned of, once its network was asked for a few clean images.

    Raises WeightsNotFinite for answers that are no numbers, WeightsMismatch where it cannot be
    asked for such images, or answers another number of classes than its head has.
    """
    images = drawn.clean.images[:ASKED].float() / 255
    try:
        with torch.no_grad():
            logits_BK = logits_of(loaded.module(images))
    except Exception as error:
        # The user's own network may fail in any way, and so does any that wants other images.
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
            "allocate memory" in str(error)
        ):
            raise
        reason = str(error).strip().partition("\n")[0][:160]
        raise WeightsMismatch(
            f"The network cannot be asked for images of {tuple(images.shape[1:])} (channels, "
            f"height, width): {type(error).__name__}: {reason}.",
            "Only networks that take RGB images of this size can be examined.",
        ) from error
    if not isinstance(logits_BK, torch.Tensor) or logits_BK.shape != (
        len(images), loaded.architecture.classes,
    ):  # fmt: skip
        shape = getattr(logits_BK, "shape", None)
        what = f"a {type(logits_BK).__name__}" + ("" if shape is None else f" of {tuple(shape)}")
        raise WeightsMismatch(
            f"The network answers {len(images)} images with {what}, where one number for each of "
            f"{loaded.architecture.classes} classes is expected.",
            "Give a network that answers with the logits of its classes, as a tensor.",
        )
    if not bool(torch.isfinite(logits_BK).all()):
        raise WeightsNotFinite(
            "The network's answers to clean images are no finite numbers.",
            "Training diverged, or the weights were damaged; give another checkpoint.",
        )
    others = loaded.checkpoint.others
    if not others:
        return []
    place = ".".join(loaded.checkpoint.weights_at)
    return [
        Warned(
            "several_weights",
            f"The checkpoint also holds weights at {name_some(others)}: only those at {place} are "
            "examined. Save the others as files of their own to examine them.",
        )
    ]


def choose_normalize(text: str, loaded: LoadedModel, drawn: Split) -> tuple[Normalize, list[Event]]:
    """What the user said, or what the images and the network's own statistics tell.

    Raises NormalizeUnsure, SettingInvalid for text that names no preprocessing.
    """
    said = parse_normalize(text)
    if said is not None:
        return said, [NormalizeChosen(said.name, said.mean, said.std, said.bgr, None)]
    guess = infer_normalize(loaded.module, drawn.clean.images[:GUESS_IMAGES])
    found = guess.require()
    events: list[Event] = [
        NormalizeChosen(
            found.name, found.mean, found.std, found.bgr, guess.confidence, guess.candidates
        )
    ]
    if guess.notice:
        events.append(Warned("preprocessing", guess.notice))
    return found, events


def _evidence(
    config: RunConfig,
    store: RunDirectory,
    network: MaskedNetwork,
    drawn: Split,
    names: tuple[str, ...],
) -> Generator[Event, None, Evidence]:
    """Measure the checkpoint where labels, and an attack, are known."""
    truth = ground_truth(config, drawn, names)
    if truth is None:
        if config.attack or config.trigger:
            yield Warned(
                "unlabelled", "The attack was not measured: the data has no labelled test."
            )
        return Evidence(None)
    if has(store, BEFORE):
        before = codec.decode(Measured, load_json(store, BEFORE))
    else:
        before = yield from measured("load", network, truth)
        save_json(store, BEFORE, codec.encode(before))
    yield MeasuredBefore(before)
    return Evidence(truth, before)


def ground_truth(config: RunConfig, drawn: Split, names: tuple[str, ...]) -> GroundTruth | None:
    """The labelled test images and the known attack. Raises AttackInvalid."""
    if drawn.test is None or not int(drawn.test.labels.max()) < len(names):
        return None
    images, labels = drawn.test.images, drawn.test.labels
    size = (int(images.shape[2]), int(images.shape[3]))
    if config.attack is None and config.trigger is None:
        return GroundTruth(images, labels)
    if config.attack is not None:
        attack = load_attack(config.attack, size, len(names), drawn.test)
    else:
        assert config.trigger is not None
        if len(config.targets) != 1:
            raise AttackInvalid(
                "--trigger alone does not say which class it aims at.",
                "Give --target K beside it, or an attack.toml with --attack.",
            )
        attack = load_trigger(config.trigger, config.targets[0], size)
    return GroundTruth(images, labels, attack)
