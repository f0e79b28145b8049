//===- LinkShared.h - an object as a shared library -----------------------===//
#pragma once

#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

namespace moec {

/// Links one object to a shared library, in process. What the object needs of
/// libc and libm is resolved when it is loaded.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> linkShared(llvm::MemoryBufferRef object);

} // namespace moec
