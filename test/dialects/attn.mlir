// Every op of the dialect survives a round trip, and each constraint is checked.
// RUN: moec-opt %s --split-input-file --verify-diagnostics | moec-opt --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<?x?x8x64xf32>, %k: tensor<?x2x?x64xf32>, %v: tensor<?x2x?x32xf32>,
                     %bias: tensor<1x1x?x?xf32>, %mask: tensor<?x8x?x?xi1>, %sink: tensor<8xf32>,
                     %n: tensor<?xi64>) -> tensor<?x?x8x32xf32> {
  // CHECK: attn.attention %{{.*}}, %{{.*}}, %{{.*}} bias(%{{.*}} : tensor<1x1x?x?xf32>) mask(%{{.*}} : tensor<?x8x?x?xi1>) sink(%{{.*}} : tensor<8xf32>) kv_lengths(%{{.*}} : tensor<?xi64>) q_offsets(%{{.*}} : tensor<?xi64>) {left = 127 : i64, right = 0 : i64, scale = 1.250000e-01 : f64, softcap = 3.000000e+01 : f64} : tensor<?x?x8x64xf32>, tensor<?x2x?x64xf32>, tensor<?x2x?x32xf32> -> tensor<?x?x8x32xf32>
  %y = attn.attention %q, %k, %v bias(%bias : tensor<1x1x?x?xf32>) mask(%mask : tensor<?x8x?x?xi1>)
       sink(%sink : tensor<8xf32>) kv_lengths(%n : tensor<?xi64>) q_offsets(%n : tensor<?xi64>)
       {scale = 0.125 : f64, left = 127, right = 0, softcap = 30.0 : f64}
       : tensor<?x?x8x64xf32>, tensor<?x2x?x64xf32>, tensor<?x2x?x32xf32> -> tensor<?x?x8x32xf32>
  return %y : tensor<?x?x8x32xf32>
}

