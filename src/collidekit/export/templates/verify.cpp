// Check a bundle in C++ with ONNX Runtime: golden rows in calls of one row and of two, one thread, all optimisations.
//
//   g++ -std=c++17 -O2 verify.cpp -I ONNXRUNTIME/include -L ONNXRUNTIME/lib -lonnxruntime -o verify
//   ./verify model.onnx golden.bin [number of the graph, 0] [tolerance, 1e-5]
//
// It exits with 0 or 1. golden.bin holds the arrays of golden.npz without compression, little-endian:
//   8 bytes "CKGOLD01", int32 number of arrays, and for each array
//   int32 length of its name, the name, int32 type as in TensorProto.DataType of ONNX, int32 rank, int64 for each axis, the numbers.
// Array i.in.<name> is an input of case i, and i.out.<graph>.<name> is an expected output; i.raw.<graph>.<name> replaces it if it exists.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <onnxruntime_cxx_api.h>

struct Array {
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  std::vector<int64_t> shape;
  std::vector<char> bytes;
};
using Arrays = std::map<std::string, Array>;

struct Case {
  Arrays inputs, out, raw;
};

size_t size_of(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return 4;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: return 8;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: return 1;
    default: throw std::runtime_error("unknown type " + std::to_string(type));
  }
}

size_t count(const std::vector<int64_t>& shape) {
  size_t total = 1;
  for (int64_t n : shape) total *= static_cast<size_t>(n);
  return total;
}

double number(const char* bytes, ONNXTensorElementDataType type, size_t place) {
  auto as = [&](auto value) {
    std::memcpy(&value, bytes + place * sizeof(value), sizeof(value));
    return static_cast<double>(value);
  };
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return as(float{});
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: return as(double{});
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return as(int32_t{});
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return as(int64_t{});
    default: return as(int8_t{});
  }
}

template <typename Value>
Value read(std::istream& file) {
  Value value{};
  if (!file.read(reinterpret_cast<char*>(&value), sizeof(value))) throw std::runtime_error("golden.bin is truncated");
  return value;
}

// Reads the cases of one graph, by number.
std::map<int, Case> read_cases(const std::string& path, const std::string& graph) {
  std::ifstream file(path, std::ios::binary);
  char magic[8] = {};
  if (!file.read(magic, 8) || std::memcmp(magic, "CKGOLD01", 8) != 0) throw std::runtime_error(path + " is not a golden.bin file");
  std::map<int, Case> cases;
  for (int32_t left = read<int32_t>(file); left > 0; --left) {
    std::string name(static_cast<size_t>(read<int32_t>(file)), '\0');
    file.read(name.data(), static_cast<std::streamsize>(name.size()));
    Array array;
    array.type = static_cast<ONNXTensorElementDataType>(read<int32_t>(file));
    array.shape.resize(static_cast<size_t>(read<int32_t>(file)));
    for (int64_t& n : array.shape) n = read<int64_t>(file);
    array.bytes.resize(count(array.shape) * size_of(array.type));
    if (!file.read(array.bytes.data(), static_cast<std::streamsize>(array.bytes.size())) && !array.bytes.empty())
      throw std::runtime_error("golden.bin is truncated");
    const size_t first = name.find('.'), second = name.find('.', first + 1);
    Case& one = cases[std::stoi(name.substr(0, first))];
    const std::string kind = name.substr(first + 1, second - first - 1), rest = name.substr(second + 1);
    const size_t dot = rest.find('.');
    if (kind == "in") one.inputs[rest] = array;
    else if (rest.substr(0, dot) == graph) (kind == "raw" ? one.raw : one.out)[rest.substr(dot + 1)] = array;
  }
  return cases;
}

