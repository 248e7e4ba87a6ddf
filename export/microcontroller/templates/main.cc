/* Runs network on its golden inputs and compares the outputs. Returns 0 if all are within the tolerance. */
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

#include "network_golden.h"
#include "network_model.h"
#include "network_ops.h"
#include "network_settings.h"

namespace {

alignas(16) uint8_t arena[NETWORK_ARENA_SIZE];

/* Copies a sample into an input. */
template <typename Value>
bool Fill(TfLiteTensor *input, const Value *values, size_t count) {
  if (input == nullptr || input->bytes != count * sizeof(Value)) {
    MicroPrintf("The size of an input differs from that of its golden sample.");
    return false;
  }
  std::memcpy(input->data.raw, values, input->bytes);
  return true;
}

/* Counts the values of an output that differ from the golden ones by more than the tolerance, or are NaN. */
template <typename Value>
int Different(const TfLiteTensor *output, const Value *golden, size_t count, double tolerance) {
  if (output == nullptr || output->bytes != count * sizeof(Value)) {
    MicroPrintf("The size of an output differs from that of its golden sample.");
    return 1;
  }
  const Value *values = reinterpret_cast<const Value *>(output->data.raw);
  int different = 0;
  for (size_t i = 0; i < count; ++i) {
    const double difference = static_cast<double>(values[i]) - static_cast<double>(golden[i]);
    if (!(difference <= tolerance && -difference <= tolerance)) ++different;
  }
  return different;
}

}  // namespace

int main() {
  tflite::InitializeTarget();
  const tflite::Model *model = tflite::GetModel(network_model);
  if (model->version() != TFLITE_SCHEMA_VERSION) {
    MicroPrintf("The runtime supports another version of the file format.");
    return 1;
  }
  static tflite::MicroMutableOpResolver<1> resolver;
  if (network_add_ops(resolver) != kTfLiteOk) return 1;
  static tflite::MicroInterpreter interpreter(model, resolver, arena, sizeof(arena));
  if (interpreter.AllocateTensors() != kTfLiteOk) {
    MicroPrintf("The arena may be too small: it has %d bytes.", static_cast<int>(sizeof(arena)));
    return 1;
  }
  MicroPrintf("arena: %d of %d bytes", static_cast<int>(interpreter.arena_used_bytes()),
              static_cast<int>(sizeof(arena)));

  int different = 0;
  for (size_t sample = 0; sample < NETWORK_GOLDEN_SAMPLES; ++sample) {
    // each input
    if (!Fill(interpreter.input(0),
              network_golden_input + sample * NETWORK_INPUT_SIZE, NETWORK_INPUT_SIZE)) return 1;
    // end
    if (interpreter.Invoke() != kTfLiteOk) return 1;
    // each output
    different += Different(interpreter.output(0),
                           network_golden_output + sample * NETWORK_OUTPUT_SIZE, NETWORK_OUTPUT_SIZE,
                           NETWORK_GOLDEN_OUTPUT_TOLERANCE);
    // end
  }
  MicroPrintf("network: %d samples, %d values differ", NETWORK_GOLDEN_SAMPLES, different);
  return different == 0 ? 0 : 1;
}
