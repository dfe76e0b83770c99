"""Matrices in 16 bits: close to the values, and themselves when they are packed again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from xrfm_cli.errors import ModelFileError
from xrfm_cli.leaf_models.packing import pack, packed, unpack, unpacked


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=20))
def test_values_move_by_half_a_step_and_are_packed_to_themselves(values: list[float]) -> None:
    column = torch.tensor(values)[:, None]
    codes, grid = pack(column)
    stored = unpack(codes, grid)
    span, largest = float(column.max() - column.min()), float(column.abs().max())
    step = float(grid[1, 0])
    assert step <= max(2 * span / 65_534, largest / 2**21, 2.0**-100)
    assert float((stored.double() - column.double()).abs().max()) <= step / 2
    assert torch.equal(unpack(*pack(stored)), stored)


def test_columns_have_grids_of_their_own() -> None:
    x = torch.tensor([[0.0, 1e6], [1.0, 3e6], [0.3, 2e6]])
    moved = (unpack(*pack(x)) - x).abs()
    assert float(moved[:, 0].max()) <= 2.0**-16  # half of its own step, whatever the other column is
    assert float(moved[:, 1].max()) <= 2.0**-16 * 2e6


@pytest.mark.parametrize(
    "tensors",
    [
        {"centers_grid": torch.ones(2, 3)},
        {"centers": torch.ones(4, 3), "centers_grid": torch.ones(2, 3)},
        {"centers": torch.ones(4, 3, dtype=torch.int16), "centers_grid": torch.ones(2, 2)},
        {"centers": torch.ones(4, 3, dtype=torch.int16), "centers_grid": torch.full((2, 3), 3e38)},
        {"centers": torch.ones(4, 3, dtype=torch.int16), "centers_grid": torch.ones(2, 3).double()},
    ],
)
def test_what_no_packing_gives_is_refused(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(ModelFileError, match="a packed matrix"):
        unpacked(tensors)


def test_the_other_tensors_stay_as_they_are() -> None:
    tensors = {"centers": torch.eye(2), "metric": torch.ones(2)}
    found = packed(tensors, ("centers",))
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        "centers": torch.int16,
        "centers_grid": torch.float32,
        "metric": torch.float32,
    }
    assert torch.equal(unpacked(found)["centers"], torch.eye(2))
