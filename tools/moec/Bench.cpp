//===- Bench.cpp - moec bench: speed of prefill and decode -----------------===//
#include "tools/moec/LanguageModel.h"

#include <algorithm>
#include <chrono>
#include <random>

namespace moec::tools {
namespace {

struct Setting {
  int64_t prompt = 128, fresh = 32, batch = 1, repeat = 3;
};

/// Medians over the repetitions.
struct Result {
  double prefillSeconds = 0, tokenSeconds = 0;
};

Status parseSetting(const Arguments &arguments, Setting &setting) {
  constexpr int64_t kMost = 1 << 24;
  if (arguments.positional().size() != 1)
    return failure(MOEC_INVALID_ARGUMENT, "needs one artifact");
  for (Status error : {arguments.integer("--prompt-tokens", 1, kMost, setting.prompt),
                       arguments.integer("--new-tokens", 1, kMost, setting.fresh),
                       arguments.integer("--batch", 1, kMost, setting.batch),
                       arguments.integer("--repeat", 1, kMost, setting.repeat)})
    if (error)
      return error;
  return {};
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

Status timed(LanguageModel &language, const std::vector<int64_t> &ids, double &seconds) {
  auto begin = std::chrono::steady_clock::now();
  Status status = language.advance(ids);
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return status;
}

/// Random tokens, so that every expert gets some.
Status measure(const Setting &setting, LanguageModel &language, Result &result) {
  std::mt19937 random(1);
  auto tokens = [&](int64_t count) {
    std::vector<int64_t> ids(count);
    for (int64_t &id : ids)
      id = static_cast<int64_t>(random() % std::max<int64_t>(language.vocabulary(), 1));
    return ids;
  };
  std::vector<double> prefills, steps;
  // The first round warms up: it reads the weights and grows the buffers.
  for (int64_t round = 0; round <= setting.repeat; ++round) {
    language.reset();
    double seconds = 0;
    if (Status error = timed(language, tokens(setting.batch * setting.prompt), seconds))
      return error;
    if (round)
      prefills.push_back(seconds);
    for (int64_t step = 0; step < setting.fresh; ++step) {
      if (Status error = timed(language, tokens(setting.batch), seconds))
        return error;
      if (round)
        steps.push_back(seconds);
    }
  }
  result = {median(prefills), median(steps)};
  return {};
}

void print(const Setting &setting, const Result &result, const moec_memory_report &memory) {
  std::printf("batch %lld, medians of %lld rounds\n", static_cast<long long>(setting.batch),
              static_cast<long long>(setting.repeat));
  int64_t tokens = setting.batch * setting.prompt;
  std::printf("prefill: %lld tokens in %.3f ms, %.1f tokens/s\n", static_cast<long long>(tokens),
              result.prefillSeconds * 1e3, tokens / result.prefillSeconds);
  std::printf("decode: %.3f ms per step, %.1f tokens/s\n", result.tokenSeconds * 1e3,
              setting.batch / result.tokenSeconds);
  std::printf("memory: %s\n", memoryText(memory).c_str());
}

void printJson(const Setting &setting, const Result &result, const moec_memory_report &memory) {
  std::printf(
      "{\"batch\": %lld, \"prompt_tokens\": %lld, \"new_tokens\": %lld, \"repeat\": %lld,\n"
      " \"prefill_seconds\": %.9f, \"prefill_tokens_per_second\": %.3f,\n"
      " \"decode_step_seconds\": %.9f, \"decode_tokens_per_second\": %.3f,\n"
      " \"memory\": {\"weights\": %lld, \"state\": %lld, \"arena\": %lld, \"heap_peak\": %lld, "
      "\"outputs\": %lld, \"process_peak\": %lld}}\n",
      static_cast<long long>(setting.batch), static_cast<long long>(setting.prompt),
      static_cast<long long>(setting.fresh), static_cast<long long>(setting.repeat),
      result.prefillSeconds, setting.batch * setting.prompt / result.prefillSeconds,
      result.tokenSeconds, setting.batch / result.tokenSeconds,
      static_cast<long long>(memory.weights), static_cast<long long>(memory.state),
      static_cast<long long>(memory.arena), static_cast<long long>(memory.heap_peak),
      static_cast<long long>(memory.outputs), static_cast<long long>(memory.process_peak));
}

int run(const Arguments &arguments) {
  Setting setting;
  if (Status error = parseSetting(arguments, setting))
    return misuse(benchCommand, error.message());
  LoadedModel loaded;
  if (int exit = loaded.load(benchCommand, arguments, arguments.positional()[0],
                             setting.prompt + setting.fresh))
    return exit;
  LanguageModel language;
  if (Status error = language.attach(loaded, setting.batch))
    return complain(error);
  Result result;
  if (Status error = measure(setting, language, result))
    return complain(error);
  if (Status error = loaded.writeTrace(arguments))
    return complain(error);
  moec_memory_report memory;
  moec_session_memory(loaded.session, &memory);
  (arguments.has("--json") ? printJson : print)(setting, result, memory);
  return kDone;
}

constexpr Option kOptions[] = {
    {"--prompt-tokens", "N", "tokens of each prompt; default: 128"},
    {"--new-tokens", "N", "steps of one token each; default: 32"},
    {"--batch", "B", "texts at once; default: 1"},
    {"--repeat", "N", "rounds, after one that warms up; default: 3"},
    {"--json", nullptr, "print one JSON object"},
    MOEC_SESSION_OPTIONS,
};

} // namespace

const Command benchCommand = {
    "bench",
    "OUT.moec [--prompt-tokens N] [--new-tokens N] [--batch B] [--json]",
    "measure prefill and decode",
    "Times a language model on random tokens. Decode starts behind the prompt.",
    kOptions,
    run,
};

} // namespace moec::tools
