extern "C" __global__ void single_functions(const float *x, float *out, int n) {
  int i = threadIdx.x;
  if (i < n)
    out[i] = tanhf(x[i]) + erff(x[i]) + cosf(x[i]) * sinf(10000.0f * x[i]) + log1pf(x[i] * x[i]) +
             rsqrtf(1.0f + x[i] * x[i]) + cbrtf(x[i]);
}
