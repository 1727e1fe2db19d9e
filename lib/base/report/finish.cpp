// Puts together what a Collector has read: orders models and steps, and chooses which of several figures to show.
#include <algorithm>
#include <filesystem>
#include <set>

#include "base/report/facts.h"

namespace ds::report {

namespace {

/// The file's name without the endings of checkpoints.
std::string stem(const std::string& path) {
  const std::filesystem::path name = std::filesystem::path(path).filename();
  return (name.extension() == ".h5" || name.extension() == ".hdf5" ? name.stem() : name).string();
}

std::string folder_name(const std::string& path) { return std::filesystem::path(path).parent_path().filename().string(); }

/// Digests of all that a model came from, the nearest first.
std::vector<std::string> ancestors(const Model& model) {
  std::vector<std::string> all;
  for (auto step = model.provenance.rbegin(); step != model.provenance.rend(); ++step)
    for (const std::string& parent : strings_at(*step, "parents")) all.push_back(parent);
  return all;
}

}  // namespace

void mark_dominated(std::vector<Model>& models) {
  const auto figures = [](const Model& m) {
    return std::vector<double>{m.score ? -m.score->top1 : NAN, m.latency ? m.latency->p50 : 0, m.tensor_bytes};
  };
  for (Model& m : models) {
    const std::vector<double> mine = figures(m);
    m.dominated = std::any_of(models.begin(), models.end(), [&](const Model& other) {
      if (other.latency.has_value() != m.latency.has_value() || (other.score && m.score && other.score->split != m.score->split)) return false;
      const std::vector<double> its = figures(other);
      bool better = false;
      for (std::size_t i = 0; i < mine.size(); ++i) {
        if (!(its[i] <= mine[i])) return false;
        better |= its[i] < mine[i];
      }
      return better;
    });
  }
}

class Finisher {
 public:
  explicit Finisher(Collector& from) : from_(from) {}
  Facts run() {
    order();
    name();
    attach();
    choose_scores();
    choose_latencies();
    for (std::size_t i = 0; i < facts_.models.size(); ++i) chain(static_cast<int>(i));
    resolve();
    facts_.commands = from_.commands_;
    mark_dominated(facts_.models);
    return std::move(facts_);
  }

 private:
  void order() {
    std::vector<Model>& waiting = from_.models_;
    while (!waiting.empty()) {
      std::size_t take = 0;
      for (std::size_t i = 0; i < waiting.size(); ++i) {
        const std::vector<std::string> needs = ancestors(waiting[i]);
        const bool ready = std::none_of(waiting.begin(), waiting.end(), [&](const Model& other) {
          return other.digest != waiting[i].digest && std::find(needs.begin(), needs.end(), other.digest) != needs.end();
        });
        if (ready) {
          take = i;
          break;
        }
      }
      facts_.models.push_back(std::move(waiting[take]));
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(take));
    }
  }

  /// By the file, where that is not enough with its folder, else with a number.
  void name() {
    std::map<std::string, int> count;
    for (Model& m : facts_.models) {
      m.name = stem(m.path).empty() ? m.digest.substr(0, 12) : stem(m.path);
      ++count[m.name];
    }
    std::set<std::string> taken;
    for (Model& m : facts_.models) {
      if (count[m.name] > 1 && !folder_name(m.path).empty()) m.name = folder_name(m.path) + "/" + m.name;
      const std::string name = m.name;
      for (int n = 2; !taken.insert(m.name).second; ++n) m.name = name + " (" + std::to_string(n) + ")";
    }
  }

  void attach() {
    std::vector<Model>& models = facts_.models;
    for (Model& m : models) {
      m.scores = from_.scores_[m.digest];
      for (const auto& [split, score] : from_.told_[m.digest]) m.scores[split] = score;
      for (const auto& [key, timing] : from_.timings_[m.digest]) m.timings.push_back(timing);
      if (const auto found = from_.confusions_.find(m.digest); found != from_.confusions_.end()) m.confusion = found->second;
      for (const std::string& digest : ancestors(m)) {
        const Model* parent = facts_.find(digest);
        if (m.parent < 0 && parent && parent != &m) m.parent = static_cast<int>(parent - models.data());
      }
      const auto& noise = from_.sqnr_[m.digest];
      for (Layer& layer : m.layers)
        if (const auto found = noise.find(layer.name + ".weight"); found != noise.end()) layer.sqnr_db = found->second;
    }
  }

