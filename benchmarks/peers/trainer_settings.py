"""What both of TRL's trainers are told alike: the clock's device, in bf16 on CUDA, and nothing that is not training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def plain(folder: str | Path, device: torch.device) -> dict[str, Any]:
    """Keywords of `transformers.TrainingArguments`: `folder` is where it would save; nothing is saved, logged or reported."""
    return {
        "output_dir": str(folder),
        "bf16": device.type == "cuda",
        "use_cpu": device.type == "cpu",
        "dataloader_pin_memory": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
    }
