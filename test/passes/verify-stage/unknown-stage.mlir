// RUN: not moec-opt %s --moec-verify-stage=stage=cook 2>&1 | FileCheck %s
// CHECK: Cannot find option named 'cook'
