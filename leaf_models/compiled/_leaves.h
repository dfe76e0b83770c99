/* Predictions of many leaves at once, which have a few rows each. A tree of thousands of leaves would otherwise spend
   its time on calls, not on arithmetic. Included by _coordinates.c, whose terms and links these loops use. */

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif
#define LINE 64 /* bytes of a cache line */

/* One leaf under a diagonal feature matrix, as a tree keeps it. */
typedef struct {
    const float *centers;      /* (m, d) */
    const float *coefficients; /* (m, outputs) */
    const float *placing;      /* (5, d): shift, root, then of binary columns low, high and weight; others have NaN */
    Py_ssize_t m, next_m;
    const float *next;         /* (next_m, d): centers of the next leaf */
    float scale;
    double begin;              /* added to the sum over the binary columns */
    Function term;
    Link link;
} Leaf;

typedef struct {
    float *rows, *all, *binaries;        /* (TILE, d) each: rows without binary columns, whole rows, centers */
    float *block, *sums;                 /* (COLUMNS, TILE) centers, (TILE, TILE) of each row and center */
    double *weights;                     /* (outputs, TILE) */
    int64_t *others, *binary;            /* (d,) numbers of the columns */
    char *strange;                       /* (TILE,) rows with a third value in a binary column */
} Scratch;

INLINE float placed(float value, const float *placing, Py_ssize_t d, Py_ssize_t j, float scale) {
    return (value - placing[j]) * placing[d + j] * scale;
}

/* The columns of a tile of centers in the kernel's coordinates, one after the other, padded with zeros. All columns
   from `first` on if there are no numbers of columns. */
INLINE void place_tile(Leaf leaf, Py_ssize_t d, Py_ssize_t start, Py_ssize_t width, const int64_t *columns,
                       Py_ssize_t first, Py_ssize_t count, float *tile) {
    for (Py_ssize_t from = 0; from < TILE; from += LANES) /* few rows at a time, which stay in the cache */
        for (Py_ssize_t k = 0; k < count; k++) {
            Py_ssize_t j = columns == NULL ? first + k : columns[first + k];
            const float *center = leaf.centers + (start + from) * d + j;
            const float shift = leaf.placing[j], root = leaf.placing[d + j];
            float *target = tile + k * TILE + from;
            if (from + LANES <= width)
                for (int i = 0; i < LANES; i++) target[i] = (center[i * d] - shift) * root * leaf.scale;
            else
                for (int i = 0; i < LANES; i++)
                    target[i] = from + i < width ? (center[i * d] - shift) * root * leaf.scale : 0.0f;
        }
}

/* sums (TILE,) += the weights of the binary columns in which the row and a center differ. The weights are rounded so
   that every order of the sum is exact. */
INLINE void add_binary(const float *row, Leaf leaf, Py_ssize_t d, const int64_t *binary, Py_ssize_t count,
                       const float *tile, float *sums) {
    float differing[TILE] = {0};
    for (Py_ssize_t k = 0; k < count; k++) {
        Py_ssize_t j = binary[k];
        const float high = leaf.placing[3 * d + j], weight = leaf.placing[4 * d + j], *column = tile + k * TILE;
        const float if_high = row[j] == high ? 0.0f : weight, if_low = row[j] == high ? weight : 0.0f;
        for (int i = 0; i < TILE; i++) differing[i] += column[i] == high ? if_high : if_low;
    }
    float begin = (float)leaf.begin;
    for (int i = 0; i < TILE; i++) sums[i] += differing[i] + begin;
}

/* The sums of rows (b, count) with a tile of centers, a block of columns at a time, in s.sums (b, TILE). The last block
   is only placed: the caller adds it, row by row, from the column that is returned. Rows that are strange, or that are
   not, are left out. */
