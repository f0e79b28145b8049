// Of the mistakes that can be made in kernels mechanically, at least 95 % are
// noticed: by a finding, or a fault, or because the result is wrong. Those that
// are not change nothing; each is listed with the reason.
#include "Mutation.h"

#include "driver/cuda_driver.h"

#include <bit>
#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <numeric>

namespace {

/// A context and a module, for the whole life of a mutant's process.
class Device {
public:
  explicit Device(const std::string &text) {
    CUcontext context;
    works = cuInit(0) == CUDA_SUCCESS && cuCtxCreate_v2(&context, 0, 0) == CUDA_SUCCESS &&
            cuModuleLoadData(&module, text.c_str()) == CUDA_SUCCESS;
  }
  template <class T> CUdeviceptr give(const std::vector<T> &values) {
    CUdeviceptr address = 0;
    size_t bytes = values.size() * sizeof(T);
    works = works && cuMemAlloc_v2(&address, bytes) == CUDA_SUCCESS &&
            cuMemcpyHtoD_v2(address, values.data(), bytes) == CUDA_SUCCESS;
    return address;
  }
  template <class T> std::vector<T> take(CUdeviceptr address, size_t count) {
    std::vector<T> values(count);
    works = works && cuMemcpyDtoH_v2(values.data(), address, count * sizeof(T)) == CUDA_SUCCESS;
    return values;
  }
  template <class... Arguments>
  void launch(const char *kernel, unsigned gridX, unsigned gridY, unsigned blockX, unsigned blockY,
              Arguments... arguments) {
    CUfunction function;
    void *parameters[] = {static_cast<void *>(&arguments)..., nullptr};
    works = works && cuModuleGetFunction(&function, module, kernel) == CUDA_SUCCESS &&
            cuLaunchKernel(function, gridX, gridY, 1, blockX, blockY, 1, 0, nullptr, parameters,
                           nullptr) == CUDA_SUCCESS &&
            cuCtxSynchronize() == CUDA_SUCCESS;
  }

  /// Launches blocks of one dimension with dynamic shared memory.
  template <class... Arguments>
  void launchShared(const char *kernel, unsigned gridX, unsigned gridY, unsigned threads,
                    unsigned bytes, Arguments... arguments) {
    CUfunction function;
    void *parameters[] = {static_cast<void *>(&arguments)..., nullptr};
    works = works && cuModuleGetFunction(&function, module, kernel) == CUDA_SUCCESS &&
            cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                               static_cast<int>(bytes)) == CUDA_SUCCESS &&
            cuLaunchKernel(function, gridX, gridY, 1, threads, 1, 1, bytes, nullptr, parameters,
                           nullptr) == CUDA_SUCCESS &&
            cuCtxSynchronize() == CUDA_SUCCESS;
  }

  bool works = false;

private:
  CUmodule module = nullptr;
};

std::vector<float> numbers(size_t count, float first = 1) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

bool vectorAdd(const std::string &text) {
  Device device(text);
  const int n = 100;
  std::vector<float> a = numbers(n), b = numbers(n, 50), wanted(n);
  for (int i = 0; i < n; ++i)
    wanted[i] = a[i] + b[i];
  CUdeviceptr da = device.give(a), db = device.give(b), dc = device.give(std::vector<float>(n, -1));
  device.launch("vector_add", 2, 1, 64, 1, da, db, dc, n);
  return device.take<float>(dc, n) == wanted && device.works;
}

/// Sizes for which some thread's first element is just outside.
bool reduction(const std::string &text) {
  Device device(text);
  for (int n : {300, 100}) {
    CUdeviceptr in = device.give(numbers(n)), out = device.give(std::vector<float>(2, -1));
    device.launch("reduction", 2, 1, 96, 1, in, out, n);
    std::vector<float> sums = device.take<float>(out, 2), wanted(2);
    for (int i = 0; i < n; ++i)
      wanted[i / 96 % 2] += static_cast<float>(i + 1);
    if (sums != wanted)
      return false;
  }
  return device.works;
}

