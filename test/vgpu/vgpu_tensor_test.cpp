// Kernels that multiply by tensor cores are right under every schedule, and what
// is wrong in their variants is found.
#include "Gpu.h"

#include <bit>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>

namespace {

std::string textOf(const std::string &name) {
  std::ifstream file(VGPU_TEST_KERNELS "/" + name + ".ptx");
  EXPECT_TRUE(file) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// `text` with the occurrence number `which` of `from` changed.
std::string changed(std::string text, const std::string &from, const std::string &to,
                    int which = 0) {
  size_t at = text.find(from);
  for (; which > 0 && at != std::string::npos; --which)
    at = text.find(from, at + 1);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// Small integers as bf16: their products and sums are exact.
struct Matrix {
  Matrix(int rows, int columns, std::mt19937 &random)
      : columns(columns), values(rows * columns), bits(rows * columns) {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(static_cast<int>(random() % 9) - 4);
      bits[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(values[i]) >> 16);
    }
  }
  float at(int row, int column) const { return values[row * columns + column]; }

  int columns;
  std::vector<float> values;
  std::vector<uint16_t> bits;
};

class Tensor : public GpuTest {
protected:
  std::mt19937 random{7};
};

// --- cp.async, ldmatrix, mma.sync

class Gemm80 : public Tensor {
protected:
  /// Launches and returns what the launch and its end say, with C in `result`.
  CUresult run(const std::string &ptx, std::vector<float> &result) {
    CUfunction function = kernel(loadText(ptx), "gemm_sm80");
    Buffer<uint16_t> da(a.bits), db(b.bits);
    Buffer<float> dc(m * n);
    CUresult launched = launch(function, {unsigned(n / 64), unsigned(m / 64)}, {128}, 0, da.address,
                               db.address, dc.address, m, n, k);
    CUresult ended = cuCtxSynchronize();
    if (launched == CUDA_SUCCESS && ended == CUDA_SUCCESS)
      result = dc.get();
    return launched != CUDA_SUCCESS ? launched : ended;
  }

  void expectFound(const std::string &ptx, const std::string &what) {
    std::vector<float> result;
    run(ptx, result);
    std::string findings = takeFindings();
    EXPECT_NE(findings.find(what), std::string::npos) << findings;
  }

  int m = 128, n = 64, k = 160;
  Matrix a{m, k, random}, b{k, n, random};
};

TEST_F(Gemm80, IsRight) {
  std::vector<float> c;
  GPU_CHECK(run(textOf("gemm_sm80"), c));
  for (int row = 0; row < m; ++row)
    for (int column = 0; column < n; ++column) {
      float sum = 0;
      for (int i = 0; i < k; ++i)
        sum += a.at(row, i) * b.at(i, column);
      ASSERT_EQ(c[row * n + column], sum) << row << " " << column;
    }
}

// The upper lanes' wait is not for what the lower ones have copied again since theirs.
TEST_F(Tensor, LanesWaitForTheirOwnCopies) {
  CUfunction function = kernel(loadText(R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry waits(.param .u64 data)
{
  .reg .pred %p;
  .reg .b32 %r<5>;
  .reg .b64 %rd<4>;
  .shared .align 16 .b8 tile[512];
  mov.u32 %r1, %tid.x;
  shl.b32 %r2, %r1, 4;
  mov.u32 %r3, tile;
  add.u32 %r3, %r3, %r2;
  ld.param.u64 %rd1, [data];
  cvt.u64.u32 %rd2, %r2;
  add.u64 %rd3, %rd1, %rd2;
  setp.lt.u32 %p, %r1, 16;
  cp.async.cg.shared.global [%r3], [%rd3], 16;
  @%p cp.async.wait_all;
  @%p cp.async.cg.shared.global [%r3], [%rd3], 16;
  @!%p cp.async.wait_all;
  @%p ld.shared.u32 %r4, [%r3];
  cp.async.wait_all;
  ret;
}
)"),
                               "waits");
  Buffer<uint32_t> data(128);
  GPU_CHECK(cuMemsetD8_v2(data.address, 1, 512));
  launch(function, {1}, {32}, 0, data.address);
  cuCtxSynchronize();
  std::string findings = takeFindings();
  EXPECT_NE(findings.find("reads bytes that an asynchronous copy still writes"), std::string::npos)
      << findings;
}

// With one group more in flight than the pipeline has, data is read too early.
TEST_F(Gemm80, LooseWaitIsFound) {
  expectFound(changed(textOf("gemm_sm80"), "cp.async.wait_group 1", "cp.async.wait_group 2"),
              "that an asynchronous copy still writes");
}

TEST_F(Gemm80, DroppedWaitIsFound) {
  expectFound(changed(textOf("gemm_sm80"), "cp.async.wait_group 1;", ""),
              "that an asynchronous copy still writes");
}

TEST_F(Gemm80, MisalignedSourceIsFound) {
  expectFound(changed(textOf("gemm_sm80"), "[%r42], [%rd8]", "[%r42], [%rd8+4]"), "misaligned");
}

// Even where nothing is read, and zeros are written.
TEST_F(Gemm80, MisalignedSourceThatIsNotReadIsFound) {
  expectFound(changed(textOf("gemm_sm80"), "[%r42], [%rd8], 16, %r7", "[%r42], [%rd8+4], 16, 0"),
              "misaligned");
}

struct Change {
  const char *name, *from, *to, *found;
};

/// What is checked for a warp at once, where nothing is wrong.
class Gemm80Changed : public Gemm80, public testing::WithParamInterface<Change> {};

TEST_P(Gemm80Changed, IsFound) {
  const Change &change = GetParam();
  expectFound(changed(textOf("gemm_sm80"), change.from, change.to), change.found);
}

INSTANTIATE_TEST_SUITE_P(
    Places, Gemm80Changed,
    testing::Values(Change{"MisalignedRow", "[%r140]", "[%r140+8]", "misaligned"},
                    Change{"RowBehindTheEnd", "[%r140]", "[%r140+1048576]",
                           "16 bytes outside of the block's shared memory"},
                    Change{"RowBeforeTheBegin", "[%r140]", "[%r140-1048576]",
                           "16 bytes outside of the block's shared memory"},
                    Change{"GapBetweenRows", "[%r140]", "[%r140+64]", "nobody has written"},
                    Change{"DroppedBarrier", "bar.sync \t0;", "",
                           "reads shared memory while another thread may write it"},
                    Change{"MisalignedDestination", "[%r42], [%rd8]", "[%r42+8], [%rd8]",
                           "misaligned"},
                    Change{"DestinationBehindTheEnd", "[%r42], [%rd8]", "[%r42+1048576], [%rd8]",
                           "needs 16 bytes of the block's shared memory"}),
    [](const auto &info) { return std::string(info.param.name); });

// --- TMA, mbarriers, wgmma; a producer warp and a consumer warpgroup

class Gemm90 : public Tensor {
protected:
  static CUtensorMap mapOf(CUdeviceptr address, int rows, int columns, cuuint32_t boxRows) {
    CUtensorMap map;
    cuuint64_t sizes[] = {cuuint64_t(columns), cuuint64_t(rows)}, strides[] = {columns * 2ull};
    cuuint32_t box[] = {64, boxRows}, steps[] = {1, 1};
    EXPECT_EQ(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2,
                                     reinterpret_cast<void *>(address), sizes, strides, box, steps,
                                     CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                     CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                     CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
              CUDA_SUCCESS);
    return map;
  }

  /// The dynamic shared memory is that of the stages.
  CUresult run(const std::string &ptx, std::vector<float> &result) {
    CUfunction function = kernel(loadText(ptx), "gemm_sm90a");
    unsigned bytes = 3 * (64 + 128) * 64 * 2;
    EXPECT_EQ(
        cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, int(bytes)),
        CUDA_SUCCESS);
    Buffer<uint16_t> da(a.bits), db(b.bits);
    Buffer<float> dc(m * n);
    CUtensorMap mapA = mapOf(da.address, m, k, 64), mapB = mapOf(db.address, n, k, 128);
    CUresult launched = launch(function, {unsigned(n / 128), unsigned(m / 64)}, {160}, bytes, mapA,
                               mapB, dc.address, n, k);
    CUresult ended = cuCtxSynchronize();
    if (launched == CUDA_SUCCESS && ended == CUDA_SUCCESS)
      result = dc.get();
    return launched != CUDA_SUCCESS ? launched : ended;
  }

  void expectFound(const std::string &from, const std::string &to, const std::string &what) {
    std::vector<float> result;
    run(changed(textOf("gemm_sm90a"), from, to), result);
    std::string findings = takeFindings();
    EXPECT_NE(findings.find(what), std::string::npos) << findings;
  }

  int m = 128, n = 128, k = 320;
  Matrix a{m, k, random}, b{n, k, random};
};

TEST_F(Gemm90, IsRight) {
  std::vector<float> c;
  GPU_CHECK(run(textOf("gemm_sm90a"), c));
  for (int row = 0; row < m; ++row)
    for (int column = 0; column < n; ++column) {
      float sum = 0;
      for (int i = 0; i < k; ++i)
        sum += a.at(row, i) * b.at(column, i);
      ASSERT_EQ(c[row * n + column], sum) << row << " " << column;
    }
}

// The consumer multiplies what TMA is still writing.
TEST_F(Gemm90, DroppedWaitIsFound) {
  expectFound("mbarrier.try_wait.parity.shared::cta.b64 p, [%r30], %r31;", "setp.eq.b32 p, 0, 0;",
              "starts to read");
}

// try_wait may answer before the phase is over: the consumer must ask again.
TEST_F(Gemm90, WaitThatIsNotRepeatedIsFound) {
  expectFound("mbarrier.try_wait.parity.shared::cta.b64 p, [%r30], %r31;\n@p bra DONE;\n"
              "bra AGAIN;",
              "mbarrier.try_wait.parity.shared::cta.b64 p, [%r30], %r31;", "starts to read");
}

TEST_F(Gemm90, WrongParityIsFound) {
  expectFound("mbarrier.try_wait.parity.shared::cta.b64 p, [%r30], %r31;",
              "{.reg .b32 q; xor.b32 q, %r31, 1;\n"
              "mbarrier.try_wait.parity.shared::cta.b64 p, [%r30], q;}",
              "starts to read");
}

// Too many bytes are expected: the phase never ends.
TEST_F(Gemm90, WrongByteCountIsFound) {
  expectFound("_, [%r89], %r81;", "_, [%r89], 24592;", "waits for 0 arrivals and 16 bytes");
}

// The stage is given back before wgmma has read it.
TEST_F(Gemm90, LooseWaitIsFound) {
  expectFound("wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 1;",
              "asynchronous");
}

TEST_F(Gemm90, MissingWgmmaWaitIsFound) {
  expectFound("wgmma.wait_group.sync.aligned 0;", "", "of a wgmma that nobody has waited for");
}

TEST_F(Gemm90, MissingWgmmaFenceIsFound) {
  expectFound("wgmma.fence.sync.aligned;", "", "has no wgmma.fence before it");
}

TEST_F(Gemm90, MissingInitFenceIsFound) {
  expectFound("fence.mbarrier_init.release.cluster;", "", "fence.mbarrier_init");
}

// --- Refusals name their reason.

class Refusal : public Tensor {
protected:
  void expectRefused(const std::string &body, const std::string &why,
                     const std::string &target = "sm_90a", const std::string &version = "8.0") {
    std::string ptx = ".version " + version + "\n.target " + target +
                      "\n.address_size 64\n.visible .entry refused() {\n.reg .b32 %r<20>;\n"
                      ".reg .b64 %rd<8>;\n.reg .b16 %h<4>;\n.reg .pred %p;\n" +
                      body + "\nret;\n}\n";
    testing::internal::CaptureStderr();
    CUmodule module = nullptr;
    CUfunction function = nullptr;
    CUresult result = cuModuleLoadData(&module, ptx.c_str());
    if (result == CUDA_SUCCESS)
      result = cuModuleGetFunction(&function, module, "refused");
    std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(result, CUDA_SUCCESS) << body;
    EXPECT_NE(said.find(why), std::string::npos) << said;
  }
};

TEST_F(Refusal, NamesTheReason) {
  expectRefused("mma.sp.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r0,%r1,%r2,%r3}, "
                "{%r4,%r5}, {%r6,%r7}, {%r8,%r9,%r10,%r11}, %r12, 0;",
                "sparse matrix products are not supported");
  expectRefused("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%r0,%r1,%r2,%r3}, "
                "{%r4,%r5,%r6,%r7}, {%r8,%r9}, {%r0,%r1,%r2,%r3};",
                "needs sm_89, but the target is sm_80", "sm_80");
  expectRefused("ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%r0,%r1}, [%r2];",
                "other shapes need sm_100a");
  expectRefused("cp.async.bulk.tensor.3d.shared::cluster.global.im2col::w.mbarrier::complete_tx::"
                "bytes [%r0], [%rd0, {%r1,%r2,%r3}], [%r4], {%h0, %h1};",
                "im2col along one dimension needs sm_100a");
  expectRefused("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%r0,%r1,%r2,%r3}, %rd0, "
                "%rd1, %p, 1, 1, 0, 0;",
                "needs sm_90a, but the target is sm_90", "sm_90");
}

// What the .version and .target that a module states do not have.
TEST_F(Refusal, OfWhatTheModuleDoesNotStateToNeed) {
  const std::string wait = "mbarrier.try_wait.parity.shared.b64 %p, [%r0], %r1;";
  expectRefused(wait, "needs sm_90, but the target is sm_80", "sm_80");
  expectRefused(wait, "needs PTX 7.8, but the version is 7.7", "sm_90", "7.7");
  expectRefused("cp.async.wait_all;", "needs sm_80, but the target is sm_75", "sm_75");
  expectRefused("setmaxnreg.inc.sync.aligned.u32 40;", "needs sm_90a", "sm_90");
}

} // namespace
