"""Split rows into training and validation rows: randomly, stratified, by groups or by time.

scikit-learn is imported only when rows are split, so that ``--help`` stays fast.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from xrfm_cli.datasets.seeds import small_seed
from xrfm_cli.errors import OptionError, SchemaError
from xrfm_cli.printable import counted

Split = tuple[np.ndarray, np.ndarray]  # row indices for training, row indices for validation


def make_folds(
    n: int,
    *,
    folds: int,
    seed: int,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    time: np.ndarray | None = None,
) -> list[Split]:
    """Split ``n`` rows into folds; each pair holds sorted row indices (train, valid).

    Without ``time``, every row is a validation row in exactly one fold. ``strata`` (n,) are spread evenly,
    whatever their size; rows of one group of ``groups`` (n,) are never on both sides. With ``time`` (n,),
    each fold trains on earlier rows and validates on the next later ones, and the earliest rows are never
    validation rows. There are fewer folds than requested if there are too few rows, groups or times.

    >>> [valid.tolist() for _, valid in make_folds(4, folds=2, seed=0, time=np.array([3, 1, 2, 0]))]
    [[1, 2], [0]]
    """
    if folds < 2:
        raise OptionError(f"folds={folds} must be at least 2")
    if n < 2:
        raise SchemaError(f"{counted(n, 'row')} cannot be split; at least two are needed")
    if time is not None:
        return _time_folds(np.asarray(time), folds, groups)
    if groups is not None:
        return _group_folds(n, folds, seed, strata, _codes(groups))
    from sklearn.model_selection import KFold, StratifiedKFold

    folds = min(folds, n)
    tame = _tame_strata(strata, folds)
    if tame is None:
        return _sorted(KFold(folds, shuffle=True, random_state=small_seed(seed)).split(np.empty(n)))
    return _sorted(
        StratifiedKFold(folds, shuffle=True, random_state=small_seed(seed)).split(np.empty(n), tame)
    )


def make_holdout(
    n: int,
    *,
    share: float,
    seed: int,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    time: np.ndarray | None = None,
) -> Split:
    """Hold rows out for validation: (train, valid), sorted row indices.

    ``share`` is the share of validation rows if below 1, otherwise their number. Strata and groups work as in
    `make_folds`; with ``time``, the latest rows are the validation rows.

    >>> make_holdout(5, share=2, seed=0, time=np.arange(5))[1].tolist()
    [3, 4]
    """
    if not share > 0 or n < 2:
        raise OptionError(f"share={share} of {n} rows leaves no validation rows")
    wanted = round(share * n) if share < 1 else int(share)
    wanted = min(max(wanted, 1), n - 1)
    if time is not None:
        return _time_holdout(np.asarray(time), wanted, groups)
    if groups is not None:
        return _group_holdout(_codes(groups), wanted, seed)
    from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

    tame = _tame_strata(strata, 2)
    if tame is not None and min(wanted, n - wanted) >= len(np.unique(tame)):
        splitter = StratifiedShuffleSplit(1, test_size=wanted, random_state=small_seed(seed))
        return _sorted(splitter.split(np.empty(n), tame))[0]
    return _sorted(ShuffleSplit(1, test_size=wanted, random_state=small_seed(seed)).split(np.empty(n)))[0]


def _sorted(pairs: object) -> list[Split]:
    return [(np.sort(train), np.sort(valid)) for train, valid in pairs]  # type: ignore[attr-defined]


def _codes(values: np.ndarray) -> np.ndarray:
    """Return distinct values as codes 0, 1, ..."""
    return np.unique(np.asarray(values), return_inverse=True)[1].reshape(-1)


def _tame_strata(strata: np.ndarray | None, least: int) -> np.ndarray | None:
    """Merge strata of fewer than ``least`` members into one, or into the smallest other stratum."""
    if strata is None:
        return None
    codes = _codes(strata)
    counts = np.bincount(codes)
    small = counts < least
    if small.any():
        target = int(np.flatnonzero(small)[0])
        if counts[small].sum() < least:
            if small.all():
                return None
            target = int(np.argmin(np.where(small, counts.max() + 1, counts)))
        codes = np.where(small[codes], target, codes)
    codes = _codes(codes)
    return codes if codes.max() > 0 else None


def _group_folds(n: int, folds: int, seed: int, strata: np.ndarray | None, groups: np.ndarray) -> list[Split]:
    """Build folds that keep groups whole, as even as the groups allow."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    n_groups = int(groups.max()) + 1
    if n_groups < 2:
        raise SchemaError("the group column has one value only; folds need at least two groups")
    folds = min(folds, n_groups)
    relabelled = np.random.default_rng(seed).permutation(n_groups)[groups]  # breaks ties at random
    tame = _tame_strata(strata, folds)
    if tame is not None:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=small_seed(seed))
        pairs = _sorted(splitter.split(np.empty(n), tame, relabelled))
        if all(len(train) and len(valid) for train, valid in pairs):
            return pairs
    return _sorted(GroupKFold(folds).split(np.empty(n), groups=relabelled))