// CHECK-LABEL: func.func @scores
func.func @scores(%q: tensor<?x?x8x64xf32>, %k: tensor<?x2x?x64xf32>) -> tensor<?x8x?x?xf32> {
  // CHECK: attn.scores %{{.*}}, %{{.*}} {right = 0 : i64, scale = 1.250000e-01 : f64, stage = #attn.stage<masked>} : tensor<?x?x8x64xf32>, tensor<?x2x?x64xf32> -> tensor<?x8x?x?xf32>
  %x = attn.scores %q, %k {scale = 0.125 : f64, right = 0, stage = #attn.stage<masked>}
       : tensor<?x?x8x64xf32>, tensor<?x2x?x64xf32> -> tensor<?x8x?x?xf32>
  return %x : tensor<?x8x?x?xf32>
}

// CHECK-LABEL: func.func @linear_attention
func.func @linear_attention(%q: tensor<?x?x4x64xf16>, %k: tensor<?x?x2x64xf16>, %v: tensor<?x?x8x32xf16>,
                            %s: tensor<?x8x64x32xf32>, %g: tensor<?x?x8x1xf16>, %b: tensor<?x?x8xf16>)
    -> (tensor<?x?x8x32xf16>, tensor<?x8x64x32xf32>) {
  // CHECK: %[[LINEAR:.*]], %[[STATE:.*]] = attn.linear_attention %{{.*}}, %{{.*}}, %{{.*}} state(%{{.*}} : tensor<?x8x64x32xf32>) {scale = 1.000000e+00 : f64} : tensor<?x?x4x64xf16>, tensor<?x?x2x64xf16>, tensor<?x?x8x32xf16> -> tensor<?x?x8x32xf16>, tensor<?x8x64x32xf32>
  %y, %s1 = attn.linear_attention %q, %k, %v state(%s : tensor<?x8x64x32xf32>) {scale = 1.0 : f64}
       : tensor<?x?x4x64xf16>, tensor<?x?x2x64xf16>, tensor<?x?x8x32xf16> -> tensor<?x?x8x32xf16>, tensor<?x8x64x32xf32>
  // CHECK: attn.linear_attention %{{.*}}, %{{.*}}, %[[LINEAR]] state(%[[STATE]] : tensor<?x8x64x32xf32>) decay(%{{.*}} : tensor<?x?x8x1xf16>) beta(%{{.*}} : tensor<?x?x8xf16>) {scale = 1.250000e-01 : f64} : tensor<?x?x4x64xf16>, tensor<?x?x2x64xf16>, tensor<?x?x8x32xf16> -> tensor<?x?x8x32xf16>, tensor<?x8x64x32xf32>
  %z, %s2 = attn.linear_attention %q, %k, %y state(%s1 : tensor<?x8x64x32xf32>)
       decay(%g : tensor<?x?x8x1xf16>) beta(%b : tensor<?x?x8xf16>) {scale = 0.125 : f64}
       : tensor<?x?x4x64xf16>, tensor<?x?x2x64xf16>, tensor<?x?x8x32xf16> -> tensor<?x?x8x32xf16>, tensor<?x8x64x32xf32>
  return %z, %s2 : tensor<?x?x8x32xf16>, tensor<?x8x64x32xf32>
}

// CHECK-LABEL: func.func @cache_append
func.func @cache_append(%past: tensor<?x2x?x64xf32>, %new: tensor<?x?x2x64xf32>, %n: tensor<?xi64>,
                        %dest: tensor<?x2x?x64xf32>) -> tensor<?x2x?x64xf32> {
  // CHECK: attn.cache_append %{{.*}}, %{{.*}} lengths(%{{.*}} : tensor<?xi64>) outs(%{{.*}} : tensor<?x2x?x64xf32>) : tensor<?x2x?x64xf32>, tensor<?x?x2x64xf32> -> tensor<?x2x?x64xf32>
  %y = attn.cache_append %past, %new lengths(%n : tensor<?xi64>) outs(%dest : tensor<?x2x?x64xf32>)
       : tensor<?x2x?x64xf32>, tensor<?x?x2x64xf32> -> tensor<?x2x?x64xf32>
  return %y : tensor<?x2x?x64xf32>
}

// CHECK-LABEL: func.func @rope
func.func @rope(%x: tensor<?x?x8x64xf32>, %c: tensor<4096x16xf32>, %p: tensor<?x?xi64>,
                %c3: tensor<?x?x32xf32>) -> tensor<?x?x8x64xf32> {
  // CHECK: attn.rope interleaved %{{.*}}, %{{.*}}, %{{.*}} positions(%{{.*}} : tensor<?x?xi64>) : tensor<?x?x8x64xf32>, tensor<4096x16xf32>, tensor<4096x16xf32> -> tensor<?x?x8x64xf32>
  %y = attn.rope interleaved %x, %c, %c positions(%p : tensor<?x?xi64>)
       : tensor<?x?x8x64xf32>, tensor<4096x16xf32>, tensor<4096x16xf32> -> tensor<?x?x8x64xf32>
  // CHECK: attn.rope %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x8x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32> -> tensor<?x?x8x64xf32>
  %z = attn.rope %y, %c3, %c3
       : tensor<?x?x8x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32> -> tensor<?x?x8x64xf32>
  return %z : tensor<?x?x8x64xf32>
}

// CHECK-LABEL: func.func @norms
func.func @norms(%x: tensor<?x?x256xf16>, %s: tensor<256xf32>) -> tensor<?x?x256xf16> {
  // CHECK: attn.rms_norm %{{.*}}, %{{.*}} {axis = 2 : i64, epsilon = 1.000000e-05 : f64} : tensor<?x?x256xf16>, tensor<256xf32> -> tensor<?x?x256xf16>
  %y = attn.rms_norm %x, %s {axis = 2, epsilon = 1.0e-5 : f64}
       : tensor<?x?x256xf16>, tensor<256xf32> -> tensor<?x?x256xf16>
  // CHECK: attn.layer_norm %{{.*}}, %{{.*}} bias(%{{.*}} : tensor<256xf32>) {axis = 2 : i64, epsilon = 1.000000e-05 : f64} : tensor<?x?x256xf16>, tensor<256xf32> -> tensor<?x?x256xf16>, tensor<?x?x1xf32>, tensor<?x?x1xf32>
  %z, %mean, %inverse = attn.layer_norm %y, %s bias(%s : tensor<256xf32>)
       {axis = 2, epsilon = 1.0e-5 : f64}
       : tensor<?x?x256xf16>, tensor<256xf32> -> tensor<?x?x256xf16>, tensor<?x?x1xf32>, tensor<?x?x1xf32>
  return %z : tensor<?x?x256xf16>
}

// -----

func.func @inferred_result(%q: tensor<?x?x8x64xf32>, %k: tensor<?x2x?x64xf32>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @below {{'attn.attention' op inferred type(s) 'tensor<?x?x8x64xf32>' are incompatible with return type(s) of operation 'tensor<?x?x8x32xf32>'}}
  %y = attn.attention %q, %k, %k {scale = 0.125 : f64}
       : tensor<?x?x8x64xf32>, tensor<?x2x?x64xf32>, tensor<?x2x?x64xf32> -> tensor<?x?x8x32xf32>
  return
}

// -----

func.func @attention_c1(%q: tensor<?x?x8x64xf32>, %k: tensor<?x2x?x32xf32>) {
  // expected-error @below {{requires dimension 3 of q and 3 of k to be equal, but they are 64 and 32}}
  %y = attn.attention %q, %k, %k {scale = 0.125 : f64}
       : tensor<?x?x8x64xf32>, tensor<?x2x?x32xf32>, tensor<?x2x?x32xf32> -> tensor<?x?x8x32xf32>
  return
}

// -----

func.func @attention_c2(%q: tensor<?x?x8x64xf32>, %k: tensor<?x3x?x64xf32>) {
  // expected-error @below {{requires the query heads to be a multiple of the key heads, but they are 8 and 3}}
  %y = attn.attention %q, %k, %k {scale = 0.125 : f64}
       : tensor<?x?x8x64xf32>, tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32> -> tensor<?x?x8x64xf32>
  return
}

// -----

func.func @attention_c3(%q: tensor<?x?x8x64xf32>, %k: tensor<?x2x9x64xf32>, %b: tensor<1x1x?x10xf32>) {
  // expected-error @below {{requires dimension 3 of bias to be at most the 9 keys, but it is 10}}
  %y = attn.attention %q, %k, %k bias(%b : tensor<1x1x?x10xf32>) {scale = 0.125 : f64}
       : tensor<?x?x8x64xf32>, tensor<?x2x9x64xf32>, tensor<?x2x9x64xf32> -> tensor<?x?x8x64xf32>
  return
}

// -----

func.func @attention_c4(%q: tensor<3x?x8x64xf32>, %k: tensor<3x2x?x64xf32>, %n: tensor<2xi64>) {
  // expected-error @below {{requires dimension 0 of kv_lengths and 0 of q to be equal, but they are 2 and 3}}
  %y = attn.attention %q, %k, %k kv_lengths(%n : tensor<2xi64>) {scale = 0.125 : f64}
       : tensor<3x?x8x64xf32>, tensor<3x2x?x64xf32>, tensor<3x2x?x64xf32> -> tensor<3x?x8x64xf32>
  return
}

// -----

func.func @attention_c5(%q: tensor<?x?x8x64xf32>, %k: tensor<?x2x?x64xf32>) {
  // expected-error @below {{requires left and right of at least -1, but they are -2 and -1}}
  %y = attn.attention %q, %k, %k {scale = 0.125 : f64, left = -2}
       : tensor<?x?x8x64xf32>, tensor<?x2x?x64xf32>, tensor<?x2x?x64xf32> -> tensor<?x?x8x64xf32>
  return
}

// -----

func.func @attention_c6(%q: tensor<?x?x8x64xf32>, %k: tensor<?x2x?x64xf16>) {
  // expected-error @below {{requires q, k and v of one element type}}
  %y = attn.attention %q, %k, %k {scale = 0.125 : f64}
       : tensor<?x?x8x64xf32>, tensor<?x2x?x64xf16>, tensor<?x2x?x64xf16> -> tensor<?x?x8x64xf32>
  return
}

// -----

func.func @linear_attention_c1_depth(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x2x48xf32>, %v: tensor<?x?x2x32xf32>,
                               %s: tensor<?x2x64x32xf32>) {
  // expected-error @below {{requires dimension 3 of q and 3 of k to be equal, but they are 64 and 48}}
  %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x2x64x32xf32>) {scale = 0.125 : f64}
       : tensor<?x?x4x64xf32>, tensor<?x?x2x48xf32>, tensor<?x?x2x32xf32> -> tensor<?x?x4x32xf32>, tensor<?x2x64x32xf32>
  return
}

