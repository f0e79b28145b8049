#include "lib/codegen/CubinCode.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace moec {
namespace {

/// An empty file that is removed with its scope.
class TemporaryFile {
public:
  Error create(StringRef extension) {
    if (std::error_code error = sys::fs::createTemporaryFile("moec", extension, path))
      return createStringError(error, "cannot create a temporary file");
    remover.setFile(path);
    return Error::success();
  }
  Expected<std::string> read() const {
    ErrorOr<std::unique_ptr<MemoryBuffer>> bytes =
        MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!bytes)
      return createFileError(path, bytes.getError());
    return (*bytes)->getBuffer().str();
  }

  SmallString<128> path;

private:
  FileRemover remover;
};

} // namespace

std::optional<std::string> findPtxas() {
  if (ErrorOr<std::string> found = sys::findProgramByName("ptxas"))
    return *found;
  SmallVector<std::string> folders;
  if (std::optional<std::string> home = sys::Process::GetEnv("CUDA_HOME"))
    folders.push_back(*home + "/bin");
  folders.push_back("/usr/local/cuda/bin");
  for (StringRef folder : folders)
    if (ErrorOr<std::string> found = sys::findProgramByName("ptxas", folder))
      return *found;
  return std::nullopt;
}

Expected<std::string> assembleCubin(StringRef ptxas, StringRef ptx, StringRef chip) {
  TemporaryFile source, cubin, messages;
  for (auto [file, extension] : {std::pair(&source, "ptx"), {&cubin, "cubin"}, {&messages, "txt"}})
    if (Error error = file->create(extension))
      return std::move(error);
  if (Error error = writeToOutput(source.path, [&](raw_ostream &stream) {
        stream << ptx;
        return Error::success();
      }))
    return std::move(error);
  std::string architecture = ("-arch=" + chip).str();
  StringRef arguments[] = {ptxas, architecture, "-o", cubin.path, source.path};
  std::optional<StringRef> redirects[] = {StringRef(), StringRef(messages.path),
                                          StringRef(messages.path)};
  std::string failure;
  int status = sys::ExecuteAndWait(ptxas, arguments, /*Env=*/std::nullopt, redirects,
                                   /*SecondsToWait=*/0, /*MemoryLimit=*/0, &failure);
  if (status == 0)
    return cubin.read();
  if (failure.empty()) {
    Expected<std::string> text = messages.read();
    if (!text)
      return text.takeError();
    failure = StringRef(*text).split('\n').first.str();
  }
  return createStringError(ptxas + ": " + failure);
}

} // namespace moec
