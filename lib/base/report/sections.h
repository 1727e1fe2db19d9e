// The parts of the page: each fills the values that the template shows.
#pragma once
#include <kainjow/mustache.hpp>
#include <string>

#include "base/report/facts.h"
#include "base/report/svg.h"

namespace ds::report {

using Data = kainjow::mustache::data;
using List = kainjow::mustache::list;

/// How much the page shows, for a page that would be too large otherwise.
struct Detail {
  std::size_t mistakes = 12, layers = 80, curves = 1000, cards = 1000, steps = 1000;
};

/// A text for the template, which escapes it.
inline Data text(const std::string& value) { return Data(clean(value)); }
/// A text that a section is for: nothing where it is empty.
inline Data optional(const std::string& value) { return value.empty() ? Data(Data::type::bool_false) : text(value); }
inline Data flag(bool value) { return Data(value ? Data::type::bool_true : Data::type::bool_false); }

/// What ratios are to.
inline const Model& reference(const Facts& facts) { return facts.models.front(); }
/// "98.10", an en dash where it is not known.
std::string percent(double share, int digits = 2);
/// Sets "words": a command line, each word by itself so that it is broken between them, cut short where it is endless.
void set_words(Data& to, const std::vector<std::string>& argv);
/// "1 epoch", "12 epochs".
std::string counted(std::size_t n, const std::string& what);

void fill_models(const Facts& facts, Data& page);
void fill_speed(const Facts& facts, Data& page);
void fill_scatter(const Facts& facts, Data& page);
void fill_curves(const Facts& facts, const Detail& detail, Data& page);
void fill_classes(const Facts& facts, const Detail& detail, Data& page);
void fill_layers(const Facts& facts, const Detail& detail, Data& page);
void fill_provenance(const Facts& facts, const Detail& detail, Data& page);

}  // namespace ds::report
