#include <doctest/doctest.h>

#include <cmath>

#include "base/core/generate.h"
#include "sample.h"

using namespace ds::core;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("core: the sample's table has no faults, and faults are found") {
  sample::Fixture options;
  for (const std::string& fault : option_faults(*options)) MESSAGE(fault);
  CHECK(option_faults(*options).empty());
  struct Bad : CommandOptions {
    double a = 2;
    std::string b = "x";
    void fields(Fields& f) override {
      f.add({.name = "a", .doc = "ends with a period.", .max = 1, .letter = 'c'}, a);
      f.add({.name = "b", .doc = "", .choices = {"y"}, .alias = "seed"}, b);
      common.fields(f);
    }
  } bad;
  CHECK(option_faults(bad).size() == 6);
}

TEST_CASE("core: help is short, help-all is whole") {
  sample::Fixture options;
  const std::string brief = help_text(sample::spec(), *options, false), whole = help_text(sample::spec(), *options, true);
  CHECK(contains(brief, "ds-sample: samples what there is\n"));
  CHECK(contains(brief, "usage: ds-sample [options] [INPUT]\n"));
  CHECK(contains(brief, "ds-sample in.h5 --ratio 0.3 -o out.h5\n      keeps three tenths"));
  CHECK(contains(brief, "-b, --batch-size, --train.batch_size N"));
  CHECK(contains(brief, "(default 0.5; in [0, 1))"));
  CHECK(contains(brief, "Training loop (train):"));
  CHECK_FALSE(contains(brief, "--optim.momentum"));
  CHECK(contains(whole, "--optim.momentum X"));
  CHECK(contains(whole, "with sample-optimizer sgd"));
  CHECK(contains(whole, "--memory.limit"));
  CHECK_FALSE(contains(brief, "--memory.limit"));
  options->optim.select("sgd");
  CHECK(contains(help_text(sample::spec(), *options, false), "--optim.momentum"));
}

TEST_CASE("core: help tells defaults as flags take them, limits with their unit, and which switches are on") {
  sample::Fixture options;
  const std::string whole = help_text(sample::spec(), *options, true);
  CHECK(contains(whole, "sizes to try (default 1,8; at least 1)"));
  CHECK(contains(whole, "samples a step (default 64; at least 1 samples)"));
  CHECK(contains(whole, "mixed precision (default auto; one of auto, bf16, off)"));
  CHECK(contains(whole, "--[no-]shuffle"));
  CHECK(contains(whole, "--reproducible "));
  CHECK(contains(whole, "transforms\n"));  // an empty list is no default to speak of
  options->shuffle = false;
  options->limit = std::nan("");
  const std::string other = help_text(sample::spec(), *options, true);
  CHECK(contains(other, "--shuffle "));
  CHECK(contains(other, "any number\n"));
}

TEST_CASE("core: a name that only differs in dashes and underscores is told once") {
  struct Bench : CommandOptions {
    std::int64_t bits = 8;
    void fields(Fields& f) override { f.add({.name = "bit_width", .doc = "of weights", .min = 8, .max = 8, .alias = "bit-width"}, bits); }
  } bench;
  const std::string text = help_text(sample::spec(), bench, true);
  CHECK(contains(text, "--bit-width N"));
  CHECK_FALSE(contains(text, "--bit_width"));
  CHECK(contains(text, "of weights (default 8; only 8)"));
  CHECK_FALSE(contains(completion(sample::spec(), bench, "bash"), "--bit_width"));
}

TEST_CASE("core: a period ends a sentence of the man page only before a capital letter") {
  struct Spec : CommandOptions {
    std::string data;
    void fields(Fields& f) override { f.add({.name = "data", .doc = "digits, idx:DIR ... (a list). Then more", .required = true}, data); }
  } spec;
  CHECK(contains(man_page(sample::spec(), spec), ".TP\n\\fB\\-\\-data\\fR \\fITEXT\\fR\ndigits, idx:DIR ... (a list).\nThen more (required)\n"));
}

TEST_CASE("core: an option of many members does not list them all") {
  struct Letter : Options {
    std::int64_t shared = 1;
    void fields(Fields& f) override { f.add({.name = "shared", .doc = "what all have"}, shared); }
  };
  struct Vowel : Letter {
    std::int64_t loud = 1;
    void fields(Fields& f) override {
      Letter::fields(f);
      f.add({.name = "loud", .doc = "what nine have"}, loud);
    }
  };
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h", "i"}) add_card<Vowel>({"sample-letter", name, "a letter", ""});
  add_card<Letter>({"sample-letter", "z", "the last letter", ""});
  struct Command : CommandOptions {
    Choice letter{"sample-letter", "", "name", true};
    void fields(Fields& f) override {
      f.choice("letter", "which letter", letter);
      common.fields(f);
    }
  } options;
  const std::string whole = help_text(sample::spec(), options, true);
  CHECK(contains(whole, "what all have (default 1; with any sample-letter)"));
  CHECK(contains(whole, "what nine have (default 1; with sample-letter a, b, c or 6 others)"));
}

