"""The mapping from encoded coordinates to columns, which attributions and reports share."""

from xrfm_cli.tuning.explain.columns import ColumnMap, feature_columns, in_float64, map_columns

__all__ = ["ColumnMap", "feature_columns", "in_float64", "map_columns"]
