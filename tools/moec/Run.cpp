//===- Run.cpp - moec run: tensors in files through a model ----------------===//
#include "tools/moec/Npy.h"
#include "tools/moec/Session.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <limits>
#include <memory>
#include <system_error>

namespace moec::tools {
namespace {

using runtime::OutputFile;

/// "NAME=FILE" for every input that is given.
Status readInputs(const Arguments &arguments, moec_model *model, std::vector<Array> &arrays) {
  arrays.resize(moec_model_input_count(model));
  for (const std::string &word : arguments.all("--input")) {
    size_t equals = word.rfind('=');
    std::string name = word.substr(0, equals);
    int32_t index = moec_model_find_input(model, name.c_str());
    if (index < 0)
      return failure(MOEC_INVALID_ARGUMENT, "the model has no input '%s'", name.c_str());
    moec_tensor_info info;
    moec_model_input(model, index, &info);
    if (Status error = readNpy(word.substr(equals + 1), info.type, arrays[index]))
      return error;
  }
  return {};
}

/// A name of a tensor as the name of a file.
std::string fileName(std::string name) {
  for (char &c : name)
    if (c == '/' || c == '\0')
      c = '_';
  return name + ".npy";
}

Status writeOutputs(moec_model *model, const std::vector<moec_tensor> &outputs,
                    const std::filesystem::path &folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return failure(MOEC_IO, "cannot create '%s': %s", folder.c_str(), failed.message().c_str());
  // All are written before the first gets its name.
  std::vector<std::unique_ptr<OutputFile>> files;
  for (size_t i = 0; i < outputs.size(); ++i) {
    moec_tensor_info info;
    moec_model_output(model, static_cast<int32_t>(i), &info);
    OutputFile &file = *files.emplace_back(std::make_unique<OutputFile>());
    if (Status error = file.open(folder / fileName(info.name)))
      return error;
    if (Status error = writeNpy(outputs[i], file))
      return error;
  }
  for (const auto &file : files)
    if (Status error = file->commit())
      return error;
  return {};
}

void print(moec_model *model, const std::vector<moec_tensor> &outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    moec_tensor_info info;
    moec_model_output(model, static_cast<int32_t>(i), &info);
    std::copy_n(outputs[i].sizes, outputs[i].rank, info.sizes);
    std::printf("%s: %s\n", info.name, typeText(info).c_str());
  }
}

int run(const Arguments &arguments) {
  std::optional<std::string> folder = arguments.text("--output-dir");
  if (arguments.positional().size() != 1 || !folder)
    return misuse(runCommand, "needs one artifact and --output-dir");
  for (const std::string &word : arguments.all("--input"))
    if (word.find('=') == std::string::npos)
      return misuse(runCommand, "--input needs NAME=FILE.npy, not '" + word + "'");
  LoadedModel loaded;
  if (int exit = loaded.load(runCommand, arguments, arguments.positional()[0]))
    return exit;
  std::vector<Array> arrays;
  if (Status error = readInputs(arguments, loaded.model, arrays))
    return complain(error);
  std::vector<moec_tensor> inputs, outputs(moec_model_output_count(loaded.model));
  for (Array &array : arrays)
    inputs.push_back(array.tensor());
  int64_t repeat = 1;
  if (Status error = arguments.integer("--repeat", 1, 1 << 20, repeat))
    return misuse(runCommand, error.message());
  double best = std::numeric_limits<double>::infinity();
  for (int64_t round = 0; round < repeat; ++round) {
    auto start = std::chrono::steady_clock::now();
    if (Status error = lastError(moec_session_run(loaded.session, inputs.data(), outputs.data())))
      return complain(error);
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::min(best, seconds.count());
    if (round + 1 < repeat)
      if (Status error = lastError(moec_session_reset(loaded.session)))
        return complain(error);
  }
  std::deque<std::vector<char>> copies;
  if (Status error = fetchState(loaded.session, outputs, copies))
    return complain(error);
  if (Status error = writeOutputs(loaded.model, outputs, *folder))
    return complain(error);
  if (Status error = loaded.writeTrace(arguments))
    return complain(error);
  if (arguments.has("--json"))
    std::printf("{\"runs\": %lld, \"best_seconds\": %.9f}\n", static_cast<long long>(repeat), best);
  else
    print(loaded.model, outputs);
  return kDone;
}

constexpr Option kOptions[] = {
    {"--input", "NAME=FILE.npy", "a value; bf16 as uint16, 8-bit floats as uint8, int4 as int8"},
    {"--output-dir", "DIR", "gets a NAME.npy for each output, all or none"},
    {"--repeat", "N", "run N times, each from no state; the outputs are the last run's"},
    {"--json", nullptr, "print how long the fastest run took instead of the outputs' shapes"},
    MOEC_SESSION_OPTIONS,
};

} // namespace

const Command runCommand = {
    "run",
    "OUT.moec --input NAME=FILE.npy ... --output-dir DIR",
    "run a model on tensors in files",
    "Executes an artifact once. Inputs that are the past of a state may be left\n"
    "out, all of them: then nothing came before.",
    kOptions,
    run,
};

} // namespace moec::tools
