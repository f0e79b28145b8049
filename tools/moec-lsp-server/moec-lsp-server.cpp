//===- moec-lsp-server.cpp - mlir-lsp-server with moec's dialects ---------===//
#include "moec/InitAll.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  moec::registerAllDialects(registry);
  return failed(mlir::MlirLspServerMain(argc, argv, registry));
}
