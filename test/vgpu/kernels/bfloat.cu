#include <cuda_bf16.h>

// A polynomial of pairs by Horner's rule, each step rounded once, where x is kept
// between -limit and limit.
extern "C" __global__ void bfloat_polynomial(const __nv_bfloat162 *in, __nv_bfloat162 *out, float limit,
                                             int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  __nv_bfloat162 most = __float2bfloat162_rn(limit);
  __nv_bfloat162 x = __hmin2(__hmax2(in[i], __hneg2(most)), most);
  __nv_bfloat162 sum = __hfma2(x, __float2bfloat162_rn(0.375f), __float2bfloat162_rn(-1.25f));
  out[i] = __hfma2_relu(sum, x, __float2bfloat162_rn(0.8125f));
}

// A warp a row of 64: the maximum and differences are bf16's, exponentials and
// their sum f32's.
extern "C" __global__ void bfloat_softmax(const __nv_bfloat162 *in, __nv_bfloat162 *out) {
  int lane = threadIdx.x % 32, at = (blockIdx.x * blockDim.x + threadIdx.x) / 32 * 32 + lane;
  __nv_bfloat162 mine = in[at];
  __nv_bfloat162 both = __hmax2(mine, __lowhigh2highlow(mine));
  for (int offset = 16; offset > 0; offset /= 2)
    both = __hmax2(both, __shfl_xor_sync(0xffffffff, both, offset));
  float2 difference = __bfloat1622float2(__hsub2(mine, both));
  float2 power = make_float2(__expf(difference.x), __expf(difference.y));
  float sum = power.x + power.y;
  for (int offset = 16; offset > 0; offset /= 2)
    sum += __shfl_xor_sync(0xffffffff, sum, offset);
  out[at] = __floats2bfloat162_rn(power.x / sum, power.y / sum);
}
