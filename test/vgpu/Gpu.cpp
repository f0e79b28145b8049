#include "Gpu.h"

#include "driver/vgpu.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

void GpuTest::SetUp() {
#ifdef VGPU_TEST_TIMEOUT
  setenv("VGPU_TIMEOUT", VGPU_TEST_TIMEOUT, 0);
#endif
  GPU_CHECK(cuInit(0));
  GPU_CHECK(cuCtxCreate_v2(&context, 0, 0));
}

void GpuTest::TearDown() {
  for (CUmodule module : modules)
    cuModuleUnload(module);
  cuCtxDestroy_v2(context);
  EXPECT_EQ(takeFindings(), "[]");
}

CUmodule GpuTest::loadText(const std::string &ptx) {
  CUmodule module = nullptr;
  EXPECT_EQ(cuModuleLoadData(&module, ptx.c_str()), CUDA_SUCCESS);
  modules.push_back(module);
  return module;
}

CUmodule GpuTest::load(const std::string &name) {
  std::string path = VGPU_TEST_KERNELS "/" + name + ".ptx";
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return loadText(text.str());
}

CUfunction GpuTest::kernel(CUmodule module, const std::string &name) {
  CUfunction function = nullptr;
  EXPECT_EQ(cuModuleGetFunction(&function, module, name.c_str()), CUDA_SUCCESS) << name;
  return function;
}

CUfunction GpuTest::kernel(const std::string &name) { return kernel(load(name), name); }

std::string GpuTest::takeFindings() {
  std::string text(vgpuTakeFindings(nullptr, 0) + 1, '\0');
  text.resize(vgpuTakeFindings(text.data(), text.size()));
  return text;
}
