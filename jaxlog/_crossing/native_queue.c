// The crossing in C: XLA calls `receive_record`, which copies one delivery into the queue and returns;
// Python's thread takes it from there.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "record_queue.h"
#include "xla_ffi.h"

// ---- XLA's end ----

static void *error(const FfiCall *call, int code, const char *message) {
  FfiErrorArguments arguments = {sizeof arguments, NULL, message, code};
  return call->api->create_error(&arguments);
}

enum { MAX_PARTS = 3 };

// Queues one delivery. The arguments of the call are its parts, each `uint32[words]`; it has no results.
static void *receive_record(FfiCall *call, bool may_stop) {
  for (FfiExtension *extension = call->extensions; extension; extension = extension->next) {
    if (extension->type == FFI_EXTENSION_METADATA) {
      FfiMetadata *metadata = ((FfiMetadataExtension *)extension)->metadata;
      metadata->version.major = FFI_MAJOR;
      metadata->version.minor = FFI_MINOR;
      metadata->traits = 0;
      return NULL;
    }
  }
  if (call->stage != FFI_STAGE_EXECUTE || atomic_load_explicit(&retired, memory_order_relaxed))
    return NULL;
  Part parts[MAX_PARTS];
  int64_t count = call->arguments.size;
  bool is_valid = count >= 1 && count <= MAX_PARTS;
  for (int64_t i = 0; is_valid && i < count; i++) {
    const FfiBuffer *buffer = call->arguments.values[i];
    is_valid = buffer->dtype == FFI_U32 && buffer->rank == 1;
    if (is_valid) parts[i] = (Part){buffer->data, (size_t)buffer->dims[0] * sizeof(uint32_t)};
  }
  if (!is_valid || parts[0].bytes < HEADER_WORDS * sizeof(uint32_t))
    return error(call, FFI_INVALID_ARGUMENT, "jaxlog: a delivery has to be arrays uint32[words]");
  queue(parts, (size_t)count, may_stop);
  if (may_stop && is_stopped(parts[0].words[0]))
    return error(call, FFI_CANCELLED, "Ctrl-C: jaxlog stops the program at this record");
  return NULL;
}

// XLA's handler for a program on one device.
static void *receive_from_one(FfiCall *call) { return receive_record(call, true); }

// XLA's handler for a program on several devices: one that stopped would leave the others waiting.
static void *receive_from_several(FfiCall *call) { return receive_record(call, false); }

// ---- Python's end ----

static PyObject *handlers(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  return Py_BuildValue("(NN)", PyCapsule_New((void *)receive_from_one, NULL, NULL),
                       PyCapsule_New((void *)receive_from_several, NULL, NULL));
}

// The bytes of a delivery that was taken: a buffer that may be changed. It gives its node back.
typedef struct {
  PyObject_HEAD
  Node *node;
} Bytes;

static PyTypeObject *bytes_type;

static int get_bytes(PyObject *self, Py_buffer *view, int flags) {
  Node *node = ((Bytes *)self)->node;
  return PyBuffer_FillInfo(view, self, node->words, (Py_ssize_t)node->bytes, false, flags);
}

static Py_ssize_t num_bytes(PyObject *self) { return (Py_ssize_t)((Bytes *)self)->node->bytes; }

