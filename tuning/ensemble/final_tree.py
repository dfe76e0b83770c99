"""Final models on all rows, starting from the feature matrices that the folds have learned."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.trees import TreeModel, fit_tree
from xrfm_cli.trees.tasks import LeafRecords, TreeWorkers
from xrfm_cli.tuning.feature_matrices import starting_matrix
from xrfm_cli.tuning.problem.late_encoding import rows_of_first_fold
from xrfm_cli.tuning.problem.learning_data import EncodedRows, LearningData, find_encoded
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import Rows
from xrfm_cli.tuning.scoring.target_transforms import TargetTransform, TransformName
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.run_step import trial_generator
from xrfm_cli.tuning.squares import SQUARES, squares_matrix
from xrfm_cli.tuning.transfer.translation import Translation

REFIT_FOLD = 1_000_000  # the "fold" of the random generators of the final fits


@dataclass(slots=True, kw_only=True, eq=False)
class Refitter:
    """Fits the members of an ensemble on some rows; members with the same encoding share its matrix."""

    data: LearningData
    rows: Rows
    memory_bytes: int
    on_event: OnEvent
    records: LeafRecords | None = None  # of a fit that may be killed
    workers: TreeWorkers | None = None  # of this machine or of a cluster
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
        translation: Translation | None = None,
        held: Tensor | None = None,
    ) -> TreeModel:
        """Fit one tree from a learned feature matrix, or from the identity if there is none.

        A single leaf is solved once under a learned feature matrix. Leaves of a larger tree make
        ``iterations`` updates of their own, as they did in validation. With a translation, the tree learns
        the part of the target that the translation does not explain. ``held`` are the numbers of rows that
        are not fitted.
        """
        targets = self.data.transformed(self.rows, target_transform)
        if translation is not None:
            targets = targets - self.data.part_of_base(self.rows, translation, target_transform)
        start = feature_matrix
        weights = self.data.weight_tensor(self.rows)
        if start is None and candidate.starts_from_squares:
            generator = trial_generator(self.data.seed, trial, REFIT_FOLD, SQUARES)
            start = squares_matrix(found.x, targets, weights, candidate.tree.leaf, generator=generator)
        elif start is None:
            start = starting_matrix(
                found.encoder,
                self.data.base,
                hides_base=candidate.transfer == "translation",
                from_base=candidate.start_matrix == "base",
                device=self.data.device,
            )
        alone = feature_matrix is not None and len(found.x) <= candidate.tree.leaf_size
        return fit_tree(
            found.x,
            targets,
            candidate.with_iterations(0 if alone else iterations).tree,
            generator=trial_generator(self.data.seed, trial, REFIT_FOLD, 0),
            weights=weights,
            routed=found.routed,
            held=held,
            initial_feature_matrix=start,
            scratch=self.data.scratch,
            records=self.records,
            workers=self.workers,
            memory_bytes=self.memory_bytes,
            on_event=self.on_event,
        )


def encode_in_time(
    problem: Problem,
    candidate: Candidate,
    target_transform: TargetTransform,
    refitter: Refitter,
    *,
    seconds_over: float,
) -> EncodedRows:
    """Return the rows under a candidate's encoding, by the encoder of the first fold if time is short."""
    encoding, transform = candidate.encoding, candidate.transform
    found = refitter.find(encoding, transform)
    if found is None:
        found = rows_of_first_fold(problem, encoding, transform, seconds_over=seconds_over)
        if found is not None:
            message = "the time limit left no room to encode the rows again; the first fold's encoder is used"
            refitter.on_event(Event(kind="fallback", message=message, count=1))
            refitter.encoded[encoding, transform] = found
    return found or refitter.encode(encoding, transform, target_transform)
