// What a report tells, gathered from checkpoints and records, by the digest of the model that it is about.
#pragma once
#include <cmath>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/io/checkpoint.h"

namespace ds::report {

using Json = nlohmann::json;

/// A member of an object that may be absent or of another type: files are not trusted to hold what a report wants.
double number_at(const Json& json, const char* key);                     ///< NaN
std::string text_at(const Json& json, const char* key);                  ///< ""; numbers as they are written
const Json& member_at(const Json& json, const char* key);                ///< null
std::vector<std::string> strings_at(const Json& json, const char* key);  ///< of an array; what is no text as JSON
std::vector<std::string> strings_of(const Json& list);

/// Accuracy on a split. The interval is NaN where nobody told it.
struct Score {
  std::string split;
  double top1 = NAN, low = NAN, high = NAN;
};

struct Latency {
  double p50 = NAN, p99 = NAN;          ///< seconds
  std::int64_t batch = 1, threads = 0;  ///< 0 threads: not known
};

/// What ds-bench measured at one batch size and number of threads.
struct Timing {
  Latency latency;
  double throughput = NAN;   ///< samples a second
  double peak_memory = NAN;  ///< bytes of tensors and, at most, of activations
};

/// A node with weights.
struct Layer {
  std::string name, op, dtype;
  std::vector<std::int64_t> shape;  ///< of its weight
  std::int64_t parameters = 0, bytes = 0;
  double sqnr_db = NAN;  ///< of its weights when they were quantized
};

/// [label][prediction] and the most confident mistakes on a split.
struct Confusion {
  std::string split;
  std::vector<std::vector<std::int64_t>> counts;
};

struct Mistake {
  std::int64_t id = 0, label = 0, prediction = 0;
  double confidence = NAN;
  std::int64_t width = 0, height = 0;
  int channels = 1;                  ///< 1 or 3
  std::vector<std::uint8_t> pixels;  ///< rows, RGB interleaved; empty where the file has none
};

struct Model {
  std::string name;  ///< of the file, unique in the report
  std::string path, digest, arch, dtype;
  std::vector<std::string> aliases;  ///< other files with the same digest
  bool checkpoint = false;           ///< false: known from a record alone
  double parameters = NAN, macs = NAN, tensor_bytes = NAN, file_bytes = NAN;
  std::map<std::string, Score> scores;  ///< by split
  std::vector<Timing> timings;          ///< by ds-bench, in order of threads and batch
  std::optional<Latency> noted;         ///< by the tool that made it
  std::optional<Score> score;           ///< the one to show, and its latency
  std::optional<Latency> latency;
  std::optional<Confusion> confusion;
  std::vector<Mistake> mistakes;
  std::string mistakes_split;
  std::vector<std::string> labels;
  std::vector<Layer> layers;
  Json history = Json::array(), provenance = Json::array();
  int parent = -1;         ///< nearest ancestor in the report
  bool dominated = false;  ///< another one is as accurate, as fast and as small, and better in something
};

/// A step of the provenance, once for all models that come from it.
struct Step {
  std::string tool, version, digest;  ///< digest of what it made, "" = not known
  std::vector<std::string> argv;
  std::vector<int> parents;          ///< steps; the first made what this one changed
  std::vector<std::string> unknown;  ///< digests of parents that no file tells about
  Json metrics, record;
  int model = -1;  ///< in the report
};

struct Facts {
  std::vector<Model> models;                       ///< parents before children, else as given
  std::vector<Step> steps;                         ///< likewise
  std::vector<std::vector<std::string>> commands;  ///< of records that made no checkpoint, such as ds-bench's
  std::string data;                                ///< name of the data set, "" where models have several
  std::string isa;                                 ///< likewise
  bool measured = false;                           ///< the latencies to show are ds-bench's
  const Model* find(const std::string& digest) const;
};

/// Digest of what step i of a model's provenance made: the next step's first parent, or the model's own; "" where nobody tells.
std::string made_by(const Model& model, std::size_t step);

class Collector {
 public:
  /// `given` is the path as the user wrote it; `bytes` the file's size, 0 = not known.
  void add(const io::Checkpoint& checkpoint, const std::string& given, std::int64_t bytes);
  /// A record of a tool. Throws ds::Error(kInput, given) where it is none, or not of a finished run.
  void add(const Json& record, const std::string& given);
  Facts finish();

 private:
  Model& model(const std::string& digest, const std::string& path);
  void add_bench(const Json& record, const std::string& given);
  using Scores = std::map<std::string, std::map<std::string, Score>>;  ///< by digest and split
  void read_scores(const Json& metrics, const std::string& prefix, const std::string& digest, Scores& to) const;
  void read_evaluation(const Json& evaluation, Model& model);
  void read_chain(const Model& model);
  void read_noise(const Json& layers, const std::string& digest);
  std::vector<Model> models_;
  Scores scores_, told_;                                       ///< from provenance, from records
  std::map<std::string, std::map<std::string, double>> sqnr_;  ///< by digest and tensor
  std::map<std::string, Confusion> confusions_;
  std::map<std::string, std::map<std::pair<std::int64_t, std::int64_t>, Timing>> timings_;  ///< by digest, then threads and batch
  std::vector<std::vector<std::string>> commands_;
  friend class Finisher;
};

/// Marks the models that are dominated in accuracy, latency and size. Models that lack a figure take no part in it.
void mark_dominated(std::vector<Model>& models);

}  // namespace ds::report