INLINE Py_ssize_t sum_columns(const float *rows, Py_ssize_t b, Py_ssize_t d, Leaf leaf, Py_ssize_t start,
                              Py_ssize_t width, const int64_t *columns, Py_ssize_t count, Scratch s, int strange) {
    Py_ssize_t from = 0;
    if (count > COLUMNS) memset(s.sums, 0, (size_t)(b * TILE) * sizeof(float));
    for (; from + COLUMNS < count; from += COLUMNS) {
        place_tile(leaf, d, start, width, columns, from, COLUMNS, s.block);
        for (Py_ssize_t r = 0; r < b; r++)
            if (s.strange[r] == strange)
                EACH_SHAPE(add_row, rows + r * count + from, COLUMNS, s.block, leaf.term, s.sums + r * TILE);
    }
    place_tile(leaf, d, start, width, columns, from, count - from, s.block);
    return from;
}

/* The sums of row r after its last block. A narrow tile has no other block, and one place for the sums of all rows. */
INLINE float *sums_of(const float *rows, Py_ssize_t r, Py_ssize_t count, Py_ssize_t from, Leaf leaf, Scratch s) {
    float *sums = s.sums;
    if (from > 0) sums += r * TILE;
    else memset(sums, 0, TILE * sizeof(float));
    EACH_SHAPE(add_row, rows + r * count + from, count - from, s.block, leaf.term, sums);
    return sums;
}

/* out (b, outputs) = the leaf's expansion at up to TILE rows of x, as expand does it */
INLINE void expand_leaf(const float *x, const int64_t *numbers, Py_ssize_t b, Py_ssize_t d, Leaf leaf,
                        Py_ssize_t outputs, Scratch s, double *out) {
    const float *low = leaf.placing + 2 * d, *high = leaf.placing + 3 * d;
    Py_ssize_t k_others = 0, k_binary = 0, any_strange = 0;
    for (Py_ssize_t j = 0; j < d; j++)
        if (low[j] == low[j]) s.binary[k_binary++] = j;
        else s.others[k_others++] = j;
    for (Py_ssize_t r = 0; r < b; r++) {
        const float *row = x + numbers[r] * d;
        float *all = s.all + r * d;
        for (Py_ssize_t j = 0; j < d; j++) all[j] = placed(row[j], leaf.placing, d, j, leaf.scale);
        for (Py_ssize_t k = 0; k < k_others; k++) s.rows[r * k_others + k] = all[s.others[k]];
        s.strange[r] = 0;
        for (Py_ssize_t k = 0; k < k_binary; k++)
            if (all[s.binary[k]] != low[s.binary[k]] && all[s.binary[k]] != high[s.binary[k]]) s.strange[r] = 1;
        any_strange |= s.strange[r];
    }
    memset(out, 0, (size_t)(b * outputs) * sizeof(double));
    for (Py_ssize_t start = 0; start < leaf.m; start += TILE) {
        Py_ssize_t width = leaf.m - start < TILE ? leaf.m - start : TILE;
        const int64_t *columns = k_binary ? s.others : NULL;
        Py_ssize_t from = sum_columns(s.rows, b, d, leaf, start, width, columns, k_others, s, 0);
        if (k_binary) place_tile(leaf, d, start, width, s.binary, 0, k_binary, s.binaries);
        memset(s.weights, 0, (size_t)(outputs * TILE) * sizeof(double));
        for (Py_ssize_t i = 0; i < width; i++)
            for (Py_ssize_t o = 0; o < outputs; o++)
                s.weights[o * TILE + i] = (double)leaf.coefficients[(start + i) * outputs + o];
        /* A leaf's centers are read once for a few rows, from memory: the next tile comes during this one's work. */
        const Py_ssize_t rest = leaf.m - start - width, left = rest ? rest : leaf.next_m;
        const char *coming = (const char *)(rest ? leaf.centers + (start + width) * d : leaf.next);
        const Py_ssize_t lines = (left < TILE ? left : TILE) * d * 4 / LINE;
        for (Py_ssize_t r = 0; r < b; r++) {
            for (Py_ssize_t line = r; line < lines; line += b) PREFETCH(coming + line * LINE);
            if (s.strange[r]) continue;
            float *sums = sums_of(s.rows, r, k_others, from, leaf, s);
            if (k_binary) add_binary(s.all + r * d, leaf, d, s.binary, k_binary, s.binaries, sums);
            apply_link(sums, leaf.link);
            add_outputs(sums, s.weights, outputs, out + r * outputs);
        }
        if (!any_strange) continue;
        from = sum_columns(s.all, b, d, leaf, start, width, NULL, d, s, 1); /* binary columns are like others here */
        for (Py_ssize_t r = 0; r < b; r++) {
            if (!s.strange[r]) continue;
            float *sums = sums_of(s.all, r, d, from, leaf, s);
            apply_link(sums, leaf.link);
            add_outputs(sums, s.weights, outputs, out + r * outputs);
        }
    }
}

