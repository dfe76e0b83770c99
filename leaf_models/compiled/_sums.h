/* Sums over coordinates, their slopes, kernel values and expansions. Included by _coordinates.c, whose terms these
   loops use. */

/* Centers of a tile, column after column, the last lanes padded with zeros. */
static void copy_tile(const float *columns, Py_ssize_t stride, Py_ssize_t m, Py_ssize_t d, Py_ssize_t start,
                      float *tile) {
    Py_ssize_t width = m - start < TILE ? m - start : TILE;
    for (Py_ssize_t j = 0; j < d; j++) {
        memcpy(tile + j * TILE, columns + j * stride + start, (size_t)width * sizeof(float));
        memset(tile + j * TILE + width, 0, (size_t)(TILE - width) * sizeof(float));
    }
}

/* A separate loop for every kind and shape, so that there are no branches inside. */
#define EACH_SHAPE(loop, row, d, tile, f, ...)                                      \
    do {                                                                           \
        if ((f).kind == POWER) {                                                   \
            if ((f).shape == ONE) loop(row, d, tile, f, POWER, ONE, __VA_ARGS__);      \
            else if ((f).shape == TWO) loop(row, d, tile, f, POWER, TWO, __VA_ARGS__); \
            else loop(row, d, tile, f, POWER, GENERAL, __VA_ARGS__);                   \
        } else if ((f).shape == ONE) loop(row, d, tile, f, DECAY, ONE, __VA_ARGS__);   \
        else if ((f).shape == TWO) loop(row, d, tile, f, DECAY, TWO, __VA_ARGS__);     \
        else loop(row, d, tile, f, DECAY, GENERAL, __VA_ARGS__);                       \
    } while (0)

/* sums (TILE,) += terms of d columns of a row */
INLINE void add_row(const float *u, Py_ssize_t d, const float *tile, Function f, int kind, int shape, float *sums) {
    Py_ssize_t j = 0;
    for (; j + 4 <= d; j += 4) { /* four columns per load and store of the sums */
        const float *x = u + j, *c = tile + j * TILE;
        for (int i = 0; i < TILE; i++)
            sums[i] += (sum_term(fabsf(x[0] - c[i]), f, kind, shape) +
                        sum_term(fabsf(x[1] - c[TILE + i]), f, kind, shape)) +
                       (sum_term(fabsf(x[2] - c[2 * TILE + i]), f, kind, shape) +
                        sum_term(fabsf(x[3] - c[3 * TILE + i]), f, kind, shape));
    }
    for (; j < d; j++) {
        const float *c = tile + j * TILE;
        for (int i = 0; i < TILE; i++) sums[i] += sum_term(fabsf(u[j] - c[i]), f, kind, shape);
    }
}

/* The sums of some rows with a tile of centers, a block of columns at a time: a tile of thousands of columns would be
   read from memory again for every row. Scratch holds a block and sums (ROWS, TILE), which are returned; a tile of one
   block stays there after the `first` rows. */
INLINE float *sum_rows(const float *u, Py_ssize_t rows, const float *columns, Py_ssize_t stride, Py_ssize_t m,
                       Py_ssize_t d, Py_ssize_t start, Function f, int first, float *scratch) {
    float *sums = scratch + COLUMNS * TILE;
    memset(sums, 0, (size_t)(rows * TILE) * sizeof(float));
    for (Py_ssize_t from = 0; from < d; from += COLUMNS) {
        Py_ssize_t count = d - from < COLUMNS ? d - from : COLUMNS;
        if (first || d > COLUMNS) copy_tile(columns + from * stride, stride, m, count, start, scratch);
        for (Py_ssize_t r = 0; r < rows; r++)
            EACH_SHAPE(add_row, u + r * d + from, count, scratch, f, sums + r * TILE);
    }
    return sums;
}

/* out (b, m) += sums over the d columns */
INLINE void add_sums_loop(const float *u, Py_ssize_t b, const float *columns, Py_ssize_t stride, Py_ssize_t m,
                          Py_ssize_t d, Function f, float *scratch, float *out) {
    for (Py_ssize_t start = 0; start < m; start += TILE) {
        Py_ssize_t width = m - start < TILE ? m - start : TILE;
        for (Py_ssize_t at = 0, rows; at < b; at += rows) {
            rows = d <= COLUMNS ? 1 : b - at < ROWS ? b - at : ROWS;
            const float *sums = sum_rows(u + at * d, rows, columns, stride, m, d, start, f, at == 0, scratch);
            for (Py_ssize_t r = 0; r < rows; r++) {
                float *target = out + (at + r) * m + start;
                for (Py_ssize_t i = 0; i < width; i++) target[i] += sums[r * TILE + i];
            }
        }
    }
}

