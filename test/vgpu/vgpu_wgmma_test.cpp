// wgmma gives the plain product for every type, N, swizzle and orientation, with
// A in memory and in registers; what is wrong around it is found.
#include "Gpu.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>

namespace {

struct Type {
  const char *name, *d;
  int bits;
};
constexpr Type kBf16{"bf16", "f32", 16}, kF16{"f16", "f32", 16}, kTf32{"tf32", "f32", 32},
    kE4m3{"e4m3", "f32", 8}, kE5m2{"e5m2", "f32", 8}, kS8{"s8", "s32", 8}, kU8{"u8", "s32", 8};

/// A small integer in the type's bits.
uint32_t encode(const Type &type, int value) {
  uint32_t single = std::bit_cast<uint32_t>(static_cast<float>(value));
  uint16_t half = std::bit_cast<uint16_t>(static_cast<_Float16>(value));
  if (std::strcmp(type.name, "bf16") == 0)
    return single >> 16;
  if (std::strcmp(type.name, "f16") == 0)
    return half;
  if (std::strcmp(type.name, "tf32") == 0)
    return single;
  if (std::strcmp(type.name, "e5m2") == 0)
    return half >> 8;
  if (std::strcmp(type.name, "e4m3") == 0) {
    uint16_t scaled = std::bit_cast<uint16_t>(static_cast<_Float16>(value / 256.0f));
    return (scaled >> 8 & 0x80) | (scaled >> 7 & 0x7f);
  }
  return static_cast<uint8_t>(value);
}

/// How a matrix lies: span 16, 32, 64 or 128 bytes; along K or across it.
struct Layout {
  int span = 128;
  bool isAcross = false;
};

/// One operand in shared memory, laid out by the canonical layouts.
class Image {
public:
  Image(const Type &type, Layout layout, int rows, int k) : type(type), layout(layout) {
    int span = layout.span;
    if (!layout.isAcross) {
      stride = span == 16 ? 128 : 8 * span;
      leading = rows / 8 * 128;
      bytes.resize(std::max(rows / 8 * stride, 2 * leading));
    } else {
      stride = span == 16 ? 256 : 8 * span;
      leading = span == 16 ? 128 : 16 * span;
      int spans = (rows * 2 + span - 1) / span;
      bytes.resize(spans * (span == 16 ? 256 : 16 * span));
    }
    bytes.resize((bytes.size() + 1023) / 1024 * 1024);
    (void)k;
  }

  void set(int row, int k, int value) {
    uint32_t bits = encode(type, value);
    std::memcpy(&bytes[place(row, k)], &bits, type.bits / 8);
  }

  /// Without the start address.
  uint64_t descriptor() const {
    uint64_t mode = layout.span == 128 ? 1 : layout.span == 64 ? 2 : layout.span == 32 ? 3 : 0;
    return uint64_t(leading / 16) << 16 | uint64_t(stride / 16) << 32 | mode << 62;
  }

  std::vector<uint8_t> bytes;

private:
  size_t place(int row, int k) const {
    int span = layout.span, offset;
    if (!layout.isAcross) {
      int byte = k * type.bits / 8;
      offset =
          row / 8 * stride + row % 8 * span + (span == 16 ? byte / 16 * leading + byte % 16 : byte);
    } else {
      int byte = row * 2, block = byte / span;
      offset = span == 16 ? row / 8 * stride + k / 8 * leading + k % 8 * 16 + row % 8 * 2
                          : block * leading + k / 8 * stride + k % 8 * span + byte % span;
    }
    return static_cast<size_t>(offset ^ ((offset >> 7 & (span / 16 - 1)) << 4));
  }

  Type type;
  Layout layout;
  int stride = 0, leading = 0;
};

struct Case {
  Type a = kBf16, b = kBf16;
  int n = 64;
  Layout layoutA = {}, layoutB = {};
  bool isAInRegisters = false;
  int scaleA = 1, scaleB = 1;

