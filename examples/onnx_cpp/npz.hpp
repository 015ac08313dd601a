// Arrays of a .npz file as numpy.savez writes it: a zip archive without compression, a .npy file each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

struct Array {
  std::string dtype;            // "<f4" for float32, "<i4" for int32
  std::vector<int64_t> shape;
  std::vector<char> bytes;      // in C order

  int64_t count() const {
    int64_t product = 1;
    for (int64_t side : shape) product *= side;
    return product;
  }
};

namespace npz_detail {

template <typename T>
T number(const std::string& text, size_t at) {
  if (at + sizeof(T) > text.size()) throw std::runtime_error("the .npz file ends too early");
  T value;
  std::memcpy(&value, text.data() + at, sizeof(T));
  return value;
}

// The text between a key of a .npy header and one of some characters.
inline std::string between(const std::string& header, const std::string& key, char begin, char end) {
  size_t first = header.find(begin, header.find(key) + key.size());
  size_t last = header.find(end, first + 1);
  if (first == std::string::npos || last == std::string::npos)
    throw std::runtime_error("a .npy header without " + key);
  return header.substr(first + 1, last - first - 1);
}

// Version 1.0 of the format: 10 bytes, of which the last two are the header's length, and the header.
inline Array npy(const std::string& text, size_t at, size_t size) {
  size_t length = number<uint16_t>(text, at + 8);
  std::string header = text.substr(at + 10, length);
  Array array;
  array.dtype = between(header, "'descr':", '\'', '\'');
  std::string shape = between(header, "'shape':", '(', ')');
  for (size_t next = 0; next < shape.size();) {
    size_t comma = std::min(shape.find(',', next), shape.size());
    std::string side = shape.substr(next, comma - next);
    if (side.find_first_of("0123456789") != std::string::npos) array.shape.push_back(std::stoll(side));
    next = comma + 1;
  }
  size_t data = at + 10 + length;
  array.bytes.assign(text.begin() + data, text.begin() + at + size);
  if (header.find("'fortran_order': False") == std::string::npos ||
      array.bytes.size() != static_cast<size_t>(array.count()) * 4)
    throw std::runtime_error("an array that is not of 4 bytes a number in C order");
  return array;
}

}  // namespace npz_detail

// The arrays of a file by name. Sizes are in the zip64 field, which numpy.savez always writes.
inline std::map<std::string, Array> read_npz(const std::string& path) {
  using npz_detail::number;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::map<std::string, Array> arrays;
  size_t at = 0;
  while (at + 30 <= text.size() && number<uint32_t>(text, at) == 0x04034b50) {  // a local header
    uint64_t size = number<uint32_t>(text, at + 18);
    size_t name_length = number<uint16_t>(text, at + 26);
    size_t extra_length = number<uint16_t>(text, at + 28);
    if (number<uint16_t>(text, at + 8) != 0) throw std::runtime_error(path + ": is compressed");
    size_t extra = at + 30 + name_length;
    if (size == 0xffffffff) size = number<uint64_t>(text, extra + 4);
    std::string name = text.substr(at + 30, name_length);
    size_t data = extra + extra_length;
    if (data + size > text.size()) throw std::runtime_error(path + ": ends too early");
    arrays[name.substr(0, name.rfind(".npy"))] = npz_detail::npy(text, data, size);
    at = data + size;
  }
  return arrays;
}
