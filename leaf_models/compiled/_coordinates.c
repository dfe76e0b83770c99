/* Sums over coordinates of a function of one difference, for every pair of a row and a center.

   A kernel that is not a function of inner products needs one power or exponential for every coordinate of every
   pair: (rows x centers x columns) of them. Elementwise passes of an array library spend most of that time on
   memory. Here a tile of centers stays in the L1 cache, and a power is a dozen vector instructions: the exponent
   of the number is split off, its logarithm and the exponential are polynomials (degrees 8 and 6, interpolated at
   Chebyshev nodes, relative error of a power below 1e-6).

   Memory is accessed only through the addresses that the caller passes; the modules beside this file check the
   shapes. A row's sums do not depend on other rows, nor a pair's on other centers. The GIL is released, so that
   threads can share the rows. */

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

#include "_dispatch.h"
#include "_terms.h"
#include "_sums.h"

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

#include "_routing.h"
#include "_leaves.h"
#include "_paths.h"
#include "_products.h"

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

static PyObject *py_multiply(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long matrix, columns, out;
    Py_ssize_t b, m, outputs;
    if (!PyArg_ParseTuple(args, "KnnKnK", &matrix, &b, &m, &columns, &outputs, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    multiply(AT(matrix), b, m, AT(columns), outputs, AT(out));
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
    {"multiply", py_multiply, METH_VARARGS,
     "multiply(matrix, b, m, columns, outputs, out): a float32 matrix (b, m) times float64 columns (outputs, m) into out "
     "(b, outputs), float64."},
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