// Returns the largest difference, relative to the larger of 1 and the expected number. The output is read from `row` on; its other axes may be longer.
double difference(const Array& wanted, const char* found, ONNXTensorElementDataType type, const std::vector<int64_t>& shape,
                  size_t row) {
  if (shape.size() != wanted.shape.size()) return INFINITY;
  double worst = 0;
  for (size_t i = 0; i < count(wanted.shape); ++i) {
    size_t rest = i, place = 0, stride = 1;
    for (size_t axis = shape.size(); axis-- > 0;) {
      const size_t length = static_cast<size_t>(wanted.shape[axis]);
      const size_t index = rest % length + (axis == 0 ? row : 0);
      if (index >= static_cast<size_t>(shape[axis])) return INFINITY;
      place += index * stride;
      stride *= static_cast<size_t>(shape[axis]);
      rest /= length;
    }
    const double a = number(wanted.bytes.data(), wanted.type, i), b = number(found, type, place);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double apart = std::abs(a - b) / std::max(1.0, std::abs(a));
    worst = std::isnan(apart) ? INFINITY : std::max(worst, apart);
  }
  return worst;
}

// Returns the largest difference of a case in a call with `rows` equal rows.
double run(Ort::Session& session, const Case& one, const std::vector<std::string>& names, size_t inputs, size_t rows) {
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::vector<Array> given;
  std::vector<const char*> text;
  for (const std::string& name : names) text.push_back(name.c_str());
  for (size_t k = 0; k < inputs; ++k) {
    given.push_back(one.inputs.at(names[k]));
    if (rows == 1) continue;
    given[k].shape[0] *= static_cast<int64_t>(rows);
    const std::vector<char> row = given[k].bytes;
    for (size_t i = 1; i < rows; ++i) given[k].bytes.insert(given[k].bytes.end(), row.begin(), row.end());
  }
  std::vector<Ort::Value> tensors;
  for (Array& array : given)
    tensors.push_back(Ort::Value::CreateTensor(memory, array.bytes.data(), array.bytes.size(), array.shape.data(),
                                               array.shape.size(), array.type));
  const auto found =
      session.Run(Ort::RunOptions{nullptr}, text.data(), tensors.data(), inputs, text.data() + inputs, names.size() - inputs);
  const Arrays& wanted = one.raw.empty() ? one.out : one.raw;
  double worst = 0;
  for (size_t k = inputs; k < names.size(); ++k) {
    const auto entry = wanted.find(names[k]);
    if (entry == wanted.end()) continue;
    const auto info = found[k - inputs].GetTensorTypeAndShapeInfo();
    const char* numbers = static_cast<const char*>(found[k - inputs].GetTensorRawData());
    const std::vector<int64_t> shape = info.GetShape();
    if (rows > 1 && (shape.empty() || shape[0] != static_cast<int64_t>(rows))) return INFINITY;
    for (size_t row = 0; row < rows; ++row) worst = std::max(worst, difference(entry->second, numbers, info.GetElementType(), shape, row));
  }
  return worst;
}

int main(int argc, char** argv) try {
  if (argc < 3) throw std::runtime_error("usage: verify model.onnx golden.bin [graph] [tolerance]");
  const double tolerance = argc > 4 ? std::stod(argv[4]) : 1e-5;
  Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "verify");
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.SetGraphOptimizationLevel(GraphOptimizationLevel::ORT_ENABLE_ALL);
  Ort::Session session(environment, argv[1], options);
  Ort::AllocatorWithDefaultOptions allocator;
  std::vector<std::string> names;
  const size_t inputs = session.GetInputCount();
  bool batched = true;
  for (size_t k = 0; k < inputs; ++k) {
    names.emplace_back(session.GetInputNameAllocated(k, allocator).get());
    const auto shape = session.GetInputTypeInfo(k).GetTensorTypeAndShapeInfo().GetShape();
    batched = batched && !shape.empty() && shape[0] < 0;
  }
  for (size_t k = 0; k < session.GetOutputCount(); ++k) names.emplace_back(session.GetOutputNameAllocated(k, allocator).get());
  const auto cases = read_cases(argv[2], argc > 3 ? argv[3] : "0");
  if (cases.empty()) throw std::runtime_error("golden.bin has no rows");
  bool passed = true;
  for (size_t rows : {1, 2}) {
    if (rows > 1 && !batched) break;
    double worst = 0;
    for (const auto& [number, one] : cases) worst = std::max(worst, run(session, one, names, inputs, rows));
    const bool good = worst <= tolerance;
    std::printf("%s %zu golden rows in calls of %zu: largest difference %.1e\n", good ? "ok    " : "FAILED", cases.size(), rows, worst);
    passed = passed && good;
  }
  return passed ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "FAILED %s\n", error.what());
  return 1;
}
