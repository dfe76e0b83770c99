"""A metric that folds have learned, carried into the columns of another encoder."""

from __future__ import annotations

import pytest
import torch

from xrfm_cli.tuning.feature_matrices import align_feature_matrix, average_feature_matrices


def full(*diagonal: float) -> torch.Tensor:
    metric = torch.diag(torch.tensor(diagonal))
    metric[0, 1] = metric[1, 0] = 0.3
    return metric


@pytest.mark.parametrize(
    "metric", [torch.tensor([1.0, 0.5, 0.25]), full(1.0, 0.5, 0.25)], ids=["diagonal", "full"]
)
def test_the_same_columns_keep_the_metric(metric: torch.Tensor) -> None:
    assert torch.equal(align_feature_matrix(metric, "abc", "abc"), metric)


@pytest.mark.parametrize(
    "metric", [torch.tensor([1.0, 0.5, 0.25]), full(1.0, 0.5, 0.25)], ids=["diagonal", "full"]
)
def test_columns_are_matched_by_name(metric: torch.Tensor) -> None:
    order = [2, 0, 1]
    turned = metric[order] if metric.ndim == 1 else metric[order][:, order]
    assert torch.equal(align_feature_matrix(metric, "abc", "cab"), turned)
    back = align_feature_matrix(turned, "cab", "abc")
    assert torch.equal(back, metric)


def test_a_column_never_seen_starts_at_the_mean_of_the_diagonal() -> None:
    found = align_feature_matrix(torch.tensor([1.0, 0.2]), ["a", "b"], ["b", "new", "a"])
    assert found.tolist() == pytest.approx([0.2, 0.6, 1.0])
    found = align_feature_matrix(full(1.0, 0.2), ["a", "b"], ["new", "a", "b"])
    assert found.diagonal().tolist() == pytest.approx([0.6, 1.0, 0.2])
    assert found[0, 1:].tolist() == [0.0, 0.0]
    assert found[1, 2].item() == pytest.approx(0.3)
    assert torch.equal(found, found.T)


def test_a_column_that_is_gone_is_left_out() -> None:
    assert align_feature_matrix(torch.tensor([1.0, 0.5, 0.25]), "abc", "ca").tolist() == [0.25, 1.0]
    assert align_feature_matrix(full(1.0, 0.5, 0.25), "abc", "ca").tolist() == [[0.25, 0.0], [0.0, 1.0]]


def test_columns_that_share_nothing_start_equal() -> None:
    assert align_feature_matrix(torch.tensor([1.0, 0.5]), "ab", "xyz").tolist() == [0.75] * 3


def test_the_average_gives_every_fold_the_same_say() -> None:
    found = average_feature_matrices([torch.tensor([10.0, 5.0]), torch.tensor([0.1, 0.2])])
    assert found.tolist() == pytest.approx([0.75, 0.75])
    one = torch.tensor([1.0, 0.25])
    assert torch.equal(average_feature_matrices([one]), one)
    assert torch.equal(average_feature_matrices([one, one * 8.0]), one)


def test_an_average_of_full_metrics_stays_symmetric_and_positive() -> None:
    generator = torch.Generator().manual_seed(0)
    factors = [torch.randn(4, 4, generator=generator) for _ in range(5)]
    found = average_feature_matrices([f @ f.T for f in factors])
    assert torch.allclose(found, found.T)
    assert torch.linalg.eigvalsh(found).min() > 0


def test_a_metric_of_zeros_divides_by_nothing() -> None:
    found = average_feature_matrices([torch.zeros(3), torch.ones(3)])
    assert found.tolist() == [0.5] * 3
