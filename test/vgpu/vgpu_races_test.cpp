// Races are found under every schedule, at the lines that take part, and none is
// found in the same kernel when it is correct.
#include "Gpu.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace {

using nlohmann::json;

/// The text of kernels/NAME.ptx, or of its correct twin; lines keep their numbers.
std::string racesText(bool isCorrect, const std::string &name = "races") {
  std::ifstream file(VGPU_TEST_KERNELS "/" + name + ".ptx");
  EXPECT_TRUE(file);
  std::string text;
  for (std::string line; std::getline(file, line); text += line + "\n") {
    if (isCorrect && line.ends_with("bug"))
      line.clear();
    else if (isCorrect && line.starts_with("//+"))
      line.erase(0, 3);
  }
  return text;
}

/// The lines of a kernel that take part in its race.
std::set<int> partiesOf(const std::string &kernel, const std::string &file) {
  std::istringstream text(racesText(false, file));
  std::set<int> lines;
  bool isInside = false;
  std::string line;
  for (int number = 1; std::getline(text, line); ++number) {
    if (line.starts_with(".visible"))
      isInside = line.find(" " + kernel + "(") != std::string::npos;
    if (isInside && line.find("// race") != std::string::npos)
      lines.insert(number);
  }
  EXPECT_FALSE(lines.empty()) << kernel;
  return lines;
}

struct Case {
  const char *kernel;
  unsigned blocks, threads;
  const char *kind = "race";
  const char *severity = "error";
  const char *file = "races";
};

class Races : public GpuTest, public testing::WithParamInterface<Case> {
protected:
  void run(bool isCorrect) {
    const Case &test = GetParam();
    CUmodule module = loadText(racesText(isCorrect, test.file));
    Buffer<unsigned> out(1024);
    out.clear();
    GPU_CHECK(launch(kernel(module, test.kernel), {test.blocks}, {test.threads}, 0, out.address));
    GPU_CHECK(cuCtxSynchronize());
  }
};

TEST_P(Races, AreFoundAtTheirLines) {
  run(false);
  const Case &test = GetParam();
  std::set<int> parties = partiesOf(test.kernel, test.file);
  json findings = json::parse(takeFindings());
  unsigned races = 0;
  for (const json &finding : findings) {
    // Who reads too early may also read what nobody has written yet.
    if (finding["kind"] == "uninitialized-read")
      continue;
    ++races;
    EXPECT_EQ(finding["kind"], test.kind) << finding;
    EXPECT_EQ(finding["severity"], test.severity) << finding;
    EXPECT_EQ(finding["kernel"], test.kernel);
    EXPECT_TRUE(parties.contains(finding["line"].get<int>())) << finding;
    EXPECT_GE(finding["warp"].get<int>(), 0);
    EXPECT_GE(finding["lane"].get<int>(), 0);
    EXPECT_TRUE(finding.contains("address"));
    std::string other = finding["other"];
    bool namesParty = false;
    for (int line : parties)
      namesParty |= other.find("ptx line " + std::to_string(line) + " ") != std::string::npos;
    EXPECT_TRUE(namesParty) << other;
    EXPECT_NE(other.find("block ("), std::string::npos) << other;
    EXPECT_NE(other.find("warp "), std::string::npos) << other;
  }
  EXPECT_GE(races, 1u);
}

TEST_P(Races, AreNotFoundInTheCorrectTwin) {
  run(true);
  EXPECT_EQ(takeFindings(), "[]");
}

INSTANTIATE_TEST_SUITE_P(
    Kernels, Races,
    testing::Values(Case{"missing_barrier", 1, 128}, Case{"overwrite", 1, 128},
                    Case{"missing_warp_barrier", 1, 32}, Case{"only_a_shuffle", 1, 32},
                    Case{"half_warp_barrier", 1, 32},
                    Case{"warp_synchronous", 1, 32, "warp-synchronous", "warning"},
                    Case{"same_word", 1, 32}, Case{"same_value", 1, 32, "race", "note"},
                    Case{"bytes", 1, 64}, Case{"named_barrier", 1, 64}, Case{"all_blocks", 3, 64},
                    Case{"missing_fence", 2, 32}, Case{"narrow_scope", 2, 32},
                    Case{"narrow_atomic", 2, 32}, Case{"last_block", 5, 32},
                    Case{"wide_and_narrow", 1, 32}, Case{"interleaved", 2, 32},
                    Case{"whole_and_word", 1, 64}, Case{"early_arrival", 1, 32},
                    Case{"shared_reads", 1, 64}, Case{"global_reads", 1, 64},
                    Case{"scattered_reads", 1, 64}, Case{"unordered_broadcast", 1, 32},
                    Case{"overwritten_by_copy", 1, 64, "race", "error", "async_races"},
                    Case{"unawaited_copy", 1, 64, "race", "error", "async_races"}),
    [](const auto &info) { return std::string(info.param.kernel); });

