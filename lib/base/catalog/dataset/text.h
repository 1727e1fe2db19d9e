#pragma once
#include "base/core/registry.h"

namespace ds::catalog::dataset::text {

/// Given behind the folder or file: `text:DIR?length=128`, `text:book.txt?task=masked-lm`.
struct Options : core::Options {
  std::string task = "auto", pack = "yes";
  std::int64_t length = 0;  ///< 0: as the tokenizer says, else 256
  void fields(core::Fields& f) override {
    f.add({.name = "task",
           .doc = "what is to be told: a class of each text, the next token, masked ones, or a vector near those of its class; auto: classes of a "
                  "folder, next tokens of a file",
           .choices = {"auto", "class", "causal-lm", "masked-lm", "embedding"}},
          task);
    f.add({.name = "pack", .doc = "of language models: yes, texts in a row in blocks of length tokens; no, a sample a text (a line of a file), padded "
                                    "to the longest of its batch",
           .choices = {"yes", "no"}},
          pack);
    f.add({.name = "length", .doc = "most tokens of a sample; longer texts are cut, or packed in blocks of so many; 0: as the tokenizer says", .min = 0,
           .max = 1 << 20},
          length);
  }
};

inline const core::Card kCard{
    "dataset", "text",
    "text:DIR[?length=N], a folder of .txt a class, below DIR or DIR/{train,val,test}, split as folder: does; or a .txt a class in DIR, a line a text; "
    "text:FILE[?task=causal-lm,length=N,pack=yes], one text to model: the first 80 % train, 10 % val, 10 % test",
    ""};

}  // namespace ds::catalog::dataset::text
