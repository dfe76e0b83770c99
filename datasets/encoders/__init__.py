"""How columns become a matrix: one module a kind of column."""