// --- Proxies: what mbarriers and barriers order still needs a fence.

class Proxies : public GpuTest {
protected:
  void run(const std::string &text) {
    Buffer<unsigned> out(1024);
    out.clear();
    GPU_CHECK(launch(kernel(loadText(text), "overwritten_by_copy"), {1}, {64}, 0, out.address));
    GPU_CHECK(cuCtxSynchronize());
  }
};

TEST_F(Proxies, ACopyOverWhatWasLoadedNeedsAFence) {
  std::string text = racesText(true, "async_races");
  run(text);
  EXPECT_EQ(takeFindings(), "[]");
  const std::string fence = "fence.proxy.async;";
  size_t at = text.find(fence, text.find("st.global"));
  ASSERT_NE(at, std::string::npos);
  run(text.erase(at, fence.size()));
  json findings = json::parse(takeFindings());
  ASSERT_EQ(findings.size(), 1u);
  const char *proxies = std::getenv("VGPU_PROXIES");
  EXPECT_EQ(findings[0]["kind"], "proxy");
  EXPECT_EQ(findings[0]["severity"], proxies ? "error" : "note");
  EXPECT_EQ(findings[0]["instruction"],
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes");
  EXPECT_EQ(findings[0]["other"], "the load of warp 0, lane 3"); // of the first 16 bytes
}

class StreamRaces : public GpuTest {
protected:
  void SetUp() override {
    GpuTest::SetUp();
    for (CUstream &stream : streams)
      GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    GPU_CHECK(cuEventCreate(&event, 0));
    function = kernel(loadText(racesText(true)), "all_blocks");
  }
  void TearDown() override {
    for (CUstream stream : streams)
      cuStreamDestroy_v2(stream);
    cuEventDestroy_v2(event);
    GpuTest::TearDown();
  }
  CUresult launchIn(CUstream stream, const Buffer<unsigned> &out) {
    CUdeviceptr address = out.address;
    void *parameters[] = {&address};
    return cuLaunchKernel(function, 3, 1, 1, 64, 1, 1, 0, stream, parameters, nullptr);
  }
  void expectRace() {
    json findings = json::parse(takeFindings());
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0]["kind"], "race");
    EXPECT_NE(findings[0]["other"].get<std::string>().find("kernel all_blocks"), std::string::npos);
  }

  CUstream streams[2];
  CUevent event = nullptr;
  CUfunction function = nullptr;
};

// The values are equal, so what is found is a note; but it is found whether the
// first kernel is already done or not.
TEST_F(StreamRaces, KernelsOfTwoStreams) {
  Buffer<unsigned> out(192);
  GPU_CHECK(launchIn(streams[0], out));
  GPU_CHECK(launchIn(streams[1], out));
  GPU_CHECK(cuCtxSynchronize());
  expectRace();
}

TEST_F(StreamRaces, AnEventOrdersThem) {
  Buffer<unsigned> out(192);
  GPU_CHECK(launchIn(streams[0], out));
  GPU_CHECK(cuEventRecord(event, streams[0]));
  GPU_CHECK(cuStreamWaitEvent(streams[1], event, 0));
  GPU_CHECK(launchIn(streams[1], out));
  GPU_CHECK(cuCtxSynchronize());
  EXPECT_EQ(takeFindings(), "[]");
}

TEST_F(StreamRaces, AnEventBeforeTheKernelDoesNot) {
  Buffer<unsigned> out(192);
  GPU_CHECK(cuEventRecord(event, streams[0]));
  GPU_CHECK(launchIn(streams[0], out));
  GPU_CHECK(cuStreamWaitEvent(streams[1], event, 0));
  GPU_CHECK(launchIn(streams[1], out));
  GPU_CHECK(cuCtxSynchronize());
  expectRace();
}

TEST_F(StreamRaces, TheHostOrdersThem) {
  Buffer<unsigned> out(192);
  GPU_CHECK(launchIn(streams[0], out));
  GPU_CHECK(cuStreamSynchronize(streams[0]));
  GPU_CHECK(launchIn(streams[1], out));
  GPU_CHECK(cuCtxSynchronize());
  EXPECT_EQ(takeFindings(), "[]");
}

