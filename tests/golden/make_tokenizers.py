#!/usr/bin/env python3
"""Writes tests/golden/tokenizers/<name>.json for tests/unit/text/golden_test.cpp: small tokenizers of every kind, trained on the text below, with
what Hugging Face's `tokenizers` makes of texts.json: ids, type ids, and the text that the ids give back.

Run by hand when a component is added; the files are kept:
    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3
    venv/bin/python tests/golden/make_tokenizers.py            # writes the files
    venv/bin/python tests/golden/make_tokenizers.py --random N # compares build/bin/tokenize on N random texts a tokenizer
    venv/bin/python tests/golden/make_tokenizers.py --real FOLDER ...  # the same on folders of real models
    venv/bin/python tests/golden/make_tokenizers.py --components N     # the same on N tokenizers of random components
"""
import base64
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import sentencepiece
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = pathlib.Path(__file__).parent / "tokenizers"
TOOL = pathlib.Path(__file__).parents[2] / "build/bin/tokenize"

CORPUS = """The quick brown fox jumps over the lazy dog, doesn't it? It's been said that we'll never know what they've done; I'm sure you'd agree.
Tokenizers cut texts into pieces: words, parts of words, single characters or bytes. In 1998 there were 12,345 of them, in 2024 some 3.14 million!
Zwölf Boxkämpfer jagen Eva quer über den Sylter Deich. Die Straße ist heiß; das Maß ist voll. ÄÖÜ äöü ß ẞ.
Voix ambiguë d'un cœur qui au zéphyr préfère les jattes de kiwis. Où est l'élève naïve? El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia.
Съешь же ещё этих мягких французских булок, да выпей чаю. Ελληνικά: ξεσκεπάζω την ψυχοφθόρα βδελυγμία. İstanbul'da ılık bir yağmur; Iğdır ve Çanakkale.
我能吞下玻璃而不伤身体。東京は日本の首都です。カタカナとひらがな、ﾊﾝｶｸ。한국어는 재미있어요. 中文分词很有意思。
القطة السوداء تنام على السجادة. צבי הודי. नमस्ते दुनिया, हिन्दी में लिखना। สวัสดีชาวโลก ภาษาไทย வணக்கம். ქართული ენა. Հայերեն.
for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }  // code\treturn x != y && z >= 0x1F; email@example.org https://example.com/a?b=c#d
😀 👩‍👩‍👧‍👦 🇩🇪 🇯🇵 ❤️ 👍🏽 ☃ ★ ♥ “quotes” ‘single’ — dash – … • ½ ² ³ № ™ € £ ¥ $ © ® ± × ÷ ≤ ≥ ∑ √ ∞ ﬁ ﬂ ﬀ ﷺ Ⅷ ①
"""

