// MiniLM: BERT of 384 features, as an encoder of sentences.
#include "base/models/bert.h"

namespace ds::models::minilm {

template <int layers>
struct Sized : BertOptions {
  Sized() { depth = layers, dim = 384, heads = 12, mlp_dim = 1536, head = "embedding", normalize = true; }
};

constexpr const char* kSource = "Wang et al. 2020, arXiv:2002.10957, section 4";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Sized<6>>("minilm_l6", "encoder of sentences, BERT of 6 layers, 384 features and 12 heads: 22.7 million parameters", kSource,
                                 build_bert),
    Architecture::make<Sized<12>>("minilm_l12", "encoder of sentences, BERT of 12 layers, 384 features and 12 heads: 33.4 million parameters", kSource,
                                  build_bert),
};

}  // namespace ds::models::minilm
