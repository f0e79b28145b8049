/* The interface between generated code and the runtime that executes it.
 *
 * Standalone C: generated headers (`moec compile --emit obj`), the runtime and
 * the compiler all include this file and nothing else of moec. A module whose
 * `abi_version` differs from MOEC_ABI_VERSION is refused at load.
 */
#ifndef MOEC_MODULE_ABI_H
#define MOEC_MODULE_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOEC_ABI_VERSION 1u
#define MOEC_MAX_RANK 8

/* Element types, numbered as ONNX's TensorProto.DataType. */
typedef enum moec_element_type {
  MOEC_F32 = 1,
  MOEC_U8 = 2,
  MOEC_I8 = 3,
  MOEC_U16 = 4,
  MOEC_I16 = 5,
  MOEC_I32 = 6,
  MOEC_I64 = 7,
  MOEC_BOOL = 9, /* one byte, 0 or 1 */
  MOEC_F16 = 10,
  MOEC_F64 = 11,
  MOEC_U32 = 12,
  MOEC_U64 = 13,
  MOEC_BF16 = 16,
  MOEC_F8E4M3FN = 17,
  MOEC_F8E4M3FNUZ = 18,
  MOEC_F8E5M2 = 19,
  MOEC_F8E5M2FNUZ = 20,
  MOEC_U4 = 21, /* two per byte, low nibble first; one per byte inside generated code */
  MOEC_I4 = 22
} moec_element_type;

/* A strided tensor; strides count elements. Entries at and past the rank are
 * unspecified. */
typedef struct moec_view {
  void *data;
  int64_t sizes[MOEC_MAX_RANK];
  int64_t strides[MOEC_MAX_RANK];
} moec_view;

/* One execution of a module's entry, opaque to generated code. */
typedef struct moec_call moec_call;

/* What the runtime does for host code. A service that fails (out of memory, a
 * failed check, a refused output shape) records the error in the call and does
 * not return to generated code, which therefore contains no error paths. */
typedef struct moec_services {
  /* At least `bytes` bytes, aligned to 64, valid until the entry returns.
   * Called at most once per execution. */
  void *(*arena)(moec_call *call, int64_t bytes);
  /* Session heap, for sizes known only from data; aligned to 64. What is not
   * released is freed when the entry returns. */
  void *(*allocate)(moec_call *call, int64_t bytes);
  void (*release)(moec_call *call, void *memory);
  /* Where output `index`, of the given sizes, is to be written. Outputs that
   * are session state may be strided and may share memory with their input. */
  void (*output)(moec_call *call, int32_t index, const int64_t *sizes, moec_view *view);
  /* Runs kernel `sites[site].kernel` on the index range [0, grid), in any
   * split and order. The table has `words` entries; word 0 is filled by the
   * runtime with the address of an int32_t that a failing check sets to its
   * message number + 1. The table is copied before launch returns. */
  void (*launch)(moec_call *call, int32_t site, uint64_t *arguments, int64_t words, int64_t grid);
  /* Ends the execution with messages[message]. */
  void (*fail)(moec_call *call, int32_t message);
  /* Waits for what has been launched and copies `bytes` bytes from the device's
   * memory to the host's. */
  void (*read)(moec_call *call, const void *device, void *host, int64_t bytes);
} moec_services;

/* Host code. `inputs` and `weights` are indexed as in the metadata; returns 0. */
typedef int32_t (*moec_entry)(moec_call *call, const moec_services *services,
                              const moec_view *inputs, void *const *weights);

/* Memory that the services return, weights and views is the device's: host code
 * passes it on and accesses none of it, except where the device is the CPU. */

/* Computes [begin, end) of a kernel's index range. Arguments after word 0:
 * for a tensor its data pointer, its dynamic sizes and its dynamic strides;
 * for a scalar its bits, zero-extended. */
typedef void (*moec_kernel)(const uint64_t *arguments, int64_t begin, int64_t end);

/* What a loaded or linked module exports. */
typedef struct moec_module_v1 {
  uint32_t abi_version;
  uint32_t kernel_count;
  /* NUL-terminated JSON; its members are listed in docs/metadata.md. */
  const char *metadata;
  moec_entry entry;
  /* CPU: kernel_count function pointers. Other devices find kernels by name. */
  const moec_kernel *kernels;
} moec_module_v1;

#ifdef __cplusplus
}
#endif
#endif