// Reads of memory that nobody writes to meanwhile are looked at only if somebody does.
class ScatteredStreamReads : public StreamRaces {
protected:
  /// Each lane reads a word, 20 bytes behind that of the lane before.
  static constexpr const char *kReads = R"(
    .version 8.0
    .target sm_80
    .address_size 64
    .visible .entry reads(.param .u64 data)
    {
      .reg .b32 %r<4>;
      .reg .b64 %rd<4>;
      mov.u32 %r0, %tid.x;
      mul.wide.u32 %rd0, %r0, 20;
      ld.param.u64 %rd1, [data];
      add.u64 %rd1, %rd1, %rd0;
      ld.global.u32 %r1, [%rd1];
      ret;
    })";

  void SetUp() override {
    StreamRaces::SetUp();
    reads = kernel(loadText(kReads), "reads");
  }
  CUresult readIn(CUstream stream, const Buffer<unsigned> &data) {
    CUdeviceptr address = data.address;
    void *parameters[] = {&address};
    return cuLaunchKernel(reads, 1, 1, 1, 32, 1, 1, 0, stream, parameters, nullptr);
  }

  CUfunction reads = nullptr;
};

TEST_F(ScatteredStreamReads, AreOrderedByEventsOnly) {
  for (bool isOrdered : {true, false}) {
    Buffer<unsigned> data(192);
    data.clear();
    GPU_CHECK(readIn(streams[0], data));
    if (isOrdered) {
      GPU_CHECK(cuEventRecord(event, streams[0]));
      GPU_CHECK(cuStreamWaitEvent(streams[1], event, 0));
    }
    GPU_CHECK(launchIn(streams[1], data));
    GPU_CHECK(cuCtxSynchronize());
    std::string found = takeFindings();
    if (isOrdered) {
      EXPECT_EQ(found, "[]");
      continue;
    }
    // Whichever of the kernels was executed last is told.
    json findings = json::parse(found);
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0]["kind"], "race");
    EXPECT_EQ(findings[0]["severity"], "error");
    bool isRead = findings[0]["kernel"] == "reads";
    std::string other = findings[0]["other"];
    EXPECT_NE(other.find(isRead ? "kernel all_blocks" : "kernel reads"), std::string::npos)
        << other;
    EXPECT_NE(other.find(", lane 0"), std::string::npos) << other;
  }
}

TEST_F(ScatteredStreamReads, DoNotRaceWithTheHost) {
  for (int repeat = 0; repeat < 2; ++repeat) {
    Buffer<unsigned> data(192);
    data.clear();
    GPU_CHECK(readIn(streams[0], data));
    GPU_CHECK(cuMemsetD8Async(data.address, 1, 192 * 4, streams[0]));
    GPU_CHECK(readIn(streams[0], data));
    data.get();
  }
  EXPECT_EQ(takeFindings(), "[]");
}

// Two branches of a graph that was captured from two streams.
TEST_F(StreamRaces, BranchesOfGraphs) {
  Buffer<unsigned> out(192);
  CUevent joined = nullptr;
  GPU_CHECK(cuEventCreate(&joined, 0));
  for (bool isOrdered : {false, true}) {
    CUgraph graph;
    CUgraphExec exec;
    GPU_CHECK(cuStreamBeginCapture_v2(streams[0], CU_STREAM_CAPTURE_MODE_RELAXED));
    if (isOrdered) {
      GPU_CHECK(launchIn(streams[0], out));
    }
    GPU_CHECK(cuEventRecord(event, streams[0]));
    GPU_CHECK(cuStreamWaitEvent(streams[1], event, 0));
    if (!isOrdered) {
      GPU_CHECK(launchIn(streams[0], out));
    }
    GPU_CHECK(launchIn(streams[1], out));
    GPU_CHECK(cuEventRecord(joined, streams[1]));
    GPU_CHECK(cuStreamWaitEvent(streams[0], joined, 0));
    GPU_CHECK(cuStreamEndCapture(streams[0], &graph));
    GPU_CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
    GPU_CHECK(cuGraphLaunch(exec, streams[0]));
    GPU_CHECK(cuCtxSynchronize());
    if (isOrdered)
      EXPECT_EQ(takeFindings(), "[]");
    else
      expectRace();
    GPU_CHECK(cuGraphExecDestroy(exec));
    GPU_CHECK(cuGraphDestroy(graph));
  }
  GPU_CHECK(cuEventDestroy_v2(joined));
}

} // namespace
