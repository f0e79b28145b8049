#include "check/GlobalShadow.h"

#include <new>

namespace vgpu {
namespace {

/// Zeros, which take memory when they are written.
template <class T> T *zeros(size_t count) {
  void *memory = std::calloc(count, sizeof(T));
  if (!memory)
    throw std::bad_alloc();
  return static_cast<T *>(memory);
}

} // namespace

GlobalShadow::Page::Page() {
  std::fill(std::begin(logs), std::end(logs), kLineLog);
  std::fill(std::begin(recentSince), std::end(recentSince), ~Time{0});
  addPlaces(kLineLog);
}

void GlobalShadow::Page::addPlaces(uint32_t log) {
  Places &level = places[log / 2];
  if (level.writes)
    return;
  level.writes.reset(zeros<CellRecord>(kPageBytes >> (log & ~1u)));
  level.reads.reset(zeros<Reads>(kPageBytes >> (log & ~1u)));
}

/// Whether all that the line remembers is older than `start`.
bool GlobalShadow::Page::isOlder(uint32_t line, Time start) {
  if (recentSince[line] == start)
    return false;
  uint32_t log = logs[line], begin = line * kLineBytes;
  for (uint32_t offset = begin; offset < begin + kLineBytes; offset += 1u << log) {
    auto [write, reads] = cell(offset, log);
    if (std::max({write.time, reads.last.time, reads.before.time}) > start) {
      recentSince[line] = start;
      return false;
    }
  }
  return true;
}

void GlobalShadow::Page::fit(uint32_t offset, uint32_t log, Time start) {
  uint32_t line = offset / kLineBytes, begin = line * kLineBytes, before = logs[line];
  bool forgets = isOlder(line, start);
  if (!forgets && log >= before)
    return;
  addPlaces(log);
  uint32_t step = 1u << std::max(log, before);
  for (uint32_t whole = begin; whole < begin + kLineBytes; whole += step) {
    // A copy: places of both sizes may be the same.
    auto [write, reads] = cell(whole, before);
    CellRecord known[] = {write, reads.last, reads.before};
    for (uint32_t part = 0; part < step; part += 1u << log) {
      auto [partWrite, partReads] = cell(whole + part, log);
      CellRecord *to[] = {&partWrite, &partReads.last, &partReads.before};
      for (size_t index = 0; index < std::size(to); ++index) {
        *to[index] = forgets ? CellRecord() : known[index];
        to[index]->lane += part >> known[index].widthLog;
      }
    }
  }
  logs[line] = static_cast<uint8_t>(log);
}

void GlobalShadow::clear() {
  pages.clear();
  std::fill(std::begin(known), std::end(known), Known());
}

GlobalShadow::Page &GlobalShadow::find(uint64_t number) {
  std::unique_ptr<Page> &page = pages[number];
  if (!page)
    page = std::make_unique<Page>();
  known[number % std::size(known)] = {number, page.get()};
  return *page;
}

} // namespace vgpu
