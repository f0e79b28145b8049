extern "C" __global__ void double_arithmetic(const double *a, const double *b, double *out, int n) {
  int i = threadIdx.x;
  if (i < n)
    out[i] = fma(a[i], b[i], sqrt(fabs(a[i]))) / (1.0 + b[i] * b[i]) + fmin(a[i], b[i]);
}
extern "C" __global__ void double_functions(const double *x, double *out, int n) {
  int i = threadIdx.x;
  if (i < n)
    out[i] = exp(sin(x[i])) + log(1.0 + x[i] * x[i]) + pow(fabs(x[i]) + 1.0, 0.3);
}