/// Also with more threads than bins.
bool histogram(const std::string &text) {
  Device device(text);
  for (auto [n, threads] : {std::pair{500, 96u}, {100, 96u}, {300, 288u}}) {
    std::vector<unsigned char> in(n);
    std::vector<unsigned> wanted(256);
    for (int i = 0; i < n; ++i)
      ++wanted[in[i] = static_cast<unsigned char>(i * 7 % 256)];
    CUdeviceptr data = device.give(in), counts = device.give(std::vector<unsigned>(256));
    device.launch("histogram", 2, 1, threads, 1, data, counts, n);
    if (device.take<unsigned>(counts, 256) != wanted)
      return false;
  }
  return device.works;
}

bool matmul(const std::string &text) {
  Device device(text);
  const int m = 32, n = 32, k = 32;
  std::vector<float> a(m * k), b(k * n), wanted(m * n);
  for (int i = 0; i < m * k; ++i)
    a[i] = static_cast<float>(i % 7), b[i] = static_cast<float>(i % 11);
  for (int row = 0; row < m; ++row)
    for (int column = 0; column < n; ++column)
      for (int i = 0; i < k; ++i)
        wanted[row * n + column] += a[row * k + i] * b[i * n + column];
  CUdeviceptr da = device.give(a), db = device.give(b),
              dc = device.give(std::vector<float>(m * n, -1));
  device.launch("matmul", 2, 2, 16, 16, da, db, dc, m, n, k);
  return device.take<float>(dc, m * n) == wanted && device.works;
}

// --- Products of bf16 by tensor cores. Small integers: their sums are exact.

struct Matrix {
  Matrix(int rows, int columns, int factor) : columns(columns), values(rows * columns) {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(static_cast<int>(i * factor % 9) - 4);
  }
  float at(int row, int column) const { return values[row * columns + column]; }
  std::vector<uint16_t> bits() const {
    std::vector<uint16_t> result;
    for (float value : values)
      result.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16));
    return result;
  }

  int columns;
  std::vector<float> values;
};

/// C = A × B, with stages that cp.async fills. More steps than stages, and fewer.
bool gemmSm80(const std::string &text) {
  Device device(text);
  const int m = 64, n = 64;
  for (int k : {160, 32}) {
    Matrix a(m, k, 7), b(k, n, 5);
    std::vector<float> wanted(m * n);
    for (int row = 0; row < m; ++row)
      for (int column = 0; column < n; ++column)
        for (int i = 0; i < k; ++i)
          wanted[row * n + column] += a.at(row, i) * b.at(i, column);
    CUdeviceptr da = device.give(a.bits()), db = device.give(b.bits()),
                dc = device.give(std::vector<float>(m * n, -1));
    device.launch("gemm_sm80", 1, 1, 128, 1, da, db, dc, m, n, k);
    if (device.take<float>(dc, m * n) != wanted)
      return false;
  }
  return device.works;
}

CUtensorMap mapOf(CUdeviceptr address, int rows, int columns, cuuint32_t boxRows) {
  CUtensorMap map;
  cuuint64_t sizes[] = {cuuint64_t(columns), cuuint64_t(rows)}, strides[] = {columns * 2ull};
  cuuint32_t box[] = {64, boxRows}, steps[] = {1, 1};
  cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2,
                         reinterpret_cast<void *>(address), sizes, strides, box, steps,
                         CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                         CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return map;
}

