// The part of XLA's foreign function interface that jaxlog uses, in C.
//
// XLA promises that these structures only grow at their ends, and that each begins with its size.
// jaxlog claims the oldest version of the interface, so that one binary serves every jaxlib that
// still accepts it: a claim newer than jaxlib's would make JAX refuse its CPU backend.

#ifndef JAXLOG_XLA_FFI_H_
#define JAXLOG_XLA_FFI_H_

#include <stddef.h>
#include <stdint.h>

enum { FFI_MAJOR = 0, FFI_MINOR = 1 };  // the version jaxlog claims
enum { FFI_EXTENSION_METADATA = 1 };    // a question about the handler, not a call
enum { FFI_STAGE_EXECUTE = 3 };         // the stage in which arguments hold values
enum { FFI_CANCELLED = 1, FFI_INVALID_ARGUMENT = 3 };  // error codes
enum { FFI_U32 = 8 };                   // a data type

typedef struct FfiExtension {
  size_t struct_size;
  int type;
  struct FfiExtension *next;
} FfiExtension;

typedef struct {
  size_t struct_size;
  FfiExtension *extensions;
  int major, minor;
} FfiVersion;

typedef struct {
  size_t struct_size;
  FfiVersion version;
  uint32_t traits;
} FfiMetadata;

typedef struct {
  FfiExtension base;
  FfiMetadata *metadata;
} FfiMetadataExtension;

typedef struct {
  size_t struct_size;
  FfiExtension *extensions;
  int dtype;
  void *data;
  int64_t rank;
  int64_t *dims;
} FfiBuffer;

typedef struct {
  size_t struct_size;
  FfiExtension *extensions;
  const char *message;
  int code;
} FfiErrorArguments;

typedef struct {
  size_t struct_size;
  FfiExtension *extensions;
  FfiVersion version;
  const void *internal;
  void *(*create_error)(FfiErrorArguments *);
} FfiApi;

typedef struct {
  size_t struct_size;
  FfiExtension *extensions;
  const FfiApi *api;
  void *context;
  int stage;
  struct {
    size_t struct_size;
    FfiExtension *extensions;
    int64_t size;
    int *types;
    void **values;
  } arguments;
} FfiCall;

#endif  // JAXLOG_XLA_FFI_H_
