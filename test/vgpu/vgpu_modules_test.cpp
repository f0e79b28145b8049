// Modules are loaded from PTX and from fatbins, or the reason is said why not.
#include "DriverApi.h"

#include <fstream>
#include <sstream>

namespace {

std::string readFile(const std::string &name) {
  std::ifstream file(VGPU_TEST_KERNELS "/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  std::stringstream image;
  image << file.rdbuf();
  return image.str();
}

TEST_F(DriverApi, BadPtxIsExplained) {
  CUmodule bad;
  char log[256];
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  const char *text = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry f() {\n"
                     "  .reg .b32 %r<2>;\n  add.s32 %r0, %r1 %r2;\n}\n";
  EXPECT_EQ(cuModuleLoadDataEx(&bad, text, 2, options, values), CUDA_ERROR_INVALID_PTX);
  EXPECT_STREQ(log, "ptx line 6: expected ';', but found '%r2'");
  EXPECT_EQ(cuModuleLoadData(&bad, "no ptx at all"), CUDA_ERROR_INVALID_IMAGE);
  EXPECT_EQ(cuModuleLoadData(&bad, ".version 8.0\n.target sm_100a\n.address_size 64\n"),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_EQ(cuModuleLoadData(&bad, "\x7f"
                                   "ELF and so on"),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
}

// The fatbin has compressed PTX for two chips, as nvcc packs it by default.
TEST_F(DriverApi, FatbinsAreUnpacked) {
  std::string image = readFile("vector_add.fatbin");
  CUmodule fatbin;
  GPU_CHECK(cuModuleLoadData(&fatbin, image.data()));
  Buffer<float> a(std::vector<float>(32, 1.5f)), c(32);
  GPU_CHECK(
      launch(kernel(fatbin, "vector_add"), {1}, {32}, 0, a.address, a.address, c.address, 32));
  EXPECT_EQ(c.get(), std::vector<float>(32, 3.0f));
  GPU_CHECK(cuModuleUnload(fatbin));
}

// The fatbin's machine code says that `many` has 94 registers, of which there are 65,536.
TEST_F(DriverApi, MachineCodeTellsOfRegisters) {
  std::string image = readFile("registers.fatbin");
  CUmodule fatbin;
  GPU_CHECK(cuModuleLoadData(&fatbin, image.data()));
  CUfunction few = kernel(fatbin, "few"), many = kernel(fatbin, "many");
  int registers, threads;
  GPU_CHECK(cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, few));
  EXPECT_EQ(registers, 8);
  GPU_CHECK(cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, many));
  EXPECT_EQ(registers, 94);
  GPU_CHECK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, few));
  EXPECT_EQ(threads, 1024);
  GPU_CHECK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, many));
  EXPECT_EQ(threads, 640); // 5 warps of 12 x 256 registers in each quarter
  Buffer<float> data(std::vector<float>(1024, 1));
  EXPECT_EQ(launch(many, {1}, {641}, 0, data.address), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
  GPU_CHECK(launch(few, {1}, {1024}, 0, data.address));
  EXPECT_EQ(data.get(), std::vector<float>(1024, 2));
  GPU_CHECK(cuModuleUnload(fatbin));
}

/// A fatbin with one entry of PTX for sm_80, a block of LZ4.
std::string fatbinOfLz4(const std::string &block, size_t textBytes) {
  std::string image;
  auto put = [&](uint64_t value, int bytes) {
    for (; bytes > 0; --bytes, value >>= 8)
      image += static_cast<char>(value);
  };
  put(0xba55ed50, 4), put(1, 2), put(16, 2), put(64 + block.size(), 8);
  put(1, 2), put(0x101, 2), put(64, 4), put(block.size(), 8), put(block.size(), 4), put(0, 4);
  put(0, 2), put(8, 2), put(80, 4), put(0, 8); // version 8.0, for sm_80, without a name
  put(0x2011, 8), put(0, 8), put(textBytes, 8);
  return image + block;
}

/// The bytes that follow a length whose half of the token is 15.
std::string restOfLength(size_t rest) {
  return std::string(rest / 255, '\xff') + static_cast<char>(rest % 255);
}

// Older compilers compress by LZ4. A match that overlaps itself, and lengths of
// several bytes.
TEST_F(DriverApi, FatbinsOfLz4AreUnpacked) {
  std::string kernelText = "\n.version 8.0\n.target sm_80\n.address_size 64\n"
                           ".visible .entry three(.param .u64 out) {\n.reg .b64 %p;\n"
                           "ld.param.u64 %p, [out];\nst.global.u32 [%p], 3;\nret;\n}\n";
  constexpr size_t kDashes = 600;
  std::string block = "\x3f//-";       // three literals, and a match of 15 + 4 and more
  block += std::string("\x01\x00", 2); // one byte before
  block += restOfLength(kDashes - 1 - 4 - 15);
  block += '\xf0' + restOfLength(kernelText.size() - 15) + kernelText;
  std::string image = fatbinOfLz4(block, 2 + kDashes + kernelText.size());
  CUmodule fatbin;
  GPU_CHECK(cuModuleLoadData(&fatbin, image.data()));
  Buffer<unsigned> out(1);
  GPU_CHECK(launch(kernel(fatbin, "three"), {1}, {1}, 0, out.address));
  EXPECT_EQ(out.get(), std::vector<unsigned>{3});
  GPU_CHECK(cuModuleUnload(fatbin));

  std::string damaged = fatbinOfLz4(block, 3 + kDashes + kernelText.size());
  EXPECT_EQ(cuModuleLoadData(&fatbin, damaged.data()), CUDA_ERROR_INVALID_IMAGE);
}

TEST_F(DriverApi, UnknownInstructionsAreNamed) {
  CUmodule bad = loadText(".version 7.0\n.target sm_80\n.address_size 64\n"
                          ".visible .entry f() {\n  frobnicate.s32 1;\n}\n");
  CUfunction function;
  EXPECT_EQ(cuModuleGetFunction(&function, bad, "f"), CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(cuModuleGetFunction(&function, bad, "g"), CUDA_ERROR_NOT_FOUND);
}

} // namespace
