/* speak TEXT [WEIGHTS]: continues a text by eight bytes with the model that is
 * linked into this program. */
#include "model.h"
#include "moec/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMost = 256, kNew = 8 };

static void check(moec_status status) {
  if (status == MOEC_OK)
    return;
  fprintf(stderr, "error: %s\n", moec_last_error());
  exit(1);
}

int main(int count, char **words) {
  if (count < 2 || strlen(words[1]) + kNew > kMost)
    return 2;
  moec_model *model = NULL;
  moec_session *session = NULL;
  check(moec_model_from_module(model_module(), count > 2 ? words[2] : NULL, NULL, &model));
  check(moec_session_create(model, NULL, &session));

  int32_t ids = moec_model_find_input(model, "input_ids");
  int32_t mask = moec_model_find_input(model, "attention_mask");
  int32_t logits = moec_model_find_output(model, "logits");
  moec_tensor *inputs = calloc(moec_model_input_count(model), sizeof *inputs);
  moec_tensor *outputs = calloc(moec_model_output_count(model), sizeof *outputs);

  int64_t text[kMost], ones[kMost], length = (int64_t)strlen(words[1]), done = 0;
  for (int64_t i = 0; i < kMost; ++i)
    ones[i] = 1;
  for (int64_t i = 0; i < length; ++i)
    text[i] = (unsigned char)words[1][i];
  for (int step = 0; step < kNew; ++step) {
    /* What was run before is the session's state. */
    inputs[ids] = (moec_tensor){text + done, MOEC_I64, 2, {1, length - done}, {0}, 0};
    if (mask >= 0)
      inputs[mask] = (moec_tensor){ones, MOEC_I64, 2, {1, length}, {0}, 0};
    check(moec_session_run(session, inputs, outputs));
    done = length;
    const moec_tensor *out = &outputs[logits];
    const float *last = (const float *)out->data + (out->sizes[1] - 1) * out->strides[1];
    int64_t best = 0;
    for (int64_t id = 1; id < out->sizes[2]; ++id)
      if (last[id] > last[best])
        best = id;
    text[length++] = best;
    putchar((int)best);
  }
  putchar('\n');

  free(inputs);
  free(outputs);
  moec_session_release(session);
  moec_model_release(model);
  return 0;
}
