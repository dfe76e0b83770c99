/* Sums over coordinates of a function of one difference, for every pair of a row and a center.

   A kernel that is not a function of inner products needs one power or exponential for every coordinate of every
   pair: (rows x centers x columns) of them. Elementwise passes of an array library spend most of that time on
   memory. Here a tile of centers stays in the L1 cache, and a power is a dozen vector instructions: the exponent
   of the number is split off, its logarithm and the exponential are polynomials (degrees 8 and 6, interpolated at
   Chebyshev nodes, relative error of a power below 1e-6).

   Memory is accessed only through the addresses that the caller passes; compiled.py checks the shapes. A row's
   sums do not depend on other rows, nor a pair's on other centers. The GIL is released, so that threads can share
   the rows. */

#ifndef Py_GIL_DISABLED /* the limited API does not exist for free-threaded interpreters */
#define Py_LIMITED_API 0x030B0000 /* one binary for 3.11 and newer */
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TILE 256 /* centers per tile: 16 columns of them fit into 16 KiB */
#define COLUMNS 128 /* columns of a tile at once, a multiple of 4: 128 KiB, which stay in the L2 cache */
#define ROWS 64     /* rows that share each block of a wide tile */
#define LANES 16 /* parallel partial sums, so that the compiler can vectorise without reordering */

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* DISPATCHED(name, parameters, arguments) makes `name` from the inline function `name_loop`: it is compiled for each
   instruction set and chosen by the processor's features. The compilers' own target_clones is not used: GCC 11 and
   older reject the levels x86-64-v3 and -v4 there, and check the vendor if a processor is named, so "arch=haswell"
   leaves AMD processors with the slowest loop (20 times slower on an EPYC). */
#if defined(__GNUC__) && defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma,bmi,bmi2,lzcnt,movbe,f16c")))
#define AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi,bmi2,lzcnt,movbe,f16c")))
enum { PLAIN_LOOPS = 0, AVX2_LOOPS = 1, AVX512_LOOPS = 2 };
static int loops = PLAIN_LOOPS;

static void choose_loops(void) {
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))) return;
    loops = AVX2_LOOPS;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        loops = AVX512_LOOPS;
}

#define DISPATCHED(name, parameters, arguments)                                \
    AVX512 static void name##_avx512 parameters { name##_loop arguments; }     \
    AVX2 static void name##_avx2 parameters { name##_loop arguments; }         \
    static void name##_plain parameters { name##_loop arguments; }             \
    static void name parameters {                                              \
        if (loops == AVX512_LOOPS) name##_avx512 arguments;                    \
        else if (loops == AVX2_LOOPS) name##_avx2 arguments;                   \
        else name##_plain arguments;                                           \
    }
