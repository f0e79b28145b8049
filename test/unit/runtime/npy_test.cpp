// .npy files: written ones read back, foreign ones are refused.
#include "tools/moec/Npy.h"
#include "gtest/gtest.h"
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace moec::tools;
using moec::runtime::OutputFile;
using moec::runtime::Status;

namespace {

class NpyTest : public testing::Test {
protected:
  ~NpyTest() override { std::filesystem::remove(path); }

  Status write(const moec_tensor &tensor) {
    OutputFile file;
    if (Status error = file.open(path))
      return error;
    if (Status error = writeNpy(tensor, file))
      return error;
    return file.commit();
  }

  std::string path =
      (std::filesystem::temp_directory_path() / ("moec-npy-" + std::to_string(getpid()) + ".npy"))
          .string();
};

TEST_F(NpyTest, EveryTypeReadsBack) {
  for (int32_t type = 1; type < 64; ++type) {
    if (!moec_element_bits(type))
      continue;
    Array array{type, {3, 1, 5}, std::string((15 * moec_element_bits(type) + 7) / 8, '\x5a')};
    // The half byte behind an odd number of elements is not part of them.
    if (moec_element_bits(type) == 4)
      array.bytes.back() &= 15;
    moec_tensor tensor = array.tensor();
    tensor.strides[0] = 5, tensor.strides[1] = 5, tensor.strides[2] = 1;
    ASSERT_FALSE(write(tensor));
    Array read;
    Status error = readNpy(path, type, read);
    ASSERT_FALSE(error) << error.message();
    EXPECT_EQ(read.sizes, array.sizes);
    EXPECT_EQ(read.bytes, array.bytes) << moec_element_name(type);
  }
}

TEST_F(NpyTest, ScalarsAndEmptyTensors) {
  for (const std::vector<int64_t> &sizes : {std::vector<int64_t>{}, {0}, {2, 0, 3}, {1}}) {
    Array array{MOEC_I64, sizes, std::string(sizes.empty() || sizes[0] == 1 ? 8 : 0, '\1')};
    ASSERT_FALSE(write(array.tensor()));
    Array read;
    ASSERT_FALSE(readNpy(path, MOEC_I64, read));
    EXPECT_EQ(read.sizes, sizes);
    EXPECT_EQ(read.bytes, array.bytes);
  }
}

// A view of a larger buffer is written as the elements it has.
TEST_F(NpyTest, StridedTensorsAreWrittenInOrder) {
  std::vector<uint8_t> data(24);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<uint8_t>(i);
  moec_tensor tensor{data.data(), MOEC_U8, 3, {2, 2, 3}, {12, 6, 1}, data.size()};
  ASSERT_FALSE(write(tensor));
  Array read;
  ASSERT_FALSE(readNpy(path, MOEC_U8, read));
  EXPECT_EQ(read.bytes, std::string({0, 1, 2, 6, 7, 8, 12, 13, 14, 18, 19, 20}));
}

TEST_F(NpyTest, RefusesWhatItCannotRead) {
  auto expectError = [&](const std::string &bytes, const std::string &text) {
    std::ofstream(path, std::ios::binary) << bytes;
    Array read;
    Status error = readNpy(path, MOEC_F32, read);
    EXPECT_NE(error.message().find(text), std::string::npos) << error.message();
  };
  auto file = [](const std::string &header, const std::string &data) {
    std::string start("\x93NUMPY\x01\x00", 8);
    start += static_cast<char>(header.size());
    start += '\0';
    return start + header + data;
  };
  const std::string eight(8, 'x');
  expectError("", "not a .npy file");
  expectError("some text that is long enough", "not a .npy file");
  std::string good = file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", eight);
  expectError(good.substr(0, 40), "cut short");
  expectError(good.substr(0, good.size() - 1), "its shape contradicts");
  expectError(file("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n", eight),
              "elements of type '<f8', but '<f4' (float32) is needed");
  expectError(file("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }\n", eight),
              "Fortran order");
  expectError(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, }\n", eight), "shape");
  expectError(file("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }\n", eight), "shape");
  expectError(file("{'descr': '<f4', 'fortran_order': False, 'shape': 2, }\n", eight), "shape");
  expectError(file("{'descr': '<f4', 'fortran_order': False}\n", eight), "shape");
}

// A disk that is full leaves no file behind.
TEST_F(NpyTest, FullDiskIsAnError) {
  OutputFile file;
  ASSERT_FALSE(file.open(path));
  ASSERT_TRUE(freopen("/dev/full", "w", file.stream()));
  Array array{MOEC_U8, {100000}, std::string(100000, 'x')};
  Status error = writeNpy(array.tensor(), file);
  EXPECT_EQ(error.code(), MOEC_IO);
  EXPECT_NE(error.message().find("No space left"), std::string::npos) << error.message();
  EXPECT_FALSE(std::filesystem::exists(path));
}

} // namespace
