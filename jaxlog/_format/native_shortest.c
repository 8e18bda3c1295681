// `shortest.py` in C: float32 numbers become the float64 numbers that readers of lines get.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "float64 has to be rounded after each operation"
#endif

static const double WHOLE = 8388608.0;             // 2**23: from here on, every float32 is whole
static const double HALF_WAY = 6755399441055744.0; // 1.5 * 2**52: what is added to it is rounded
static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

enum { EXPONENTS = 256, TRIED = 3 };

// Rounds a number below 2**51 to a whole one, and a half to the even one of its neighbours.
static inline double nearest(double number) { return (number + HALF_WAY) - HALF_WAY; }

static inline double rounded(double number, double power) {
  return nearest(number * power) / power;
}

// Compares how far rounding moves a number with how far it may: -1 if it still is the same float32,
// 1 if not, 0 if both are too close. In one of a million numbers they are.
static inline int moved(double number, double power, double half) {
  const double scaled = number * power, most = half * power;
  const double by = fabs(nearest(scaled) - scaled);
  return (by > most * (1 + 1e-6)) - (by < most * (1 - 1e-6));
}

// The number with the fewest places that is the same float32.
//
// `most` places are enough. Most numbers need all of them, or up to two less; which, is chance. So
// these are told without branches, which a processor could not foresee.
static double shortest(double exact, float value, uint32_t exponent, int most) {
  int less = 0;
  if (most >= TRIED) {
    const uint64_t half_bits = (uint64_t)(exponent - 127 - 24 + 1023) << 52;
    double half; // half the distance to the next float32
    memcpy(&half, &half_bits, sizeof half);
    const int first = moved(exact, POWERS[most - 1], half);
    const int second = moved(exact, POWERS[most - 2], half);
    const int third = moved(exact, POWERS[most - 3], half);
    if (first && second && third) {
      less = (first < 0) + ((first < 0) & (second < 0));
      if (!((first < 0) & (second < 0) & (third < 0))) return rounded(exact, POWERS[most - less]);
    }
  }
  double best = rounded(exact, POWERS[most - less]);
  while (++less <= most) {
    const double fewer = rounded(exact, POWERS[most - less]);
    if ((float)fewer != value) break;
    best = fewer;
  }
  return best;
}

// Converts numbers; NaN stands for those that are left to the caller. Returns how many these are.
static Py_ssize_t convert_all(const float *values, double *found, Py_ssize_t count,
                              const int8_t *places) {
  Py_ssize_t left = 0;
  for (Py_ssize_t i = 0; i < count; i++) {
    const double exact = values[i];
    found[i] = exact;
    if (!(fabs(exact) < WHOLE) || exact == nearest(exact)) continue; // exact, or not finite
    uint32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    const uint32_t exponent = bits >> 23 & 0xFF;
    const int most = places[exponent];
    // At a power of two, the numbers that round to it reach less far down than up.
    const bool is_left = most < 0 || (bits & 0x7FFFFF) == 0;
    found[i] = is_left ? NAN : shortest(exact, values[i], exponent, most);
    left += is_left;
  }
  return left;
}

static PyObject *convert(PyObject *self, PyObject *arguments) {
  (void)self;
  Py_buffer values, found, places;
  if (!PyArg_ParseTuple(arguments, "y*w*y*", &values, &found, &places)) return NULL;
  const Py_ssize_t count = values.len / (Py_ssize_t)sizeof(float);
  const bool fits = found.len == count * (Py_ssize_t)sizeof(double) &&
                    places.len == EXPONENTS;
  Py_ssize_t left = 0;
  if (fits) {
    Py_BEGIN_ALLOW_THREADS
    left = convert_all(values.buf, found.buf, count, places.buf);
    Py_END_ALLOW_THREADS
  }
  PyBuffer_Release(&values);
  PyBuffer_Release(&found);
  PyBuffer_Release(&places);
  if (fits) return PyLong_FromSsize_t(left);
  PyErr_SetString(PyExc_ValueError, "the arrays have to be float32[n], float64[n], int8[256]");
  return NULL;
}

static PyMethodDef methods[] = {
    {"convert", convert, METH_VARARGS,
     "convert(values, found, places): fills `found`; returns how many numbers are left as NaN."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "native_shortest", "The numbers that readers of lines get, in C.", 0,
    methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_native_shortest(void) { return PyModule_Create(&module); }
