// Calls: device functions that are not inlined, recursion, and by pointer.
struct Pair {
  long long first;
  int second;
};
__device__ __noinline__ int ackermann(int m, int n) {
  if (m == 0)
    return n + 1;
  if (n == 0)
    return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}
__device__ __noinline__ Pair divide(long long a, int b) {
  Pair result = {a / b, (int)(a % b)};
  return result;
}
__device__ __noinline__ float twice(float x) { return 2 * x; }
__device__ __noinline__ float square(float x) { return x * x; }
__device__ __noinline__ float negate(float x) { return -x; }
typedef float (*Function)(float);
__device__ Function table[3] = {twice, square, negate};

extern "C" __global__ void recursion(int *out) {
  int i = threadIdx.x;
  out[i] = ackermann(i % 3, i % 5);
}
extern "C" __global__ void structures(const long long *a, const int *b, long long *quotients,
                                      int *remainders, int n) {
  int i = threadIdx.x;
  if (i >= n)
    return;
  Pair pair = divide(a[i], b[i]);
  quotients[i] = pair.first;
  remainders[i] = pair.second;
}
extern "C" __global__ void pointers(float *out) {
  int i = threadIdx.x;
  out[i] = table[i % 3]((float)i);
}
