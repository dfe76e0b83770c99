"""Hyperparameters of a leaf, validated on construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from xrfm_cli.errors import OptionError, did_you_mean

KernelFamily = Literal["norm", "sum_power", "linear", "constant"]
BandwidthMode = Literal["constant", "adaptive"]
MetricShape = Literal["diagonal", "full"]
FeatureMatrix = Literal["agop", "fact"]
CenterChoice = Literal["drawn", "landmarks"]
Loss = Literal["squared", "logistic", "absolute", "quantile", "poisson", "gamma"]
ORDER_LOSSES: tuple[Loss, ...] = ("absolute", "quantile")  # a mean of targets does not stand for its rows


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafConfig:
    """Hyperparameters of a leaf; the defaults are those of the reference implementation.

    ``norm`` kernels are ``exp(-(||u - v||_p / bandwidth)^q)``; ``sum_power`` kernels are ``(constant + (1 -
    constant) / d * sum_j exp(-(|u_j - v_j| / bandwidth)^q))^power``. ``linear`` leaves are linear in the
    inputs, ``constant`` leaves predict the mean of the targets, or their quantile with that loss. Neither
    uses hyperparameters of distances, and ``constant`` uses no others.

    >>> LeafConfig(kernel_p=1.0).kernel_p
    1.0
    >>> LeafConfig(ridge=-1.0)
    Traceback (most recent call last):
    xrfm_cli.errors.OptionError: ridge=-1.0: must be a number above 0 and at most 1e+15.
    """

    kernel: KernelFamily = "norm"
    kernel_p: float = 2.0  # norm kernels: 0 < kernel_q <= kernel_p <= 2
    kernel_q: float = 1.0  # exponent of the distance; 1 is the Laplace kernel
    power: int = 2  # sum-power kernels: order of the interactions
    constant: float = 0.0  # sum-power kernels: share of the constant term, in [0, 1)
    bandwidth: float = 10.0
    bandwidth_mode: BandwidthMode = "constant"  # adaptive: times the median distance under the feature matrix
    ridge: float = 1e-3  # on the diagonal of the kernel matrix, or of a linear leaf's Gram matrix
    iterations: int = 5  # updates of the feature matrix; 0 is a plain kernel machine
    metric_shape: MetricShape = "diagonal"
    feature_matrix: FeatureMatrix = "agop"  # or "fact": of first-order optimality
    agop_rows: int = 4_000  # rows drawn at random for the average gradient outer product
    agop_power: float = 0.5  # the inputs are multiplied by feature matrix ** agop_power
    agop_centred: bool = False  # subtract each output's mean gradient first, as for modular arithmetic
    # "logistic": log odds of two classes, encoded as -1 and 1; "absolute": medians; "quantile": any
    # quantiles; "poisson" and "gamma": logarithms of means of amounts, encoded as shares of their mean
    loss: Loss = "squared"
    quantile: float = 0.5  # level of the quantile loss
    max_centers: int | None = None  # most centers, drawn at random from more rows; None: all rows are centers
    # "drawn": fitted to the targets; "landmarks": to the predictions of a leaf whose rows are all centers
    center_choice: CenterChoice = "drawn"

    def __post_init__(self) -> None:
        for name, options in _CHOICES.items():
            if getattr(self, name) not in options:
                raise OptionError(f"{name}={getattr(self, name)!r}: must be one of {', '.join(options)}.")
        for name, (low, inclusive, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name == "max_centers":
                continue
            fits = is_number(value) and (low <= value if inclusive else low < value) and value <= high
            if not fits:
                above = f"{'at least' if inclusive else 'above'} {low:g}"
                raise OptionError(f"{name}={value!r}: must be a number {above} and at most {high:g}.")
        for name in ("power", "iterations", "agop_rows", "max_centers"):
            if not isinstance(getattr(self, name), int | None):
                raise OptionError(f"{name}={getattr(self, name)!r}: must be a whole number.")
        if self.center_choice == "landmarks" and self.max_centers is None:
            raise OptionError("center_choice='landmarks': needs max_centers, the number of landmarks.")
        if not isinstance(self.agop_centred, bool):
            raise OptionError(f"agop_centred={self.agop_centred!r}: must be true or false.")
        if not (is_number(self.quantile) and 0 < self.quantile < 1):
            raise OptionError(f"quantile={self.quantile!r}: must be a number between 0 and 1, such as 0.9.")
        is_quantile = self.kernel == "constant" and self.loss == "quantile"
        if self.loss != "squared" and self.kernel in LINEAR_FAMILIES and not is_quantile:
            raise OptionError(f"loss='{self.loss}': a {self.kernel} leaf only has loss='squared'.")
        if self.kernel == "norm" and self.kernel_q > self.kernel_p:
            raise OptionError(
                f"kernel_q={self.kernel_q!r}: must not exceed kernel_p={self.kernel_p!r}, "
                "or the kernel is not positive."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LeafConfig:
        """Build from names and values; a misspelt name is refused with the nearest one."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise OptionError(f"{name}: no such hyperparameter of a leaf.{did_you_mean(name, known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON; those without an effect are left out as in old files."""
        values = asdict(self)
        if self.feature_matrix == "agop":
            del values["feature_matrix"]
        if self.loss != "quantile":
            del values["quantile"]
        if self.center_choice == "drawn":
            del values["center_choice"]
        return values


LINEAR_FAMILIES = ("linear", "constant")  # families whose leaves keep no training rows


def is_number(value: object) -> bool:
    """Return whether a value is a number; True and False are not.

    >>> is_number(2), is_number(True), is_number("2")
    (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHOICES: dict[str, tuple[str, ...]] = {
    "kernel": get_args(KernelFamily),
    "bandwidth_mode": get_args(BandwidthMode),
    "metric_shape": get_args(MetricShape),
    "loss": get_args(Loss),
    "feature_matrix": get_args(FeatureMatrix),
    "center_choice": get_args(CenterChoice),
}
LARGEST = 1e15  # far beyond any use, and within 64 bits as an integer
MOST_ROWS = 10**9
_RANGES: dict[str, tuple[float, bool, float]] = {  # low, whether low itself is allowed, high
    "kernel_p": (0.0, False, 2.0),
    "kernel_q": (0.0, False, 2.0),
    "power": (1, True, 32),
    "constant": (0.0, True, 0.999),
    "bandwidth": (0.0, False, LARGEST),
    "ridge": (0.0, False, LARGEST),
    "iterations": (0, True, 100),
    "agop_rows": (1, True, MOST_ROWS),
    "agop_power": (0.0, False, 2.0),
    "max_centers": (1, True, MOST_ROWS),
}
