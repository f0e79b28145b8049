#include "lib/codegen/LinkShared.h"

#include "lld/Common/Driver.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/raw_ostream.h"

LLD_HAS_DRIVER(elf)

using namespace llvm;

/// lld reads and writes files, so the object passes through two temporary ones.
Expected<std::unique_ptr<MemoryBuffer>> moec::linkShared(MemoryBufferRef object) {
  SmallString<128> input, output;
  if (std::error_code error = sys::fs::createTemporaryFile("moec", "o", input))
    return createStringError(error, "cannot create a temporary file");
  FileRemover removeInput(input);
  if (std::error_code error = sys::fs::createTemporaryFile("moec", "so", output))
    return createStringError(error, "cannot create a temporary file");
  FileRemover removeOutput(output);
  if (Error error = writeToOutput(input, [&](raw_ostream &stream) {
        stream << object.getBuffer();
        return Error::success();
      }))
    return std::move(error);
  std::string messages;
  raw_string_ostream stream(messages);
  const char *arguments[] = {"ld.lld",      "-shared", "--hash-style=gnu", "-z",
                             "noexecstack", "-o",      output.c_str(),     input.c_str()};
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return createStringError("cannot link the generated code: %s", messages.c_str());
  ErrorOr<std::unique_ptr<MemoryBuffer>> linked =
      MemoryBuffer::getFile(output, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!linked)
    return createStringError(linked.getError(), "cannot read the linked code");
  // The file goes away: keep the bytes.
  return MemoryBuffer::getMemBufferCopy((*linked)->getBuffer(), "module.so");
}
