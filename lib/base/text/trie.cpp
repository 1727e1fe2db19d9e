#include "base/text/trie.h"

#include <algorithm>

namespace ds::text {

Trie::Trie(std::vector<std::pair<std::string_view, std::int32_t>> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::erase_if(entries, [](const auto& entry) { return entry.first.empty(); });
  if (entries.empty()) return;
  // Breadth first: a node covers a range of the sorted strings, all with the same first `depth` bytes.
  struct Range {
    std::size_t begin, end, depth;
  };
  std::vector<Range> ranges{{0, entries.size(), 0}};
  nodes_.emplace_back();
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    Range range = ranges[node];
    const std::size_t depth = range.depth;
    for (; range.begin < range.end && entries[range.begin].first.size() == depth; ++range.begin)
      if (nodes_[node].value < 0) nodes_[node].value = entries[range.begin].second;
    nodes_[node].children = static_cast<std::uint32_t>(nodes_.size());
    while (range.begin < range.end) {
      const auto label = static_cast<unsigned char>(entries[range.begin].first[depth]);
      std::size_t end = range.begin + 1;
      while (end < range.end && static_cast<unsigned char>(entries[end].first[depth]) == label) ++end;
      Node child;
      child.label = label;
      nodes_.push_back(child);
      ranges.push_back({range.begin, end, depth + 1});
      ++nodes_[node].count;
      range.begin = end;
    }
  }
  for (std::uint32_t i = 0; i < nodes_[0].count; ++i) root_[nodes_[nodes_[0].children + i].label] = nodes_[0].children + i;
}

}  // namespace ds::text
