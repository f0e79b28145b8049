//===- MatrixReader.h - elements of matrices that are in files -------------===//
#pragma once

#include "lib/weights/Pack.h"

namespace moec {

/// Reads elements of a part as floats; integers are what is packed of them.
class MatrixReader {
public:
  using Open = llvm::function_ref<llvm::Expected<const FileSlices *>(llvm::StringRef)>;
  MatrixReader(const MatrixPart &part, Open open) : part(part), open(open) {}

  /// Rows [from, to) of `group`, of `columns` elements; element (r, c) comes to
  /// out[place(r) + c].
  llvm::Error readRows(int64_t group, int64_t from, int64_t to, int64_t columns,
                       llvm::function_ref<int64_t(int64_t)> place,
                       llvm::MutableArrayRef<float> out);

private:
  /// Elements [index, index + out.size()) behind the part's offset.
  llvm::Error read(int64_t index, llvm::MutableArrayRef<float> out);
  llvm::Error readBytes(uint64_t offset, llvm::MutableArrayRef<char> out);

  const MatrixPart &part;
  Open open;
  std::vector<char> buffer;
};

} // namespace moec
