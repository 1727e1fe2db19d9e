// The longest of many strings at a place of a text: added tokens, the pieces of a unigram vocabulary.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ds::text {

/// A trie over bytes; the children of a node lie side by side, sorted.
class Trie {
 public:
  Trie() = default;
  /// Strings with their numbers (>= 0); empty ones are left out, and of two equal ones the first counts.
  explicit Trie(std::vector<std::pair<std::string_view, std::int32_t>> entries);

  bool empty() const { return nodes_.size() < 2; }
  /// Whether any string begins with that byte.
  bool begins(char byte) const { return !empty() && child(0, static_cast<unsigned char>(byte)) != 0; }
  /// Calls `found(length, number)` for every string that `text` begins with, shortest first.
  template <class Found>
  void prefixes(std::string_view text, Found&& found) const {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size() && !nodes_.empty(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (nodes_[node].value >= 0) found(i + 1, nodes_[node].value);
    }
  }

 private:
  struct Node {
    std::uint32_t children = 0;  ///< index of the first
    std::uint16_t count = 0;
    unsigned char label = 0;
    std::int32_t value = -1;
  };
  /// 0 where there is none.
  std::uint32_t child(std::uint32_t node, unsigned char label) const {
    if (node == 0) return root_[label];
    const Node& parent = nodes_[node];
    std::uint32_t low = parent.children, high = low + parent.count;
    while (low < high) {
      const std::uint32_t middle = (low + high) / 2;
      if (nodes_[middle].label < label)
        low = middle + 1;
      else
        high = middle;
    }
    return low < parent.children + parent.count && nodes_[low].label == label ? low : 0;
  }

  std::vector<Node> nodes_;
  std::uint32_t root_[256] = {};
};

}  // namespace ds::text