TEST_CASE("core: the man page is a function of the table and escapes what roff would take") {
  sample::Fixture options;
  const std::string page = man_page(sample::spec(), *options);
  CHECK(page == man_page(sample::spec(), *options));
  for (const char* heading :
       {".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS", ".SH EXAMPLES", ".SH EXIT STATUS", ".SH ENVIRONMENT", ".SH SEE ALSO"})
    CHECK(contains(page, std::string(heading) + "\n"));
  CHECK(contains(page, "\\fB\\-\\-optim.momentum\\fR"));
  CHECK(contains(page, "\\fBds\\-eval\\fR(1)"));
  const sample::Folder folder;
  const std::string path = folder.write("ds-sample.1", page);
  if (std::system("command -v mandoc > /dev/null") == 0) CHECK(std::system(("mandoc -Tlint -Wwarning " + path).c_str()) == 0);
}

TEST_CASE("core: completion has every flag and the values of choices") {
  sample::Fixture options;
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string text = completion(sample::spec(), *options, shell);
    for (const char* flag : {"train.batch_size", "batch-size", "no-shuffle", "optim.momentum", "print-config", "opt"}) CHECK(contains(text, flag));
    CHECK(contains(text, "adam sgd"));
    CHECK(contains(text, "auto bf16 off"));
  }
}

TEST_CASE("core: bash completes flags, choices after a flag and after =, and files") {
  sample::Fixture options;
  const sample::Folder folder;
  const std::string script = folder.write("complete.bash", completion(sample::spec(), *options, "bash"));
  folder.write("model.h5", "");
  const auto complete = [&](const std::string& words, int current) {
    const std::string command = "cd " + folder.path + "; . " + script + " 2>/dev/null; COMP_WORDS=(" + words +
                                "); COMP_CWORD=" + std::to_string(current) + "; _ds_sample; echo \"${COMPREPLY[*]}\" > reply";
    CHECK(std::system(("bash -c '" + command + "'").c_str()) == 0);
    std::string reply = sample::read(folder.path + "/reply");
    reply.pop_back();
    return reply;
  };
  CHECK(complete("ds-sample --bat", 1) == "--batch-size");
  CHECK(complete("ds-sample --opt \"\"", 2) == "adam sgd");
  CHECK(complete("ds-sample --train.amp = b", 3) == "bf16");
  CHECK(complete("ds-sample mod", 1) == "model.h5");
  CHECK(complete("ds-sample -c mod", 2) == "model.h5");
  CHECK(complete("ds-sample --ratio \"\"", 2).empty());
}

TEST_CASE("core: the schema closes every map and has one branch a member") {
  sample::Fixture options;
  const Json schema = json_schema(sample::spec(), *options);
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  CHECK(schema["unevaluatedProperties"] == false);
  CHECK(schema["properties"]["ratio"]["exclusiveMaximum"] == 1.0);
  CHECK(schema["properties"]["ratio"]["minimum"] == 0.0);
  CHECK_FALSE(schema["properties"].contains("output"));
  CHECK(schema["properties"]["memory"]["properties"].contains("limit"));
  const Json& optim = schema["properties"]["optim"];
  CHECK(optim["unevaluatedProperties"] == false);
  const Json& branches = optim["allOf"][0]["oneOf"];
  REQUIRE(branches.size() == 2);
  CHECK(branches[0]["properties"]["name"]["const"] == "adam");
  CHECK_FALSE(branches[0].contains("required"));
  CHECK(branches[1]["required"] == Json::array({"name"}));
  CHECK(branches[1]["properties"].contains("momentum"));
  CHECK_FALSE(branches[0]["properties"].contains("momentum"));
}

TEST_CASE("core: lists of cards by kind and glob") {
  sample::register_cards();
  CHECK(list_text("sample-optimizer", "s*") == "sgd                      gradient with momentum\n");
  CHECK(contains(list_text("", ""), "sample-optimizer"));
  CHECK_THROWS_AS(list_text("sample-optimizr", ""), ds::Error);
  CHECK_THROWS_AS(list_text("sample-optimizer", "x*"), ds::Error);
}