  int k() const { return 256 / a.bits; }
  bool isInteger() const { return a.d[0] == 's'; }
};

std::string number(int value) { return std::to_string(value); }

std::string registers(const std::string &prefix, int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += (i ? ", " : "") + prefix + number(i);
  return text + "}";
}

std::string instruction(const Case &test) {
  std::string text = "wgmma.mma_async.sync.aligned.m64n" + number(test.n) + "k" + number(test.k()) +
                     "." + test.a.d + "." + test.a.name + "." + test.b.name + " " +
                     registers("%d", test.n / 2) + ", " +
                     (test.isAInRegisters ? registers("%a", 4) : "%rd10") + ", %rd11, %p1";
  if (!test.isInteger())
    text += ", " + number(test.scaleA) + ", " + number(test.scaleB);
  if (test.a.bits == 16 && !test.isAInRegisters)
    text += test.layoutA.isAcross ? ", 1" : ", 0";
  if (test.a.bits == 16)
    text += test.layoutB.isAcross ? ", 1" : ", 0";
  return text + ";\n";
}

/// Copies an image of `bytes` to shared memory, multiplies twice, and stores
/// the accumulators, those of a thread together.
std::string kernelText(const Case &test, size_t bytes) {
  std::string text = R"(.version 8.0
.target sm_90a
.address_size 64
.extern .shared .align 1024 .b8 tiles[];
.visible .entry multiply(.param .u64 image, .param .u64 fragments, .param .u64 out,
                         .param .u64 descriptorA, .param .u64 descriptorB)
{
.reg .b32 %r<20>, %d<128>, %a<4>;
.reg .b64 %rd<20>;
.reg .pred %p<4>;
ld.param.u64 %rd1, [image];
ld.param.u64 %rd2, [fragments];
ld.param.u64 %rd3, [out];
ld.param.u64 %rd10, [descriptorA];
ld.param.u64 %rd11, [descriptorB];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tiles;
shl.b32 %r3, %r1, 2;
LOOP:
cvt.u64.u32 %rd4, %r3;
add.u64 %rd5, %rd1, %rd4;
ld.global.b32 %r5, [%rd5];
add.u32 %r6, %r2, %r3;
st.shared.b32 [%r6], %r5;
add.u32 %r3, %r3, 512;
setp.lt.u32 %p2, %r3, )" +
                     number(int(bytes)) +
                     R"(;
@%p2 bra LOOP;
fence.proxy.async.shared::cta;
bar.sync 0;
shr.u32 %r7, %r2, 4;
cvt.u64.u32 %rd6, %r7;
add.u64 %rd10, %rd10, %rd6;
add.u64 %rd11, %rd11, %rd6;
mul.wide.u32 %rd7, %r1, 16;
add.u64 %rd7, %rd2, %rd7;
ld.global.v4.b32 {%a0, %a1, %a2, %a3}, [%rd7];
wgmma.fence.sync.aligned;
setp.ne.u32 %p1, %r1, %r1;
)";
  text += instruction(test);
  text += "setp.eq.u32 %p1, %r1, %r1;\n" + instruction(test);
  text += "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n";
  text += "mul.wide.u32 %rd8, %r1, " + number(test.n / 2 * 4) + ";\nadd.u64 %rd8, %rd3, %rd8;\n";
  for (int i = 0; i < test.n / 2; ++i)
    text += "st.global.b32 [%rd8+" + number(4 * i) + "], %d" + number(i) + ";\n";
  return text + "ret;\n}\n";
}

class Wgmma : public GpuTest {
protected:
  /// Runs the kernel, changed by `change`, and compares unless it is changed.
  void run(const Case &test, const std::string &from = "", const std::string &to = "") {
    int n = test.n, k = test.k();
    Image left(test.a, test.layoutA, 64, k), right(test.b, test.layoutB, n, k);
    std::vector<uint32_t> fragments(128 * 4);
    std::vector<int> a(64 * k), b(n * k);
    auto draw = [&](const Type &type) {
      int value = static_cast<int>(random() % 9) - 4;
      return type.name[0] == 'u' ? value + 4 : value;
    };
    int pack = 32 / test.a.bits;
    for (int row = 0; row < 64; ++row)
      for (int i = 0; i < k; ++i) {
        left.set(row, i, a[row * k + i] = draw(test.a));
        // Register 2 h + r, lane 4 g + t: row g + 8 r, columns 4 pack h + pack t …
        int lane = row % 8 * 4 + i % (4 * pack) / pack;
        int place = row / 8 % 2 + 2 * (i / (4 * pack));
        fragments[(row / 16 * 32 + lane) * 4 + place] |= encode(test.a, a[row * k + i])
                                                         << i % pack * test.a.bits % 32;
      }
    for (int row = 0; row < n; ++row)
      for (int i = 0; i < k; ++i)
        right.set(row, i, b[row * k + i] = draw(test.b));
    std::vector<uint8_t> image = left.bytes;
    image.insert(image.end(), right.bytes.begin(), right.bytes.end());
    std::string text = kernelText(test, image.size());
    if (!from.empty()) {
      size_t at = text.rfind(from);
      ASSERT_NE(at, std::string::npos);
      text.replace(at, from.size(), to);
    }
    Buffer<uint8_t> dimage(image);
    Buffer<uint32_t> dfragments(fragments), dout(128 * n / 2);
    CUfunction function = kernel(loadText(text), "multiply");
    cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                       int(image.size()));
    CUresult launched =
        launch(function, {1}, {128}, unsigned(image.size()), dimage.address, dfragments.address,
               dout.address, left.descriptor(), right.descriptor() + left.bytes.size() / 16);
    CUresult ended = cuCtxSynchronize();
    if (!from.empty())
      return;
    GPU_CHECK(launched);
    GPU_CHECK(ended);
    std::vector<uint32_t> out = dout.get();
    for (int thread = 0; thread < 128; ++thread)
      for (int i = 0; i < n / 2; ++i) {
        int row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
        int column = i / 4 * 8 + thread % 4 * 2 + i % 2;
        int sum = 0;
        for (int j = 0; j < k; ++j)
          sum += 2 * a[row * k + j] * b[column * k + j] * test.scaleA * test.scaleB;
        uint32_t bits = out[thread * (n / 2) + i];
        int got = test.isInteger() ? static_cast<int>(bits)
                                   : static_cast<int>(std::bit_cast<float>(bits));
        ASSERT_EQ(got, sum) << "row " << row << " column " << column;
      }
  }

  void expectFound(const std::string &from, const std::string &to, const std::string &what,
                   Case test = {}) {
    run(test, from, to);
    std::string findings = takeFindings();
    EXPECT_NE(findings.find(what), std::string::npos) << findings;
  }

  std::mt19937 random{3};
};