// -----

func.func @linear_attention_c1_state(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x2x64xf32>, %v: tensor<?x?x2x32xf32>,
                               %s: tensor<?x2x64x16xf32>) {
  // expected-error @below {{requires dimension 3 of state and 3 of v to be equal, but they are 16 and 32}}
  %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x2x64x16xf32>) {scale = 0.125 : f64}
       : tensor<?x?x4x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x32xf32> -> tensor<?x?x4x32xf32>, tensor<?x2x64x16xf32>
  return
}

// -----

func.func @linear_attention_c2(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x2x64xf32>, %v: tensor<?x?x3x32xf32>,
                               %s: tensor<?x3x64x32xf32>) {
  // expected-error @below {{requires the heads of q to be a multiple of those of v, but they are 4 and 3}}
  %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x3x64x32xf32>) {scale = 0.125 : f64}
       : tensor<?x?x4x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x3x32xf32> -> tensor<?x?x4x32xf32>, tensor<?x3x64x32xf32>
  return
}

// -----

func.func @linear_attention_c2_keys(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x4x64xf32>, %v: tensor<?x?x2x32xf32>,
                               %s: tensor<?x2x64x32xf32>) {
  // expected-error @below {{requires the heads of v to be a multiple of those of k, but they are 2 and 4}}
  %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x2x64x32xf32>) {scale = 0.125 : f64}
       : tensor<?x?x4x64xf32>, tensor<?x?x4x64xf32>, tensor<?x?x2x32xf32> -> tensor<?x?x4x32xf32>, tensor<?x2x64x32xf32>
  return
}

