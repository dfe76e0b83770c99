/* Products of a float32 matrix in memory with float64 columns, summed in float64. Included by _coordinates.c. */

#define PRODUCT_ROWS 4 /* rows that share what is read of a column: their sums fit into the registers */

/* out (count, stride) of one column; the order of a row's sum depends on m alone */
INLINE void multiply_rows(const float *rows, Py_ssize_t count, Py_ssize_t m, const double *column, double *out,
                          Py_ssize_t stride) {
    double lanes[PRODUCT_ROWS][LANES] = {{0}};
    Py_ssize_t j = 0;
    for (; j + LANES <= m; j += LANES)
        for (Py_ssize_t r = 0; r < count; r++)
            for (int l = 0; l < LANES; l++) lanes[r][l] += (double)rows[r * m + j + l] * column[j + l];
    for (Py_ssize_t r = 0; r < count; r++) {
        for (int l = 0; l < m - j; l++) lanes[r][l] += (double)rows[r * m + j + l] * column[j + l];
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++) lanes[r][l] += lanes[r][l + half];
        out[r * stride] = lanes[r][0];
    }
}

/* out (b, outputs) = matrix (b, m) times columns (outputs, m) */
INLINE void multiply_loop(const float *matrix, Py_ssize_t b, Py_ssize_t m, const double *columns, Py_ssize_t outputs,
                          double *out) {
    Py_ssize_t r = 0;
    for (; r + PRODUCT_ROWS <= b; r += PRODUCT_ROWS)
        for (Py_ssize_t c = 0; c < outputs; c++)
            multiply_rows(matrix + r * m, PRODUCT_ROWS, m, columns + c * m, out + r * outputs + c, outputs);
    for (; r < b; r++)
        for (Py_ssize_t c = 0; c < outputs; c++)
            multiply_rows(matrix + r * m, 1, m, columns + c * m, out + r * outputs + c, outputs);
}

DISPATCHED(multiply, (const float *matrix, Py_ssize_t b, Py_ssize_t m, const double *columns, Py_ssize_t outputs,
                      double *out), (matrix, b, m, columns, outputs, out))