TEXTS = [
    "", " ", "   ", "\t", "\n", "\r\n", " \t\r\n ", "a", "A", ".", "Hello, world!", "hello   world", "  leading and trailing  ", "The quick brown fox",
    "don't we'll I'm you'd they've it's IT'S 's ' 'x 're", "Unaffable tokenization of antidisestablishmentarianism", "x" * 99, "y" * 100, "z" * 101, "ab" * 300,
    "1", "12345678901234567890", "3.14159", "1,234,567.89", "0x1F 1e10 ½ ² Ⅷ ① ٣ ३ ๓ 三", "a1b2c3", "20:15 24.11.2026", "v2.0-rc1+build.7",
    "Zwölf Boxkämpfer", "Zwo\u0308lf Boxka\u0308mpfer", "caf\u00e9 cafe\u0301 CAF\u00c9 CAFE\u0301", "Straße STRASSE ẞ ß ſ", "İstanbul Iğdır ısı i̇", "ﬁﬂﬀ ﬃ ŉ ǆ ĳ",
    "\u00c5 A\u030a \u212b \u03a9 \u2126 K \u212a", "ﷺ ㎏ ㋿ ｆｕｌｌ　ｗｉｄｔｈ ﾊﾝｶｸ", "a\u0323\u0307 a\u0307\u0323 q\u0307\u0323 \u1e69 s\u0323\u0307", "\u0301leading mark", "e\u0301\u0301\u0301\u0301",
    "我能吞下玻璃而不伤身体", "東京 hello世界abc", "カタカナ ひらがな ｶﾞ がが", "한국어 한국어 ㅎㅏㄴ", "𠀀𠮷 𪛖 豈 﨑", "中文。标点、符号！（测试）",
    "القطة السُّوداء تَنام ١٢٣", "צבי הוּדִי", "नमस्ते हिन्दी क्षत्रिय ॥", "สวัสดีชาวโลก ก็ ำ", "வணக்கம் ଓଡ଼ିଆ বাংলা", "ქართული ᲥᲐᲠᲗᲣᲚᲘ Հայերեն", "ᎠᎡᎢ ꭰꭱꭲ ᏣᎳᎩ", "Ёё Йй Її Съешь ещё", "Ἀθῆναι ΑΒΓ ς σ Σ ΌΣΟΣ",
    "😀", "😀😀 😀", "👩‍👩‍👧‍👦", "🇩🇪🇯🇵🇩", "❤️❤ 👍🏽👍", "☃️★♥", "\U0001f468\u200d\U0001f4bb codes", "a\u200bb\u200cc\u200dd\u2060e\ufefff", "soft\u00adhyphen", "no\u00a0break\u202fspace\u2007figure\u3000wide",
    "\u2028line\u2029para\u0085next\u000bvt\u000cff", "bell\u0007esc\u001b del\u007f c1\u0080\u009f nul\u0000end", "\ufffd\ufffe\uffff\U0010ffff", "\ue000private \U000f0000", "\u180e mongolian \u1680 ogham", "rtl \u202eoverride\u202c \u200fmark",
    "line one\nline two\r\nline three\rline four\n\n\nend\n", "\ttab\tseparated\t\tvalues", "  two  spaces\n    indented code\n\treturn;", "trailing spaces   \n  ", "a \n b", "a\n \n b",
    "[CLS] hello [SEP] world [MASK].", "[MASK][MASK] [PAD]", "<s>hello</s> <unk> <mask> <pad>", "a <mask> b <mask>c", "<|endoftext|>text<|endoftext|>", "< | endoftext | >", "x<|im_start|>user\nhi<|im_end|>", "[mask] <MASK> <S>",
    "▁meta▁space ▁", "##prefix ##s", "Ġbyte Ċ Âł", "<0xE2><0x96><0x81> <0x0A>", "</w> a</w>", "email@example.org https://example.com/a?b=c&d=%20#e", "{\"json\": [1, 2.5e-3, null, \"é\\u00e9\"]}", "<html><body class='x'>&amp;</body></html>",
    "snake_case camelCase PascalCase kebab-case CONST_CASE", "C++ C# F# .NET node.js", "$100 €50 £20 ¥1000 ₹500 +-*/=<>^~`|\\", "“curly” ‘quotes’ — em–en … •", "wow!!! what??? ...", "a,b;c:d", "ne'er-do-well rock'n'roll o'clock",
    "newtoken oldtoken anewtoken newtokens new token NewToken", "monday Monday MONDAY mondays", "Ꜳ Ꟃ Ɤ Ꟛ \U00010d50\U00010d70", "\U0001e900\U0001e922 \U00010400\U00010428", "\u1cf2\u1cf3 \u0898\u08ca \u1df5\u1dfa", "\u061d \u2e52 \u2e5d", "Z\u0351\u036b\u0343a\u0340\u0341l\u0315g\u0321\u0322o",
]
PAIRS = [("the quick fox", "jumps over"), ("", "second"), ("first", ""), ("a b c d e f g h", "one two three four five six seven eight"), ("東京", "नमस्ते"), ("x" * 40, "y")]


def trained(model, trainer, normalizer=None, pre=None, decoder=None, post=None, added=()):
    tokenizer = Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre:
        tokenizer.pre_tokenizer = pre
    if decoder:
        tokenizer.decoder = decoder
    tokenizer.train_from_iterator(CORPUS.splitlines(), trainer)
    if post:
        tokenizer.post_processor = post(tokenizer)
    if added:
        tokenizer.add_tokens(list(added))
    return tokenizer


