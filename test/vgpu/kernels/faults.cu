// What goes wrong, each in one place.
extern "C" __global__ void out_of_bounds(int *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n)
    out[i] = i;
}
extern "C" __global__ void misaligned(char *out) { *(int *)(out + 2 * threadIdx.x) = 1; }
extern "C" __global__ void uninitialized_shared(int *out) {
  __shared__ int shared[64];
  if (threadIdx.x < 31)
    shared[threadIdx.x] = threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = shared[threadIdx.x];
}
extern "C" __global__ void shared_bounds(int *out, int n) {
  extern __shared__ int dynamic[];
  for (int i = 0; i < n; ++i)
    dynamic[i] = i;
  out[threadIdx.x] = dynamic[threadIdx.x];
}
extern "C" __global__ void divergent_barrier(int *out) {
  if (threadIdx.x < 16)
    __syncthreads();
  out[threadIdx.x] = 1;
}
extern "C" __global__ void deadlock(int *out) {
  if (threadIdx.x < 32)
    asm volatile("bar.sync 1, 64;" ::: "memory");
  else
    asm volatile("bar.sync 2, 64;" ::: "memory");
  out[threadIdx.x] = 1;
}
extern "C" __global__ void trap() { __trap(); }