// -----

func.func @linear_attention_c3_decay(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x2x64xf32>, %v: tensor<?x?x2x32xf32>,
                               %s: tensor<?x2x64x32xf32>, %g: tensor<?x?x2x32xf32>) {
  // expected-error @below {{requires dimension 3 of decay to be 1 or dimension 3 of q, but it is 32 and that is 64}}
  %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x2x64x32xf32>) decay(%g : tensor<?x?x2x32xf32>) {scale = 0.125 : f64}
       : tensor<?x?x4x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x32xf32> -> tensor<?x?x4x32xf32>, tensor<?x2x64x32xf32>
  return
}

// -----

func.func @linear_attention_c3_beta(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x2x64xf32>, %v: tensor<?x?x2x32xf32>,
                               %s: tensor<?x2x64x32xf32>, %b: tensor<?x?x4xf32>) {
  // expected-error @below {{requires dimension 2 of beta to be 1 or dimension 2 of v, but it is 4 and that is 2}}
  %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x2x64x32xf32>) beta(%b : tensor<?x?x4xf32>) {scale = 0.125 : f64}
       : tensor<?x?x4x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x32xf32> -> tensor<?x?x4x32xf32>, tensor<?x2x64x32xf32>
  return
}

// -----

func.func @linear_attention_c4(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x2x64xf16>, %v: tensor<?x?x2x32xf32>,
                               %s: tensor<?x2x64x32xf32>) {
  // expected-error @below {{requires q, k and v of one element type}}
  %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x2x64x32xf32>) {scale = 0.125 : f64}
       : tensor<?x?x4x64xf32>, tensor<?x?x2x64xf16>, tensor<?x?x2x32xf32> -> tensor<?x?x4x32xf32>, tensor<?x2x64x32xf32>
  return
}

// -----

