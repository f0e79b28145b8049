// moec: the compiler's and the runtime's command line.
#include "tools/moec/Compiler.h"

using namespace moec::tools;

int main(int count, char **words) {
  constexpr const Command *kCommands[] = {&compileCommand, &runCommand,   &generateCommand,
                                          &inspectCommand, &benchCommand, &selfcheckCommand};
  return dispatch(kCommands, count, words);
}
