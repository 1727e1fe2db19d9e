// What the readers of data sets share.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "engine/data/dataset.h"

namespace ds::data {

/// Sets options from `text`, key=value,key=value. Throws ds::Error(kUsage), which names `set`, for unknown, repeated and wrong ones.
void read_options(const std::string& set, const std::string& text, core::Options& options);
/// Throws ds::Error(kUsage) unless `text` is an integer.
std::int64_t read_integer(const std::string& set, const std::string& key, const std::string& text);
/// "PATH?options" as its parts; a file or folder that has a question mark in its name is found, too.
std::pair<std::string, std::string> split_options(const std::string& rest);
/// Throws ds::Error(kInput, file, ...) for the first label below 0 or not below `classes`.
void check_labels(const at::Tensor& labels, std::int64_t classes, const std::string& file);
/// Moves the last tenth of train (at least one sample of two or more) to val. A function of the order in the files alone.
void hold_out(Dataset& set);
/// "0", "1" ...
std::vector<std::string> numbered(std::int64_t classes);
/// The names in a text file, a line each, or `names` where there is no such file. Throws ds::Error(kInput) where the count differs.
std::vector<std::string> read_names(const std::string& file, std::vector<std::string> names);
/// Makes the tokens of all splits from their texts, as train.tokens.target asks; `preprocessing.max_length` there, else the tokenizer's, else 256
/// tokens cut them. Without a tokenizer, a byte is a token. Throws ds::Error(kInput) for a text that the tokenizer cannot take.
void make_tokens(Dataset& set, const Json& tokenizer);
/// Fills in what a reader left out: tokens of texts, sample ids (train, val, test in a row), kind, shape, scale (1/255), mean and std of train,
/// fingerprint.
void finish(Dataset& set, const Json& tokenizer);

}  // namespace ds::data