func.func @scores_c1(%q: tensor<?x?x8x64xf32>, %k: tensor<?x2x?x32xf32>) {
  // expected-error @below {{requires dimension 3 of q and 3 of k to be equal, but they are 64 and 32}}
  %y = attn.scores %q, %k {scale = 0.125 : f64, stage = #attn.stage<raw>}
       : tensor<?x?x8x64xf32>, tensor<?x2x?x32xf32> -> tensor<?x8x?x?xf32>
  return
}

// -----

func.func @cache_append_c1(%past: tensor<?x2x?x64xf32>, %new: tensor<?x?x4x64xf32>,
                           %dest: tensor<?x2x?x64xf32>) {
  // expected-error @below {{requires dimension 2 of update and 1 of dest to be equal, but they are 4 and 2}}
  %y = attn.cache_append %past, %new outs(%dest : tensor<?x2x?x64xf32>)
       : tensor<?x2x?x64xf32>, tensor<?x?x4x64xf32> -> tensor<?x2x?x64xf32>
  return
}

// -----

func.func @cache_append_c2(%past: tensor<1x2x?x64xf32>, %new: tensor<1x?x2x64xf32>, %n: tensor<2xi64>,
                           %dest: tensor<1x2x?x64xf32>) {
  // expected-error @below {{requires dimension 0 of lengths and 0 of dest to be equal, but they are 2 and 1}}
  %y = attn.cache_append %past, %new lengths(%n : tensor<2xi64>) outs(%dest : tensor<1x2x?x64xf32>)
       : tensor<1x2x?x64xf32>, tensor<1x?x2x64xf32> -> tensor<1x2x?x64xf32>
  return
}

// -----

func.func @rope_c1(%x: tensor<?x?x8x64xf32>, %c: tensor<4096x16xf32>) {
  // expected-error @below {{requires caches of rank 3 without positions, but they are 2 and 2}}
  %y = attn.rope %x, %c, %c
       : tensor<?x?x8x64xf32>, tensor<4096x16xf32>, tensor<4096x16xf32> -> tensor<?x?x8x64xf32>
  return
}

// -----

func.func @rope_c2(%x: tensor<?x?x8x64xf32>, %c: tensor<?x?x64xf32>) {
  // expected-error @below {{requires at most as many rotated dimensions as the head has, but they are 128 and 64}}
  %y = attn.rope %x, %c, %c
       : tensor<?x?x8x64xf32>, tensor<?x?x64xf32>, tensor<?x?x64xf32> -> tensor<?x?x8x64xf32>
  return
}

// -----

func.func @rope_c3(%x: tensor<?x5x8x64xf32>, %c: tensor<4096x16xf32>, %p: tensor<?x4xi64>) {
  // expected-error @below {{requires dimension 1 of positions and 1 of x to be equal, but they are 4 and 5}}
  %y = attn.rope %x, %c, %c positions(%p : tensor<?x4xi64>)
       : tensor<?x5x8x64xf32>, tensor<4096x16xf32>, tensor<4096x16xf32> -> tensor<?x5x8x64xf32>
  return
}

// -----

func.func @rms_norm_c1(%x: tensor<?x4xf32>, %s: tensor<4xf32>) {
  // expected-error @below {{requires 0 <= axis < 2, but axis is 2}}
  %y = attn.rms_norm %x, %s {axis = 2, epsilon = 1.0e-5 : f64}
       : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @rms_norm_c2(%x: tensor<?x4xf32>, %s: tensor<5xf32>) {
  // expected-error @below {{requires dimension 0 of scale and 1 of x to be equal, but they are 5 and 4}}
  %y = attn.rms_norm %x, %s {axis = 1, epsilon = 1.0e-5 : f64}
       : tensor<?x4xf32>, tensor<5xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @layer_norm_c1(%x: tensor<?x4xf32>, %s: tensor<4xf32>) {
  // expected-error @below {{requires 0 <= axis < 2, but axis is -1}}
  %y, %mean, %inverse = attn.layer_norm %x, %s {axis = -1, epsilon = 1.0e-5 : f64}
       : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>, tensor<1x1xf32>, tensor<1x1xf32>
  return
}

// -----

func.func @layer_norm_c2(%x: tensor<?x4xf32>, %s: tensor<4xf32>, %b: tensor<?x4xf32>) {
  // expected-error @below {{requires bias of rank 1, but it is 2}}
  %y, %mean, %inverse = attn.layer_norm %x, %s bias(%b : tensor<?x4xf32>) {axis = 1, epsilon = 1.0e-5 : f64}
       : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>, tensor<?x1xf32>, tensor<?x1xf32>
  return
}
