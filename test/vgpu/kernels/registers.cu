// Two kernels with few and with many registers.
extern "C" __global__ void few(float *x) { x[threadIdx.x] += 1; }

extern "C" __global__ void many(float *x) {
  float values[80];
#pragma unroll
  for (int i = 0; i < 80; ++i)
    values[i] = x[i];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 80; ++i)
    x[79 - i] = values[i] + 1;
}