def cls_sep(tokenizer):
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids)


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def wordpiece(lowercase, size, added=()):
    return trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=size, special_tokens=BERT, show_progress=False),
                   normalizers.BertNormalizer(lowercase=lowercase), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece(), cls_sep, added)


def byte_bpe(pre, post=None, normalizer=None, special=("<|endoftext|>",), added=(), size=500, **options):
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    return trained(models.BPE(**options), trainer, normalizer, pre, decoders.ByteLevel(), post, added)


def roberta():
    def post(tokenizer):
        return processors.RobertaProcessing(("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>")), add_prefix_space=True)
    return byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=True), post, special=["<s>", "<pad>", "</s>", "<unk>"], added=[AddedToken("<mask>", lstrip=True, special=True)])


CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def llama3():
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(CL100K), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    def post(tokenizer):
        begin = processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                              special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))])
        return processors.Sequence([processors.ByteLevel(trim_offsets=False), begin])
    return byte_bpe(pre, post, normalizers.NFC(), ["<|begin_of_text|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"], ignore_merges=True)


def llama2():
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = trained(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True), trainers.BpeTrainer(vocab_size=650, special_tokens=special, show_progress=False),
                        normalizer, None, decoder,
                        lambda t: processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", t.token_to_id("<s>"))]))
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(document))


def sentencepiece_map():
    """A small map of SentencePiece's own making: ligatures, full width, odd spaces, composition."""
    rules = {"ﬁ": "fi", "ﬂ": "fl", "Ⅷ": "VIII", "①": "1", "\u3000": " ", "\u00a0": " ", "ｆ": "f", "ｕ": "u", "ｌ": "l", "e\u0301": "é", "o\u0308": "ö", "\u200b": " ", "\t": " ", "\n": " ",
             "\r": " ", "\u00ad": "", "ﾊﾞ": "バ", "ﾊ": "ハ", "ｶﾞ": "ガ", "²": "2", "½": "1/2", "\u0007": "", "★": "*", "\u2126": "\u03a9", "\u212a": "K", "ſ": "s", "…": "..."}
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/rules.tsv", "w", encoding="utf-8") as file:
            for old, new in rules.items():
                file.write(" ".join(f"{ord(c):X}" for c in old) + "\t" + " ".join(f"{ord(c):X}" for c in new) + "\n")
        with open(f"{folder}/corpus.txt", "w", encoding="utf-8") as file:
            file.write(CORPUS)
        sentencepiece.SentencePieceTrainer.train(input=f"{folder}/corpus.txt", model_prefix=f"{folder}/m", vocab_size=420, normalization_rule_tsv=f"{folder}/rules.tsv",
                                                 minloglevel=2, hard_vocab_limit=False)
        from sentencepiece import sentencepiece_model_pb2
        model = sentencepiece_model_pb2.ModelProto()
        model.ParseFromString(open(f"{folder}/m.model", "rb").read())
        return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def unigram(normalizer, pre, decoder, size=420, byte_fallback=False, post=None):
    special = ["<pad>", "</s>", "<unk>"] + ([f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else [])
    tokenizer = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False, n_sub_iterations=2),
                        normalizer, pre, decoder, post)
    document = json.loads(tokenizer.to_str())
    document["model"]["byte_fallback"] = byte_fallback
    document["model"]["vocab"] = [[token, round(score, 4)] for token, score in document["model"]["vocab"]]
    if byte_fallback:
        document["added_tokens"] = [token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(document))


def t5():
    """Hugging Face's `normalizers.Precompiled` takes the map as bytes."""
    normalizer = normalizers.Sequence([normalizers.Precompiled(base64.b64decode(sentencepiece_map())), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")])
    return unigram(normalizer, pre_tokenizers.Metaspace(prepend_scheme="always"), decoders.Metaspace(prepend_scheme="always"),
                   post=lambda t: processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", t.token_to_id("</s>"))]))


def albert():
    normalizer = normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
                                       normalizers.Nmt()])
    pre = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")])
    return unigram(normalizer, pre, decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")]), 700, True)


def clip():
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>", show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    return trained(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"), trainer, normalizer, pre, decoders.BPEDecoder(), None)


