// Sequences of tokens that a net can learn from, of any size: synthetic:kind=tokens.
#pragma once
#include "base/catalog/dataset/synthetic.h"
#include "engine/data/dataset.h"

namespace ds::data::sets::synthetic {

/// task class: a sample of class c has each token of c's own words with probability 0.5, else any word. task token: the class of a word is its
/// id modulo classes. task next, masked: each word is followed by its own next one with probability 0.8, else by any.
/// Lengths are between half of options.length and options.length. Ids below 5 are [PAD], [UNK], [CLS], [SEP], [MASK]; the tokenizer knows a
/// word of id i as "w<i>".
Dataset tokens(const catalog::dataset::synthetic::Options& options);

}  // namespace ds::data::sets::synthetic
