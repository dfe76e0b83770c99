"""The search space: kernels, bandwidth, ridge, feature matrix, encodings and target transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import optuna

from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models.config import LINEAR_FAMILIES, CenterChoice, Loss
from xrfm_cli.mentions import option
from xrfm_cli.tuning.pins import (
    TRANSFER_CHOICES,
    NumericTransform,
)
from xrfm_cli.tuning.problem.size_limit import SHARES, SizeLimit
from xrfm_cli.tuning.search.candidate import LINKS, TRANSLATED, Candidate, choose_split_rows
from xrfm_cli.tuning.search.idle import IDLE, idle_on

LINEAR_ITERATIONS = 10  # AGOP updates of a linear leaf are very cheap


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """The search space of one table.

    ``general_p`` lets the norm kernel's p vary between q and 2; its powers cost several times those of p = 1
    or 2. ``full_feature_matrix`` is for narrow tables, ``log_target`` for skewed targets, ``pieces`` for
    tables that a piecewise-linear encoding does not make too wide, ``losses`` are those that kernel machines
    may minimise. ``level`` is that of the metric's quantile, ``transfers`` is for fits with a base model,
    ``squares`` for numeric targets with so many columns that products of several may hide, and ``size`` for
    model files of a limited size.
    """

    leaf_size: int
    pinned: Mapping[str, Any]
    has_numbers: bool
    has_categories: bool
    general_p: bool
    full_feature_matrix: bool
    sum_power: bool
    log_target: bool = False
    pieces: bool = False
    losses: tuple[Loss, ...] = ("squared",)
    level: float | None = None
    transfers: bool = False
    squares: bool = False
    size: SizeLimit | None = None
    max_iterations: int = 25
    agop_rows: int = 2_000

    @property
    def families(self) -> list[str]:
        """Return the families to draw from: norm kernels with p = 2, p = 1 or another p, sum-power, linear.

        A family on which a pinned hyperparameter has no effect is left out.
        """
        families = []
        if self._suits("norm"):
            pinned_p = self.pinned.get("kernel_p")
            if pinned_p is not None:
                return [{2.0: "l2", 1.0: "l1"}.get(float(pinned_p), "lp")]
            families += ["l2", "l1"] + (["lp"] if self.general_p else [])
        if self._suits("sum_power") and (self.sum_power or not families):
            families.append("sum_power")
        # Linear leaves predict means.
        is_wanted = self._suits("linear") and ("squared" in self.losses or "kernel" in self.pinned)
        return families + (["linear"] if is_wanted else [])

    @property
    def numeric_transforms(self) -> list[NumericTransform]:
        """Return the transforms of numbers to draw from; those without room in the file are left out."""
        known = get_args(NumericTransform)
        found: list[NumericTransform] = [name for name in known if self.pieces or name != "piecewise"]
        if self.size is None:
            return found
        roomy = [e.numeric for e in self.size.columns if self.size.suits(e) and e.numeric in found]
        return list(dict.fromkeys(roomy)) or found

    @property
    def tries_constant(self) -> bool:
        """Return whether a constant leaf may be tried; once is enough, so it is never drawn."""
        return self._suits("constant")

    def _suits(self, kernel: str) -> bool:
        return self.pinned.get("kernel", kernel) == kernel and not idle_on(kernel, self.pinned) & self._wanted

    @property
    def _wanted(self) -> set[str]:
        """Return the names of the effective pins; every family has the squared loss and the AGOP."""
        usual = (("loss", "squared"), ("feature_matrix", "agop"))
        return {name for name, value in self.pinned.items() if (name, value) not in usual}

    def suggest(self, trial: optuna.trial.BaseTrial) -> Candidate:
        """Draw one candidate from the sampler. Pinned hyperparameters are not drawn.

        Nothing is drawn for a trial whose user attribute ``family`` is "constant".
        """
        if not self.families or trial.user_attrs.get("family") == "constant":
            # With a base model, the constant is its own prediction, corrected.
            base = {"transfer": "translation"} if self.transfers else {}
            constant = {"kernel": "constant", "iterations": 0} | self._quantile()
            return self.complete({**constant, **self._tree(), **base})
        values: dict[str, Any] = {
            "bandwidth_mode": "adaptive",
            "iterations": self.max_iterations,
            **self._tree(),
            "agop_rows": self.agop_rows,
        }
        values |= self._kernel(trial)
        if values["kernel"] in ("norm", "sum_power"):
            values["loss"] = self._choice(trial, "loss", list(self.losses))
            if values["loss"] == "quantile":
                values |= self._quantile()
        shapes = ["diagonal", "full"] if self.full_feature_matrix else ["diagonal"]
        values["metric_shape"] = self._choice(trial, "metric_shape", shapes)
        if "ridge" not in values:
            values["ridge"] = self._real(trial, "ridge", 1e-5, 30.0, log=True)
        if self.has_numbers:
            values["numeric_transform"] = self._choice(trial, "numeric_transform", self.numeric_transforms)
        if self.has_categories:
            values["category_encoding"] = self._choice(trial, "category_encoding", ["one_hot", "target"])
        if self.log_target and values.get("loss") not in LINKS:
            values["target_transform"] = self._choice(trial, "target_transform", ["none", "log"])
        if self.transfers:
            for name, options in TRANSFER_CHOICES.items():
                values[name] = self._choice(trial, name, list(options))
        elif self.squares and values["kernel"] in ("norm", "sum_power"):
            values["start_matrix"] = self._choice(trial, "start_matrix", ["identity", "squares"])
        candidate = self.complete(values)
        return candidate if self.size is None else self._within_size(trial, candidate, self.size)

    def _within_size(self, trial: optuna.trial.BaseTrial, candidate: Candidate, size: SizeLimit) -> Candidate:
        """Return a candidate with at most as many centers as a share of the file has room for."""
        tree = candidate.tree
        if tree.leaf.kernel in LINEAR_FAMILIES or "max_centers" in self.pinned:
            return candidate
        share = float(trial.suggest_categorical("size_share", SHARES))
        choice: Any = self._choice(trial, "center_choice", list(get_args(CenterChoice)))
        most = size.most_centers(tree.leaf, candidate.encoding, leaf_size=tree.leaf_size, share=share)
        leaf = replace(tree.leaf, max_centers=most, center_choice=choice)
        return replace(candidate, tree=replace(tree, leaf=leaf))

    def complete(self, values: Mapping[str, Any]) -> Candidate:
        """Build a candidate from some values; pins win."""
        merged = {**values, **self.pinned}
        self._refuse_idle_pins()
        if merged.get("kernel") == "norm" and merged.get("kernel_q", 1.0) > merged.get("kernel_p", 2.0):
            loser = "kernel_q" if "kernel_q" not in self.pinned else "kernel_p"
            merged[loser] = merged["kernel_p" if loser == "kernel_q" else "kernel_q"]
        if merged.get("loss") in LINKS and merged.get("transfer") in TRANSLATED:
            # A target minus its translation may be any number, so it is neither a class nor an amount.
            if "loss" not in self.pinned:
                merged["loss"] = "squared"
            elif "transfer" not in self.pinned:
                merged["transfer"] = "projection"
            else:
                lacks = "log odds" if merged["loss"] == "logistic" else "mean above 0"
                raise OptionError(
                    f"{option('set', {'transfer': merged['transfer']})}: learns the part of the target that "
                    f"the base does not explain, which has no {lacks}. "
                    f"Leave {option('set', {'loss': merged['loss']})} out or use "
                    f"{option('set', {'transfer': 'projection'})}."
                )
        return Candidate.from_dict(merged)

    def _quantile(self) -> dict[str, Any]:
        return {} if self.level is None else {"loss": "quantile", "quantile": self.level}

    def _tree(self) -> dict[str, int]:
        return {"leaf_size": self.leaf_size, "split_rows": choose_split_rows(self.leaf_size)}

    def _refuse_idle_pins(self) -> None:
        """Refuse a pin that has no effect, because it belongs to other kernel families."""
        kernel = self.pinned.get("kernel", "norm" if "kernel_p" in self.pinned else "sum_power")
        if "quantile" in self.pinned and "quantile" not in (self.pinned.get("loss"), *self.losses):
            raise OptionError(
                f"{option('set')} quantile: is the level of the quantile loss. Add "
                f"{option('set', {'loss': 'quantile'})} or leave it out."
            )
        for name in sorted(idle_on(kernel, self.pinned) & self._wanted):
            others = [other for other, idle in IDLE.items() if name not in idle]
            raise OptionError(
                f"{option('set')} {name}: belongs to the {' or '.join(others)} kernel. "
                f"Add {option('set', {'kernel': others[0]})} or leave it out."
            )

    def _kernel(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        families = self.families
        family = families[0] if len(families) == 1 else trial.suggest_categorical("family", families)
        if family == "sum_power":
            return {
                "kernel": "sum_power",
                "kernel_q": self._real(trial, "sum_power_q", 0.5, 1.6, pin="kernel_q"),
                "power": self.pinned.get("power") or trial.suggest_int("power", 2, 8),
                "bandwidth": self._real(trial, "sum_power_bandwidth", 0.5, 20.0, log=True, pin="bandwidth"),
            }
        if family == "linear":  # its ridge is on the scale of sums over rows
            return {
                "kernel": "linear",
                "ridge": self._real(trial, "linear_ridge", 1e-3, 1e3, log=True, pin="ridge"),
                "iterations": LINEAR_ITERATIONS,
            }
        q = self._real(
            trial,
            f"{family}_q",
            0.5 if family == "l1" else 0.7,
            1.0 if family == "l1" else 1.6,
            pin="kernel_q",
        )
        p = {"l1": 1.0, "l2": 2.0}.get(family)
        if p is None:
            p = q + (2 - q) * self._real(trial, "lp_share", 0.0, 0.8, pin="kernel_p")
        return {
            "kernel": "norm",
            "kernel_q": q,
            "kernel_p": p,
            "bandwidth": self._real(trial, f"{family}_bandwidth", 0.3, 30.0, log=True, pin="bandwidth"),
        }

    def _real(
        self,
        trial: optuna.trial.BaseTrial,
        name: str,
        low: float,
        high: float,
        *,
        log: bool = False,
        pin: str = "",
    ) -> float:
        pinned = self.pinned.get(pin or name)
        return float(pinned) if pinned is not None else trial.suggest_float(name, low, high, log=log)

    def _choice(self, trial: optuna.trial.BaseTrial, name: str, options: Sequence[str]) -> str:
        if name in self.pinned:
            return str(self.pinned[name])
        return options[0] if len(options) == 1 else str(trial.suggest_categorical(name, list(options)))
