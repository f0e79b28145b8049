// With CUDA graphs the demo model gives the bits that it gives without, whatever
// is done to a session, and steps that repeat are launches of graphs.
#include "driver/vgpu.h"
#include "test/e2e/DemoModel.h"

#include "nlohmann/json.hpp"
#include "gtest/gtest.h"

#include <cstring>
#include <dlfcn.h>

namespace {

using namespace moec::test;

/// Launches of graphs since the last call, as the virtual GPU counted them.
int takeGraphLaunches() {
  static auto *take = reinterpret_cast<decltype(&vgpuTakeCounters)>(
      dlsym(dlopen("libcuda.so.1", RTLD_NOW), "vgpuTakeCounters"));
  std::string text(take(nullptr, 0) + 1, '\0');
  text.resize(take(text.data(), text.size()));
  return nlohmann::json::parse(text)["graph_launches"];
}

/// A reader that goes on with what is most likely.
class Writer {
public:
  Writer(moec_model *model, const moec_session_options &options)
      : model(model), reader(model, createSession(model, options)) {}
  Writer(moec_model *model, Session session) : model(model), reader(model, std::move(session)) {}

  void read(const Ids &ids) {
    last = reader.read(ids);
    batch = static_cast<int64_t>(ids.size());
    logits.insert(logits.end(), last.begin(), last.end());
  }
  void write(int steps) {
    for (int step = 0; step < steps; ++step) {
      Ids next;
      int64_t rowSize = static_cast<int64_t>(last.size()) / batch;
      for (int64_t row = 0; row < batch; ++row)
        next.push_back({mostLikely(&last[(row + 1) * rowSize - kDemoVocabulary])});
      read(next);
    }
  }
  Writer fork() {
    moec_session *copy = nullptr;
    EXPECT_EQ(moec_session_fork(get(), &copy), MOEC_OK) << moec_last_error();
    Writer forked(model, Session(copy));
    forked.last = last, forked.batch = batch;
    return forked;
  }
  moec_session *get() { return reader.get(); }

  /// Everything that was computed.
  std::vector<float> logits;

private:
  moec_model *model;
  DemoReader reader;
  std::vector<float> last;
  int64_t batch = 0;
};

std::vector<float> writeInEveryWay(moec_model *model, const moec_session_options &options) {
  Writer writer(model, options);
  writer.read({{72, 101, 108, 108, 111}, {87, 111, 114, 108, 100}});
  writer.write(4);
  EXPECT_EQ(moec_session_truncate(writer.get(), 6), MOEC_OK);
  writer.read({{32}, {33}});
  writer.write(2);
  const int64_t rows[] = {1, 0, 1};
  EXPECT_EQ(moec_session_reorder(writer.get(), rows, 3), MOEC_OK);
  writer.read({{65}, {66}, {67}});
  writer.write(2);
  Writer other = writer.fork();
  writer.write(1);
  other.write(2);
  writer.write(1);
  EXPECT_EQ(moec_session_reset(writer.get()), MOEC_OK);
  writer.read({{1, 2, 3}});
  // Past the caches' first capacity, so that they move.
  writer.write(4);
  std::vector<float> all = std::move(writer.logits);
  all.insert(all.end(), other.logits.begin(), other.logits.end());
  return all;
}

TEST(CudaGraphs, GiveTheBitsOfLaunches) {
  moec::CompileOptions options;
  options.target = "cuda";
  Model model = compileAndLoad(kDemoFolder / "demo.onnx", options);
  ASSERT_TRUE(model);
  moec_session_options graphs = {}, launches = {};
  graphs.state_capacity = launches.state_capacity = 4;
  launches.graphs = -1;
  takeGraphLaunches();
  std::vector<float> launched = writeInEveryWay(model.get(), launches);
  EXPECT_EQ(takeGraphLaunches(), 0);
  std::vector<float> replayed = writeInEveryWay(model.get(), graphs);
  // All 20 runs, but those of the two sessions that were the first with their kernels.
  EXPECT_GE(takeGraphLaunches(), 20 - 6);
  ASSERT_EQ(replayed.size(), launched.size());
  EXPECT_EQ(std::memcmp(replayed.data(), launched.data(), launched.size() * sizeof(float)), 0);
}

} // namespace