DISPATCHED(add_sums, (const float *u, Py_ssize_t b, const float *columns, Py_ssize_t stride, Py_ssize_t m,
           Py_ssize_t d, Function f, float *scratch, float *out), (u, b, columns, stride, m, d, f, scratch, out))

INLINE void add_row_slopes(const float *u, Py_ssize_t d, const float *tile, Function f, int kind, int shape,
                           const float *weights, Py_ssize_t outputs, double *out) {
    float slopes[TILE];
    for (Py_ssize_t j = 0; j < d; j++) {
        const float x = u[j], *column = tile + j * TILE;
        for (int i = 0; i < TILE; i++) {
            float delta = x - column[i], value = slope_term(fabsf(delta), f, kind, shape);
            slopes[i] = delta == 0.0f ? 0.0f : copysignf(value, delta);
        }
        for (Py_ssize_t o = 0; o < outputs; o++) {
            const float *w = weights + o * TILE;
            float lanes[LANES] = {0};
            for (int i = 0; i < TILE; i += LANES)
                for (int l = 0; l < LANES; l++) lanes[l] += w[i + l] * slopes[i + l];
            double sum = 0.0;
            for (int l = 0; l < LANES; l++) sum += lanes[l];
            out[o * d + j] += sum;
        }
    }
}

/* out (b, outputs, d) = sum over the centers of pair (b, m) * coefficients (outputs, m) * sign * slope */
INLINE void add_slopes_loop(const float *u, Py_ssize_t b, const float *columns, Py_ssize_t stride, Py_ssize_t m,
                            Py_ssize_t d, const float *pair, const float *coefficients, Py_ssize_t outputs,
                            Function f, float *tile, float *weights, double *out) {
    memset(out, 0, (size_t)(b * outputs * d) * sizeof(double));
    for (Py_ssize_t start = 0; start < m; start += TILE) {
        Py_ssize_t width = m - start < TILE ? m - start : TILE;
        copy_tile(columns, stride, m, d, start, tile);
        memset(weights, 0, (size_t)(outputs * TILE) * sizeof(float));
        for (Py_ssize_t r = 0; r < b; r++) {
            const float *pairs = pair + r * m + start, *row = u + r * d;
            for (Py_ssize_t o = 0; o < outputs; o++)
                for (Py_ssize_t i = 0; i < width; i++)
                    weights[o * TILE + i] = pairs[i] * coefficients[o * m + start + i];
            double *target = out + r * outputs * d;
            EACH_SHAPE(add_row_slopes, row, d, tile, f, weights, outputs, target);
        }
    }
}

DISPATCHED(add_slopes, (const float *u, Py_ssize_t b, const float *columns, Py_ssize_t stride, Py_ssize_t m,
           Py_ssize_t d, const float *pair, const float *coefficients, Py_ssize_t outputs, Function f,
           float *tile, float *weights, double *out), (u, b, columns, stride, m, d, pair, coefficients, outputs, f,
           tile, weights, out))

INLINE void each_kernel_value(float *values, Py_ssize_t count, Exponent e, int shape, float rate, int derived) {
    for (Py_ssize_t i = 0; i < count; i++) {
        float s = values[i], raised = shaped_power(s, e, shape), k = decay(rate * raised);
        values[i] = derived ? (s > 0.0f ? k * raised / s : 0.0f) : k;
    }
}

INLINE void each_shaped_value(float *values, Py_ssize_t count, Exponent e, int shape, float rate, int derived) {
    if (shape == ONE) each_kernel_value(values, count, e, ONE, rate, derived);
    else if (shape == ROOT) each_kernel_value(values, count, e, ROOT, rate, derived);
    else each_kernel_value(values, count, e, GENERAL, rate, derived);
}

