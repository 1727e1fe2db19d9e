#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/core/generate.h"
#include "base/core/host.h"
#include "base/core/values.h"

namespace ds::core {
namespace {

/// Text for roff: nothing in it is a request or an escape.
std::string plain(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i == 0 && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '~') {
      out += "\\(ti";
    } else if (c == '^') {
      out += "\\(ha";
    } else if (c == '`') {
      out += "\\(ga";
    } else if (c == '\'') {
      out += "\\(aq";
    } else {
      out += c;
    }
  }
  return out;
}

/// One sentence a line, as roff wants it: a period before a capital letter ends one, that of "DIR ... (" does not.
std::string sentences(const std::string& text) {
  std::string out;
  for (std::size_t start = 0; start < text.size();) {
    std::size_t end = text.find(". ", start);
    while (end != std::string::npos && (text[end + 2] < 'A' || text[end + 2] > 'Z')) end = text.find(". ", end + 1);
    end = end == std::string::npos ? text.size() : end + 1;
    out += plain(text.substr(start, end - start)) + "\n";
    start = text.find_first_not_of(' ', end);
  }
  return out;
}

std::string option_item(const KnownOptions::Known& option) {
  const Entry& entry = option.entry;
  std::vector<std::string> names;
  for (const std::string& name : shown_spellings(entry)) names.push_back("\\fB" + plain(name) + "\\fR");
  const std::string word = value_word(entry);
  std::string head = entry.field.positional ? "" : fmt::format("{}", fmt::join(names, ", "));
  if (!word.empty() && !is_bool(entry)) head += (head.empty() ? "" : " ") + ("\\fI" + plain(word) + "\\fR");
  const std::string notes = remarks(option);
  return fmt::format(".TP\n{}\n{}", head, sentences(entry.field.doc + (notes.empty() ? "" : " (" + notes + ")")));
}

/// roff wants a date. It is that of the form of these pages, not of a build: the same table gives the same bytes.
constexpr const char* kDate = "2026-11-24";

struct Line {
  const char* name;
  const char* doc;
};

std::string items(const std::vector<Line>& lines) {
  std::string out;
  for (const auto& [name, doc] : lines) out += fmt::format(".TP\n\\fB{}\\fR\n{}\n", plain(name), plain(doc));
  return out;
}

std::string synopsis(const ToolSpec& spec, const KnownOptions& known) {
  std::string line = fmt::format(".B {}\n[\\fIoptions\\fR]", plain(spec.name));
  for (const auto& option : known.all) {
    if (!option.entry.field.positional) continue;
    const std::string word = "\\fI" + plain(value_word(option.entry)) + "\\fR" + (is_list(option.entry) ? "..." : "");
    line += option.entry.field.behind_dashes ? " [\\-\\- " + word + "]" : option.entry.field.required ? " " + word : " [" + word + "]";
  }
  return line + "\n";
}

}  // namespace

std::string man_page(const ToolSpec& spec, CommandOptions& options) {
  const KnownOptions known(options);
  std::string title;
  for (const char c : spec.name) title += static_cast<char>(std::toupper(c));
  std::string out =
      fmt::format(".\\\" Written by {} --generate man\n.TH {} 1 {} \"ds {}\" \"ds manual\"\n", spec.name, plain(title), kDate, version());
  out += fmt::format(".SH NAME\n{} \\- {}\n.SH SYNOPSIS\n{}", plain(spec.name), plain(spec.summary), synopsis(spec, known));
  out += ".SH DESCRIPTION\n" + sentences(spec.description.empty() ? spec.summary : spec.description);
  out += ".SH OPTIONS\n" +
         sentences(
             "A flag --a.b is the key a.b of config files, which is b in the map a. In flags, dashes and underscores are the same. A switch --x has "
             "its opposite --no-x. Later ones win: built-in values, config files in order, the environment, flags and --set.");
  for (const Section& section : sections(known, options)) {
    out += fmt::format(".SS {}\n", plain(section.title));
    for (const auto* option : section.options) out += option_item(*option);
  }
  out += ".SS Instead of running\n";
  for (const Answer& answer : answers()) {
    const std::string letter = answer.letter != 0 ? fmt::format("\\fB\\-{}\\fR, ", answer.letter) : "";
    out += fmt::format(".TP\n{}\\fB{}\\fR{}\n{}\n", letter, plain("--" + answer.name),
                       answer.value.empty() ? "" : " \\fI" + plain(answer.value) + "\\fR", plain(answer.doc));
  }
  out += ".SH STANDARD STREAMS\n" +
         sentences(
             "Standard output carries one record of the run: status, inputs and outputs with their digests, metrics, and the resolved config. It is "
             "YAML, or what --format says. Progress, warnings and errors go to standard error.");
  if (!spec.examples.empty()) out += ".SH EXAMPLES\n";
  for (const auto& [line, doc] : spec.examples) out += fmt::format(".TP\n\\fB{}\\fR\n{}\n", plain(line), plain(doc));
  out += ".SH EXIT STATUS\n" +
         items({{"0", "done"},
                {"1", "unexpected failure, diverged training"},
                {"2", "usage or configuration"},
                {"3", "input missing, unreadable, corrupt or of the wrong kind"},
                {"4", "out of memory, no such device, disk full, output not writable, module not installed"},
                {"5", "a gate that was asked for is not met"},
                {"75", known.find("resume") != nullptr ? "stopped by a signal, state saved: the same command with --resume auto goes on"
                                                       : "stopped by a signal, state saved: the same command goes on"},
                {"130", "interrupted before there was anything to save"}});
  out += ".SH ENVIRONMENT\n" +
         items({{"DS_OPT_GROUP__OPTION", "sets the option group.option: upper case, two underscores for a dot; an unknown one is an error"},
                {"SLURM_CPUS_PER_TASK", "threads, unless --threads says otherwise"},
                {"DS_HOME", "folder of data sets and libraries; else $XDG_CACHE_HOME/ds, else $HOME/.cache/ds"},
                {"NO_COLOR, FORCE_COLOR, TERM", "whether stderr is coloured and has a bar"}});
  if (!spec.see_also.empty()) {
    std::vector<std::string> pages;
    for (const std::string& page : spec.see_also) {
      const std::size_t open = page.find('(');
      pages.push_back("\\fB" + plain(page.substr(0, open)) + "\\fR" + (open == std::string::npos ? "" : page.substr(open)));
    }
    out += fmt::format(".SH SEE ALSO\n{}\n", fmt::join(pages, ",\n"));
  }
  return out;
}

}  // namespace ds::core
