#include "runtime/Trace.h"

#include "runtime/Files.h"

#include <time.h>

namespace moec::runtime {
namespace {

std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    if (c < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      result += escape;
    } else {
      result += static_cast<char>(c);
    }
  }
  return result + '"';
}

} // namespace

int64_t traceClock() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void Trace::start(int threads) {
  isActive = true;
  origin = traceClock();
  rows.assign(threads, {});
  runs.clear();
  counters.clear();
}

void Trace::tokensPerExpert(int32_t site, const int32_t *offsets, int32_t experts) {
  Counter counter{site, traceClock(), {}};
  for (int32_t expert = 0; expert < experts; ++expert)
    counter.tokens.push_back(offsets[expert + 1] - offsets[expert]);
  counters.push_back(std::move(counter));
}

Status Trace::write(const std::string &path, const Metadata &metadata) const {
  OutputFile file;
  if (Status error = file.open(path))
    return error;
  FILE *out = file.stream();
  auto microseconds = [&](int64_t time) { return (time - origin) / 1e3; };
  auto span = [&](const std::string &name, const std::string &arguments, size_t row,
                  const Span &span) {
    std::fprintf(out,
                 ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%zu,\"ts\":%.3f,\"dur\":%.3f,"
                 "\"name\":%s,\"args\":{%s}}",
                 row, microseconds(span.begin), (span.end - span.begin) / 1e3, quoted(name).c_str(),
                 arguments.c_str());
  };
  std::fprintf(out,
               "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
               "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"moec\"}}");
  for (size_t row = 0; row < rows.size(); ++row)
    std::fprintf(out,
                 ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%zu,\"name\":\"thread_name\","
                 "\"args\":{\"name\":\"%s %zu\"}}",
                 row, row ? "worker" : "caller", row);
  for (const Span &run : runs)
    span("run", "", 0, run);
  for (size_t row = 0; row < rows.size(); ++row)
    for (const Span &kernel : rows[row]) {
      const Site &site = metadata.sites[kernel.site];
      span(site.name.empty() ? site.op : site.name,
           "\"op\":" + quoted(site.op) + ",\"kernel\":" + quoted(metadata.kernels[site.kernel]),
           row, kernel);
    }
  for (const Counter &counter : counters) {
    std::fprintf(out, ",\n{\"ph\":\"C\",\"pid\":1,\"ts\":%.3f,\"name\":%s,\"args\":{",
                 microseconds(counter.time),
                 quoted("tokens per expert: " + metadata.sites[counter.site].name).c_str());
    for (size_t expert = 0; expert < counter.tokens.size(); ++expert)
      std::fprintf(out, "%s\"%zu\":%lld", expert ? "," : "", expert,
                   static_cast<long long>(counter.tokens[expert]));
    std::fprintf(out, "}}");
  }
  std::fprintf(out, "\n]}\n");
  return file.commit();
}

} // namespace moec::runtime
