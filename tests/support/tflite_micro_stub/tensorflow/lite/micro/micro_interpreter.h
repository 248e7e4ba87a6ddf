// A stand-in for tests: see README.md beside it.
#ifndef STUB_MICRO_INTERPRETER_H_
#define STUB_MICRO_INTERPRETER_H_

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

// What a test defines.
namespace stub {
TfLiteTensor *input(size_t index);
TfLiteTensor *output(size_t index);
TfLiteStatus allocate(const uint8_t *model, size_t operations, size_t arena_size);
TfLiteStatus invoke();
}  // namespace stub

namespace tflite {

class MicroInterpreter {
 public:
  MicroInterpreter(const Model *model, const MicroOpResolver &resolver, uint8_t *, size_t arena_size)
      : model_(model), resolver_(resolver), arena_size_(arena_size) {}
  TfLiteStatus AllocateTensors() {
    return stub::allocate(reinterpret_cast<const uint8_t *>(model_), resolver_.added(), arena_size_);
  }
  TfLiteStatus Invoke() { return stub::invoke(); }
  TfLiteTensor *input(size_t index) { return stub::input(index); }
  TfLiteTensor *output(size_t index) { return stub::output(index); }
  size_t arena_used_bytes() const { return arena_size_; }

 private:
  const Model *model_;
  const MicroOpResolver &resolver_;
  size_t arena_size_;
};

}  // namespace tflite

#endif