def _group_holdout(groups: np.ndarray, wanted: int, seed: int) -> Split:
    """Hold out whole groups in random order until there are enough rows; one group stays for training."""
    n_groups = int(groups.max()) + 1
    if n_groups < 2:
        raise SchemaError("the group column has one value only; a holdout needs at least two groups")
    sizes = np.bincount(groups)
    chosen: list[int] = []
    taken = 0
    for group in np.random.default_rng(seed).permutation(n_groups):
        if len(chosen) < n_groups - 1 and abs(taken + sizes[group] - wanted) < abs(taken - wanted):
            chosen.append(int(group))
            taken += int(sizes[group])
    if not chosen:
        chosen = [int(np.argmin(sizes))]
    inside = np.isin(groups, chosen)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def _time_order(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in order of time, missing times first, and where each new time starts."""
    codes = _codes(time)
    unknown = np.isnat(time) if time.dtype.kind in "mM" else np.zeros(len(time), dtype=bool)
    if time.dtype.kind == "f":
        unknown = np.isnan(time)
    codes = np.where(unknown, -1, codes)
    order = np.argsort(codes, kind="stable")
    starts = np.append(True, np.diff(codes[order]) > 0)
    return order, starts


def _time_folds(time: np.ndarray, folds: int, groups: np.ndarray | None) -> list[Split]:
    """Cut time into blocks; each block but the first validates a model trained on all earlier ones."""
    order, starts = _time_order(time)
    places = np.append(np.flatnonzero(starts), len(time))
    if len(places) < 3:
        raise SchemaError("the time column has one value only; folds need at least two times")
    even = np.linspace(0, len(time), min(folds, len(places) - 2) + 2)
    cuts = np.unique(places[np.abs(places[:, None] - even[None, :]).argmin(axis=0)])
    pairs = []
    for begin, end in pairwise(cuts[1:]):
        train, valid = _apart(order[:begin], order[begin:end], groups)
        if len(train):
            pairs.append((np.sort(train), np.sort(valid)))
    if not pairs:
        raise SchemaError(
            "every group of the earlier rows also has later rows; leave out the group or the time column"
        )
    return pairs


def _time_holdout(time: np.ndarray, wanted: int, groups: np.ndarray | None) -> Split:
    """Hold out the latest rows; rows with the same time stay together."""
    order, starts = _time_order(time)
    places = np.flatnonzero(starts)[1:]
    if not len(places):
        raise SchemaError("the time column has one value only; a holdout needs at least two times")
    cut = int(places[np.abs(places - (len(time) - wanted)).argmin()])
    train, valid = _apart(order[:cut], order[cut:], groups)
    if not len(train):
        raise SchemaError(
            "every group of the earlier rows also has later rows; leave out the group or the time column"
        )
    return np.sort(train), np.sort(valid)


def _apart(train: np.ndarray, valid: np.ndarray, groups: np.ndarray | None) -> Split:
    """Drop training rows whose group also has validation rows."""
    if groups is None:
        return train, valid
    codes = _codes(groups)
    return train[~np.isin(codes[train], codes[valid])], valid
