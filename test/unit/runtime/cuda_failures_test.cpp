// What goes wrong with a GPU is a status and a text, and leaves nothing behind:
// the virtual GPU fails the process if memory, graphs or modules are left.
#include "driver/vgpu.h"
#include "runtime/devices/Device.h"
#include "toy_files.h"
#include "gtest/gtest.h"

#include <dlfcn.h>

namespace {

using namespace moec::runtime;

/// What the virtual GPU found since the last call, which is then forgotten.
std::string takeFindings() {
  static auto *take = reinterpret_cast<decltype(&vgpuTakeFindings)>(
      dlsym(dlopen("libcuda.so.1", RTLD_NOW), "vgpuTakeFindings"));
  std::string text(take(nullptr, 0) + 1, '\0');
  text.resize(take(text.data(), text.size()));
  return text;
}

void expectRefused(const ToyFiles &files, moec_status status, const std::string &text) {
  moec_model *model = nullptr;
  EXPECT_EQ(moec_model_load(files.artifact().c_str(), nullptr, &model), status);
  EXPECT_EQ(std::string(moec_last_error()), text);
  EXPECT_EQ(model, nullptr);
}

/// Runs the toy on [1, rows, 4].
moec_status run(moec_session *session, int64_t rows, std::vector<float> *sums = nullptr) {
  std::vector<float> x = toyInput(1, rows);
  moec_tensor inputs[2] = {tensorOf(x, {1, rows, 4}), {}}, outputs[2];
  moec_status status = moec_session_run(session, inputs, outputs);
  if (!status && sums)
    *sums = contents(outputs[0]);
  return status;
}

class Loaded {
public:
  explicit Loaded(const ToyFiles &files, moec_session_options options = {}) {
    EXPECT_EQ(moec_model_load(files.artifact().c_str(), nullptr, &model), MOEC_OK)
        << moec_last_error();
    if (model)
      EXPECT_EQ(moec_session_create(model, &options, &session), MOEC_OK) << moec_last_error();
  }
  ~Loaded() {
    moec_session_release(session);
    moec_model_release(model);
  }
  Loaded(const Loaded &) = delete;

