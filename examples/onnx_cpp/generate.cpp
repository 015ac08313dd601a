// Makes the samples of a check file with ONNX Runtime, and compares:  ./generate G.onnx G.onnx.check.npz
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "npz.hpp"

static const OrtApi* ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);

static void check(OrtStatus* status) {
  if (status == nullptr) return;
  std::string message = ort->GetErrorMessage(status);
  ort->ReleaseStatus(status);
  throw std::runtime_error(message);
}

// A tensor over the bytes of an array, which must outlive it.
static OrtValue* tensor(Array& array, const OrtMemoryInfo* memory) {
  ONNXTensorElementDataType type = array.dtype == "<i4" ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32
                                                        : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  OrtValue* value = nullptr;
  check(ort->CreateTensorWithDataAsOrtValue(memory, array.bytes.data(), array.bytes.size(),
                                            array.shape.data(), array.shape.size(), type, &value));
  return value;
}

static int compare(const char* model, const char* check_file) {
  std::map<std::string, Array> arrays = read_npz(check_file);
  const Array& expected = arrays.at("samples");

  OrtEnv* env = nullptr;
  OrtSessionOptions* options = nullptr;
  OrtSession* session = nullptr;
  OrtMemoryInfo* memory = nullptr;
  check(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "generate", &env));
  check(ort->CreateSessionOptions(&options));
  check(ort->CreateSession(env, model, options, &session));
  check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));

  std::vector<const char*> names{"latent"};
  std::vector<OrtValue*> inputs{tensor(arrays.at("latent"), memory)};
  if (arrays.count("label")) {  // a generator with a condition
    names.push_back("label");
    inputs.push_back(tensor(arrays.at("label"), memory));
  }
  const char* output = "samples";
  OrtValue* samples = nullptr;
  check(ort->Run(session, nullptr, names.data(), inputs.data(), inputs.size(), &output, 1, &samples));

  float* made = nullptr;
  check(ort->GetTensorMutableData(samples, reinterpret_cast<void**>(&made)));
  const float* wanted = reinterpret_cast<const float*>(expected.bytes.data());
  int64_t count = expected.count();
  double difference = 0;
  for (int64_t i = 0; i < count; ++i)
    difference = std::max(difference, std::fabs(double(made[i]) - double(wanted[i])));
  auto [least, most] = std::minmax_element(wanted, wanted + count);
  double range = double(*most) - double(*least);
  std::printf("samples: %lld x %lld, largest difference %.2g in a range of %.4g\n",
              static_cast<long long>(expected.shape[0]),
              static_cast<long long>(count / expected.shape[0]), difference, range);

  ort->ReleaseValue(samples);
  for (OrtValue* each : inputs) ort->ReleaseValue(each);
  ort->ReleaseMemoryInfo(memory);
  ort->ReleaseSession(session);
  ort->ReleaseSessionOptions(options);
  ort->ReleaseEnv(env);
  return difference <= 1e-5 * range ? 0 : 1;
}

int main(int words, char** word) {
  if (words != 3) {
    std::fprintf(stderr, "usage: %s G.onnx G.onnx.check.npz\n", word[0]);
    return 2;
  }
  try {
    return compare(word[1], word[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", word[0], error.what());
    return 1;
  }
}
