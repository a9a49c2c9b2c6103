"""The page that adds a model tells the truth: what it shows is run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from understudy.parts.models import ModelOptions, models

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-model.md"


def test_the_model_of_the_page_learns_and_predicts() -> None:
    source = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )[0]
    before = dict(models._parts)
    try:
        exec(compile(source, str(PAGE), "exec"), {"__name__": "little"})
        little: type[ModelOptions] = models["little"]
    finally:
        models._parts.clear()
        models._parts.update(before)
    assert little.live_names() == {"sharpness"} and little.optimizer == "adabelief"
    model = little().build()
    model.initialise(torch.Generator().manual_seed(0))
    found = model.predict(np.random.default_rng(0).random((2, 64, 64, 3)).astype(np.float32))
    assert found.image.shape == (2, 64, 64, 3) and found.mask.shape == (2, 64, 64)
    assert sum(weight.numel() for weight in model.parameters()) < 5e6
