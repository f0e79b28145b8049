//===- Generate.cpp - moec generate: continue a text -----------------------===//
#include "tools/moec/LanguageModel.h"
#include "tools/moec/Sampler.h"

#include <algorithm>
#include <chrono>

namespace moec::tools {
namespace {

constexpr int64_t kBytes = 256;
constexpr int64_t kMost = 1 << 24;

struct Request {
  std::vector<int64_t> prompt, stops;
  int64_t newTokens = 64;
  SamplingOptions sampling;
  /// Tokens are bytes of text; otherwise they are shown as numbers.
  bool isText = false;
};

/// "1,2,3"
Status parseIds(const char *option, const std::string &text, std::vector<int64_t> &ids) {
  const char *at = text.c_str();
  while (true) {
    char *end = nullptr;
    int64_t id = std::strtoll(at, &end, 10);
    if (end == at || id < 0 || (*end && *end != ','))
      return failure(MOEC_INVALID_ARGUMENT, "option '%s' needs ids such as 1,2,3, not '%s'", option,
                     text.c_str());
    ids.push_back(id);
    if (!*end)
      return {};
    at = end + 1;
  }
}

Status parseRequest(const Arguments &arguments, Request &request) {
  std::optional<std::string> text = arguments.text("--prompt"),
                             ids = arguments.text("--prompt-ids");
  if (arguments.positional().size() != 1 || text.has_value() == ids.has_value())
    return failure(MOEC_INVALID_ARGUMENT, "needs one artifact and one of --prompt, --prompt-ids");
  request.isText = text.has_value();
  if (text)
    request.prompt.assign(reinterpret_cast<const unsigned char *>(text->data()),
                          reinterpret_cast<const unsigned char *>(text->data()) + text->size());
  else if (Status error = parseIds("--prompt-ids", *ids, request.prompt))
    return error;
  if (request.prompt.empty())
    return failure(MOEC_INVALID_ARGUMENT, "the prompt is empty");
  if (std::optional<std::string> stops = arguments.text("--stop-ids"))
    if (Status error = parseIds("--stop-ids", *stops, request.stops))
      return error;
  int64_t seed = 0;
  SamplingOptions &sampling = request.sampling;
  for (Status error : {arguments.integer("--max-new-tokens", 0, kMost, request.newTokens),
                       arguments.integer("--top-k", 1, kMost, sampling.topK),
                       arguments.integer("--seed", 0, INT64_MAX, seed),
                       arguments.number("--temperature", 0, 100, sampling.temperature),
                       arguments.number("--top-p", 0, 1, sampling.topP)})
    if (error)
      return error;
  sampling.seed = static_cast<uint64_t>(seed);
  return {};
}

Status checkVocabulary(const Request &request, int64_t vocabulary) {
  if (request.isText && vocabulary >= 0 && vocabulary != kBytes)
    return failure(MOEC_INVALID_ARGUMENT,
                   "--prompt is for models whose tokens are the 256 bytes, but this model has "
                   "%lld tokens; use --prompt-ids",
                   static_cast<long long>(vocabulary));
  for (int64_t id : request.prompt)
    if (vocabulary >= 0 && id >= vocabulary)
      return failure(MOEC_INVALID_ARGUMENT, "the prompt has id %lld, but the model has %lld tokens",
                     static_cast<long long>(id), static_cast<long long>(vocabulary));
  return {};
}

void show(int64_t id, bool isText, bool isFirst) {
  if (isText)
    std::putchar(static_cast<int>(id));
  else
    std::printf("%s%lld", isFirst ? "" : " ", static_cast<long long>(id));
  std::fflush(stdout);
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string speed(const char *what, int64_t tokens, double seconds) {
  char text[128];
  std::snprintf(text, sizeof text, "%s: %lld tokens in %.3f s, %.1f tokens/s", what,
                static_cast<long long>(tokens), seconds, tokens / std::max(seconds, 1e-9));
  return text;
}

Status generate(const Request &request, LanguageModel &language) {
  Sampler sampler(request.sampling);
  double begin = seconds();
  if (Status error = language.advance(request.prompt))
    return error;
  double prefilled = seconds();
  int64_t count = 0;
  Status error;
  while (count < request.newTokens) {
    int64_t id = sampler.choose(language.logits().data(), language.vocabulary());
    if (std::find(request.stops.begin(), request.stops.end(), id) != request.stops.end())
      break;
    show(id, request.isText, count == 0);
    // The last token needs no successor.
    if (++count < request.newTokens)
      error = language.advance({id});
    if (error)
      break;
  }
  double end = seconds();
  std::printf("\n");
  std::fflush(stdout);
  std::fprintf(
      stderr, "%s\n",
      speed("prefill", static_cast<int64_t>(request.prompt.size()), prefilled - begin).c_str());
  // The first new token belongs to the prompt's execution.
  if (count > 1)
    std::fprintf(stderr, "%s\n", speed("decode", count - 1, end - prefilled).c_str());
  return error;
}

int run(const Arguments &arguments) {
  Request request;
  if (Status error = parseRequest(arguments, request))
    return misuse(generateCommand, error.message());
  LoadedModel loaded;
  int64_t length = static_cast<int64_t>(request.prompt.size()) + request.newTokens;
  if (int exit = loaded.load(generateCommand, arguments, arguments.positional()[0], length))
    return exit;
  LanguageModel language;
  if (Status error = language.attach(loaded, 1))
    return complain(error);
  if (Status error = checkVocabulary(request, language.vocabulary()))
    return complain(error);
  if (Status error = generate(request, language))
    return complain(error);
  moec_memory_report memory;
  moec_session_memory(loaded.session, &memory);
  std::fprintf(stderr, "memory: %s\n", memoryText(memory).c_str());
  if (Status error = loaded.writeTrace(arguments))
    return complain(error);
  return kDone;
}

constexpr Option kOptions[] = {
    {"--prompt", "TEXT", "for models whose tokens are the 256 bytes"},
    {"--prompt-ids", "1,2,3", "token ids; the answer is token ids, too"},
    {"--max-new-tokens", "N", "default: 64"},
    {"--stop-ids", "1,2,3", "ends before one of these tokens"},
    {"--temperature", "T", "default 0: always the most likely token"},
    {"--top-k", "K", "choose among the K most likely"},
    {"--top-p", "P", "choose among the most likely that together have probability P"},
    {"--seed", "N", "of the choices; default: 0"},
    MOEC_SESSION_OPTIONS,
};

} // namespace

const Command generateCommand = {
    "generate",
    "OUT.moec --prompt TEXT | --prompt-ids 1,2,3 [--max-new-tokens N] ...",
    "continue a text with a language model",
    "Writes the new tokens to stdout as they come, then speed and memory to stderr.\n"
    "The model is a decoder with input_ids, logits and, where it wants them,\n"
    "attention_mask and position_ids.",
    kOptions,
    run,
};

} // namespace moec::tools
