#include <fstream>

#include "base/core/error.h"
#include "base/report/run_page.h"

namespace ds::report {
namespace {

using Json = nlohmann::json;
constexpr std::size_t kMostAlarms = 100;

void add(RunHistory::Curve& curve, double step, double value) {
  if (curve.seen++ % curve.stride != 0) return;
  curve.points.emplace_back(step, value);
  if (curve.points.size() < RunHistory::kMostPoints) return;
  for (std::size_t i = 0; i < curve.points.size() / 2; ++i) curve.points[i] = curve.points[2 * i];
  curve.points.resize(curve.points.size() / 2);
  curve.stride *= 2;
}

}  // namespace

void RunHistory::line(const Json& line) {
  if (!line.is_object() || !line.contains("step") || !line["step"].is_number()) return;
  const std::string kind = line.value("kind", "");
  if (kind == "epoch") epochs_.push_back(line);
  if (kind == "alarm") {
    if (alarms_.size() == kMostAlarms) alarms_.erase(alarms_.begin());
    alarms_.push_back(line);
  }
  if (kind != "step") return;
  for (const auto& [key, value] : line.items())
    if (value.is_number() && key != "step" && key != "epoch") add(steps_[key], line["step"].get<double>(), value.get<double>());
}

void RunHistory::read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Exit::kInput, path, "cannot be read");
  in.seekg(0, std::ios::end);
  if (in.tellg() < offset_) *this = {};
  in.seekg(offset_);
  for (std::string text; std::getline(in, text) && !in.eof();) {
    offset_ += static_cast<std::int64_t>(text.size()) + 1;
    line(Json::parse(text, nullptr, false));
  }
}

}  // namespace ds::report
