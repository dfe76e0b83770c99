/* A leaf along straight paths: its values at points and, for every coordinate, the part of its change that the
   coordinate explains. Included by _coordinates.c.

   The kernel is a link of a sum of terms, so its change over a segment is the divided difference of the link times
   the changes of the terms: the parts add up, however rough the kernel is. Terms are computed once per point. */

#if defined(_MSC_VER)
#define RESTRICT __restrict
#else
#define RESTRICT restrict
#endif

#define CLOSE 4e-3f /* relative change of a sum below which the link's derivative beats its rounded difference */

INLINE void each_term(const float *u, Py_ssize_t count, const float *tile, Function f, int kind, int shape,
                      const int64_t *columns, float *RESTRICT terms, float *RESTRICT sums) {
    for (Py_ssize_t k = 0; k < count; k++) {
        const float x = u[k], *RESTRICT c = tile + columns[k] * TILE;
        float *RESTRICT t = terms + k * TILE;
        for (int i = 0; i < TILE; i++) t[i] = sum_term(fabsf(x - c[i]), f, kind, shape);
        for (int i = 0; i < TILE; i++) sums[i] += t[i];
    }
}

/* slopes (TILE,): derivatives of the link at the middles of two sums */
INLINE void middle_slopes(const float *RESTRICT first, const float *RESTRICT last, Link link, int shape,
                          float *RESTRICT slopes) {
    if (link.kind == DECAYING) {
        const float factor = -(link.exponent.high + link.exponent.low) * link.rate;
        for (int i = 0; i < TILE; i++) {
            float middle = 0.5f * (first[i] + last[i]), raised = shaped_power(middle, link.exponent, shape);
            float slope = factor * decay(link.rate * raised) * raised / middle;
            slopes[i] = middle > 0.0f ? slope : 0.0f;
        }
        return;
    }
    float bases[TILE];
    for (int i = 0; i < TILE; i++) {
        bases[i] = link.constant + link.rate * 0.5f * (first[i] + last[i]);
        slopes[i] = (float)link.times * link.rate;
    }
    for (int k = 1; k < link.times; k++)
        for (int i = 0; i < TILE; i++) slopes[i] *= bases[i];
}

/* ratios (TILE,): divided differences of the link between two sums, whose values are given */
INLINE void divided(const float *RESTRICT first, const float *RESTRICT last, const float *RESTRICT from,
                    const float *RESTRICT to, Link link, float *RESTRICT ratios) {
    if (link.shape == ROOT) middle_slopes(first, last, link, ROOT, ratios);
    else if (link.shape == ONE) middle_slopes(first, last, link, ONE, ratios);
    else middle_slopes(first, last, link, GENERAL, ratios);
    for (int i = 0; i < TILE; i++) {
        float change = last[i] - first[i];
        int is_close = fabsf(change) <= CLOSE * (first[i] + last[i]);
        float ratio = (to[i] - from[i]) / (is_close ? 1.0f : change);
        ratios[i] = is_close ? ratios[i] : ratio;
    }
}

typedef struct {
    const double *start, *way, *positions; /* (b, d) first points and directions, (b, points) in increasing order */
    const double *held;                    /* (b, points - 1) weight of each segment; without, it is not visited */
    const double *rates;                   /* (b, outputs) weights of the outputs */
    Py_ssize_t b, d, points, outputs;
} Paths;

/* The kernel's terms and value at a point, for a tile of centers. */
typedef struct {
    float *terms; /* (count, TILE) */
    float sum[TILE], kernel[TILE];
} Point;

/* parts (d,) += what each of `count` coordinates explains of the change between two points */
INLINE void add_parts(const Point *first, const Point *last, Link link, const double *weights, double held,
                      Py_ssize_t count, const int64_t *moved, double *parts) {
    float ratios[TILE];
    divided(first->sum, last->sum, first->kernel, last->kernel, link, ratios);
    for (int i = 0; i < TILE; i++) ratios[i] *= (float)(weights[i] * held);
    for (Py_ssize_t c = 0; c < count; c++) {
        const float *before = first->terms + c * TILE, *after = last->terms + c * TILE;
        float lanes[LANES] = {0};
        for (int i = 0; i < TILE; i += LANES)
            for (int l = 0; l < LANES; l++) lanes[l] += ratios[i + l] * (after[i + l] - before[i + l]);
        double sum = 0.0;
        for (int l = 0; l < LANES; l++) sum += lanes[l];
        parts[moved[c]] += sum;
    }
}

/* parts (b, d) = what each coordinate explains of the weighted change, values (b, points) = values where a segment
   begins or ends, both of the outputs mixed by the rates; coarse (b, d), unless NULL, = the parts over segments twice
   as long, with the weight of their second half */
