"""What can be exported, and the files each of it is."""

from __future__ import annotations

from collections.abc import Mapping

MODEL = "purified"
HEALED = "healed"
"""The model after pruning alone, and after healing too; the latter is also a format's name."""

FILES: Mapping[str, tuple[str, ...]] = {
    "pth": (f"{MODEL}.pth",),
    "safetensors": (f"{MODEL}.safetensors",),
    HEALED: (f"{HEALED}.pth", f"{HEALED}.safetensors"),
    "masks": ("mask_values.txt",),
    "curve": ("curve.csv",),
    "trigger": ("trigger.png",),
    "report": ("report.html", "report.md"),
}
"""By format: the layout the checkpoint came in, safetensors, both healed, what stands beside."""
