// A 5 × 5 filter from constant memory over an image, whose tile and its halo a
// block keeps in shared memory.
constexpr int kTile = 16, kRadius = 2, kWidth = kTile + 2 * kRadius;

__constant__ float weights[2 * kRadius + 1][2 * kRadius + 1];

extern "C" __global__ void convolution(const float *in, float *out, int width, int height) {
  __shared__ float tile[kWidth][kWidth + 1];
  int left = blockIdx.x * kTile - kRadius, top = blockIdx.y * kTile - kRadius;
  for (int i = threadIdx.y * kTile + threadIdx.x; i < kWidth * kWidth; i += kTile * kTile) {
    int x = left + i % kWidth, y = top + i / kWidth;
    bool isInside = x >= 0 && x < width && y >= 0 && y < height;
    tile[i / kWidth][i % kWidth] = isInside ? in[y * width + x] : 0;
  }
  __syncthreads();
  int x = blockIdx.x * kTile + threadIdx.x, y = blockIdx.y * kTile + threadIdx.y;
  if (x >= width || y >= height)
    return;
  float sum = 0;
  for (int dy = 0; dy <= 2 * kRadius; ++dy)
    for (int dx = 0; dx <= 2 * kRadius; ++dx)
      sum = fmaf(weights[dy][dx], tile[threadIdx.y + dy][threadIdx.x + dx], sum);
  out[y * width + x] = sum;
}