/// C = A × Bᵀ, with a ring of stages that TMA fills and wgmma empties.
bool gemmSm90(const std::string &text) {
  Device device(text);
  const int m = 64, n = 128;
  for (int k : {320, 64}) {
    Matrix a(m, k, 7), b(n, k, 5);
    std::vector<float> wanted(m * n);
    for (int row = 0; row < m; ++row)
      for (int column = 0; column < n; ++column)
        for (int i = 0; i < k; ++i)
          wanted[row * n + column] += a.at(row, i) * b.at(column, i);
    CUdeviceptr da = device.give(a.bits()), db = device.give(b.bits()),
                dc = device.give(std::vector<float>(m * n, -1));
    CUtensorMap mapA = mapOf(da, m, k, 64), mapB = mapOf(db, n, k, 128);
    device.launchShared("gemm_sm90a", 1, 1, 160, 3 * (64 + 128) * 64 * 2, mapA, mapB, dc, n, k);
    if (device.take<float>(dc, m * n) != wanted)
      return false;
  }
  return device.works;
}

struct Case {
  const char *kernel;
  bool (*isRight)(const std::string &);
  /// What may survive, "mistake: line as it was", and why that changes nothing.
  std::map<std::string, const char *> equivalent;
};

std::string trimmed(const std::string &line) {
  size_t first = line.find_first_not_of(" \t");
  std::string text = first == std::string::npos ? "" : line.substr(first);
  for (size_t tab; (tab = text.find('\t')) != std::string::npos;)
    text[tab] = ' ';
  return text;
}

class Mutations : public testing::TestWithParam<Case> {};

TEST_P(Mutations, AreNoticed) {
  const Case &test = GetParam();
  std::ifstream file(std::string(VGPU_TEST_KERNELS "/") + test.kernel + ".ptx");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  ASSERT_EQ(fateOf(text, test.isRight), Fate::Survived) << "the kernel itself is wrong";
  std::vector<Mutant> mutants = mutantsOf(text);
  std::map<std::string, int> fates;
  int survivors = 0;
  for (const Mutant &mutant : mutants) {
    Fate fate = fateOf(mutant.text, test.isRight);
    ++fates[nameOf(fate)];
    if (fate != Fate::Survived)
      continue;
    std::string what = mutant.mistake + ": " + trimmed(mutant.before);
    auto known = test.equivalent.find(what);
    std::printf("%s.ptx:%d: survived: %s -> %s\n", test.kernel, mutant.line, what.c_str(),
                trimmed(mutant.after).c_str());
    if (known == test.equivalent.end())
      ++survivors;
    else
      std::printf("  equivalent: %s\n", known->second);
  }
  int killed = static_cast<int>(mutants.size()) - fates["survived"];
  int relevant = killed + survivors;
  std::printf("%s: %d of %d mutants killed", test.kernel, killed, relevant);
  for (const auto &[name, count] : fates)
    std::printf(", %s %d", name.c_str(), count);
  std::printf("\n");
  EXPECT_GE(killed, 0.95 * relevant);
}

INSTANTIATE_TEST_SUITE_P(
    Kernels, Mutations,
    testing::Values(
        Case{"vector_add", vectorAdd, {}}, Case{"reduction", reduction, {}},
        Case{"histogram", histogram, {}},
        Case{"matmul",
             matmul,
             {{"shift-index: setp.lt.s32  %p1, %r19, 1;", "k is a multiple of 16, so never 1"}}},
        Case{"gemm_sm80",
             gemmSm80,
             {{"shift-index: setp.gt.s32  %p1, %r1, 255;", "a block has 128 threads"},
              {"shift-index: setp.gt.s32  %p2, %r35, 31;", "k is a multiple of 32"},
              {"shift-index: setp.gt.s32  %p6, %r35, 63;", "k is a multiple of 32"},
              {"shift-index: setp.gt.s32  %p10, %r35, 31;", "k is a multiple of 32"},
              {"drop-predicate: @%p10 bra  $L__BB0_12;", "k is at least 32, so it is always taken"},
              {"shift-index: setp.lt.s32  %p16, %r307, %r4;",
               "stages beyond the last are filled with zeros, "
               "so one step more adds nothing"},
              {"loosen-wait: cp.async.wait_all;", "nobody reads what is still copied: there is a "
                                                  "warning, since it is no error"}}},
        Case{"gemm_sm90a", gemmSm90, {}}),
    [](const auto &info) { return std::string(info.param.kernel); });

} // namespace
