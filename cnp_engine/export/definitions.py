"""What each figure means, in one sentence, wherever it is shown (METHOD section 6)."""

from __future__ import annotations

DEFINITIONS: dict[str, str] = {
    "ba": "Benign accuracy: top-1 accuracy on clean test images.",
    "asr": (
        "Attack success rate: share of triggered test images whose true class is not the target "
        "that are answered with the target."
    ),
    "ra": (
        "Robust accuracy: share of the images of the attack success rate that are still answered "
        "with their true class."
    ),
    "asr_all": "Attack success rate with the target class's own images included.",
    "retention": (
        "Share of clean images, unlabelled, on which the pruned network answers as the original."
    ),
    "residual": (
        "Share of unlabelled images carrying a reversed trigger (the worst of several, grown "
        "beyond the smallest that works) that are answered with the target, among those the "
        "original does not answer so without it; where it aims at no class, that are answered "
        "otherwise than clean."
    ),
    "recovery": (
        "Share of the same images that are answered as the original answers the clean image."
    ),
    "success": (
        "Share of unlabelled images carrying the reversed trigger that the original answers with "
        "the target; where it aims at no class, otherwise than clean."
    ),
    "mask_l1": "Size of the reversed trigger: the sum of its mask, in pixels.",
    "neurons": "A neuron is one channel of one affine BatchNorm layer; pruned: its weight is 0.",
}

NAMES: dict[str, str] = {
    "ba": "BA",
    "asr": "ASR",
    "ra": "RA",
    "asr_all": "ASR, all classes",
    "retention": "Retention",
    "residual": "Residual",
    "recovery": "Recovery",
    "success": "Reversed trigger's success",
    "mask_l1": "Mask L1",
}

SIGNALS: dict[str, str] = {
    "octaves": (
        "Of each kind of trigger, first by how many octaves (halvings) it is smaller than the "
        "median of the other classes', or a wave works more often than any next to it; then how "
        "large it is."
    ),
    "counted": (
        "Octaves count as fewer where the other classes differ so much that one of them may well "
        "lie so far out by chance."
    ),
    "strength": "Strength: how much of an image the blend replaces.",
    "warp": "The px of a warp are the root mean square of its displacements.",
    "wave": "Works on: share of images that the plane wave sends to the class.",
    "paired": (
        "Paired: each class with the one that the patch for no class in particular sends most of "
        "it to, no two with the same; share of a class that goes there, on average."
    ),
    "votes": (
        "Votes: how much more often the class is answered when neurons are perturbed; beside "
        "triggers they decide nothing."
    ),
}
"""What the signals of a ranking say, by their last words."""

GROUND_TRUTH = ("ba", "asr", "ra", "asr_all")
LABEL_FREE = ("retention", "residual", "recovery")

INTERVALS = "Wilson score intervals, 95 %."
