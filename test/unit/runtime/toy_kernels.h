/* The kernels of toy.c, for a CPU (toy.c) and for a GPU (toy.cu). Each computes
 * [begin, end) of its index range. */
#ifndef TOY_KERNELS_H
#define TOY_KERNELS_H

#include <stdint.h>

#ifdef __CUDACC__
#define TOY_KERNEL __device__ static void
#else
#define TOY_KERNEL static void
#endif

enum { kWidth = 4, kHeads = 2 };
enum { kValueTooLarge, kNoRows };

typedef struct Scale {
  int32_t *status;
  const float *x, *w;
  float *s;
  int32_t *offsets;
  int64_t all;
} Scale;

/* One index is one row. The first also tells where the experts' rows begin. Values
 * that are too large are scaled all the same: kernels that follow read them. */
TOY_KERNEL scaleRows(const Scale *a, int64_t begin, int64_t end) {
  if (begin == 0)
    a->offsets[0] = 0, a->offsets[1] = 1, a->offsets[2] = (int32_t)a->all;
  for (int64_t i = begin * kWidth; i < end * kWidth; ++i) {
    if (a->x[i] > 1000)
      *a->status = kValueTooLarge + 1;
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
TOY_KERNEL appendHeads(const Append *a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    int64_t batch = i / kHeads, head = i % kHeads;
    const float *from = a->past + batch * a->pastStrides[0] + head * a->pastStrides[1];
    float *to = a->present + batch * a->presentStrides[0] + head * a->presentStrides[1];
    if (a->past != a->present)
      for (int64_t row = 0; row < a->pastRows; ++row)
        for (int64_t c = 0; c < kWidth; ++c)
          to[row * a->presentStrides[2] + c] = from[row * a->pastStrides[2] + c];
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
TOY_KERNEL sumRows(const Sum *a, int64_t begin, int64_t end) {
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

#endif
