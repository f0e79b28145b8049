// The toy's kernels for a GPU: a thread computes an index, as the geometry in
// toy_files.cpp says. toy.ptx is what nvcc made of it, so that no test needs it, in
// a version of PTX that older drivers take, too:
//   nvcc -arch=compute_80 -fmad=false -Xcicc -O1 -ptx toy.cu
//   sed -i 's/^.version .*/.version 7.7/' toy.ptx
#include "toy_kernels.h"

#define TOY_ENTRY(name, Table, compute)                                                            \
  extern "C" __global__ void __launch_bounds__(32)                                                 \
      name(const __grid_constant__ Table table, int64_t grid) {                                    \
    int64_t index = int64_t(blockIdx.x) * 32 + threadIdx.x;                                        \
    if (index < grid)                                                                              \
      compute(&table, index, index + 1);                                                           \
  }

TOY_ENTRY(scale, Scale, scaleRows)
TOY_ENTRY(append, Append, appendHeads)
TOY_ENTRY(sum, Sum, sumRows)
