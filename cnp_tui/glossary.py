"""The words of a screen, a line each, for its help: by the topic of the screen."""

from __future__ import annotations

from collections.abc import Mapping

_FREE = {
    "retention": "share of clean images still answered as the checkpoint answered them; no labels",
    "residual": "share of images with a reversed trigger that still answer the target; no labels",
}
_TRUTH = {
    "BA": "benign accuracy: share of clean test images answered right",
    "ASR": "attack success rate: share of images with the true trigger that answer the target",
    "RA": "robust accuracy: share of those same images answered with their true class",
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
        "mask L1": "size of a patch: how many pixels it covers, the sum of its mask",
        "strength": "size of a blend: how strongly it is laid over the image, from 0 to 1",
        "octaves": "how often a trigger halves the size of other classes': 1 is half, 2 a quarter",
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
