/* The runtime: load a compiled model, run it, keep its state.
 *
 *   moec_model *model = NULL;
 *   moec_session *session = NULL;
 *   moec_tensor inputs[1] = {{.data = ids, .type = MOEC_I64, .rank = 2, .sizes = {1, 5}}};
 *   moec_tensor outputs[1];
 *   if (moec_model_load("model.moec", NULL, &model) ||
 *       moec_session_create(model, NULL, &session) ||
 *       moec_session_run(session, inputs, outputs))
 *     puts(moec_last_error());
 *
 * Conventions of the whole interface:
 *  - Functions that can fail return a status; MOEC_OK is 0. After any other
 *    status moec_last_error() has the reason, and nothing has changed unless
 *    the function says otherwise.
 *  - Options and tensors that are all zero mean "the default" and "absent".
 *  - A model may be used by any number of threads at once. A session belongs to
 *    one thread at a time; different sessions run concurrently, also when they
 *    share a model.
 *  - Strings that are returned live as long as the object they were asked of.
 */
#ifndef MOEC_RUNTIME_H
#define MOEC_RUNTIME_H

#include "moec/module_abi.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum moec_status {
  MOEC_OK = 0,
  MOEC_INVALID_ARGUMENT = 1, /* wrong shape or type, unknown name, misuse */
  MOEC_IO = 2,               /* a file cannot be opened, read or written */
  MOEC_DAMAGED = 3,          /* a file is not what it claims to be */
  MOEC_INCOMPATIBLE = 4,     /* other ABI, chip or device */
  MOEC_OUT_OF_MEMORY = 5,
  MOEC_EXECUTION_FAILED = 6 /* a check of the model failed while it ran */
} moec_status;

/* Why the last failing call of this thread failed, in one line. Valid until
 * the thread's next failing call; empty before the first. */
const char *moec_last_error(void);

/* A tensor in host memory. */
typedef struct moec_tensor {
  void *data;
  int32_t type; /* moec_element_type; 0: this tensor is absent */
  int32_t rank;
  int64_t sizes[MOEC_MAX_RANK];
  /* In elements. All zero in a tensor given to the runtime: row-major without
   * gaps, which is also the only form an input may have. Tensors that the
   * runtime returns always have them; only state is ever strided. */
  int64_t strides[MOEC_MAX_RANK];
  /* Bytes at `data`. When not 0 in an input it is checked to suffice. U4 and
   * I4 take half a byte per element, rounded up. */
  size_t bytes;
} moec_tensor;

/* Bits per element, or 0 for a type that does not exist. */
int32_t moec_element_bits(int32_t type);
/* "float32", "int4", ...: numpy's names where it has one. */
const char *moec_element_name(int32_t type);

/* ---- Models ------------------------------------------------------------- */

/* Code and weights. The weights are in memory once, however many sessions use
 * them; mapped ones are also shared between processes. */
typedef struct moec_model moec_model;

typedef enum moec_weights_memory {
  MOEC_WEIGHTS_MAP = 0, /* map the file; pages are read when touched */
  MOEC_WEIGHTS_HUGE = 1 /* read it into anonymous huge pages, map nothing */
} moec_weights_memory;

typedef struct moec_model_options {
  const char *device; /* "cpu" or "cuda"; NULL: what the model was compiled for */
  moec_weights_memory weights_memory;
  int32_t verify_weights; /* read every weight and compare its digest */
} moec_model_options;

/* Loads an artifact and the weights file that it names, which is beside it.
 * The artifact is verified byte by byte before any of it is executed; of the
 * weights file length and header, and its contents when asked. Digests detect
 * damage, not malice: an artifact is trusted code. */
moec_status moec_model_load(const char *path, const moec_model_options *options,
                            moec_model **model);

/* The same for a module linked into the program. `weights_path` may be NULL
 * for a module without weights. */
moec_status moec_model_from_module(const moec_module_v1 *module, const char *weights_path,
                                   const moec_model_options *options, moec_model **model);

/* Sessions keep what they need: a model may be released before them. */
void moec_model_release(moec_model *model);

/* What an input or output is. */
typedef struct moec_tensor_info {
  const char *name;
  int32_t type; /* moec_element_type */
  int32_t rank;
  int64_t sizes[MOEC_MAX_RANK]; /* -1: known when run */
  /* The model's name of a size that is -1, or NULL. Equal names in inputs
   * mean equal sizes. */
  const char *symbols[MOEC_MAX_RANK];
  /* Of an input that is the past of a state: the output that is its present;
   * of such an output: the input. -1 otherwise. */
  int32_t state;
  int32_t state_axis; /* the dimension that grows; -1 without state */
} moec_tensor_info;

