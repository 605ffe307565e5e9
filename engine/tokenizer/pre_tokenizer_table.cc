#include "engine/tokenizer/pre_tokenizer_table.h"

namespace bitnet {
namespace {

constexpr PreTokenizerName kPreTokenizerNames[] = {
    {.name = "llama-bpe", .canonical = "llama-bpe", .ignore_merges = true, .add_bos = true},
    {.name = "llama3", .canonical = "llama-bpe", .ignore_merges = true, .add_bos = true},
    {.name = "llama-v3", .canonical = "llama-bpe", .ignore_merges = true, .add_bos = true},
    {.name = "falcon3", .canonical = "llama-bpe", .ignore_merges = true, .add_bos = true},
    {.name = "falcon-h1", .canonical = "llama-bpe", .ignore_merges = true, .add_bos = true},
    {.name = "pixtral", .canonical = "llama-bpe", .ignore_merges = true, .add_bos = true},
    {.name = "midm-2.0", .canonical = "llama-bpe", .ignore_merges = true, .add_bos = true},
    {.name = "lfm2", .canonical = "llama-bpe", .ignore_merges = true, .add_bos = true},
    {.name = "jina-v5-nano", .canonical = "llama-bpe", .ignore_merges = true, .add_bos = true},
    {.name = "dbrx", .canonical = "llama-bpe"},
    {.name = "smaug-bpe", .canonical = "llama-bpe"},
    {.name = "glm4", .canonical = "llama-bpe", .no_default_bos = true},
    {.name = "chatglm-bpe", .canonical = "llama-bpe", .no_default_bos = true},
    {.name = "jais-2", .canonical = "jais-2"},
    {.name = "deepseek-llm", .canonical = "deepseek-llm"},
    {.name = "deepseek-coder", .canonical = "deepseek-coder"},
    {.name = "deepseek-v3", .canonical = "deepseek-v3"},
    {.name = "hunyuan-dense", .canonical = "deepseek-v3"},
    {.name = "hy_v4", .canonical = "deepseek-v3"},
    {.name = "joyai-llm", .canonical = "deepseek-v3"},
    {.name = "spark2_5", .canonical = "spark2_5"},
    {.name = "youtu", .canonical = "youtu", .ignore_merges = true},
    {.name = "falcon", .canonical = "falcon"},
    {.name = "starcoder", .canonical = "starcoder"},
    {.name = "refact", .canonical = "starcoder"},
    {.name = "command-r", .canonical = "starcoder"},
    {.name = "smollm", .canonical = "starcoder"},
    {.name = "codeshell", .canonical = "starcoder"},
    {.name = "exaone", .canonical = "starcoder"},
    {.name = "minerva-7b", .canonical = "starcoder"},
    {.name = "mellum2", .canonical = "starcoder"},
    {.name = "gpt-2", .canonical = "gpt-2"},
    {.name = "phi-2", .canonical = "gpt-2"},
    {.name = "jina-es", .canonical = "gpt-2"},
    {.name = "jina-de", .canonical = "gpt-2"},
    {.name = "gigachat", .canonical = "gpt-2"},
    {.name = "jina-v2-es", .canonical = "gpt-2"},
    {.name = "jina-v2-de", .canonical = "gpt-2"},
    {.name = "a.x-4.0", .canonical = "gpt-2"},
    {.name = "mellum", .canonical = "gpt-2"},
    {.name = "modern-bert", .canonical = "gpt-2"},
    {.name = "jina-v1-en", .canonical = "gpt-2"},
    {.name = "jina-v2-code", .canonical = "gpt-2"},
    {.name = "roberta-bpe", .canonical = "gpt-2"},
    {.name = "mpt", .canonical = "gpt-2"},
    {.name = "olmo", .canonical = "gpt-2"},
    {.name = "jais", .canonical = "gpt-2"},
    {.name = "exaone4", .canonical = "gpt-2"},
    {.name = "trillion", .canonical = "gpt-2"},
    {.name = "granite-docling", .canonical = "gpt-2"},
    {.name = "qwen2", .canonical = "qwen2"},
    {.name = "deepseek-r1-qwen", .canonical = "qwen2"},
    {.name = "kormo", .canonical = "qwen2"},
    {.name = "f2llmv2", .canonical = "qwen2"},
    {.name = "stablelm2", .canonical = "qwen2"},
    {.name = "megrez", .canonical = "qwen2"},
    {.name = "hunyuan", .canonical = "qwen2"},
    {.name = "solar-open", .canonical = "qwen2"},
    {.name = "grok-2", .canonical = "qwen2"},
    {.name = "qwen35", .canonical = "qwen35"},
    {.name = "bloom", .canonical = "bloom"},
    {.name = "poro-chat", .canonical = "bloom"},
    {.name = "gpt3-finnish", .canonical = "bloom"},
    {.name = "viking", .canonical = "viking"},
    {.name = "tekken", .canonical = "tekken", .ignore_merges = true, .add_bos = true},
    {.name = "chameleon", .canonical = "chameleon", .add_bos = true},
    {.name = "gpt-4o", .canonical = "gpt-4o"},
    {.name = "llama4", .canonical = "gpt-4o"},
    {.name = "kanana2", .canonical = "gpt-4o"},
    {.name = "talkie", .canonical = "gpt-4o"},
    {.name = "minimax-m2", .canonical = "gpt-4o"},
    {.name = "granite-embed-multi-97m", .canonical = "granite-embed-multi-97m", .ignore_merges = true},
    {.name = "tiny_aya", .canonical = "tiny_aya"},
    {.name = "cohere2moe", .canonical = "tiny_aya"},
    {.name = "kimi-k2", .canonical = "kimi-k2", .merges_optional = true},
    {.name = "superbpe", .canonical = "superbpe"},
    {.name = "bailingmoe", .canonical = "bailingmoe"},
    {.name = "bailingmoe2", .canonical = "bailingmoe"},
    {.name = "llada-moe", .canonical = "bailingmoe"},
    {.name = "seed-coder", .canonical = "seed-coder"},
    {.name = "ufakzeka", .canonical = "ufakzeka"},
    {.name = "afmoe", .canonical = "afmoe"},
    {.name = "laguna", .canonical = "laguna"},
    {.name = "exaone-moe", .canonical = "exaone-moe"},
    {.name = "minicpm5", .canonical = "minicpm5", .ignore_merges = true},
    {.name = "gemma4",
     .canonical = "gemma4",
     .force_bos = true,
     .alphabet = TokenAlphabet::kEscapedSpaces,
     .newlines_are_words = true},
    {.name = "granite-embed-multi-311m",
     .canonical = "gemma4",
     .force_bos = true,
     .alphabet = TokenAlphabet::kEscapedSpaces,
     .newlines_are_words = true},
    {.name = "sarvam-moe", .canonical = "gemma4", .alphabet = TokenAlphabet::kEscapedSpaces},
    // For tokenizer.ggml.model "whitespace" alone.
    {.name = "whitespace", .canonical = "whitespace", .alphabet = TokenAlphabet::kCharacters},
    {.name = "default", .canonical = "default"},
    {.name = "falcon3", .canonical = "falcon3", .dialect = TokenizerDialect::kBitnetCpp},
    {.name = "falcon_e", .canonical = "falcon3", .dialect = TokenizerDialect::kBitnetCpp},
};

constexpr CodePointRange kCasedLetters[] = {
    {0xB5, 0xB5},       {0xC0, 0xD6},       {0xD8, 0xF6},       {0xF8, 0x1BA},      {0x1BC, 0x1BF},
    {0x1C4, 0x293},     {0x295, 0x2AF},     {0x370, 0x373},     {0x376, 0x377},     {0x37B, 0x37D},
    {0x37F, 0x37F},     {0x386, 0x386},     {0x388, 0x38A},     {0x38C, 0x38C},     {0x38E, 0x3A1},
    {0x3A3, 0x3F5},     {0x3F7, 0x481},     {0x48A, 0x52F},     {0x531, 0x556},     {0x10A0, 0x10C5},
    {0x13A0, 0x13F5},   {0x13F8, 0x13FD},   {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},
    {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},
    {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},   {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},
    {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},   {0x1FB6, 0x1FBC},   {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},
    {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},   {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},
    {0x1FF6, 0x1FFC},   {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210A, 0x2113},   {0x2115, 0x2115},
    {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},   {0x2128, 0x2128},   {0x212A, 0x212D},
    {0x212F, 0x2134},   {0x2139, 0x2139},   {0x213C, 0x213F},   {0x2145, 0x2149},   {0x214E, 0x214E},
    {0x2183, 0x2184},   {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF3},
    {0xA640, 0xA66D},   {0xA680, 0xA69B},   {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},
    {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},
    {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2},
    {0x118A0, 0x118DF}, {0x1E900, 0x1E943}};
constexpr CodePointRange kDeepseekPunctuation[] = {
    {0x2018, 0x201F}, {0x3001, 0x3002}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E}};
constexpr CodePointRange kDeepseekHan[] = {{0x800, 0x167F},  {0x1681, 0x1FFF}, {0x200B, 0x2027}, {0x202A, 0x202E},
                                           {0x2030, 0x205E}, {0x2060, 0x2FFF}, {0x3001, 0x9FA5}, {0xAC00, 0xD7FF}};
constexpr CodePointRange kHanAndKana[] = {{0x3040, 0x30FF}, {0x4E00, 0x9FA5}};
constexpr CodePointRange kHangul[] = {{0x3131, 0x318E}, {0xAC00, 0xD7A3}};
constexpr CodePointRange kEastAsianPunctuation[] = {{0x2014, 0x2014}, {0x2018, 0x2019}, {0x201C, 0x201D},
                                                    {0x2026, 0x2026}, {0x3001, 0x303F}, {0xFE30, 0xFE4F},
                                                    {0xFF01, 0xFF01}, {0xFF0C, 0xFF0C}, {0xFF1A, 0xFF1B}};
constexpr CodePointRange kBopomofo[] = {{0x3105, 0x312F}};
constexpr CodePointRange kSentencePunctuation[] = {{0x60C, 0x60C},   {0x6D4, 0x6D4},   {0x964, 0x964},
                                                   {0x2026, 0x2026}, {0x3001, 0x3002}, {0xFF0C, 0xFF0C}};
constexpr CodePointRange kAsianScripts[] = {{0xE40, 0xEFF},   {0x1000, 0x109F}, {0x1100, 0x11FF},
                                            {0x1780, 0x17FF}, {0x2F00, 0x2FDF}, {0x3040, 0x30FF},
                                            {0x3400, 0x4DBF}, {0x4E00, 0xFAFF}, {0xFF65, 0xFF9F}};
constexpr CodePointRange kHan[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                   {0x20000, 0x2A6DF}, {0x2A700, 0x2EBEF}, {0x2F800, 0x2FA1F}};

constexpr std::string_view kGpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?[{L}]+| ?[{N}]+| ?[^{S}{L}{N}]+|[{S}]+(?![^{S}])|[{S}]+";
constexpr std::string_view kQwen2 = R"({C}|[^\r\n{L}{N}]?[{L}]+|[{N}]| ?[^{S}{L}{N}]+[\r\n]*|{T})";
constexpr std::string_view kDeepseek3 =
    R"([!-/:-@\[-`{{-~][A-Za-z]+|[^\r\n{L}{P}{Y}]?[{L}{M}]+| ?[{P}{Y}]+[\r\n]*|{T})";
constexpr std::string_view kLines = R"([^\n]+|\n+)";
// The reference has no cases of letters beyond ASCII: a class for upper case or lower case is all letters.
constexpr std::string_view kLettersAndMarks =
    R"([^\r\n{L}{N}]?[{L}{M}]+(?:{C})?|[{N}]{{1,3}}| ?[^{S}{L}{N}]+[\r\n/]*|{T})";

constexpr PreTokenizerSteps kPreTokenizerSteps[] = {
    {"llama-bpe", {{R"({C}|[^\r\n{L}{N}]?[{L}]+|[{N}]{{1,3}}| ?[^{S}{L}{N}]+[\r\n]*|{T})"}}},
    {"jais-2",
     {{R"({C}|[^\r\n{L}{N}]?[{L}]+|[{N}]{{1,3}}| ?[^{S}{L}{N}]+[\r\n]*|[{S}]*[\r\n]+|[{S}]{{512}}(?![^{S}])|)"
       R"([{S}]{{256}}(?![^{S}])|[{S}]{{128}}(?![^{S}])|[{S}]{{64}}(?![^{S}])|[{S}]{{32}}(?![^{S}])|)"
       R"([{S}]{{16}}(?![^{S}])|[{S}]{{8}}(?![^{S}])|[{S}]{{4}}(?![^{S}])|[{S}]{{1,2}}(?![^{S}])|[{S}])"}}},
    {"deepseek-llm",
     {{R"([\r\n])"},
      {"[{S}]?[A-Za-z{A}]+", {kCasedLetters}},
      {"[{S}]?[!-/:-~{A}]+", {kDeepseekPunctuation}},
      {R"((?<![{S}])[{S}]++\z)"},
      {"[{A}]+", {kDeepseekHan}},
      {"[{N}]+"}}},
    {"deepseek-coder", {{R"([\r\n])"}, {"[{S}]?[{L}]+"}, {"[{S}]?[{P}]+"}, {"[{A}]+", {kDeepseekHan}}, {"[{N}]"}}},
    {"deepseek-v3", {{"[{N}]{{1,3}}"}, {"[{A}]+", {kHanAndKana}}, {kDeepseek3}}},
    {"spark2_5",
     {{"[{N}]{{1,3}}"},
      {"[{A}]+", {kHanAndKana}},
      {R"([!-/:-@\[-`{{-~][A-Za-z]+|[^\r\n{L}{P}{Y}]?[{L}{M}]+| ?[{P}{Y}]+|[\r\n]|[{S}]+(?![^{S}])|[{S}]+)"},
      {"[{N}]"}}},
    {"youtu",
     {{"[{A}]+|[{B}]+|[{D}]+|[{E}]+", {kHangul, kEastAsianPunctuation, kBopomofo, kHanAndKana}},
      {R"([^\r\n{L}{N}]?[{L}{M}]+(?:{C})?|[{N}]| ?[^{S}{L}{N}]+[\r\n/]*|{T})"}}},
    {"falcon", {{"[{P}$+<=>^~|`]+"}, {kGpt2}, {"[0-9][0-9][0-9]"}}},
    {"falcon3", {{"[{P}$+<=>^~|`]+"}, {kGpt2}, {"[0-9]"}}},
    {"starcoder", {{"[{N}]"}, {kGpt2}}},
    {"gpt-2", {{kGpt2}}},
    {"qwen2", {{kQwen2}}},
    {"qwen35", {{R"({C}|[^\r\n{L}{N}]?[{L}{M}]+|[{N}]| ?[^{S}{L}{M}{N}]+[\r\n]*|{T})"}}},
    {"bloom", {{" ?[^({S}|.,!?){A}]+", {kSentencePunctuation}}}},
    {"viking", {{" ?[^({S}|.,!?){A}]+", {kSentencePunctuation}}, {"[{N}]"}}},
    {"tekken",
     {{R"([^\r\n{L}{N}]?[A-Z{l}]*[a-z{l}]+|[^\r\n{L}{N}]?[A-Z{l}]+[a-z{l}]*|[{N}]| ?[^{S}{L}{N}]+[\r\n/]*|{T})"}}},
    {"chameleon",
     {{"<sentinel:[0-9]+>"},
      {"IMGIMG[A-I]{{1,4}}Z"},
      {R"([\t\n]|    |  )"},
      {"[{N}]"},
      {R"([{P}!-/:-@\[-`{{-~])"},
      {kGpt2}}},
    {"gpt-4o",
     {{R"([^\r\n{L}{N}]?[A-Z{l}]*[a-z{l}]+(?:{C})?|[^\r\n{L}{N}]?[A-Z{l}]+[a-z{l}]*(?:{C})?|)"
       R"([{N}]{{1,3}}| ?[^{S}{L}{N}]+[\r\n/]*|{T})"}}},
    {"granite-embed-multi-97m",
     {{R"([^\r\n{L}{N}]?[A-Z{l}{M}]*[a-z{l}{M}]+(?:{C})?|[^\r\n{L}{N}]?[A-Z{l}{M}]+[a-z{l}{M}]*(?:{C})?|)"
       R"([{N}]{{1,3}}| ?[^{S}{L}{N}]+[\r\n/]*|{T})"}}},
    {"tiny_aya", {{"", {}, SplitKind::kGroupsOfNumbers}, {kLettersAndMarks}}},
    {"kimi-k2", {{R"([{A}]+|[^\r\n{L}{N}]?[{L}]+(?:{C})?|[{N}]{{1,3}}| ?[^{S}{L}{N}{Al}]+[\r\n]*|{T})", {kHan}}}},
    {"superbpe", {{"[{N}]+"}, {"", {}, SplitKind::kThousandsOfDigits}}},
    {"bailingmoe", {{R"({C}|[^\r\n{L}{N}]?[{L}]+|[{N}]| ?[^{S}{L}{N}]+[\r\n]*|[{S}]*[\r\n]|[{S}]+(?![^{S}])|[{S}]+)"}}},
    {"seed-coder", {{R"({C}|[^\r\n{L}{N}]?[{L}]+|[{N}]| ?[^{S}{L}{N}\r\n]+|{T})"}}},
    {"ufakzeka", {{R"([^\r\n{L}{N}]?[{L}]+|[{N}]| ?[^{S}{L}{N}]+[\r\n]*|{T})"}}},
    {"afmoe", {{"", {}, SplitKind::kGroupsOfNumbers}, {"[{A}]+", {kAsianScripts}}, {kDeepseek3}}},
    {"laguna", {{kLines}, {kQwen2}}},
    {"exaone-moe",
     {{R"({C}|[^\r\n{L}{N}]?[{L}](?:[{L}{M}]++| [{L}])*+|[{N}]| ?[^{S}{L}{N}]+[\r\n/]?|)"
       R"([{S}]*[\r\n]|[{S}]+(?![^{S}])|[{S}]+)"}}},
    {"gemma4", {{kLines}}},
    {"minicpm5", {{"[{N}]{{1,3}}"}, {R"({C}|[^\r\n{L}{N}]?[{L}]+|[{N}]+| ?[^{S}{L}{N}]+[\r\n]*|{T})"}}},
    {"whitespace", {{"[^{S}]+"}}},
    {"default", {{R"([{P}$+<=>^~|]+)"}, {kGpt2}, {"[{N}]+"}, {"[0-9][0-9][0-9]"}}},
};

}  // namespace

std::span<const PreTokenizerName> PreTokenizerNames() { return kPreTokenizerNames; }
std::span<const PreTokenizerSteps> AllPreTokenizerSteps() { return kPreTokenizerSteps; }

}  // namespace bitnet