#else
static void choose_loops(void) {}
#define DISPATCHED(name, parameters, arguments) \
    static void name parameters { name##_loop arguments; }
#endif

/* The summed term: |delta|^exponent, or exp(-(|delta| / scale)^exponent). */
enum { POWER = 0, DECAY = 1 };

typedef struct {
    float high, low; /* their sum is the exponent; high * (an integer below 2^11) is exact in float32 */
} Exponent;

typedef struct {
    int kind;
    Exponent exponent;
    Exponent below; /* exponent - 1 */
    float rate;     /* 1 / scale */
    int shape;
} Function;

/* Exponents that need no general power. */
enum { GENERAL = 0, ONE = 1, TWO = 2, ROOT = 3 };

INLINE int32_t bits_of(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE float float_of(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE float power_of_two(float whole, float rest) { /* 2^(whole + rest), whole integral, |rest| <= 1/2 */
    float p = 1.5461444854736328e-4f;
    p = p * rest + 1.3400427997112274e-3f;
    p = p * rest + 9.618056938052177e-3f;
    p = p * rest + 5.550327152013779e-2f;
    p = p * rest + 0.24022650718688965f;
    p = p * rest + 0.6931471824645996f;
    p = p * rest + 1.0f;
    whole = whole < -127.0f ? -127.0f : whole; /* gives zero */
    whole = whole > 128.0f ? 128.0f : whole;   /* gives infinity */
    return p * float_of(((int32_t)whole + 127) << 23);
}

INLINE float power(float x, Exponent e) { /* x^e for x >= 0; subnormal numbers count as zero */
    int32_t bits = bits_of(x);
    int32_t shift = (bits - 0x3f3504f3) & (int32_t)0xff800000;
    float whole = (float)(shift >> 23);
    float t = float_of(bits - shift) - 1.0f; /* in [sqrt(1/2) - 1, sqrt(2) - 1) */
    float p = 0.12310968339443207f;
    p = p * t + -0.2058618813753128f;
    p = p * t + 0.21607822179794312f;
    p = p * t + -0.2391698807477951f;
    p = p * t + 0.2879032492637634f;
    p = p * t + -0.3606932759284973f;
    p = p * t + 0.4809107482433319f;
    p = p * t + -0.721347451210022f;
    p = p * t + 1.4426950216293335f;
    float rest = e.low * whole + (e.high + e.low) * (p * t);
    float nearest = rintf(e.high * whole + rest);
    float result = power_of_two(nearest, (e.high * whole - nearest) + rest);
    return x < FLT_MIN ? 0.0f : result;
}

INLINE float decay(float x) { /* exp(-x) for x >= 0 */
    float v = (x > 200.0f ? 200.0f : x) * -1.44269504088896341f; /* infinity minus itself is NaN */
    float nearest = rintf(v);
    return power_of_two(nearest, v - nearest);
}

INLINE float shaped_power(float x, Exponent e, int shape) {
    if (shape == ONE) return x;
    if (shape == TWO) return x * x;
    if (shape == ROOT) return sqrtf(x);
    return power(x, e);
}

INLINE float sum_term(float size, Function f, int kind, int shape) {
    if (kind == POWER) return shaped_power(size, f.exponent, shape);
    return decay(shaped_power(size * f.rate, f.exponent, shape));
}

/* The derivative of the term by |delta|, without a constant factor: |delta|^(exponent - 1), or
   s^(exponent - 1) exp(-s^exponent) with s = |delta| / scale. */
INLINE float slope_term(float size, Function f, int kind, int shape) {
    float scaled = kind == POWER ? size : size * f.rate;
    float root = shape == ONE ? 1.0f : (shape == TWO ? scaled : power(scaled, f.below));
    return kind == POWER ? root : root * decay(root * scaled);
}

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

static int shape_of(double exponent) {
    return exponent == 1.0 ? ONE : exponent == 2.0 ? TWO : exponent == 0.5 ? ROOT : GENERAL;
}

static Exponent split(double value) {
    Exponent e;
    e.high = float_of(bits_of((float)value) & (int32_t)0xfffff000);
    e.low = (float)(value - (double)e.high);
    return e;
}

static Function function(int kind, double exponent, double scale) {
    Function f;
    f.kind = kind;
    f.exponent = split(exponent);
    f.below = split(exponent - 1.0);
    f.rate = (float)fmin(1.0 / scale, FLT_MAX); /* infinity times zero would be NaN */
    f.shape = shape_of(exponent);
    return f;
}

#define AT(address) ((void *)(uintptr_t)(address))

#include "_leaves.h"
#include "_paths.h"

static PyObject *py_add_sums(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long u, columns, out;
    Py_ssize_t b, stride, m, d;
    int kind;
    double exponent, scale;
    if (!PyArg_ParseTuple(args, "KnKnnniddK", &u, &b, &columns, &stride, &m, &d, &kind, &exponent, &scale,
                          &out)) return NULL;
    float *scratch = malloc((COLUMNS + ROWS) * TILE * sizeof(float));
    if (scratch == NULL) return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    add_sums(AT(u), b, AT(columns), stride, m, d, function(kind, exponent, scale), scratch, AT(out));
    Py_END_ALLOW_THREADS
    free(scratch);
    Py_RETURN_NONE;
}

static PyObject *py_slope_sums(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long u, columns, pair, coefficients, out;
    Py_ssize_t b, stride, m, d, outputs;
    int kind;
    double exponent, scale;
    if (!PyArg_ParseTuple(args, "KnKnnnKKniddK", &u, &b, &columns, &stride, &m, &d, &pair, &coefficients, &outputs, &kind,
                          &exponent, &scale, &out))
        return NULL;
    float *scratch = malloc((size_t)((d + outputs) * TILE + 1) * sizeof(float));
    if (scratch == NULL) return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    add_slopes(AT(u), b, AT(columns), stride, m, d, AT(pair), AT(coefficients), outputs, function(kind, exponent, scale),
               scratch, scratch + d * TILE, AT(out));
    Py_END_ALLOW_THREADS
    free(scratch);
    Py_RETURN_NONE;
}

static PyObject *py_expand(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long u, columns, begin, coefficients, out;
    Py_ssize_t b, stride, m, d, outputs;
    int kind, link_kind;
    double exponent, scale, link_exponent, rate, constant;
    if (!PyArg_ParseTuple(args, "KnKnnniddKidddKnK", &u, &b, &columns, &stride, &m, &d, &kind, &exponent, &scale, &begin,
                          &link_kind, &link_exponent, &rate, &constant, &coefficients, &outputs, &out))
        return NULL;
    double *weights = malloc((size_t)(outputs * TILE) * sizeof(double) + (COLUMNS + ROWS) * TILE * sizeof(float));
    if (weights == NULL) return PyErr_NoMemory();
    float *scratch = (float *)(weights + outputs * TILE);
    Link link = {link_kind, split(link_exponent), shape_of(link_exponent), (int)link_exponent, (float)rate, (float)constant};
    Py_BEGIN_ALLOW_THREADS
    expand(AT(u), b, AT(columns), stride, m, d, function(kind, exponent, scale), begin ? AT(begin) : NULL, link,
           AT(coefficients), outputs, scratch, weights, AT(out));
    Py_END_ALLOW_THREADS
    free(weights);
    Py_RETURN_NONE;
}

static PyObject *py_kernel_values(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long values;
    Py_ssize_t count;
    double exponent, rate;
    int derived;
    if (!PyArg_ParseTuple(args, "Knddi", &values, &count, &exponent, &rate, &derived)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    kernel_values(AT(values), count, split(exponent), shape_of(exponent), (float)rate, derived);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"add_sums", py_add_sums, METH_VARARGS,
     "add_sums(u, b, columns, stride, m, d, kind, exponent, scale, out): add sums over columns to out (b, m), float32."},
    {"slope_sums", py_slope_sums, METH_VARARGS,
     "slope_sums(u, b, columns, stride, m, d, pair, coefficients, outputs, kind, exponent, scale, out): weighted sums over "
     "centers of signed slopes into out (b, outputs, d), float64."},
    {"expand", py_expand, METH_VARARGS,
     "expand(u, b, columns, stride, m, d, kind, exponent, scale, begin, link, link_exponent, rate, constant, coefficients, "
     "outputs, out): kernel values of sums over columns, weighted and summed over centers into out (b, outputs), float64."},
    {"kernel_values", py_kernel_values, METH_VARARGS,
     "kernel_values(values, count, exponent, rate, derived): exp(-rate s^exponent) in place, float32; if derived, "
     "that times s^(exponent - 1)."},
    {"vote", py_vote, METH_VARARGS,
     "vote(x, b, d, directions, thresholds, widths, slacks, children, splits, enough, most, leaves, masses): the leaves "
     "that hold the share enough of each row's weight, at most `most`; if masses is 0, the leaf of hard routing."},
    {"expand_leaves", py_expand_leaves, METH_VARARGS,
     "expand_leaves(x, rows, starts, first, last, from_leaf, addresses, numbers, kind, exponent, link, link_exponent, "
     "constant, d, outputs, out): predictions of pairs of a row and a leaf, sorted by leaf, into out, float64."},
    {"follow", py_follow, METH_VARARGS,
     "follow(start, way, positions, held, rates, b, d, points, outputs, columns, stride, m, coefficients, kind, exponent, "
     "scale, link, link_exponent, rate, constant, parts, values): a leaf's values and changes along paths, float64."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_coordinates", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__coordinates(void) {
    choose_loops();
    return PyModule_Create(&module);
}
