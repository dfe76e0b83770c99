/* Routing of rows through the splits of a tree: the leaf of each row, or the leaves that vote on it. Included by
   _coordinates.c. */

#define DOT_LANES 8 /* parallel partial sums of a projection */

/* v . x of one row; the order of the sum depends on d alone */
INLINE double dot(const float *x, const double *v, Py_ssize_t d) {
    double lanes[DOT_LANES] = {0};
    Py_ssize_t j = 0;
    for (; j + DOT_LANES <= d; j += DOT_LANES)
        for (int l = 0; l < DOT_LANES; l++) lanes[l] += (double)x[j + l] * v[j + l];
    for (int l = 0; l < d - j; l++) lanes[l] += (double)x[j + l] * v[j + l];
    for (int half = DOT_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
    return lanes[0];
}

INLINE double length(const float *x, Py_ssize_t d) {
    double sum = 0.0;
    for (Py_ssize_t j = 0; j < d; j++) sum += (double)x[j] * (double)x[j];
    return sqrt(sum);
}

typedef struct {
    const double *directions, *thresholds, *widths, *slacks; /* (s, d), (s,), (s,), (s, 2) */
    const int64_t *children;                                 /* (s, 2): left, right; a leaf is ~number */
} Splits;

/* Which side of a hard split: -1 left, 1 right, 0 where rounding decides and the caller must project as in training.
   A slack times the row's length bounds the rounding error of this loop's projection and of the one in training. */
INLINE int side(double offset, double bound) { return offset > bound ? 1 : offset < -bound ? -1 : 0; }

/* leaves (b,): the leaf of each row under hard routing, or -1 where rounding decides */
INLINE void descend_loop(const float *x, Py_ssize_t b, Py_ssize_t d, Splits t, int64_t *leaves) {
    for (Py_ssize_t r = 0; r < b; r++) {
        const float *row = x + r * d;
        double size = length(row, d);
        int64_t node = 0;
        while (node >= 0) {
            int to = side(dot(row, t.directions + node * d, d) - t.thresholds[node], size * t.slacks[2 * node] +
                          t.slacks[2 * node + 1]);
            if (to == 0) break;
            node = t.children[2 * node + (to > 0)];
        }
        leaves[r] = node < 0 ? ~node : -1;
    }
}

DISPATCHED(descend, (const float *x, Py_ssize_t b, Py_ssize_t d, Splits t, int64_t *leaves), (x, b, d, t, leaves))

typedef struct {
    double mass;
    int64_t node;
} Reached;

/* Heaviest first; of equal weights splits before leaves, then leaves by number. */
INLINE int comes_before(Reached a, Reached b) {
    if (a.mass != b.mass) return a.mass > b.mass;
    return a.node > b.node; /* a leaf is ~number, so a smaller number is a larger node */
}

INLINE void push(Reached *heap, Py_ssize_t count, Reached entry) {
    Py_ssize_t at = count;
    while (at > 0 && comes_before(entry, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

INLINE Reached pop(Reached *heap, Py_ssize_t count) { /* count: entries before the pop */
    Reached first = heap[0], entry = heap[count - 1];
    Py_ssize_t at = 0, n = count - 1;
    for (;;) {
        Py_ssize_t child = 2 * at + 1;
        if (child >= n) break;
        if (child + 1 < n && comes_before(heap[child + 1], heap[child])) child++;
        if (!comes_before(heap[child], entry)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = entry;
    return first;
}

/* The heaviest leaves of each row, in order, until they hold the share `enough` or are `most`: leaves and masses
   (b, most), the unused places -1 and 0. A node is never lighter than the leaves below it, so the search by weight
   finds them without visiting the others. The first leaf is -1 where rounding decides a hard split. */
INLINE void vote_loop(const float *x, Py_ssize_t b, Py_ssize_t d, Splits t, double enough, Py_ssize_t most,
                      Reached *heap, int64_t *leaves, double *masses) {
    for (Py_ssize_t r = 0; r < b; r++) {
        const float *row = x + r * d;
        double size = length(row, d), total = 0.0;
        int64_t *found = leaves + r * most;
        double *weights = masses + r * most;
        Py_ssize_t waiting = 1, count = 0;
        for (Py_ssize_t k = 0; k < most; k++) found[k] = -1, weights[k] = 0.0;
        heap[0] = (Reached){1.0, 0};
        while (waiting > 0 && count < most) {
            Reached at = pop(heap, waiting--);
            if (at.node < 0) {
                found[count] = ~at.node;
                weights[count++] = at.mass;
                total += at.mass;
                if (!(total < enough)) break;
                continue;
            }
            double offset = dot(row, t.directions + at.node * d, d) - t.thresholds[at.node], right;
            if (t.widths[at.node] > 0) {
                right = 1.0 / (1.0 + exp(-offset / t.widths[at.node]));
            } else {
                int to = side(offset, size * t.slacks[2 * at.node] + t.slacks[2 * at.node + 1]);
                if (to == 0) {
                    found[0] = -1;
                    break;
                }
                right = to > 0 ? 1.0 : 0.0;
            }
            Reached children[2] = {{at.mass * (1.0 - right), t.children[2 * at.node]},
                                   {at.mass * right, t.children[2 * at.node + 1]}};
            for (int k = 0; k < 2; k++)
                if (children[k].mass > 0) push(heap, waiting++, children[k]);
        }
    }
}

DISPATCHED(vote, (const float *x, Py_ssize_t b, Py_ssize_t d, Splits t, double enough, Py_ssize_t most, Reached *heap,
           int64_t *leaves, double *masses), (x, b, d, t, enough, most, heap, leaves, masses))

static PyObject *py_vote(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long x, directions, thresholds, widths, slacks, children, leaves, masses;
    Py_ssize_t b, d, splits, most;
    double enough;
    if (!PyArg_ParseTuple(args, "KnnKKKKKndnKK", &x, &b, &d, &directions, &thresholds, &widths, &slacks, &children,
                          &splits, &enough, &most, &leaves, &masses))
        return NULL;
    Splits t = {AT(directions), AT(thresholds), AT(widths), AT(slacks), AT(children)};
    Reached *heap = malloc((size_t)(splits + 2) * sizeof(Reached));
    if (heap == NULL) return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    if (masses) vote(AT(x), b, d, t, enough, most, heap, AT(leaves), AT(masses));
    else descend(AT(x), b, d, t, AT(leaves));
    Py_END_ALLOW_THREADS
    free(heap);
    Py_RETURN_NONE;
}
