// describe MODEL.h5: what a checkpoint holds, by the library that knows no LibTorch.
#include <base/core/error.h>
#include <base/graph/graph.h>
#include <base/io/checkpoint.h>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc != 2) throw ds::Error(ds::Exit::kUsage, "describe", "one argument is expected: a checkpoint");
  const ds::io::Checkpoint checkpoint = ds::io::load(argv[1], {});
  const ds::graph::Graph graph = ds::graph::from_json(checkpoint.graph, argv[1]);
  ds::graph::verify(graph, argv[1]);
  const ds::graph::Cost cost = ds::graph::cost(graph);
  std::printf("%s %zu nodes %lld parameters %lld macs\n", checkpoint.digest.c_str(), graph.nodes.size(), static_cast<long long>(cost.parameters),
              static_cast<long long>(cost.macs));
  return 0;
} catch (const ds::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
