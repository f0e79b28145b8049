/* A module written by hand, with everything that generated code does: an
 * arena, the heap, weights, state, checks in host code and in kernels.
 *
 * Inputs x f32 [batch, rows, 4] and past f32 [batch, 2, past, 4]; weight w f32
 * [4]. With s = w * x, head h of present is past followed by (h + 1) * s, and
 * sum [batch, rows, 4] has for each new row the sum of head 0 up to it.
 */
#include "toy.h"

#include <string.h>

enum { kWidth = 4, kHeads = 2 };
enum { kValueTooLarge, kNoRows };

typedef struct Scale {
  int32_t *status;
  const float *x, *w;
  float *s;
} Scale;

/* One index is one row. */
static void scale(const uint64_t *arguments, int64_t begin, int64_t end) {
  const Scale *a = (const Scale *)arguments;
  for (int64_t i = begin * kWidth; i < end * kWidth; ++i) {
    if (a->x[i] > 1000) {
      *a->status = kValueTooLarge + 1;
      return;
    }
    a->s[i] = a->x[i] * a->w[i % kWidth];
  }
}

typedef struct Append {
  int32_t *status;
  const float *s;
  int64_t rows;
  const float *past;
  int64_t pastRows, pastStrides[4];
  float *present;
  int64_t presentStrides[4];
} Append;

/* One index is one head of one batch row. */
static void append(const uint64_t *arguments, int64_t begin, int64_t end) {
  const Append *a = (const Append *)arguments;
  for (int64_t i = begin; i < end; ++i) {
    int64_t batch = i / kHeads, head = i % kHeads;
    const float *from = a->past + batch * a->pastStrides[0] + head * a->pastStrides[1];
    float *to = a->present + batch * a->presentStrides[0] + head * a->presentStrides[1];
    if (a->past != a->present)
      for (int64_t row = 0; row < a->pastRows; ++row)
        memcpy(to + row * a->presentStrides[2], from + row * a->pastStrides[2],
               kWidth * sizeof(float));
    for (int64_t row = 0; row < a->rows; ++row)
      for (int64_t c = 0; c < kWidth; ++c)
        to[(a->pastRows + row) * a->presentStrides[2] + c] =
            (float)(head + 1) * a->s[(batch * a->rows + row) * kWidth + c];
  }
}

typedef struct Sum {
  int32_t *status;
  int64_t rows, pastRows;
  const float *present;
  int64_t presentStrides[4];
  float *sum;
  const int32_t *offsets;
} Sum;

/* One index is one new row. */
static void sum(const uint64_t *arguments, int64_t begin, int64_t end) {
  const Sum *a = (const Sum *)arguments;
  for (int64_t i = begin; i < end; ++i) {
    const float *from = a->present + i / a->rows * a->presentStrides[0];
    for (int64_t c = 0; c < kWidth; ++c) {
      float total = 0;
      for (int64_t row = 0; row <= a->pastRows + i % a->rows; ++row)
        total += from[row * a->presentStrides[2] + c];
      a->sum[i * kWidth + c] = total;
    }
  }
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

  Scale scaleTable = {0, x->data, weights[0], s};
  services->launch(call, 0, (uint64_t *)&scaleTable, WORDS(Scale), batch * rows);

  moec_view present, result;
  services->output(call, 1, (int64_t[]){batch, kHeads, pastRows + rows, kWidth}, &present);
  Append appendTable = {0, s, rows, past->data, pastRows, {0}, present.data, {0}};
  memcpy(appendTable.pastStrides, past->strides, sizeof appendTable.pastStrides);
  memcpy(appendTable.presentStrides, present.strides, sizeof appendTable.presentStrides);
  services->launch(call, 1, (uint64_t *)&appendTable, WORDS(Append), batch * kHeads);

  offsets[0] = 0, offsets[1] = 1, offsets[2] = (int32_t)(batch * rows);
  services->output(call, 0, (int64_t[]){batch, rows, kWidth}, &result);
  Sum sumTable = {0, rows, pastRows, present.data, {0}, result.data, offsets};
  memcpy(sumTable.presentStrides, present.strides, sizeof sumTable.presentStrides);
  services->launch(call, 2, (uint64_t *)&sumTable, WORDS(Sum), batch * rows);
  return 0;
}

static const moec_kernel kernels[] = {scale, append, sum};

static const moec_module_v1 description = {MOEC_ABI_VERSION, 3, "{}", entry, kernels};

const moec_module_v1 *moec_module(void) { return &description; }