def prefixed():
    """Characters with a prefix, unknown ones kept apart."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("contiguous")])
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["[UNK]"], continuing_subword_prefix="##", limit_alphabet=120, show_progress=False)
    return trained(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##"), trainer, normalizers.NFKC(), pre, decoders.WordPiece(cleanup=False), None)


def wordlevel():
    pre = pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit(" "), pre_tokenizers.Split("e", "merged_with_previous"), pre_tokenizers.Split("a", "merged_with_next"),
                                   pre_tokenizers.Split(Regex("[0-9]+"), "contiguous"), pre_tokenizers.Punctuation("merged_with_previous")])
    added = [AddedToken("newtoken", single_word=True), AddedToken("Monday", normalized=True), AddedToken("[X]", lstrip=True, rstrip=True, special=True, normalized=False),
             AddedToken("the"), AddedToken("they")]
    return trained(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False),
                   normalizers.Sequence([normalizers.NFD(), normalizers.Strip(), normalizers.Lowercase()]), pre, None, None, added)


MADE = {
    "wordpiece": lambda: wordpiece(True, 420),
    "wordpiece-cased": lambda: wordpiece(False, 420, [AddedToken("newtoken", single_word=True), AddedToken("Monday"), AddedToken("▁meta", lstrip=True, rstrip=True)]),
    "gpt2": lambda: byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "roberta": roberta,
    "llama2": llama2,
    "llama3": llama3,
    "t5": t5,
    "albert": albert,
    "clip": clip,
    "prefixed": prefixed,
    "wordlevel": wordlevel,
}


def cases(tokenizer):
    result = []
    for text in [(text,) for text in TEXTS] + PAIRS:
        found = tokenizer.encode(*text)
        result.append({"ids": found.ids, "type_ids": found.type_ids if any(found.type_ids) else [],
                       "decoded": tokenizer.decode(found.ids), "whole": tokenizer.decode(found.ids, skip_special_tokens=False)})
    return result


def write():
    FOLDER.mkdir(exist_ok=True)
    def dump(name, value):
        # One value a line: a difference is seen.
        text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
        (FOLDER / name).write_text(text.replace('},{"ids"', '},\n{"ids"').replace('],"cases"', '],\n"cases"') + "\n")
    dump("texts.json", [[text] for text in TEXTS] + [list(pair) for pair in PAIRS])
    for name, make in MADE.items():
        tokenizer = make()
        dump(f"{name}.json", {"made_with": f"tokenizers {tokenizers.__version__}", "document": json.loads(tokenizer.to_str()), "cases": cases(tokenizer)})


ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz     ", "ABC abc 'sldtmrev' ", "0123456789 .,:-", " \t\n\r\u00a0\u3000\u2028\u0085\u200b", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ a",
    "äöüßÄÖÜẞéèêçñ ıİ ſK", "e\u0301a\u0323\u0307o\u0308\u0327\u0345 ", "我能吞下玻璃東京カタカナひらがなﾊﾞ한국ㅎㅏ。、", "القطةَُّ١٢", "नमस्ते क्षि।", "สวัสดีำ็", "😀👩\u200d👧🇩🇪\ufe0f🏽❤", "\u0000\u0007\u001b\u007f\u0080\u009f\ufffd\ufeff\u00ad\u200e ab",
    "▁Ġ##<0x>/w|[]", "ﬁﷺ㎏½²ⅧΩÅ",
]
WORDS = ["the", "they", "Monday", "newtoken", "[MASK]", "[CLS]", "[X]", "<s>", "</s>", "<mask>", "<|endoftext|>", "<|im_start|>", "<unk>", "▁meta", "tokenizers", "don't", "we'll", "  ", "\n\n", "1998", "[UNK]", "<0x41>", "monday", "``", "''"]


def random_text(source):
    parts = []
    for _ in range(source.randint(0, 6)):
        kind = source.random()
        if kind < 0.25:
            parts.append(source.choice(WORDS))
        elif kind < 0.35:
            parts.append("".join(chr(c) for c in (source.randrange(0x110000) for _ in range(source.randint(1, 4))) if not 0xD800 <= c < 0xE000))
        elif kind < 0.5:
            parts.append("".join(chr(source.randrange(0x20, 0x3000)) for _ in range(source.randint(1, 6))))
        elif kind < 0.6:
            begin = source.randrange(len(CORPUS))
            parts.append(CORPUS[begin:begin + source.randint(1, 40)])
        else:
            letters = source.choice(ALPHABETS)
            parts.append("".join(source.choice(letters) for _ in range(source.randint(1, 12))))
    return "".join(parts) if source.random() < 0.5 else " ".join(parts)


def compare(name, tokenizer, document, number, seed=1, quiet=False):
    """@return how many of them differ"""
    source = random.Random(f"{name}{seed}")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tokenizer.json"
        path.write_text(json.dumps(document))
        lines, wanted = [], []
        for _ in range(number):
            text = random_text(source)
            line = {"text": text, "special": source.random() < 0.7}
            pair = None
            if source.random() < 0.1:
                pair = line["pair"] = random_text(source)
            try:
                found = tokenizer.encode(text, pair, add_special_tokens=line["special"])
            except BaseException as error:  # it panics on some texts, where a chain of normalizers leaves nothing to align with
                if type(error).__name__ != "PanicException":
                    raise
                continue
            lines.append(line)
            wanted.append({"ids": found.ids, "type_ids": found.type_ids})
            if source.random() < 0.3:
                skip = source.random() < 0.5
                ids = [source.randrange(tokenizer.get_vocab_size() + 3) for _ in range(source.randint(1, 12))] if source.random() < 0.5 else found.ids
                if document["decoder"] and document["decoder"]["type"] == "BPEDecoder" and not ids:
                    continue  # tokenizers fails on these
                lines.append({"ids": ids, "skip": skip})
                wanted.append({"text": tokenizer.decode(ids, skip_special_tokens=skip)})
        out = subprocess.run([TOOL, path], input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True, check=True).stdout
        answers = [json.loads(line) for line in out.split("\n")[:-1]]
    wrong = [(line, want, got) for line, want, got in zip(lines, wanted, answers, strict=True) if want != got]
    for line, want, got in wrong[:5]:
        print("   ", ascii(line), "\n      want", ascii(want), "\n      got ", ascii(got))
    if wrong or not quiet:
        print(f"{name}: {len(lines)} compared, {len(wrong)} differ", flush=True)
    return len(wrong)


def some(source, low, high, make):
    return [make(source) for _ in range(source.randint(low, high))]


def random_pattern(source):
    if source.random() < 0.4:
        return {"String": source.choice(["a", " ", "  ", "e", "the", "東", "\u0301", "'", "\n", "▁"])}
    return {"Regex": source.choice([r"\s+", r"\S", r"\p{L}+", r"\p{N}{1,3}", r"[^\p{L}\p{N}\s]+", r"a|e|i", r"(?i:THE|x)", r"\s+(?!\S)|\s+", r"\p{Han}|\p{Greek}+", r"[^\r\n\p{L}\p{N}]?\p{L}+",
                                    r"^.", r".$", r"\w+", r"[[:digit:]]", r"(?=[A-Z])", r"x*", r"\b", CL100K, r"\h+", r"[\s,.]+", r"\P{L}+", r"\W", r"\B", r"[[:alpha:]\d]+", r"[[:punct:]]", r" ?[^(\s|[.,!?…。，、।۔،])]+",
                                    r"[[:upper:]][[:lower:]]*", r"[a-z]{,3}x", r"o{2,}|l{2}", r"\x{61}+\u0065"])}


def random_normalizer(source):
    return source.choice([
        lambda: {"type": source.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"])},
        lambda: {"type": "BertNormalizer", "clean_text": source.random() < 0.5, "handle_chinese_chars": source.random() < 0.5,
                 "strip_accents": source.choice([None, True, False]), "lowercase": source.random() < 0.5},
        lambda: {"type": "Strip", "strip_left": source.random() < 0.5, "strip_right": source.random() < 0.5},
        lambda: {"type": "Prepend", "prepend": source.choice(["▁", "ab ", "é"])},
        lambda: {"type": "Replace", "pattern": random_pattern(source), "content": source.choice(["", " ", "▁", "xy"])},
    ])()


def random_pre_tokenizer(source):
    behavior = source.choice(["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"])
    return source.choice([
        lambda: {"type": source.choice(["BertPreTokenizer", "Whitespace", "WhitespaceSplit"])},
        lambda: {"type": "Punctuation", "behavior": behavior},
        lambda: {"type": "Digits", "individual_digits": source.random() < 0.5},
        lambda: {"type": "CharDelimiterSplit", "delimiter": source.choice(" ae東")},
        lambda: {"type": "Split", "pattern": random_pattern(source), "behavior": behavior, "invert": source.random() < 0.3},
        lambda: {"type": "Metaspace", "replacement": source.choice("▁_"), "prepend_scheme": source.choice(["always", "first", "never"]), "split": source.random() < 0.7},
    ])()


def random_decoder(source):
    return source.choice([
        lambda: {"type": source.choice(["ByteFallback", "Fuse"])},
        lambda: {"type": "WordPiece", "prefix": "##", "cleanup": source.random() < 0.5},
        lambda: {"type": "Metaspace", "replacement": "▁", "prepend_scheme": source.choice(["always", "never"]), "split": True},
        lambda: {"type": "Replace", "pattern": random_pattern(source), "content": source.choice(["", " ", "q"])},
        lambda: {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": source.random() < 0.5},
    ])()


def components(number):
    """Documents of random components over a vocabulary of bytes, so that every piece shows in the ids."""
    base = json.loads((FOLDER / "gpt2.json").read_text())["document"]
    wrong = made = 0
    for seed in range(number):
        source = random.Random(seed)
        document = dict(base)
        document["normalizer"] = {"type": "Sequence", "normalizers": some(source, 0, 3, random_normalizer)}
        last = [{"type": "ByteLevel", "add_prefix_space": source.random() < 0.3, "trim_offsets": True, "use_regex": source.random() < 0.4}]
        document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": some(source, 0, 3, random_pre_tokenizer) + last}
        document["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}][:source.randint(0, 1)] +
                               some(source, 0, 2, random_decoder)}
        contents = source.sample(["Monday", "the", "they", "\u00e9t\u00e9", "  ", "\u6771", "it's", "ab", "XY", "▁"], source.randint(0, 4))
        document["added_tokens"] = base["added_tokens"] + [
            {"id": 500 + i, "content": content, "single_word": source.random() < 0.3, "lstrip": source.random() < 0.3, "rstrip": source.random() < 0.3,
             "normalized": source.random() < 0.5, "special": source.random() < 0.3} for i, content in enumerate(contents)]
        tokenizer = Tokenizer.from_str(json.dumps(document))
        patterns = [tokenizer.normalizer.normalize_str(token["content"]) for token in document["added_tokens"] if token["normalized"]]
        if len(set(patterns)) < len(patterns) or "" in patterns:
            continue  # of tokens that are one when normalized theirs is any
        made += 1
        wrong += compare(f"components {seed}", tokenizer, document, 300, quiet=True) > 0
    print(f"{made} tokenizers of random components, {wrong} of them differ somewhere")
    return wrong


def main():
    if sys.argv[1:2] == ["--components"]:
        sys.exit(components(int(sys.argv[2])) > 0)
    if sys.argv[1:2] == ["--random"]:
        wrong = 0
        only = sys.argv[3:]
        for name in MADE:
            if only and name not in only:
                continue
            document = json.loads((FOLDER / f"{name}.json").read_text())["document"]
            wrong += compare(name, Tokenizer.from_str(json.dumps(document)), document, int(sys.argv[2]))
        sys.exit(wrong > 0)
    if sys.argv[1:2] == ["--real"]:
        for folder in sys.argv[2:]:
            document = json.loads((pathlib.Path(folder) / "tokenizer.json").read_text())
            document["truncation"] = document["padding"] = None
            compare(folder, Tokenizer.from_str(json.dumps(document)), document, 20000)
        return
    write()


if __name__ == "__main__":
    main()
