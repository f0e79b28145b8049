#include <cuda_bf16.h>
#include <cuda_fp16.h>
extern "C" __global__ void half_arithmetic(const __half *a, const __half *b, __half *out, int n) {
  int i = threadIdx.x;
  if (i < n)
    out[i] = __hfma(a[i], b[i], __hadd(a[i], b[i]));
}
extern "C" __global__ void half2_arithmetic(const __half2 *a, const __half2 *b, __half2 *out, int n) {
  int i = threadIdx.x;
  if (i < n)
    out[i] = __hmax2(__hmul2(a[i], b[i]), __hsub2(a[i], b[i]));
}
extern "C" __global__ void bfloat_arithmetic(const __nv_bfloat16 *a, const __nv_bfloat16 *b,
                                             __nv_bfloat16 *out, int n) {
  int i = threadIdx.x;
  if (i < n)
    out[i] = __float2bfloat16(__bfloat162float(a[i]) * 3.0f + __bfloat162float(__hmul(a[i], b[i])));
}
