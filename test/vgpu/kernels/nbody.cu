extern "C" __global__ void nbody(const float4 *bodies, float3 *forces, int n) {
  extern __shared__ float4 cache[];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  float4 own = bodies[i];
  float3 force = {0, 0, 0};
  for (int first = 0; first < n; first += blockDim.x) {
    cache[threadIdx.x] = bodies[first + threadIdx.x];
    __syncthreads();
    for (int j = 0; j < blockDim.x; ++j) {
      float dx = cache[j].x - own.x, dy = cache[j].y - own.y, dz = cache[j].z - own.z;
      float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + 1e-3f);
      float scale = cache[j].w * inverse * inverse * inverse;
      force.x += dx * scale, force.y += dy * scale, force.z += dz * scale;
    }
    __syncthreads();
  }
  forces[i] = force;
}