  moec_model *model = nullptr;
  moec_session *session = nullptr;
};

//===--- Memory: a GPU of a million bytes ----------------------------------===//

// Nothing runs, and nothing has changed: a shorter text goes on.
TEST(SmallGpu, WhatARunNeedsIsKnownBefore) {
  ToyFiles files("cuda");
  Loaded toy(files);
  ASSERT_EQ(run(toy.session, 10), MOEC_OK) << moec_last_error();
  // 16 bytes a row, of which those of ten rows are there.
  EXPECT_EQ(run(toy.session, 25000), MOEC_OUT_OF_MEMORY);
  std::string text = moec_last_error();
  EXPECT_EQ(text.rfind("it needs 799680 bytes more of the device's memory (arena 399840, state 0, "
                       "outputs 399840), of which ",
                       0),
            0u)
      << text;
  EXPECT_EQ(moec_session_length(toy.session), 10);
  EXPECT_EQ(run(toy.session, 10), MOEC_OK) << moec_last_error();
}

TEST(SmallGpu, CachesAreReckonedWithFromTheFirstRun) {
  ToyFiles files("cuda");
  Loaded toy(files, {.state_capacity = 100000});
  EXPECT_EQ(run(toy.session, 1), MOEC_OUT_OF_MEMORY);
  std::string text = moec_last_error();
  EXPECT_EQ(text.rfind("it needs 3200032 bytes more of the device's memory (arena 16, state "
                       "3200000, outputs 16), of which ",
                       0),
            0u)
      << text;
}

// What no size tells fails where it is asked for: here how long the state becomes.
TEST(SmallGpu, OtherMemoryFailsWhenItIsNeeded) {
  ToyFiles files("cuda");
  Loaded toy(files);
  EXPECT_EQ(run(toy.session, 18000), MOEC_OUT_OF_MEMORY);
  EXPECT_EQ(std::string(moec_last_error()), "no memory for the state of input 'past'");
  EXPECT_EQ(run(toy.session, 10), MOEC_OK) << moec_last_error();
}

TEST(SmallGpu, WeightsThatDoNotFitAreRefused) {
  ToyFiles files("cuda");
  constexpr size_t kLength = 1 << 20;
  std::string weights = readAll(files.weights());
  weights.resize(kLength);
  writeAll(files.weights(), weights);
  files.writeArtifact(files.metadata("\"length\": 144", "\"length\": 1048576"));
  moec_model *model = nullptr;
  EXPECT_EQ(moec_model_load(files.artifact().c_str(), nullptr, &model), MOEC_OUT_OF_MEMORY);
  EXPECT_EQ(std::string(moec_last_error()),
            "the weights need 1048576 bytes of the memory of 'Virtual GPU sm_80', of which 1000000 "
            "are free");
}

//===--- No GPU ------------------------------------------------------------===//

TEST(NoGpu, IsSaidWhenAModelIsLoaded) {
  for (int again = 0; again < 2; ++again)
    expectRefused(ToyFiles("cuda"), MOEC_INCOMPATIBLE,
                  "cannot initialise CUDA: no CUDA-capable device is detected "
                  "(CUDA_ERROR_NO_DEVICE)");
}

//===--- Artifacts ---------------------------------------------------------===//

TEST(Artifacts, AreForTheirChipAlone) {
  ToyFiles files("cuda");
  files.writeArtifact(files.metadata(R"("chip": "sm_80", "kind")", R"("chip": "sm_90a", "kind")"));
  expectRefused(files, MOEC_INCOMPATIBLE, "compiled for sm_90a, but 'Virtual GPU sm_80' is sm_80");
  moec_model *model = nullptr;
  moec_model_options options{.device = "cpu"};
  EXPECT_EQ(moec_model_load(files.artifact().c_str(), &options, &model), MOEC_INCOMPATIBLE);
  EXPECT_EQ(std::string(moec_last_error()), "compiled for device 'cuda', not for 'cpu'");
}

TEST(Artifacts, CodeMustBeInTheFile) {
  ToyFiles files("cuda");
  files.writeArtifact(files.metadata(R"("ptx", "offset": 0)", R"("ptx", "offset": 1)"));
  expectRefused(files, MOEC_DAMAGED, "the code for sm_80 is not in the artifact");
}

TEST(Artifacts, DamagedCodeIsExplained) {
  ToyFiles files("cuda");
  std::string ptx = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry scale(\n";
  files.writeArtifact(files.metadata(), ptx + std::string(1 << 16, ' '));
  moec_model *model = nullptr;
  EXPECT_EQ(moec_model_load(files.artifact().c_str(), nullptr, &model), MOEC_EXECUTION_FAILED);
  EXPECT_EQ(std::string(moec_last_error()).rfind("cannot load the kernels: ", 0), 0u)
      << moec_last_error();
}

/// The toy with a cubin of some kind before its PTX, or instead of it.
void writeWithCubin(const ToyFiles &files, const std::string &ptxKind) {
  const std::string &ptx = files.ptx();
  std::string cubin = "\x7f"
                      "ELF" +
                      std::string(60, '\0');
  auto code = ToyFiles::describeCode;
  files.writeArtifact(
      files.metadata(code("ptx", 0, ptx.size()), code("cubin", 0, cubin.size()) + ", " +
                                                     code(ptxKind, cubin.size(), ptx.size())),
      cubin + ptx);
}

TEST(Artifacts, RefusedCubinsGiveWayToPtx) {
  ToyFiles files("cuda");
  writeWithCubin(files, "ptx");
  Loaded toy(files);
  std::vector<float> sums;
  ASSERT_EQ(run(toy.session, 5, &sums), MOEC_OK) << moec_last_error();
  EXPECT_EQ(sums, toySums(toyInput(1, 5), 1, 5));
}

TEST(Artifacts, CubinsAloneAreRefusedWithTheDriversText) {
  ToyFiles files("cuda");
  writeWithCubin(files, "text");
  moec_model *model = nullptr;
  EXPECT_EQ(moec_model_load(files.artifact().c_str(), nullptr, &model), MOEC_EXECUTION_FAILED);
  EXPECT_EQ(std::string(moec_last_error()),
            "cannot load the kernels: the image is a cubin: machine code, which only a GPU can "
            "run; ship its PTX: no kernel image is available for execution on the device "
            "(CUDA_ERROR_NO_BINARY_FOR_GPU)");
}

TEST(Artifacts, KernelsMustBeInTheirCode) {
  ToyFiles files("cuda");
  files.writeArtifact(files.metadata(R"("kernels": ["scale")", R"("kernels": ["missing")"));
  expectRefused(files, MOEC_EXECUTION_FAILED,
                "cannot find the kernel missing: named symbol not found (CUDA_ERROR_NOT_FOUND)");
}

//===--- Kernels -----------------------------------------------------------===//

// The driver accepts nothing more in this process, and every call says so; what
// was allocated goes with the last model.
TEST(Kernels, FaultsAreToldByEveryLaterCall) {
  ToyFiles files("cuda");
  std::shared_ptr<const Model> model;
  std::unique_ptr<Device> device, later;
  ASSERT_FALSE(Model::load(files.artifact(), {}, model));
  ASSERT_FALSE(model->program().createDevice({}, device));
  Trace trace;
  Buffer buffer(device->memory());
  ASSERT_TRUE(buffer.allocate(64));
  // Every pointer is to nothing.
  uint64_t words[] = {0, 8, 8, 8, 8, 1};
  Launch launch{0, words, std::size(words), 1};
  const std::string fault = "an illegal memory access was encountered "
                            "(CUDA_ERROR_ILLEGAL_ADDRESS); a kernel has failed, and nothing runs "
                            "on the GPU any more in this process";
  ASSERT_FALSE(device->launch(launch, trace));
  EXPECT_EQ(device->finish().message(), "cannot execute the kernels: " + fault);
  EXPECT_EQ(device->finish().message(), "cannot execute the kernels: " + fault);
  char byte = 0;
  EXPECT_EQ(device->memory().copy(Memory::Direction::upload, {buffer.data(), &byte, 1}).message(),
            "cannot copy to the GPU: " + fault);
  EXPECT_EQ(model->program().createDevice({}, later).message(), "cannot create a stream: " + fault);
  EXPECT_FALSE(buffer.allocate(128));
  EXPECT_NE(takeFindings().find("out-of-bounds"), std::string::npos);
}

TEST(Kernels, ImpossibleLaunchesNameTheirNode) {
  ToyFiles files("cuda");
  files.writeArtifact(
      files.metadata(R"("threads": 32, "indices": 32)", R"("threads": 64, "indices": 32)"));
  for (int32_t graphs : {0, -1}) {
    Loaded toy(files, {.graphs = graphs});
    EXPECT_EQ(run(toy.session, 5), MOEC_EXECUTION_FAILED);
    EXPECT_EQ(std::string(moec_last_error()),
              "cannot launch a kernel of node '/toy/Mul': invalid argument "
              "(CUDA_ERROR_INVALID_VALUE)");
    EXPECT_EQ(moec_session_length(toy.session), 0);
  }
}

} // namespace