/* exp(-rate s^exponent) in place; derived: that times s^(exponent - 1), zero at zero */
INLINE void kernel_values_loop(float *values, Py_ssize_t count, Exponent e, int shape, float rate,
                               int derived) {
    Py_ssize_t whole = count - count % TILE;
    for (Py_ssize_t start = 0; start < whole; start += TILE) {
        if (derived) each_shaped_value(values + start, TILE, e, shape, rate, 1);
        else each_shaped_value(values + start, TILE, e, shape, rate, 0);
    }
    /* The rest is padded to whole vectors: GCC 16 rounds a loop's last values otherwise than its vectors. */
    float rest[LANES];
    for (Py_ssize_t start = whole; start < count; start += LANES) {
        size_t bytes = (size_t)(count - start < LANES ? count - start : LANES) * sizeof(float);
        memset(rest, 0, sizeof rest);
        memcpy(rest, values + start, bytes);
        if (derived) each_shaped_value(rest, LANES, e, shape, rate, 1);
        else each_shaped_value(rest, LANES, e, shape, rate, 0);
        memcpy(values + start, rest, bytes);
    }
}

DISPATCHED(kernel_values, (float *values, Py_ssize_t count, Exponent e, int shape, float rate, int derived),
           (values, count, e, shape, rate, derived))

/* The kernel value of a sum s: exp(-rate s^exponent), or (constant + rate s)^exponent with an integer exponent. */
enum { DECAYING = 0, RAISED = 1 };

typedef struct {
    int kind;
    Exponent exponent;
    int shape;
    int times; /* the integer exponent */
    float rate, constant;
} Link;

INLINE void apply_link(float *sums, Link link) {
    if (link.kind == DECAYING) {
        each_shaped_value(sums, TILE, link.exponent, link.shape, link.rate, 0);
        return;
    }
    float bases[TILE];
    for (int i = 0; i < TILE; i++) {
        float s = sums[i] > 0.0f ? sums[i] : 0.0f; /* rounding may make it negative */
        bases[i] = link.constant + link.rate * s;
        sums[i] = 1.0f;
    }
    for (int k = 0; k < link.times; k++)
        for (int i = 0; i < TILE; i++) sums[i] *= bases[i];
}

/* out (outputs,) += the coefficients of a tile times the kernel values of the sums */
INLINE void add_outputs(const float *sums, const double *weights, Py_ssize_t outputs, double *out) {
    for (Py_ssize_t o = 0; o < outputs; o++) {
        const double *w = weights + o * TILE;
        double lanes[LANES] = {0};
        for (int i = 0; i < TILE; i += LANES)
            for (int l = 0; l < LANES; l++) lanes[l] += w[i + l] * (double)sums[i + l];
        double sum = 0.0;
        for (int l = 0; l < LANES; l++) sum += lanes[l];
        out[o] += sum;
    }
}

/* out (b, outputs) = kernel values of a row with all centers, times coefficients (outputs, m), summed in double.
   The sums over columns start at begin (b, m), or at zero if it is NULL. No kernel value is written to memory. */
INLINE void expand_loop(const float *u, Py_ssize_t b, const float *columns, Py_ssize_t stride, Py_ssize_t m,
                        Py_ssize_t d, Function f, const float *begin, Link link, const double *coefficients,
                        Py_ssize_t outputs, float *scratch, double *weights, double *out) {
    memset(out, 0, (size_t)(b * outputs) * sizeof(double));
    for (Py_ssize_t start = 0; start < m; start += TILE) {
        Py_ssize_t width = m - start < TILE ? m - start : TILE;
        memset(weights, 0, (size_t)(outputs * TILE) * sizeof(double));
        for (Py_ssize_t o = 0; o < outputs; o++)
            memcpy(weights + o * TILE, coefficients + o * m + start, (size_t)width * sizeof(double));
        for (Py_ssize_t at = 0, rows; at < b; at += rows) {
            rows = d <= COLUMNS ? 1 : b - at < ROWS ? b - at : ROWS;
            float *sums = sum_rows(u + at * d, rows, columns, stride, m, d, start, f, at == 0, scratch);
            for (Py_ssize_t r = 0; r < rows; r++, sums += TILE) {
                if (begin != NULL) {
                    const float *given = begin + (at + r) * m + start;
                    for (Py_ssize_t i = 0; i < width; i++) sums[i] += given[i];
                }
                apply_link(sums, link);
                add_outputs(sums, weights, outputs, out + (at + r) * outputs);
            }
        }
    }
}

DISPATCHED(expand, (const float *u, Py_ssize_t b, const float *columns, Py_ssize_t stride, Py_ssize_t m,
           Py_ssize_t d, Function f, const float *begin, Link link, const double *coefficients,
           Py_ssize_t outputs, float *scratch, double *weights, double *out), (u, b, columns, stride, m, d, f, begin,
           link, coefficients, outputs, scratch, weights, out))