static void drop_bytes(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  release(((Bytes *)self)->node);
  ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

static PyType_Slot bytes_slots[] = {
    {Py_tp_dealloc, drop_bytes},
    {Py_bf_getbuffer, get_bytes},
    {Py_sq_length, num_bytes},
    {0, NULL},
};

static PyType_Spec bytes_spec = {
    "jaxlog._crossing.native_queue.Bytes", sizeof(Bytes), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, bytes_slots,
};

static PyObject *bytes_of(Node *node) {
  Bytes *bytes = (Bytes *)PyType_GenericAlloc(bytes_type, 0);
  if (bytes) bytes->node = node;
  return (PyObject *)bytes;
}

static PyObject *push(PyObject *self, PyObject *arguments) {
  (void)self;
  Py_buffer view;
  int may_stop;
  if (!PyArg_ParseTuple(arguments, "y*p", &view, &may_stop)) return NULL;
  if (view.len < (Py_ssize_t)(HEADER_WORDS * sizeof(uint32_t))) {
    PyBuffer_Release(&view);
    return PyErr_Format(PyExc_ValueError, "got %zd bytes, expected a delivery", view.len);
  }
  bool stop = false;
  if (!atomic_load(&retired)) {
    Py_BEGIN_ALLOW_THREADS
    Part whole = {view.buf, (size_t)view.len};
    queue(&whole, 1, may_stop);
    stop = may_stop && is_stopped(whole.words[0]);
    Py_END_ALLOW_THREADS
  }
  PyBuffer_Release(&view);
  return PyBool_FromLong(stop);
}

static PyObject *take(PyObject *self, PyObject *arguments) {
  (void)self;
  double timeout, nap, longest_nap;
  Py_ssize_t most;
  if (!PyArg_ParseTuple(arguments, "dddn", &timeout, &nap, &longest_nap, &most)) return NULL;
  Py_BEGIN_ALLOW_THREADS
  wait_for_arrivals(timeout, nap, longest_nap);
  Py_END_ALLOW_THREADS
  PyObject *found = PyList_New(0);
  if (found == NULL) return NULL;
  while (PyList_Size(found) < most) {
    Node *node = pop();
    if (node == NULL) break;
    PyObject *bytes = bytes_of(node);
    PyObject *pair = bytes ? Py_BuildValue("(Od)", bytes, node->time) : NULL;
    if (pair == NULL || PyList_Append(found, pair) < 0) {
      // No memory: counted as refused, and as finished.
      PyErr_Clear();
      refuse(node->words, node->bytes / sizeof *node->words);
      finish(1, node->bytes);
    }
    Py_XDECREF(pair);
    if (bytes == NULL) release(node);
    Py_XDECREF(bytes);
  }
  return found;
}

static PyObject *done(PyObject *self, PyObject *arguments) {
  (void)self;
  Py_ssize_t deliveries, bytes;
  if (!PyArg_ParseTuple(arguments, "nn", &deliveries, &bytes)) return NULL;
  Py_BEGIN_ALLOW_THREADS
  finish((unsigned long long)deliveries, (size_t)bytes);
  // The main thread needs the interpreter's lock many times to dispatch a program, and would wait for a
  // switch interval of 5 ms each time while this thread is busy.
  struct timespec pause = {0, 20000};
  if (!is_empty() && !atomic_load(&awaited)) nanosleep(&pause, NULL);
  Py_END_ALLOW_THREADS
  Py_RETURN_NONE;
}

static PyObject *settle(PyObject *self, PyObject *arguments) {
  (void)self;
  double timeout, left;
  if (!PyArg_ParseTuple(arguments, "d", &timeout)) return NULL;
  unsigned long long target = atomic_load(&announced);
  double end = seconds(CLOCK_MONOTONIC) + timeout;
  bool settled = atomic_load(&finished) >= target;
  while (!settled && !atomic_load(&retired) && (left = end - seconds(CLOCK_MONOTONIC)) > 0) {
    Py_BEGIN_ALLOW_THREADS
    settled = wait_until_finished(target, left < 0.05 ? left : 0.05);
    Py_END_ALLOW_THREADS
    if (!settled && PyErr_CheckSignals() < 0) return NULL;
  }
  return PyBool_FromLong(settled);
}

static PyObject *stop(PyObject *self, PyObject *arguments) {
  (void)self;
  unsigned long handle;
  int on;
  if (!PyArg_ParseTuple(arguments, "kp", &handle, &on)) return NULL;
  set_stopped((uint32_t)handle, on);  // one at a time, by the interpreter's lock
  Py_RETURN_NONE;
}

static PyObject *refused_records(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  Refused counts[MAX_REFUSED];
  unsigned count = take_refused(counts);
  PyObject *found = PyDict_New();
  for (unsigned i = 0; found != NULL && i < count; i++) {
    PyObject *key = PyLong_FromUnsignedLong(counts[i].handle);
    PyObject *value = PyLong_FromUnsignedLongLong(counts[i].records);
    if (key == NULL || value == NULL || PyDict_SetItem(found, key, value) < 0) Py_CLEAR(found);
    Py_XDECREF(key);
    Py_XDECREF(value);
  }
  return found;
}

static PyObject *retire(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  atomic_store(&retired, true);
  Py_RETURN_NONE;
}

static PyObject *reset(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  reset_queue();
  Py_RETURN_NONE;
}

static PyObject *configure(PyObject *self, PyObject *arguments) {
  (void)self;
  Py_ssize_t bytes;
  double wait;
  if (!PyArg_ParseTuple(arguments, "nd", &bytes, &wait)) return NULL;
  limit = (size_t)bytes;
  patience = wait;
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"handlers", handlers, METH_NOARGS,
     "XLA's handlers, for programs on one device and on several, as capsules."},
    {"push", push, METH_VARARGS,
     "push(words, may_stop): queues a copy; returns whether to stop the program."},
    {"take", take, METH_VARARGS,
     "take(timeout, nap, longest_nap, most): waits, and returns a list of (words, time)."},
    {"done", done, METH_VARARGS, "done(deliveries, bytes): what was taken has been handled."},
    {"settle", settle, METH_VARARGS, "settle(timeout): waits until all that arrived is handled."},
    {"stop", stop, METH_VARARGS, "stop(handle, on): stops programs at their next record."},
    {"refused", refused_records, METH_NOARGS, "The records that were refused since, by handle."},
    {"retire", retire, METH_NOARGS, "Drops all that comes from now on."},
    {"reset", reset, METH_NOARGS, "Empties the queue, in the child of a fork."},
    {"configure", configure, METH_VARARGS, "configure(bytes, patience): the bounds of the queue."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "native_queue", "The queue between compiled programs and Python, in C.", -1,
    methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_native_queue(void) {
  init_locks();
  bytes_type = (PyTypeObject *)PyType_FromSpec(&bytes_spec);
  return bytes_type ? PyModule_Create(&module) : NULL;
}