/* What all leaves of a tree share, and the addresses and numbers of each. */
typedef struct {
    const int64_t *addresses; /* (leaves, 4): centers, coefficients, placing, number of centers */
    const double *numbers;    /* (leaves, 4): scale, scale of the term, rate of the link, begin */
    int kind, link_kind;
    double exponent, link_exponent, constant;
    Py_ssize_t d, outputs;
} Leaves;

/* out (last - first, outputs) of pairs of a row of x and a leaf, sorted by leaf; starts (leaves + 1,) are the first
   pair of each leaf */
INLINE void expand_leaves_loop(const float *x, const int64_t *rows, const int64_t *starts, Py_ssize_t first,
                               Py_ssize_t last, Py_ssize_t from_leaf, Leaves t, Scratch s, double *out) {
    Py_ssize_t number = from_leaf;
    for (Py_ssize_t at = first; at < last;) {
        while (starts[number + 1] <= at) number++;
        Py_ssize_t stop = starts[number + 1] < last ? starts[number + 1] : last;
        const int64_t *address = t.addresses + 4 * number;
        const double *own = t.numbers + 4 * number;
        const int64_t *next = starts[number + 1] < last ? address + 4 : address;
        Leaf leaf = {AT(address[0]), AT(address[1]), AT(address[2]), (Py_ssize_t)address[3], (Py_ssize_t)next[3],
                     AT(next[0]), (float)own[0], own[3],
                     function(t.kind, t.exponent, own[1]),
                     {t.link_kind, split(t.link_exponent), shape_of(t.link_exponent), (int)t.link_exponent,
                      (float)own[2], (float)t.constant}};
        for (; at < stop; at += TILE) {
            Py_ssize_t b = stop - at < TILE ? stop - at : TILE;
            expand_leaf(x, rows + at, b, t.d, leaf, t.outputs, s, out + (at - first) * t.outputs);
        }
        at = stop;
    }
}

DISPATCHED(expand_leaves, (const float *x, const int64_t *rows, const int64_t *starts, Py_ssize_t first,
           Py_ssize_t last, Py_ssize_t from_leaf, Leaves t, Scratch s, double *out), (x, rows, starts, first, last,
           from_leaf, t, s, out))

static PyObject *py_expand_leaves(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long x, rows, starts, addresses, numbers, out;
    Py_ssize_t first, last, from_leaf;
    Leaves t;
    if (!PyArg_ParseTuple(args, "KKKnnnKKididdnnK", &x, &rows, &starts, &first, &last, &from_leaf, &addresses,
                          &numbers, &t.kind, &t.exponent, &t.link_kind, &t.link_exponent, &t.constant, &t.d,
                          &t.outputs, &out))
        return NULL;
    t.addresses = AT(addresses);
    t.numbers = AT(numbers);
    size_t floats = (size_t)((3 * t.d + COLUMNS + TILE) * TILE), doubles = (size_t)(t.outputs * TILE), whole = (size_t)(2 * t.d + 1);
    double *weights = malloc(doubles * sizeof(double) + whole * sizeof(int64_t) + floats * sizeof(float) + TILE);
    if (weights == NULL) return PyErr_NoMemory();
    int64_t *columns = (int64_t *)(weights + doubles);
    float *tiles = (float *)(columns + whole);
    float *block = tiles + 3 * t.d * TILE;
    Scratch s = {tiles, tiles + t.d * TILE, tiles + 2 * t.d * TILE, block, block + COLUMNS * TILE, weights, columns,
                 columns + t.d, (char *)(tiles + floats)};
    Py_BEGIN_ALLOW_THREADS
    expand_leaves(AT(x), AT(rows), AT(starts), first, last, from_leaf, t, s, AT(out));
    Py_END_ALLOW_THREADS
    free(weights);
    Py_RETURN_NONE;
}
