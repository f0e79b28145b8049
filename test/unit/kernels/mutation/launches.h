// Kernels as they are shipped, launched so that they do all that they can: on rows
// that begin where vectors can be read and on others, with blocks and tiles that
// are full and parts. That results are right is for other tests; vgpu-mutate asks
// whether mistakes in the kernels would change anything.
#pragma once

#include "test/unit/kernels/device_program.h"
#include "gtest/gtest.h"

namespace moec::test {

/// The program on a tensor %name that is all but the first element of each row of a
/// larger one: its rows begin where no vector can be read.
std::string onSlices(std::string text, const std::string &name);
/// That larger one.
Array beforeSlicing(const Array &rows);

/// Compiles and runs the program once on each list of inputs.
void launch(const std::string &text, const std::vector<std::vector<Array>> &inputs);
/// With the input `number`, %name, in slices.
void launchOnSlices(const std::string &text, const std::string &name, size_t number,
                    std::vector<std::vector<Array>> inputs);
/// Both.
void launchSliced(const std::string &text, const std::string &name, size_t number,
                  const std::vector<std::vector<Array>> &inputs);

} // namespace moec::test
