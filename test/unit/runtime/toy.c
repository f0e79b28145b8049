/* A module written by hand, with everything that generated code does: an
 * arena, the heap, weights, state, checks in host code and in kernels.
 *
 * Inputs x f32 [batch, rows, 4] and past f32 [batch, 2, past, 4]; weight w f32
 * [4]. With s = w * x, head h of present is past followed by (h + 1) * s, and
 * sum [batch, rows, 4] has for each new row the sum of head 0 up to it.
 */
#include "toy.h"
#include "toy_kernels.h"

#include <string.h>

static void scale(const uint64_t *arguments, int64_t begin, int64_t end) {
  scaleRows((const Scale *)arguments, begin, end);
}
static void append(const uint64_t *arguments, int64_t begin, int64_t end) {
  appendHeads((const Append *)arguments, begin, end);
}
static void sum(const uint64_t *arguments, int64_t begin, int64_t end) {
  sumRows((const Sum *)arguments, begin, end);
}

#define WORDS(table) ((int64_t)(sizeof(table) / sizeof(uint64_t)))

static int32_t entry(moec_call *call, const moec_services *services, const moec_view *inputs,
                     void *const *weights) {
  const moec_view *x = &inputs[0], *past = &inputs[1];
  int64_t batch = x->sizes[0], rows = x->sizes[1], pastRows = past->sizes[2];
  if (rows == 0)
    services->fail(call, kNoRows);
  float *s = services->arena(call, batch * rows * kWidth * (int64_t)sizeof(float));
  /* The first is left to the runtime to free. */
  int32_t *offsets = services->allocate(call, 3 * sizeof(int32_t));
  void *unused = services->allocate(call, 1000);
  services->release(call, unused);

  Scale scaleTable = {0, x->data, weights[0], s, offsets, batch * rows};
  services->launch(call, 0, (uint64_t *)&scaleTable, WORDS(Scale), batch * rows);

  moec_view present, result;
  services->output(call, 1, (int64_t[]){batch, kHeads, pastRows + rows, kWidth}, &present);
  Append appendTable = {0, s, rows, past->data, pastRows, {0}, present.data, {0}};
  memcpy(appendTable.pastStrides, past->strides, sizeof appendTable.pastStrides);
  memcpy(appendTable.presentStrides, present.strides, sizeof appendTable.presentStrides);
  services->launch(call, 1, (uint64_t *)&appendTable, WORDS(Append), batch * kHeads);

  services->output(call, 0, (int64_t[]){batch, rows, kWidth}, &result);
  Sum sumTable = {0, rows, pastRows, present.data, {0}, result.data, offsets};
  memcpy(sumTable.presentStrides, present.strides, sizeof sumTable.presentStrides);
  services->launch(call, 2, (uint64_t *)&sumTable, WORDS(Sum), batch * rows);
  return 0;
}

static const moec_kernel kernels[] = {scale, append, sum};

static const moec_module_v1 description = {MOEC_ABI_VERSION, 3, "{}", entry, kernels};

const moec_module_v1 *moec_module(void) { return &description; }
