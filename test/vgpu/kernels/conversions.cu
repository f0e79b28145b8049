extern "C" __global__ void conversions(const float *in, int *out, int n) {
  int i = threadIdx.x;
  if (i >= n)
    return;
  float x = in[i];
  int *o = out + i * 16;
  o[0] = __float2int_rn(x);
  o[1] = __float2int_rz(x);
  o[2] = __float2int_rd(x);
  o[3] = __float2int_ru(x);
  o[4] = __float2uint_rz(x);
  o[5] = (int)(signed char)(int)x;
  o[6] = __float_as_int(__int2float_rz(o[1] * 65537));
  o[7] = __float_as_int(__fadd_rd(x, 1e-8f));
  o[8] = __float_as_int(__fmul_ru(x, 1.1f));
  o[9] = __float_as_int(rintf(x));
  o[10] = __float_as_int(truncf(x) + floorf(x) + ceilf(x));
  o[11] = __float_as_int(__saturatef(x));
  o[12] = (int)(long long)(x * 1e6f);
  o[13] = __float_as_int((float)(double)x + (float)(unsigned long long)(fabsf(x) * 1e10f));
  o[14] = __float_as_int(__fdividef(x, 3.0f));
  o[15] = __double2int_rn((double)x * 0.5) + (isnan(x) ? 1 : 0) + (isinf(x) ? 2 : 0);
}