TEST_F(Wgmma, EverySwizzleAndOrientationOf16Bits) {
  for (Type type : {kBf16, kF16})
    for (int spanA : {16, 32, 64, 128})
      for (int spanB : {16, 32, 64, 128})
        for (int across = 0; across < 4; ++across) {
          SCOPED_TRACE(std::string(type.name) + " spans " + number(spanA) + " " + number(spanB) +
                       " across " + number(across));
          Case test{type, type};
          test.layoutA = {spanA, (across & 1) != 0};
          test.layoutB = {spanB, (across & 2) != 0};
          run(test);
        }
}

TEST_F(Wgmma, EveryTypeAlongK) {
  const std::pair<Type, Type> pairs[] = {{kTf32, kTf32}, {kE4m3, kE4m3}, {kE4m3, kE5m2},
                                         {kE5m2, kE4m3}, {kE5m2, kE5m2}, {kS8, kS8},
                                         {kS8, kU8},     {kU8, kS8},     {kU8, kU8}};
  for (auto [a, b] : pairs)
    for (int span : {16, 32, 64, 128})
      for (bool isAInRegisters : {false, true}) {
        SCOPED_TRACE(std::string(a.name) + " " + b.name + " span " + number(span));
        Case test{a, b};
        test.layoutA.span = test.layoutB.span = span;
        test.isAInRegisters = isAInRegisters;
        run(test);
      }
}

TEST_F(Wgmma, EveryN) {
  for (int n = 8; n <= 256; n += 8) {
    SCOPED_TRACE(n);
    Case test;
    test.n = n;
    run(test);
  }
}

TEST_F(Wgmma, ScalesNegate) {
  Case test;
  test.scaleA = -1;
  run(test);
  test.scaleB = -1;
  run(test);
}

TEST_F(Wgmma, RegistersHoldA) {
  for (Type type : {kBf16, kF16}) {
    Case test{type, type};
    test.isAInRegisters = true;
    run(test);
  }
}

TEST_F(Wgmma, MissingProxyFenceIsFound) {
  expectFound("fence.proxy.async.shared::cta;", "", "asynchronous proxy");
}

TEST_F(Wgmma, MissingBarrierIsFound) {
  expectFound("bar.sync 0;", "", "while another thread may write it");
}

TEST_F(Wgmma, AccumulatorInFlightIsFound) {
  expectFound("wgmma.wait_group", "add.u32 %d3, %d3, 1;\nwgmma.wait_group",
              "reads an accumulator of a wgmma that nobody has waited for");
}

TEST_F(Wgmma, RegisterOfAInFlightIsFound) {
  Case test;
  test.isAInRegisters = true;
  expectFound("wgmma.wait_group", "mov.u32 %a2, 0;\nwgmma.wait_group", "a register of A", test);
}

TEST_F(Wgmma, OverwrittenTileIsFound) {
  expectFound("wgmma.commit_group", "st.shared.b32 [%r2], %r5;\nwgmma.commit_group",
              "that an asynchronous operation still reads");
}

TEST_F(Wgmma, RegisterWrittenAfterTheFenceIsFound) {
  Case test;
  test.isAInRegisters = true;
  expectFound("setp.ne.u32 %p1, %r1, %r1;", "setp.ne.u32 %p1, %r1, %r1;\nadd.u32 %a1, %a1, 0;",
              "written after the last wgmma.fence", test);
}

TEST_F(Wgmma, DescriptorsThatLeadOutsideAreFound) {
  expectFound("shr.u32 %r7, %r2, 4;", "add.u64 %rd11, %rd11, 64;\nshr.u32 %r7, %r2, 4;",
              "leads outside of the block's shared memory");
}

TEST_F(Wgmma, ReservedBitsAreFound) {
  expectFound("shr.u32 %r7, %r2, 4;", "or.b64 %rd11, %rd11, 0x4000;\nshr.u32 %r7, %r2, 4;",
              "must be zero");
}

} // namespace
