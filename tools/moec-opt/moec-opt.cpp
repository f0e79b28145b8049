//===- moec-opt.cpp - mlir-opt with moec's dialects and passes ------------===//
#include "moec/InitAll.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  moec::registerAllDialects(registry);
  moec::registerAllPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "moec optimiser driver\n", registry));
}
