#include <doctest/doctest.h>

#include "base/core/cli.h"
#include "sample.h"

using namespace ds::core;

namespace {

/// "path=value" of each setting, or the error lines.
std::vector<std::string> parsed(const std::vector<std::string>& arguments) {
  sample::Fixture options;
  const CommandLine line = parse_command_line(KnownOptions(*options), arguments);
  std::vector<std::string> out;
  for (const std::string& config : line.configs) out.push_back("config " + config);
  for (const Setting& setting : line.settings) {
    std::string value = setting.value.text;
    for (const Value& item : setting.value.items) value += "<" + item.text + ">";
    out.push_back(setting.path + "=" + value);
  }
  for (const ds::Error& error : line.errors) out.push_back(std::string("error: ") + error.what());
  return out;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("core: flags by path, alias and letter, with = or a space, dashes and underscores alike") {
  CHECK(parsed({"--train.epochs", "3"}) == Lines{"train.epochs=3"});
  CHECK(parsed({"--epochs=3"}) == Lines{"train.epochs=3"});
  CHECK(parsed({"--batch-size", "8"}) == Lines{"train.batch_size=8"});
  CHECK(parsed({"--batch_size", "8"}) == Lines{"train.batch_size=8"});
  CHECK(parsed({"--train.batch-size=8"}) == Lines{"train.batch_size=8"});
  CHECK(parsed({"-b", "8"}) == Lines{"train.batch_size=8"});
  CHECK(parsed({"-b8"}) == Lines{"train.batch_size=8"});
  CHECK(parsed({"-c", "a.yaml", "--config=b.yaml"}) == Lines{"config a.yaml", "config b.yaml"});
  CHECK(parsed({"--lr", "-1"}) == Lines{"optim.lr=-1"});
  CHECK(parsed({"--note="}) == Lines{"note="});
  CHECK(parsed({"--note", "a b=c"}) == Lines{"note=a b=c"});
}

TEST_CASE("core: a list grows with each time its flag is given") {
  CHECK(parsed({"--augment", "flip", "--augment", "crop,affine"}) == Lines{"augment=flip,crop,affine"});
  CHECK(parsed({"--sizes=4", "--lr", "1", "--sizes=8"}) == Lines{"sizes=4,8", "optim.lr=1"});
  CHECK(parsed({"--augment", "flip", "--augment="}) == Lines{"augment="});
  CHECK(parsed({"--augment=", "--augment", "crop"}) == Lines{"augment=crop"});
  CHECK(parsed({"--set", "augment=[flip]", "--augment", "crop"}) == Lines{"augment=<flip>", "augment=crop"});
  CHECK(parsed({"--lr", "1", "--lr", "2"}) == Lines{"optim.lr=1", "optim.lr=2"});
}

TEST_CASE("core: bool flags, their opposites and values") {
  CHECK(parsed({"--shuffle"}) == Lines{"shuffle=true"});
  CHECK(parsed({"--no-shuffle"}) == Lines{"shuffle=false"});
  CHECK(parsed({"--shuffle=false"}) == Lines{"shuffle=false"});
  CHECK(parsed({"--no_shuffle", "--shuffle"}) == Lines{"shuffle=false", "shuffle=true"});
  CHECK(parsed({"--dry_run"}) == Lines{"dry-run=true"});
  CHECK(parsed({"--shuffle=yes"}).back() == "error: --shuffle: expected true or false, got 'yes'");
  CHECK(parsed({"-fn"}) == Lines{"force=true", "dry-run=true"});
}

TEST_CASE("core: the order of the line is kept, --set among the flags") {
  CHECK(parsed({"--lr", "1", "--set", "optim.lr=2", "--lr", "3", "--opt", "sgd"}) ==
        Lines{"optim.lr=1", "optim.lr=2", "optim.lr=3", "optim.name=sgd"});
  CHECK(parsed({"--set", "train={epochs: 2, amp: off}"}) == Lines{"train.epochs=2", "train.amp=off"});
  CHECK(parsed({"--set", "note=a=b"}) == Lines{"note=a=b"});
  CHECK(parsed({"--set", "novalue"}) == Lines{"error: --set: expected KEY=VALUE, got 'novalue'"});
}

TEST_CASE("core: options of members that are not chosen are flags too, so that the error can name the member") {
  CHECK(parsed({"--optim.momentum", "0.5", "in.h5"}) == Lines{"optim.momentum=0.5", "input=in.h5"});
  CHECK(parsed({"--optim.nesterov", "in.h5"}) == Lines{"optim.nesterov=true", "input=in.h5"});
}

TEST_CASE("core: positionals, - and what follows --") {
  CHECK(parsed({"in.h5", "-o", "out.h5"}) == Lines{"output=out.h5", "input=in.h5"});
  CHECK(parsed({"-"}) == Lines{"input=-"});
  CHECK(parsed({"--", "--lr"}) == Lines{"input=--lr"});
  CHECK(parsed({"a", "b"}) == Lines{"input=a", "error: unexpected argument 'b'"});
}

TEST_CASE("core: unknown flags are all named, with the nearest one") {
  CHECK(parsed({"--epoch", "3"}) == Lines{"error: unknown flag '--epoch' (did you mean '--epochs'?)"});
  CHECK(parsed({"--momentum=1", "--bogus-thing"}) ==
        Lines{"error: unknown flag '--momentum' (did you mean '--optim.momentum'?)", "error: unknown flag '--bogus-thing'; --help-all lists them"});
  CHECK(parsed({"-lr", "3"})[0] == "error: unknown flag '-lr' (did you mean '--lr'?)");
  CHECK(parsed({"--no-lr"})[0].find("unknown flag '--no-lr'") != std::string::npos);
  CHECK(parsed({"--lr"}) == Lines{"error: --lr: needs a value"});
  CHECK(parsed({"-x"}) == Lines{"error: unknown flag '-x'; --help-all lists them"});
}
