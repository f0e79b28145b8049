// Vector loads and stores, constant memory, restrict, and generic pointers.
__constant__ float weights[8];
__device__ int total;
extern "C" __global__ void vectors(const float4 *__restrict__ in, float4 *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float4 v = in[i];
  v.x *= weights[i % 8];
  v.y += weights[0];
  v.z -= weights[1];
  v.w = fmaf(v.w, weights[2], weights[3]);
  out[i] = v;
}
__device__ __noinline__ int sum(const int *values, int n) {
  int result = 0;
  for (int i = 0; i < n; ++i)
    result += values[i];
  return result;
}
extern "C" __global__ void generic(const int *global) {
  __shared__ int shared[32];
  int local[4];
  shared[threadIdx.x] = threadIdx.x;
  for (int i = 0; i < 4; ++i)
    local[i] = global[(threadIdx.x + i) % 32];
  __syncthreads();
  const int *chosen = threadIdx.x % 3 == 0 ? shared : threadIdx.x % 3 == 1 ? local : global;
  atomicAdd(&total, sum(chosen, 4));
}
