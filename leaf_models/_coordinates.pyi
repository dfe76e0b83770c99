"""Compiled loops over addresses; see coordinates.py for what they compute."""

def add_sums(
    u: int,
    b: int,
    columns: int,
    stride: int,
    m: int,
    d: int,
    kind: int,
    exponent: float,
    scale: float,
    out: int,
    /,
) -> None: ...
def slope_sums(
    u: int,
    b: int,
    columns: int,
    stride: int,
    m: int,
    d: int,
    pair: int,
    coefficients: int,
    outputs: int,
    kind: int,
    exponent: float,
    scale: float,
    out: int,
    /,
) -> None: ...
def kernel_values(values: int, count: int, exponent: float, rate: float, derived: int, /) -> None: ...
