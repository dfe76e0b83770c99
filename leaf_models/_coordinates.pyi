"""Compiled loops over addresses; compiled.py calls them."""

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
