"""Small recorded matrices, made up on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.testing.matrices import Matrix


def a_matrix(
    rows: int = 12, samples: int = 120, *, repeats: int = 0, priced: bool = True, seed: int = 5
) -> Matrix:
    """Rows of rising quality, .3 to .9, on samples that differ in difficulty; the last row is the best.

    Settings are a model and a prompt (three prompts a model). Dearer rows are better.
    """
    rng = np.random.default_rng(seed)
    chance = np.clip(np.linspace(0.3, 0.9, rows)[:, None] + rng.normal(0, 0.15, samples), 0.02, 0.98)
    configs = tuple(
        {"id": f"m{row // 3}|p{row % 3}", "model": f"m{row // 3}", "prompt": f"p{row % 3}"}
        for row in range(rows)
    )
    cost = rng.uniform(0.5, 1.5, (rows, samples)) * np.linspace(1e-4, 1e-3, rows)[:, None]
    reps, score = None, (rng.random(chance.shape) < chance).astype(float)
    if repeats:
        reps = (rng.random((*chance.shape, repeats)) < chance[..., None]).astype(np.int8)
        reps[rng.random(reps.shape) < 0.2] = -1
        reps[..., 0] = np.abs(reps[..., 0])
        score = np.where(reps < 0, 0, reps).sum(axis=2) / (reps >= 0).sum(axis=2)
    return Matrix(name="made up", score=score, configs=configs, reps=reps, cost=cost if priced else None)


@pytest.fixture(scope="session")
def matrix() -> Callable[..., Matrix]:
    """Makes a matrix."""
    return a_matrix


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Path]:
    """Writes a matrix as FILE.npz and FILE.json, with some arrays replaced, or left out by None."""

    def store(matrix: Matrix, **changes: Any) -> Path:
        path = tmp_path / "made-up.npz"
        arrays = {"score": matrix.score, "reps": matrix.reps, "cost": matrix.cost} | changes
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        described = {"name": matrix.name, "configs": list(matrix.configs)}
        path.with_suffix(".json").write_text(json.dumps(described), encoding="utf-8")
        return path

    return store
