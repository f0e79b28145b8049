// Kernels whose use of memory can be worked out by hand.
extern "C" __global__ void copy(const float *in, float *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = in[i];
}

// Every second element: half of each sector is for nothing.
extern "C" __global__ void gather2(const float *in, float *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = in[2 * i];
}

template <int pitch> __device__ void transposeTile(const float *in, float *out) {
  __shared__ float tile[32 * pitch];
  int x = threadIdx.x, y = threadIdx.y;
  tile[y * pitch + x] = in[y * 32 + x];
  __syncthreads();
  out[y * 32 + x] = tile[x * pitch + y];
}
extern "C" __global__ void transpose(const float *in, float *out) { transposeTile<32>(in, out); }
extern "C" __global__ void transposePadded(const float *in, float *out) {
  transposeTile<33>(in, out);
}

// One warp adds up rows: its loop is the main loop.
extern "C" __global__ void sumRows(const float *in, float *out, int rows) {
  float sum = 0;
#pragma unroll 1
  for (int row = 0; row < rows; ++row)
    sum += in[row * 32 + threadIdx.x];
  out[threadIdx.x] = sum;
}
