// One block a row; the row is read three times.
extern "C" __global__ void softmax(const float *in, float *out, int width) {
  __shared__ float partial[4];
  const float *row = in + blockIdx.x * width;
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float largest = -INFINITY;
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    largest = fmaxf(largest, row[i]);
  for (int offset = 16; offset > 0; offset /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, offset));
  if (lane == 0)
    partial[warp] = largest;
  __syncthreads();
  largest = fmaxf(fmaxf(partial[0], partial[1]), fmaxf(partial[2], partial[3]));
  __syncthreads();
  float sum = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    sum += __expf(row[i] - largest);
  for (int offset = 16; offset > 0; offset /= 2)
    sum += __shfl_xor_sync(0xffffffff, sum, offset);
  if (lane == 0)
    partial[warp] = sum;
  __syncthreads();
  sum = partial[0] + partial[1] + partial[2] + partial[3];
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    out[blockIdx.x * width + i] = __expf(row[i] - largest) / sum;
}
