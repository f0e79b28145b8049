//===- Files.h - files read as a whole, files that appear as a whole -------===//
#pragma once

#include "runtime/Status.h"

#include <cstdint>
#include <cstdio>

namespace moec::runtime {

/// An open file, for reading.
class InputFile {
public:
  InputFile() = default;
  InputFile(const InputFile &) = delete;
  InputFile &operator=(const InputFile &) = delete;
  ~InputFile();

  Status open(const std::string &path);
  /// Fills `bytes`; the end of the file is an error.
  Status read(uint64_t offset, void *bytes, uint64_t count) const;
  uint64_t size() const { return size_; }
  int descriptor() const { return file; }
  const std::string &path() const { return path_; }

private:
  std::string path_;
  int file = -1;
  uint64_t size_ = 0;
};

Status readFile(const std::string &path, std::string &bytes);

/// A file that appears whole, when committed, or not at all.
class OutputFile {
public:
  OutputFile() = default;
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;
  ~OutputFile();

  Status open(const std::string &path);
  /// To write to with stdio; errors are kept and reported by close.
  FILE *stream() const { return file; }
  /// Ends writing: what fails for lack of space has failed after this.
  Status close();
  /// Gives the file its name; closes it before when that was not done.
  Status commit();

private:
  std::string path, temporary;
  FILE *file = nullptr;
};

} // namespace moec::runtime