INLINE void follow_loop(Paths p, const float *columns, Py_ssize_t stride, Py_ssize_t m, const double *coefficients,
                        Function f, Link link, float *scratch, double *weights, int64_t *moved,
                        double *parts, double *coarse, double *values) {
    Py_ssize_t d = p.d, size = (d + 1) * TILE;
    float *tile = scratch, *u = tile + size, still[TILE];
    Point last[3]; /* of the points numbered k, k - 1 and k - 2, at their numbers modulo 3 */
    for (int i = 0; i < 3; i++) last[i].terms = u + d + 1 + i * size;
    memset(parts, 0, (size_t)(p.b * d) * sizeof(double));
    if (coarse) memset(coarse, 0, (size_t)(p.b * d) * sizeof(double));
    memset(values, 0, (size_t)(p.b * p.points) * sizeof(double));
    for (Py_ssize_t from = 0; from < m; from += TILE) {
        Py_ssize_t width = m - from < TILE ? m - from : TILE;
        copy_tile(columns, stride, m, d, from, tile);
        for (Py_ssize_t r = 0; r < p.b; r++) {
            const double *way = p.way + r * d, *start = p.start + r * d, *held = p.held + r * (p.points - 1);
            Py_ssize_t count = 0, rest = 0;
            memset(still, 0, sizeof still);
            for (Py_ssize_t j = 0; j < d; j++)
                if (way[j] != 0.0) moved[count++] = j;
                else moved[d + rest] = j, u[rest++] = (float)start[j];
            EACH_SHAPE(each_term, u, rest, tile, f, moved + d, last[0].terms, still);
            memset(weights, 0, TILE * sizeof(double));
            for (Py_ssize_t o = 0; o < p.outputs; o++)
                for (Py_ssize_t i = 0; i < width; i++)
                    weights[i] += p.rates[r * p.outputs + o] * coefficients[o * m + from + i];
            for (Py_ssize_t k = 0; k < p.points; k++) {
                Point *now = last + k % 3;
                int ends = k > 0 && held[k - 1] != 0.0;
                if (!ends && !(k + 1 < p.points && held[k] != 0.0)) continue;
                for (Py_ssize_t c = 0; c < count; c++)
                    u[c] = (float)(start[moved[c]] + p.positions[r * p.points + k] * way[moved[c]]);
                memcpy(now->sum, still, sizeof still);
                EACH_SHAPE(each_term, u, count, tile, f, moved, now->terms, now->sum);
                memcpy(now->kernel, now->sum, sizeof still);
                apply_link(now->kernel, link);
                add_outputs(now->kernel, weights, 1, values + r * p.points + k);
                if (!ends) continue;
                add_parts(last + (k + 2) % 3, now, link, weights, held[k - 1], count, moved, parts + r * d);
                if (coarse && k % 2 == 0 && held[k - 2] != 0.0)
                    add_parts(last + (k + 1) % 3, now, link, weights, held[k - 1], count, moved, coarse + r * d);
            }
        }
    }
}

DISPATCHED(follow, (Paths p, const float *columns, Py_ssize_t stride, Py_ssize_t m, const double *coefficients,
           Function f, Link link, float *scratch, double *weights, int64_t *moved, double *parts, double *coarse,
           double *values), (p, columns, stride, m, coefficients, f, link, scratch, weights, moved, parts, coarse, values))

static PyObject *py_follow(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long start, way, positions, held, rates, columns, coefficients, parts, coarse, values;
    Py_ssize_t stride, m;
    int kind, link_kind;
    double exponent, scale, link_exponent, rate, constant;
    Paths p;
    if (!PyArg_ParseTuple(args, "KKKKKnnnnKnnKiddidddKKK", &start, &way, &positions, &held, &rates, &p.b, &p.d, &p.points,
                          &p.outputs, &columns, &stride, &m, &coefficients, &kind, &exponent, &scale, &link_kind,
                          &link_exponent, &rate, &constant, &parts, &coarse, &values))
        return NULL;
    p.start = AT(start), p.way = AT(way), p.positions = AT(positions), p.held = AT(held), p.rates = AT(rates);
    size_t floats = (size_t)(4 * (p.d + 1) * TILE + p.d + 1), columns_count = (size_t)(2 * p.d + 1);
    double *weights = malloc(TILE * sizeof(double) + columns_count * sizeof(int64_t) + floats * sizeof(float));
    if (weights == NULL) return PyErr_NoMemory();
    int64_t *moved = (int64_t *)(weights + TILE);
    Link link = {link_kind, split(link_exponent), shape_of(link_exponent), (int)link_exponent, (float)rate, (float)constant};
    Py_BEGIN_ALLOW_THREADS
    follow(p, AT(columns), stride, m, AT(coefficients), function(kind, exponent, scale), link,
           (float *)(moved + columns_count), weights, moved, AT(parts), AT(coarse), AT(values));
    Py_END_ALLOW_THREADS
    free(weights);
    Py_RETURN_NONE;
}
