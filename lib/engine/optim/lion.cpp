#include "base/catalog/optimizer/lion.h"

#include "engine/optim/loops.h"
#include "engine/optim/optimizer.h"

namespace ds::optim::lion {

using Options = catalog::optimizer::lion::Options;

class Lion : public FusedOptimizer {
 public:
  Lion(std::vector<Parameter> parameters, const Options& options)
      : FusedOptimizer(std::move(parameters), Layout{{{"exp_avg"}}, false, state_bits(options.state_bits)}), options_(options) {}

 protected:
  void update(Group& group, double lr) override {
    for (std::size_t i = 0; i < group.values.size(); ++i)
      loops::lion(group.values[i], group.gradients[i], group.states[0][i], lr, group.decay ? options_.weight_decay : 0, options_.betas[0],
                  options_.betas[1]);
  }

 private:
  Options options_;
};

std::unique_ptr<Optimizer> make(std::vector<Parameter> parameters, const core::Options& options) {
  return std::make_unique<Lion>(std::move(parameters), static_cast<const Options&>(options));
}
const core::Body<MakeOptimizer> body{"optimizer", "lion", make};

}  // namespace ds::optim::lion