  /// One split for all models where that is possible.
  void choose_scores() {
    std::vector<std::string> splits = {"test", "val", "train"};
    for (const char* split : {"val", "test"})
      if (std::all_of(facts_.models.begin(), facts_.models.end(), [&](const Model& m) { return m.scores.count(split) > 0; }))
        std::stable_partition(splits.begin(), splits.end(), [&](const std::string& s) { return s == split; });
    for (Model& m : facts_.models)
      for (const std::string& split : splits)
        if (!m.score && m.scores.count(split) > 0) m.score = m.scores.at(split);
  }

  /// Latencies of one source, at one batch size and number of threads: others could not be compared. ds-bench's, at the smallest batch
  /// that most models were measured at, unless it left models out of which their own tools tell.
  void choose_latencies() {
    std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> count;  // by batch and threads
    for (const Model& m : facts_.models)
      for (const Timing& t : m.timings) ++count[{t.latency.batch, t.latency.threads}];
    auto most = count.end();
    for (auto at = count.begin(); at != count.end(); ++at)
      if (most == count.end() || at->second > most->second) most = at;
    const auto noted =
        static_cast<std::size_t>(std::count_if(facts_.models.begin(), facts_.models.end(), [](const Model& m) { return m.noted.has_value(); }));
    facts_.measured = most != count.end() && most->second >= noted;
    for (Model& m : facts_.models) {
      if (!facts_.measured)
        m.latency = m.noted;
      else
        for (const Timing& t : m.timings)
          if (std::pair{t.latency.batch, t.latency.threads} == most->first) m.latency = t.latency;
    }
  }

  void chain(int index) {
    const Model& m = facts_.models[static_cast<std::size_t>(index)];
    int before = -1;
    for (std::size_t i = 0; i < m.provenance.size(); ++i) {
      const Json& record = m.provenance[i];
      Step step;
      step.tool = text_at(record, "tool").empty() ? "unknown tool" : text_at(record, "tool");
      step.version = text_at(record, "version");
      step.digest = made_by(m, i);
      const auto key = std::pair{step.tool + " " + (step.digest.empty() ? record.dump() : step.digest), before};
      if (const auto known = known_.find(key); known != known_.end()) {
        before = known->second;
      } else {
        step.argv = strings_at(record, "argv");
        step.metrics = member_at(record, "metrics");
        step.record = record;
        step.unknown = strings_at(record, "parents");
        if (before >= 0) step.parents.push_back(before);
        before = static_cast<int>(facts_.steps.size());
        facts_.steps.push_back(std::move(step));
        known_[key] = before;
      }
    }
    if (before >= 0) facts_.steps[static_cast<std::size_t>(before)].model = index;
  }

  /// Parents that are other steps, such as a teacher's, and the data and ISA that all steps share.
  void resolve() {
    std::set<std::string> data, isa;
    for (std::size_t i = 0; i < facts_.steps.size(); ++i) {
      Step& step = facts_.steps[i];
      std::vector<std::string> unknown;
      for (const std::string& digest : step.unknown) {
        const auto made = [&](int s) { return facts_.steps[static_cast<std::size_t>(s)].digest == digest; };
        if (!step.parents.empty() && made(step.parents[0])) continue;
        int found = -1;
        for (std::size_t s = 0; s < i && found < 0; ++s)
          if (made(static_cast<int>(s))) found = static_cast<int>(s);
        if (found < 0)
          unknown.push_back(digest);
        else if (std::find(step.parents.begin(), step.parents.end(), found) == step.parents.end())
          step.parents.push_back(found);
      }
      step.unknown = unknown;
      if (const std::string name = text_at(member_at(step.record, "data"), "name"); !name.empty()) data.insert(name);
      if (const std::string name = text_at(step.record, "isa"); !name.empty()) isa.insert(name);
    }
    if (data.size() == 1) facts_.data = *data.begin();
    if (isa.size() == 1) facts_.isa = *isa.begin();
  }

  Collector& from_;
  Facts facts_;
  std::map<std::pair<std::string, int>, int> known_;
};

Facts Collector::finish() { return Finisher(*this).run(); }

}  // namespace ds::report