int32_t moec_model_input_count(const moec_model *model);
int32_t moec_model_output_count(const moec_model *model);
moec_status moec_model_input(const moec_model *model, int32_t index, moec_tensor_info *info);
moec_status moec_model_output(const moec_model *model, int32_t index, moec_tensor_info *info);
/* The index of the input or output of that name, or -1. */
int32_t moec_model_find_input(const moec_model *model, const char *name);
int32_t moec_model_find_output(const moec_model *model, const char *name);
/* The module's metadata, JSON; its members are listed in docs/metadata.md. */
const char *moec_model_metadata(const moec_model *model);

/* ---- Sessions ----------------------------------------------------------- */

/* Working memory, threads and state for executing a model. */
typedef struct moec_session moec_session;

typedef struct moec_session_options {
  int32_t threads;        /* the calling one included; 0: the cores this process may use */
  int32_t pin_threads;    /* 0: bind each worker to a core; -1: do not */
  int64_t state_capacity; /* rows to make room for at first; 0: grow from little */
  int32_t graphs;         /* of a GPU: 0: replay what repeats as graphs; -1: launch each kernel */
} moec_session_options;

moec_status moec_session_create(moec_model *model, const moec_session_options *options,
                                moec_session **session);
void moec_session_release(moec_session *session);

/* Executes the model. `inputs` has one entry per input of the model. Inputs
 * that are the past of a state may be absent, all or none: then the session
 * keeps them, and their lengths grow by this execution.
 *
 * `outputs` has one entry per output and is only written to. It is pointed to
 * the buffers of moec_session_bind_output, otherwise to memory of the session
 * that stays valid until its next run or change of state; there, outputs of one
 * run may be inputs of the next. State that the session keeps in the memory of
 * a device has no `data` there, see moec_session_read_state. The result does not depend on the
 * number of threads. After an error the outputs are undefined and the state is as it was before. */
moec_status moec_session_run(moec_session *session, const moec_tensor *inputs,
                             moec_tensor *outputs);

/* Has later runs write output `index` to `data`, which has `bytes` bytes and
 * overlaps no input; NULL undoes it. State that the session keeps cannot be
 * bound: running such a model is an error. */
moec_status moec_session_bind_output(moec_session *session, int32_t index, void *data,
                                     size_t bytes);

/* How long the state is that the session keeps, along its growing dimension. */
int64_t moec_session_length(const moec_session *session);
/* Forgets the state; the next run may have another batch size. */
moec_status moec_session_reset(moec_session *session);
/* Keeps the first `length` rows; 0 <= length <= moec_session_length. */
moec_status moec_session_truncate(moec_session *session, int64_t length);
/* Makes batch row i (dimension 0 of every state) a copy of what row rows[i]
 * was; `count` is the new batch size. */
moec_status moec_session_reorder(moec_session *session, const int64_t *rows, int64_t count);
/* Copies output `index`, whose pair the session keeps, to `data` in host memory,
 * row-major without gaps; `bytes` is what its sizes make. */
moec_status moec_session_read_state(const moec_session *session, int32_t index, void *data,
                                    size_t bytes);
/* A new session of the same model and options with a copy of the state. */
moec_status moec_session_fork(const moec_session *session, moec_session **copy);

/* ---- What it costs ------------------------------------------------------ */

/* Bytes. */
typedef struct moec_memory_report {
  int64_t weights;      /* of the model, shared by its sessions */
  int64_t state;        /* capacity of the state that this session keeps */
  int64_t arena;        /* intermediates of sizes known from the inputs' */
  int64_t heap_peak;    /* the most at once, of sizes known only from data */
  int64_t outputs;      /* outputs that the session holds */
  int64_t process_peak; /* VmHWM: the most this process ever had in memory */
} moec_memory_report;

moec_status moec_session_memory(const moec_session *session, moec_memory_report *report);

/* Starts recording, and forgets what was recorded. */
moec_status moec_session_profile_start(moec_session *session);
/* Stops recording and writes it for chrome://tracing or Perfetto: a row per
 * thread, kernels by the names of their ONNX nodes, tokens per expert as
 * counters. The file appears whole or not at all. */
moec_status moec_session_profile_write(moec_session *session, const char *path);

#ifdef __cplusplus
}
#endif
#endif
