"""The words of a screen, a line each, for its help: by the topic of the screen."""

from __future__ import annotations

from collections.abc import Mapping

from cnp_tui.curves import LABEL_FREE, Name

DEFINITIONS: Mapping[Name, str] = {
    "retention": "clean answers that stay as the checkpoint gave them (label-free)",
    "residual": "images with the reversed trigger that answer the target (label-free)",
    "ba": "clean test images answered right",
    "asr": "test images with the true trigger that answer the target",
    "ra": "the same images answered with their true class",
}
"""Of the figures, as short as a line beside them allows."""

_FREE: dict[str, str] = {name: DEFINITIONS[name] for name in LABEL_FREE}
_TRUTH = {
    "BA": f"benign accuracy: {DEFINITIONS['ba']}",
    "ASR": f"attack success rate: {DEFINITIONS['asr']}",
    "RA": f"robust accuracy: {DEFINITIONS['ra']}",
}
_INTERVAL = {
    "95 % interval": "where the figure of all images may lie, judged by the n that were measured",
}
_NEURON = {
    "neuron": "one channel of a BatchNorm layer; suppressed or pruned: its weight is set to 0",
}

WORDS: Mapping[str, Mapping[str, str]] = {
    "Run": {
        "target": "the class that a backdoor makes the network answer; a suspect may be one",
        "reversed trigger": "the smallest change found that makes images answer a class",
        "patch, blend": "two kinds of it: a mask that covers a spot, a pattern laid over it all",
        "warp": "a third: every picture bent alike, so many pixels on average",
        "mask L1": "size of a patch: how many pixels it covers, the sum of its mask",
        "strength": "size of a blend: how strongly it is laid over the image, from 0 to 1",
        "octaves": "halvings of the other classes' trigger: 1 is half; less if they differ much",
        "votes": "how much more often a class is answered when neurons are perturbed",
        "success": "share of images with the reversed trigger that answer its class",
        "recovery": "share of them answered as without it, while masks are looked for",
        "mask of a neuron": "from 1, kept, to 0, suppressed: its score, which orders neurons",
        **_NEURON, **_FREE, **_TRUTH,
    },
    "Prune": {
        **_NEURON,
        "threshold": "the largest score among the suppressed; a lower score goes earlier",
        **_FREE, **_TRUTH, **_INTERVAL,
        "recommended": "the count that the program chose by retention and residual alone",
        "the reference's 1 %": "one neuron of a hundred, as the paper prunes in every model",
        "~": "interpolated: read off the line between two counts that were measured",
    },
    "Export": {
        **_NEURON, **_FREE, **_TRUTH, **_INTERVAL,
        "preview": "measured in memory, perhaps in bfloat16; the written file is in float32",
    },
    "Compare": {
        **_FREE, **_TRUTH, **_INTERVAL,
        "*  =": "the best of these runs; the best, but another run's interval reaches it",
    },
}  # fmt: skip
