"""Whole fits on a simulated device that refuses tensors of two devices, as a GPU does."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.simulated_device import DEVICE, Pretence
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.leaf_models import leaves
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel

PINS = {"leaf_size": 40, "min_leaf_size": 10, "temperature": 0.1, "iterations": 1}


def fit(table: Table, *, device: str, **pinned: object) -> FittedModel:
    schema = infer_schema(table, SchemaOverrides(target="y"))
    config = FitConfig(trials=0, device=device, pinned={**PINS, **pinned})
    return fit_model(table, schema, infer_target(table, "y"), config)


def sample_table(n: int = 90) -> Table:
    source = np.random.default_rng(0)
    x = source.standard_normal((n, 3))
    level = source.choice(["a", "b", "c"], n)
    y = x[:, 0] * x[:, 1] + (level == "a") + 0.1 * source.standard_normal(n)
    return Table(pa.table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "level": level, "y": y}), source="rows")


@pytest.mark.slow
@pytest.mark.parametrize(("p", "batched"), [(1.0, False), (2.0, True)], ids=["one by one", "in batches"])
def test_a_fit_agrees_with_the_one_on_the_cpu(
    p: float, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = sample_table()
    near = fit(table, device="cpu", kernel_p=p, kernel_q=1.0)
    expected = near.predict(table)
    monkeypatch.setattr(leaves, "leaves_per_batch", lambda *args: len(args[2]) if batched else 0)
    with Pretence():
        far = fit(table, device=DEVICE.type, kernel_p=p, kernel_q=1.0)
        assert len(far.members[0].tree.leaves) == len(near.members[0].tree.leaves) > 1
        encoded = far.members[0].encoder.encode(table)[0]
        gradients = far.members[0].tree.gradients(torch.from_numpy(encoded).to(DEVICE))
        found = far.predict(table)
    assert gradients.device == DEVICE
    assert found.values is not None
    assert expected.values is not None
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-2, atol=1e-2)
