// Counts as JSON and as text.
#include "count/Counts.h"

#include <cstdio>
#include <string_view>

namespace vgpu {
namespace {

constexpr std::string_view kNames[] = {"integer", "float",       "double",    "half",    "special",
                                       "convert", "move",        "predicate", "control", "load",
                                       "store",   "atomic",      "shuffle",   "vote",    "barrier",
                                       "tensor",  "asynchronous"};
static_assert(std::size(kNames) == static_cast<size_t>(InstructionClass::Count));

struct Field {
  std::string_view name;
  uint64_t Counts::*value;
};
constexpr Field kFields[] = {
    {"warp_instructions", &Counts::warpInstructions},
    {"thread_instructions", &Counts::threadInstructions},
    {"divergent_branches", &Counts::divergentBranches},
    {"barriers", &Counts::barriers},
    {"atomics", &Counts::atomics},
    {"global_requests", &Counts::globalRequests},
    {"global_sectors", &Counts::globalSectors},
    {"shared_wavefronts", &Counts::sharedWavefronts},
    {"bank_conflicts", &Counts::bankConflicts},
    {"tensor_flops", &Counts::tensorFlops},
    {"bulk_bytes", &Counts::bulkBytes},
};

std::string member(std::string_view name, uint64_t value) {
  return "\"" + std::string(name) + "\": " + std::to_string(value);
}

std::string membersOf(const Counts &counts) {
  std::string text;
  for (const Field &field : kFields)
    text += member(field.name, counts.*field.value) + ", ";
  text += "\"classes\": {";
  bool isFirst = true;
  for (size_t kind = 0; kind < counts.byClass.size(); ++kind) {
    if (!counts.byClass[kind])
      continue;
    text += (isFirst ? "" : ", ") + member(kNames[kind], counts.byClass[kind]);
    isFirst = false;
  }
  return text + "}";
}

} // namespace

std::string jsonOf(const LaunchCounts &counts) {
  std::string text = "{\"kernel\": \"" + counts.kernel + "\", " + membersOf(counts.total) + ", " +
                     member("l2_read_bytes", counts.l2ReadBytes) + ", " +
                     member("l2_written_bytes", counts.l2WrittenBytes) + ", " +
                     member("dram_read_bytes", counts.dramReadBytes) + ", " +
                     member("dram_write_bytes", counts.dramWriteBytes);
  if (counts.mainLoopBegin)
    text += ", \"main_loop\": {" +
            member("first_line", static_cast<uint64_t>(counts.mainLoopBegin)) + ", " +
            member("last_line", static_cast<uint64_t>(counts.mainLoopEnd)) + ", " +
            membersOf(counts.mainLoop) + "}";
  return text + "}";
}

std::string textOf(const LaunchCounts &counts) {
  std::string text = counts.kernel + "\n";
  auto line = [&](std::string_view name, uint64_t total, const uint64_t *loop) {
    char row[120];
    int length = std::snprintf(row, sizeof row, "  %-22.*s %16llu", static_cast<int>(name.size()),
                               name.data(), static_cast<unsigned long long>(total));
    if (loop)
      std::snprintf(row + length, sizeof row - length, " %16llu in the main loop",
                    static_cast<unsigned long long>(*loop));
    text += std::string(row) + "\n";
  };
  bool hasLoop = counts.mainLoopBegin != 0;
  for (const Field &field : kFields)
    line(field.name, counts.total.*field.value,
         hasLoop ? &(counts.mainLoop.*field.value) : nullptr);
  for (size_t kind = 0; kind < counts.total.byClass.size(); ++kind)
    if (counts.total.byClass[kind])
      line(kNames[kind], counts.total.byClass[kind],
           hasLoop ? &counts.mainLoop.byClass[kind] : nullptr);
  line("l2_read_bytes", counts.l2ReadBytes, nullptr);
  line("l2_written_bytes", counts.l2WrittenBytes, nullptr);
  line("dram_read_bytes", counts.dramReadBytes, nullptr);
  line("dram_write_bytes", counts.dramWriteBytes, nullptr);
  return text;
}

std::string jsonOf(const CountReport &report) {
  std::string text = "{\"launches\": [";
  for (size_t index = 0; index < report.launches.size(); ++index)
    text += (index ? ",\n " : "") + jsonOf(report.launches[index]);
  return text + "],\n" + member("graph_launches", report.graphLaunches) +
         ",\n\"total\": " + jsonOf(sumOf(report.launches)) + "}\n";
}

std::string textOf(const CountReport &report) {
  std::string text;
  for (const LaunchCounts &launch : report.launches)
    text += textOf(launch);
  return text + textOf(sumOf(report.launches)) +
         "graphs launched: " + std::to_string(report.graphLaunches) + "\n";
}

} // namespace vgpu
