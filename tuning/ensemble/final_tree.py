"""Final models on all rows, starting from the feature matrices that the folds have learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.events import OnEvent
from xrfm_cli.trees import TreeModel, fit_tree
from xrfm_cli.tuning.problem.learning_data import EncodedRows, LearningData, find_encoded
from xrfm_cli.tuning.problem.validation_plan import Rows
from xrfm_cli.tuning.scoring.target_transforms import TargetTransform, TransformName
from xrfm_cli.tuning.search.run_step import trial_generator
from xrfm_cli.tuning.search.space import Candidate

REFIT_FOLD = 1_000_000  # the "fold" of the random generators of the final fits


def align_feature_matrix(metric: Tensor, names: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Map a feature matrix to the columns of another encoder of the same table.

    Encoders fitted on other rows may have other rare levels or missing indicators. Columns are matched by
    name, and a column without an entry starts at the mean of the diagonal.

    >>> align_feature_matrix(torch.tensor([1.0, 0.5]), ["a", "b"], ["b", "c"])
    tensor([0.5000, 0.7500])
    """
    place = {name: k for k, name in enumerate(names)}
    diagonal = metric if metric.ndim == 1 else metric.diagonal()
    fresh = float(diagonal.mean())
    known = [k for k, name in enumerate(wanted) if name in place]
    source = [place[wanted[k]] for k in known]
    if metric.ndim == 1:
        out = torch.full((len(wanted),), fresh, dtype=metric.dtype, device=metric.device)
        out[known] = metric[source]
        return out
    out = torch.eye(len(wanted), dtype=metric.dtype, device=metric.device) * fresh
    rows = torch.tensor(known, dtype=torch.long, device=metric.device)
    columns = torch.tensor(source, dtype=torch.long, device=metric.device)
    out[rows[:, None], rows[None, :]] = metric[columns[:, None], columns[None, :]]
    return out


def average_feature_matrices(metrics: Sequence[Tensor]) -> Tensor:
    """Average feature matrices in the same columns, each normalised to a largest entry of one."""
    return torch.stack([metric / metric.abs().max().clamp(min=1e-30) for metric in metrics]).mean(0)


@dataclass(slots=True, kw_only=True, eq=False)
class Refitter:
    """Fits the members of an ensemble on some rows; members with the same encoding share its matrix."""

    data: LearningData
    rows: Rows
    memory_bytes: int
    on_event: OnEvent
    encoded: dict[tuple[EncodingConfig, TransformName], EncodedRows] = field(default_factory=dict)

    def find(self, encoding: EncodingConfig, transform: TransformName) -> EncodedRows | None:
        """Return the rows under an encoding if they are encoded already."""
        return find_encoded(self.encoded, encoding, transform)

    def encode(
        self, encoding: EncodingConfig, transform: TransformName, target_transform: TargetTransform
    ) -> EncodedRows:
        """Return the rows under an encoding."""
        found = self.find(encoding, transform)
        if found is None:
            found = self.data.encode(self.rows, encoding, target_transform)
        self.encoded[encoding, transform] = found
        return found

    def fit(
        self,
        found: EncodedRows,
        candidate: Candidate,
        target_transform: TargetTransform,
        feature_matrix: Tensor | None,
        *,
        trial: int,
        iterations: int,
    ) -> TreeModel:
        """Fit one tree from a learned feature matrix, or from the identity if there is none.

        A single leaf is solved once under a learned feature matrix. Leaves of a larger tree make
        ``iterations`` updates of their own, as they did in validation.
        """
        alone = feature_matrix is not None and len(found.x) <= candidate.tree.leaf_size
        return fit_tree(
            found.x,
            self.data.transformed(self.rows, target_transform),
            candidate.with_iterations(0 if alone else iterations).tree,
            generator=trial_generator(self.data.seed, trial, REFIT_FOLD, 0),
            weights=self.data.weight_tensor(self.rows),
            routed=found.routed,
            initial_feature_matrix=feature_matrix,
            scratch=self.data.scratch,
            memory_bytes=self.memory_bytes,
            on_event=self.on_event,
        )
