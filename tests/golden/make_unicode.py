#!/usr/bin/env python3
"""Writes lib/base/text/unicode_tables.inc: where the Unicode tables behind Hugging Face's `tokenizers` differ from those of utf8proc and PCRE2.

It asks `tokenizers` about every character, one component at a time. Run by hand; takes some minutes:
    python3.11 -m venv venv && venv/bin/pip install tokenizers==0.23.3   # Python 3.11 has Unicode 14, as PCRE2 10.42
    venv/bin/python tests/golden/make_unicode.py
"""
import ctypes
import pathlib
import textwrap
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

OUTPUT = pathlib.Path(__file__).parents[2] / "lib/base/text/unicode_tables.inc"
utf8proc = ctypes.CDLL("libutf8proc.so.2")
utf8proc.utf8proc_category_string.restype = ctypes.c_char_p
utf8proc.utf8proc_unicode_version.restype = ctypes.c_char_p
utf8proc.utf8proc_version.restype = ctypes.c_char_p
utf8proc.utf8proc_tolower.restype = ctypes.c_int32
utf8proc.utf8proc_map.restype = ctypes.c_ssize_t
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CATEGORY = {c: utf8proc.utf8proc_category_string(c).decode() for c in POINTS}
STABLE, COMPAT, DECOMPOSE = 2, 4, 16


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def joined(points, neutral):
    """Ranges of points, joined over those that neither table knows, so that there are fewer."""
    out = []
    for first, last in ranges(points):
        if out and first - out[-1][1] < 4096 and all(c in neutral for c in range(out[-1][1] + 1, first) if not 0xD800 <= c < 0xE000):
            out[-1][1] = last
        else:
            out.append([first, last])
    return out


class Writer:
    def __init__(self):
        self.lines = []

    def rows(self, kind, name, text, rows):
        self.lines += [f"// {text}", f"constexpr {kind} {name}[] = {{"]
        self.lines += textwrap.wrap(", ".join(rows), 140, initial_indent="    ", subsequent_indent="    ")
        self.lines[-1] += "};"

    def ranges(self, name, text, found):
        self.rows("Range", name, text, [f"{{0x{a:X}, 0x{b:X}}}" for a, b in found])

    def difference(self, name, theirs, ours, text):
        neutral = {c for c in POINTS if c not in ours and c not in theirs}
        if ours - theirs:
            self.ranges(name + "Newer", f"{text}: not for them, whose tables are older", joined(ours - theirs, neutral))
        if theirs - ours:
            self.ranges(name + "Only", f"{text}: for them alone", ranges(theirs - ours))


def of(test):
    return {c for c in POINTS if test(CATEGORY[c])}


def removed(normalizer):
    return {c for c in POINTS if normalizer.normalize_str(f"a{chr(c)}b") == "ab"}


def alone(pre_tokenizer, points=POINTS):
    return {c for c in points if len(pre_tokenizer.pre_tokenize_str(f"a{chr(c)}b" if points is POINTS else f"!{chr(c)}!")) == 3}


def decomposed(c):
    text, out = chr(c).encode(), ctypes.c_void_p()
    size = utf8proc.utf8proc_map(text, len(text), ctypes.byref(out), STABLE | COMPAT | DECOMPOSE)
    return ctypes.string_at(out, size).decode()


def bert(**options):
    return normalizers.BertNormalizer(**(dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False) | options))


def main():
    out = Writer()
    out.difference("kOther", removed(bert(clean_text=True)) - {0xFFFD}, of(lambda k: k in ("Cc", "Cf", "Co")) - {9, 10, 13}, "Cc, Cf, Co")
    out.difference("kMark", removed(normalizers.StripAccents()), of(lambda k: k[0] == "M"), "M")
    out.difference("kNonspacing", removed(bert(strip_accents=True)), of(lambda k: k == "Mn"), "Mn")
    signs = {c for c in range(33, 127) if not chr(c).isalnum()}
    out.difference("kPunctuation", alone(pre_tokenizers.Punctuation()) - signs, of(lambda k: k[0] == "P") - signs, "P")
    out.difference("kNumber", alone(pre_tokenizers.Digits(individual_digits=True)), of(lambda k: k[0] == "N"), "N of Digits")
    words = pre_tokenizers.Whitespace()
    circles = {c for a, b in ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189)) for c in range(a, b + 1)}
    theirs = {c for c in POINTS if len(words.pre_tokenize_str(f"a{chr(c)}b")) == 1}
    known = {c for c in theirs if unicodedata.category(chr(c))[0] in "LM" or unicodedata.category(chr(c)) in ("Nd", "Nl", "Pc")}
    out.difference("kWord", theirs, known | {0x200C, 0x200D} | circles, "\\w, beyond Unicode 14")
    for letter, name in (("L", "kRegexLetter"), ("N", "kRegexNumber")):
        candidates = [c for c in POINTS if CATEGORY[c][0] == letter or CATEGORY[c] == "Cn"]
        theirs = alone(pre_tokenizers.Split(Regex(f"\\p{{{letter}}}"), "isolated"), candidates)
        out.difference(name, theirs, {c for c in theirs if unicodedata.category(chr(c))[0] == letter}, f"\\p{{{letter}}} of a regular expression, beyond Unicode 14")
    lower = normalizers.Lowercase()
    shifts = []
    for c in POINTS:
        found = lower.normalize_str(chr(c))
        if c == 0x130 or found == chr(utf8proc.utf8proc_tolower(c)):
            continue
        if shifts and shifts[-1][1] == c - 1 and shifts[-1][2] == ord(found) - c:
            shifts[-1][1] = c
        else:
            shifts.append([c, c, ord(found) - c])
    out.rows("Shift", "kLowerOnly", "Lower case that utf8proc does not know: first, last, what is added", [f"{{0x{a:X}, 0x{b:X}, {d}}}" for a, b, d in shifts])
    nfkd = normalizers.NFKD()
    out.ranges("kWhole", "Decompositions that they do not know", ranges({c for c in POINTS if c and nfkd.normalize_str(chr(c)) != decomposed(c)}))
    made = f"// Written by tests/golden/make_unicode.py with tokenizers {tokenizers.__version__} and utf8proc {utf8proc.utf8proc_version().decode()} (Unicode {utf8proc.utf8proc_unicode_version().decode()})."
    OUTPUT.write_text("\n".join([made] + out.lines) + "\n")


if __name__ == "__main__":
    main()
