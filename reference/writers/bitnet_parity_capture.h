/* Reads requests and writes captures from C or C++, in one file without dependencies (C99 and POSIX).
 *
 *   #define BITNET_PARITY_CAPTURE_IMPLEMENTATION      // in one source file
 *   #include "bitnet_parity_capture.h"
 *
 *   int main(int argc, char** argv) {                 // what exec: calls: ENGINE REQUEST.json OUTDIR
 *     parity_request request = parity_read_request(argv[argc - 2]);
 *     parity_capture* capture = parity_begin(&request, argv[argc - 1]);
 *     // for every prompt position, while the engine runs:
 *     parity_tensor(capture, position, layer, "q_proj", q, n);        // does nothing unless the request asks for it
 *     parity_prompt_token(capture, id, piece, piece_size, logits, n_vocab);
 *     // for every generated token: the token, and the logits from which it was taken
 *     parity_generated_token(capture, id, piece, piece_size, logits, n_vocab);
 *     parity_finish(capture, &engine);                                // writes capture.json, and renames to OUTDIR
 *   }
 *
 * The pages docs/bring-your-own-engine.md and docs/capture-format.md say what the stages and fields mean. Every error
 * ends the program with exit code 1 and one line on standard error; no OUTDIR is left then.
 */
#ifndef BITNET_PARITY_CAPTURE_H_
#define BITNET_PARITY_CAPTURE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct parity_request {
  char* json;      /* the whole request, as it stands in the file */
  char* model;     /* path of the GGUF file */
  char* tokenizer; /* path of a tokenizer.json; "": the vocabulary in the GGUF file */
  char* text;      /* what is tokenized, unless has_token_ids */
  size_t text_size;
  bool has_token_ids;
  int32_t* token_ids; /* the prompt in place of text */
  int n_token_ids;
  bool add_special, parse_special, ignore_eos, token_by_token, raw_tensors;
  int positions, max_tokens, n_ctx, n_ubatch, threads;
  uint64_t seed;
  char* trace;
  char* cpu_variant;
  char* i2s_layout;  /* "": as on x86 */
  int n_override_kv; /* an engine that does not obey them ends with an error where there are any */
} parity_request;

/* Reads and checks a request file. */
parity_request parity_read_request(const char* path);

void parity_free_request(parity_request* request);

/* Positions that the context must hold: n_ctx of the request, or what prompt and generated tokens need. */
int parity_context_size(const parity_request* request, int n_prompt_tokens);

typedef struct parity_capture parity_capture;

/* Everything goes to a directory beside `directory`, until parity_finish. `request` must outlive the capture. */
parity_capture* parity_begin(const parity_request* request, const char* directory);

/* True where the request traces this tensor. `layer` is -1 outside the layers. */
bool parity_wants(const parity_capture* capture, int position, int layer, const char* stage);
/* A tensor of one position. Does nothing unless the request asks for it. */
void parity_tensor(parity_capture* capture, int position, int layer, const char* stage, const float* data, size_t n);
/* attn_scores and attn_scores_softmax: `keys` numbers for each head, head h at data + h * stride. */
void parity_heads(parity_capture* capture, int position, int layer, const char* stage, const float* data, size_t n_head,
                  size_t keys, size_t stride);

/* The next prompt token, its bytes, and the logits behind it (n_vocab of them; kept where the request wants them). */
void parity_prompt_token(parity_capture* capture, int32_t id, const char* piece, size_t piece_size, const float* logits,
                         int n_vocab);
/* The next generated token, and the logits from which it was taken. */
void parity_generated_token(parity_capture* capture, int32_t id, const char* piece, size_t piece_size,
                            const float* logits, int n_vocab);
/* Optional: something that a reader of the verdict should know. */
void parity_note(parity_capture* capture, const char* note);

typedef struct parity_engine {
  const char *name, *version, *build, *simd;
  const char* architecture; /* as the model's file names it */
  const char* model_blake3; /* 64 hex digits (parity_hash of the file); "" where the engine cannot tell */
  int n_vocab, n_embd, n_layer, n_head, n_head_kv, n_embd_head, n_ff, n_rot, n_ctx_train, file_type;
  double rope_freq_base, rms_norm_eps;
  int n_ctx, n_ubatch, kv_cells; /* as in effect */
  double load_ms, prompt_ms, decode_ms;
} parity_engine;

/* Writes the rest, renames the directory, and frees the capture. */
void parity_finish(parity_capture* capture, const parity_engine* engine);

/* BLAKE3 of `size` bytes as 64 hex digits and a zero. */
void parity_hash(const void* data, size_t size, char hex[65]);

#ifdef __cplusplus
}
#endif
#endif /* BITNET_PARITY_CAPTURE_H_ */

#if defined(BITNET_PARITY_CAPTURE_IMPLEMENTATION) && !defined(BITNET_PARITY_CAPTURE_IMPLEMENTED)
#define BITNET_PARITY_CAPTURE_IMPLEMENTED

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static void parity_fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static void* parity_more(void* old, size_t size) {
  void* memory = realloc(old, size > 0 ? size : 1);
  if (memory == NULL) parity_fail("out of memory: %zu bytes", size);
  return memory;
}

/* Text that grows. */
typedef struct parity_text {
  char* data;
  size_t size, room;
} parity_text;

static void parity_append(parity_text* text, const char* data, size_t size) {
  if (text->size + size + 1 > text->room) {
    text->room = 2 * (text->size + size) + 64;
    text->data = (char*)parity_more(text->data, text->room);
  }
  memcpy(text->data + text->size, data, size);
  text->size += size;
  text->data[text->size] = '\0';
}

static void parity_print(parity_text* text, const char* format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  const int size = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (size < 0 || (size_t)size >= sizeof line) parity_fail("text of %d bytes is longer than expected", size);
  parity_append(text, line, (size_t)size);
}

static char* parity_join(const char* a, const char* b) {
  parity_text text = {NULL, 0, 0};
  parity_append(&text, a, strlen(a));
  parity_append(&text, b, strlen(b));
  return text.data;
}

/* ---- BLAKE3 (github.com/BLAKE3-team/BLAKE3-specs), without its keyed modes. ---- */

#define PARITY_CHUNK_START 1u
#define PARITY_CHUNK_END 2u
#define PARITY_PARENT 4u
#define PARITY_ROOT 8u

static const uint32_t parity_iv[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                      0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

static void parity_mix(uint32_t* v, int a, int b, int c, int d, uint32_t x, uint32_t y) {
  v[a] += v[b] + x;
  v[d] ^= v[a];
  v[d] = v[d] >> 16 | v[d] << 16;
  v[c] += v[d];
  v[b] ^= v[c];
  v[b] = v[b] >> 12 | v[b] << 20;
  v[a] += v[b] + y;
  v[d] ^= v[a];
  v[d] = v[d] >> 8 | v[d] << 24;
  v[c] += v[d];
  v[b] ^= v[c];
  v[b] = v[b] >> 7 | v[b] << 25;
}

/* Replaces the chaining value by that of one block more. */
static void parity_compress(uint32_t chain[8], const uint32_t block[16], uint64_t counter, uint32_t size,
                            uint32_t flags) {
  static const unsigned char order[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
  uint32_t v[16], m[16], next[16];
  memcpy(v, chain, 32);
  memcpy(v + 8, parity_iv, 16);
  v[12] = (uint32_t)counter;
  v[13] = (uint32_t)(counter >> 32);
  v[14] = size;
  v[15] = flags;
  memcpy(m, block, sizeof m);
  for (int round = 0;; ++round) {
    for (int i = 0; i < 4; ++i) parity_mix(v, i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1]);
    for (int i = 0; i < 4; ++i) {
      parity_mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i]);
    }
    if (round == 6) break;
    for (int i = 0; i < 16; ++i) next[i] = m[order[i]];
    memcpy(m, next, sizeof m);
  }
  for (int i = 0; i < 8; ++i) chain[i] = v[i] ^ v[8 + i];
}

/* The chaining value of `size` bytes, of which the first is in chunk `counter`. */
static void parity_subtree(const unsigned char* data, size_t size, uint64_t counter, uint32_t root, uint32_t chain[8]) {
  uint32_t block[16];
  if (size > 1024) {
    size_t left = 1024;
    while (2 * left < size) left *= 2;
    parity_subtree(data, left, counter, 0, block);
    parity_subtree(data + left, size - left, counter + left / 1024, 0, block + 8);
    memcpy(chain, parity_iv, 32);
    parity_compress(chain, block, 0, 64, PARITY_PARENT | root);
    return;
  }
  memcpy(chain, parity_iv, 32);
  for (size_t at = 0; at == 0 || at < size; at += 64) {
    const size_t n = size - at < 64 ? size - at : 64;
    unsigned char bytes[64] = {0};
    if (n > 0) memcpy(bytes, data + at, n);
    for (int i = 0; i < 16; ++i) {
      block[i] = (uint32_t)bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 | (uint32_t)bytes[4 * i + 2] << 16 |
                 (uint32_t)bytes[4 * i + 3] << 24;
    }
    const uint32_t flags = (at == 0 ? PARITY_CHUNK_START : 0u) | (at + 64 >= size ? PARITY_CHUNK_END | root : 0u);
    parity_compress(chain, block, counter, (uint32_t)n, flags);
  }
}

void parity_hash(const void* data, size_t size, char hex[65]) {
  uint32_t chain[8];
  parity_subtree((const unsigned char*)data, size, 0, PARITY_ROOT, chain);
  for (int i = 0; i < 32; ++i) snprintf(hex + 2 * i, 3, "%02x", chain[i / 4] >> (8 * (i % 4)) & 0xffu);
}

/* ---- JSON: as much as a request needs. ---- */

typedef struct parity_json {
  const char* path; /* for messages */
  const char* at;
} parity_json;

static void parity_json_fail(const parity_json* json, const char* expected) {
  parity_fail("%s: found '%.24s', expected %s", json->path, json->at, expected);
}

static void parity_json_space(parity_json* json) {
  while (*json->at != '\0' && strchr(" \t\r\n", *json->at) != NULL) ++json->at;
}

/* True, and behind it, where `c` is next. */
static bool parity_json_take(parity_json* json, char c) {
  parity_json_space(json);
  if (*json->at != c) return false;
  ++json->at;
  return true;
}

static unsigned parity_json_hex(parity_json* json, int digits) {
  unsigned value = 0;
  for (int i = 0; i < digits; ++i, ++json->at) {
    if (!isxdigit((unsigned char)*json->at)) parity_json_fail(json, "a hex digit");
    const int c = tolower((unsigned char)*json->at);
    value = 16 * value + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return value;
}

static void parity_append_utf8(parity_text* text, unsigned code) {
  char bytes[4];
  size_t n = 0;
  if (code < 0x80) {
    bytes[n++] = (char)code;
  } else if (code < 0x800) {
    bytes[n++] = (char)(0xc0 | code >> 6);
  } else if (code < 0x10000) {
    bytes[n++] = (char)(0xe0 | code >> 12);
    bytes[n++] = (char)(0x80 | (code >> 6 & 0x3f));
  } else {
    bytes[n++] = (char)(0xf0 | code >> 18);
    bytes[n++] = (char)(0x80 | (code >> 12 & 0x3f));
    bytes[n++] = (char)(0x80 | (code >> 6 & 0x3f));
  }
  if (code >= 0x80) bytes[n++] = (char)(0x80 | (code & 0x3f));
  parity_append(text, bytes, n);
}

static parity_text parity_json_quoted(parity_json* json) {
  parity_text text = {NULL, 0, 0};
  parity_append(&text, "", 0);
  if (!parity_json_take(json, '"')) parity_json_fail(json, "a text");
  while (*json->at != '"') {
    if (*json->at == '\0') parity_json_fail(json, "the end of a text");
    if (*json->at != '\\') {
      parity_append(&text, json->at++, 1);
      continue;
    }
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char c = json->at[1];
    const char* letter = c != '\0' ? strchr(letters, c) : NULL;
    if (letter != NULL) {
      parity_append(&text, meanings + (letter - letters), 1);
      json->at += 2;
    } else if (c == 'u') {
      json->at += 2;
      unsigned code = parity_json_hex(json, 4);
      if (code >= 0xd800 && code < 0xdc00 && json->at[0] == '\\' && json->at[1] == 'u') {
        json->at += 2;
        code = 0x10000 + ((code - 0xd800) << 10) + (parity_json_hex(json, 4) - 0xdc00);
      }
      parity_append_utf8(&text, code);
    } else {
      parity_json_fail(json, "an escape of JSON");
    }
  }
  ++json->at;
  return text;
}

/* A text, or bytes that are none as {"bytes_hex": "e298"}. */
static parity_text parity_json_text(parity_json* json) {
  if (!parity_json_take(json, '{')) return parity_json_quoted(json);
  parity_text text = {NULL, 0, 0}, key = parity_json_quoted(json);
  parity_append(&text, "", 0);
  if (strcmp(key.data, "bytes_hex") != 0 || !parity_json_take(json, ':') || !parity_json_take(json, '"')) {
    parity_json_fail(json, "a text or bytes_hex");
  }
  free(key.data);
  while (*json->at != '"') {
    const char byte = (char)parity_json_hex(json, 2);
    parity_append(&text, &byte, 1);
  }
  ++json->at;
  if (!parity_json_take(json, '}')) parity_json_fail(json, "}");
  return text;
}

static bool parity_json_word(parity_json* json, const char* word) {
  parity_json_space(json);
  if (strncmp(json->at, word, strlen(word)) != 0) return false;
  json->at += strlen(word);
  return true;
}

static bool parity_json_bool(parity_json* json) {
  if (parity_json_word(json, "true")) return true;
  if (!parity_json_word(json, "false")) parity_json_fail(json, "true or false");
  return false;
}

static int parity_json_int(parity_json* json, int least) {
  parity_json_space(json);
  char* end = NULL;
  errno = 0;
  const long value = strtol(json->at, &end, 10);
  if (end == json->at || errno != 0 || value < least || value > INT_MAX) {
    parity_json_fail(json, least > 0 ? "a whole number above 0" : "a whole number, not negative");
  }
  json->at = end;
  return (int)value;
}

/* Any value; returns how many elements it has, where it is an array. */
static int parity_json_skip(parity_json* json) {
  int n = 0;
  parity_json_space(json);
  if (*json->at == '"') {
    free(parity_json_quoted(json).data);
  } else if (*json->at == '[' || *json->at == '{') {
    const bool object = *json->at++ == '{';
    while (!parity_json_take(json, object ? '}' : ']')) {
      if (n++ > 0 && !parity_json_take(json, ',')) parity_json_fail(json, "a comma");
      if (object) {
        free(parity_json_quoted(json).data);
        if (!parity_json_take(json, ':')) parity_json_fail(json, "a colon");
      }
      parity_json_skip(json);
    }
  } else {
    const size_t size = strspn(json->at, "+-.0123456789eEtruefalsn");
    if (size == 0) parity_json_fail(json, "a value");
    json->at += size;
  }
  return n;
}

static void parity_json_ids(parity_json* json, parity_request* request) {
  parity_json counted = *json;
  const int room = parity_json_skip(&counted);
  request->has_token_ids = true;
  request->token_ids = (int32_t*)parity_more(NULL, (size_t)room * sizeof(int32_t));
  if (!parity_json_take(json, '[')) parity_json_fail(json, "an array of token ids");
  while (!parity_json_take(json, ']')) {
    if (request->n_token_ids > 0 && !parity_json_take(json, ',')) parity_json_fail(json, "a comma");
    request->token_ids[request->n_token_ids++] = parity_json_int(json, 0);
  }
}

static char* parity_read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) parity_fail("%s: cannot read: %s", path, strerror(errno));
  parity_text text = {NULL, 0, 0};
  parity_append(&text, "", 0);
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;) parity_append(&text, part, n);
  if (ferror(file)) parity_fail("%s: cannot read: %s", path, strerror(errno));
  fclose(file);
  return text.data;
}

static void parity_read_key(parity_json* json, const char* key, parity_request* r) {
  const struct {
    const char* key;
    char** value;
  } texts[] = {{"model", &r->model}, {"tokenizer", &r->tokenizer},     {"text", &r->text},
               {"trace", &r->trace}, {"cpu_variant", &r->cpu_variant}, {"i2s_layout", &r->i2s_layout}};
  const struct {
    const char* key;
    bool* value;
  } bools[] = {{"add_special", &r->add_special},
               {"parse_special", &r->parse_special},
               {"ignore_eos", &r->ignore_eos},
               {"raw_tensors", &r->raw_tensors}};
  const struct {
    const char* key;
    int *value, least;
  } ints[] = {{"positions", &r->positions, 0},
              {"max_tokens", &r->max_tokens, 0},
              {"n_ctx", &r->n_ctx, 0},
              {"n_ubatch", &r->n_ubatch, 1},
              {"threads", &r->threads, 1}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
    if (strcmp(key, texts[i].key) != 0) continue;
    const parity_text text = parity_json_text(json);
    free(*texts[i].value);
    *texts[i].value = text.data;
    if (texts[i].value == &r->text) r->text_size = text.size;
    return;
  }
  for (size_t i = 0; i < sizeof bools / sizeof *bools; ++i) {
    if (strcmp(key, bools[i].key) != 0) continue;
    *bools[i].value = parity_json_bool(json);
    return;
  }
  for (size_t i = 0; i < sizeof ints / sizeof *ints; ++i) {
    if (strcmp(key, ints[i].key) != 0) continue;
    *ints[i].value = parity_json_int(json, ints[i].least);
    return;
  }
  if (strcmp(key, "token_ids") == 0) {
    parity_json_ids(json, r);
  } else if (strcmp(key, "override_kv") == 0) {
    r->n_override_kv = parity_json_skip(json);
  } else if (strcmp(key, "seed") == 0) {
    parity_json_space(json);
    r->seed = strtoull(json->at, NULL, 10);
    parity_json_skip(json);
  } else if (strcmp(key, "schedule") == 0) {
    const parity_text schedule = parity_json_text(json);
    r->token_by_token = strcmp(schedule.data, "token-by-token") == 0;
    if (!r->token_by_token && strcmp(schedule.data, "batch") != 0) {
      parity_fail("%s: schedule: found '%s', expected batch or token-by-token", json->path, schedule.data);
    }
    free(schedule.data);
  } else {
    parity_json_skip(json);
  }
}

parity_request parity_read_request(const char* path) {
  parity_request request;
  memset(&request, 0, sizeof request);
  request.json = parity_read_file(path);
  request.tokenizer = parity_join("", "");
  request.cpu_variant = parity_join("", "");
  request.i2s_layout = parity_join("", "");
  request.trace = parity_join("none", "");
  request.add_special = request.parse_special = request.ignore_eos = true;
  request.n_ubatch = 512;
  request.threads = 2;
  request.seed = 42;
  parity_json json = {path, request.json};
  if (!parity_json_take(&json, '{')) parity_json_fail(&json, "a JSON object: a request");
  for (int n = 0; !parity_json_take(&json, '}'); ++n) {
    if (n > 0 && !parity_json_take(&json, ',')) parity_json_fail(&json, "a comma");
    const parity_text key = parity_json_quoted(&json);
    if (!parity_json_take(&json, ':')) parity_json_fail(&json, "a colon");
    if (strcmp(key.data, "schema") == 0) {
      const parity_text schema = parity_json_text(&json);
      if (strcmp(schema.data, "bitnet-parity/request/1") != 0) {
        parity_fail("%s: schema: found '%s', expected bitnet-parity/request/1", path, schema.data);
      }
      free(schema.data);
    } else {
      parity_read_key(&json, key.data, &request);
    }
    free(key.data);
  }
  if (request.model == NULL) parity_fail("%s: model: missing key, expected the path of a GGUF file", path);
  if (request.text == NULL && !request.has_token_ids) {
    parity_fail("%s: text: missing key (a request gives text, or token_ids)", path);
  }
  return request;
}

void parity_free_request(parity_request* r) {
  char* const owned[] = {r->json, r->model, r->tokenizer, r->text, r->trace, r->cpu_variant, r->i2s_layout};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; ++i) free(owned[i]);
  free(r->token_ids);
  memset(r, 0, sizeof *r);
}

int parity_context_size(const parity_request* request, int n_prompt_tokens) {
  const int64_t needed = (int64_t)n_prompt_tokens + request->max_tokens;
  if (needed > INT_MAX - 256) parity_fail("request: max_tokens: %lld positions are too many", (long long)needed);
  if (request->n_ctx == 0) return (int)((needed > 0 ? needed : 1) + 255) / 256 * 256;
  if (needed > request->n_ctx) {
    parity_fail("request: n_ctx: found %d, but %d prompt tokens and %d to generate need %lld", request->n_ctx,
                n_prompt_tokens, request->max_tokens, (long long)needed);
  }
  return request->n_ctx;
}

/* ---- Which tensors a request traces. ---- */

typedef struct parity_trace {
  char* copy;                      /* of the request's text; the others point into it */
  const char* globs;               /* separated by commas */
  const char *seq, *layer, *stage; /* the lists of the filters; NULL: all */
} parity_trace;

static parity_trace parity_parse_trace(const char* spec) {
  parity_trace trace = {NULL, NULL, NULL, NULL, NULL};
  parity_text copy = {NULL, 0, 0};
  parity_append(&copy, spec, strlen(spec));
  trace.globs = trace.copy = copy.data;
  bool first = true;
  for (char* part = copy.data; part != NULL; first = false) {
    char* end = strchr(part, ';');
    if (end != NULL) *end++ = '\0';
    const char* equals = strchr(part, '=');
    if (equals == NULL) {
      if (!first) parity_fail("request: trace: '%s' is no filter, expected seq=, layer= or stage=", part);
    } else {
      if (first) trace.globs = "*";
      const char** list = strncmp(part, "seq=", 4) == 0     ? &trace.seq
                          : strncmp(part, "layer=", 6) == 0 ? &trace.layer
                          : strncmp(part, "stage=", 6) == 0 ? &trace.stage
                                                            : NULL;
      if (list == NULL) parity_fail("request: trace: '%s' is none of seq, layer, stage", part);
      *list = equals + 1;
    }
    part = end;
  }
  return trace;
}

/* True where one of the globs matches; one with a slash is for "blk3/q_proj". */
static bool parity_glob(const char* globs, const char* stage, const char* place) {
  static const char* const core[] = {"embeddings", "attn_norm", "q_proj", "attn_scores_softmax", "logits"};
  while (*globs != '\0') {
    char glob[256];
    const size_t size = strcspn(globs, ",");
    if (size >= sizeof glob) parity_fail("request: trace: a glob of %zu bytes is too long", size);
    memcpy(glob, globs, size);
    glob[size] = '\0';
    globs += size + (globs[size] == ',');
    if (strcmp(glob, "none") == 0) continue;
    if (strcmp(glob, "full") == 0) return true;
    for (size_t i = 0; strcmp(glob, "core") == 0 && i < sizeof core / sizeof *core; ++i) {
      if (strcmp(stage, core[i]) == 0) return true;
    }
    if (fnmatch(glob, strchr(glob, '/') != NULL ? place : stage, 0) == 0) return true;
  }
  return false;
}

static bool parity_in_ranges(const char* list, int value) {
  while (list != NULL && *list != '\0') {
    char* end = NULL;
    const long first = strtol(list, &end, 10);
    const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
    if (first <= value && value <= last) return true;
    list = *end == ',' ? end + 1 : NULL;
  }
  return false;
}

/* ---- The capture. ---- */

typedef struct parity_matrix {
  FILE* file;
  char* path;
  int rows;
  int cols;
} parity_matrix;

struct parity_capture {
  const parity_request* request;
  char *directory, *temporary;
  parity_trace trace;
  FILE* records;
  parity_matrix logits, decode_logits;
  parity_text tokens, pieces, generated, generated_pieces, notes;
  int n_tokens, n_generated;
};

static FILE* parity_create(const char* path) {
  FILE* file = fopen(path, "wb");
  if (file == NULL) parity_fail("%s: cannot write: %s", path, strerror(errno));
  return file;
}

static void parity_close(FILE* file, const char* path) {
  const bool bad = ferror(file) != 0;
  if (fclose(file) != 0 || bad) parity_fail("%s: cannot write: %s", path, strerror(errno));
}

/* 128 bytes, for any shape. */
static void parity_npy_header(FILE* file, const char* shape) {
  char header[129];
  memset(header, ' ', 128);
  const int n = snprintf(header + 10, 118, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
  if (n < 0 || n > 116) parity_fail("shape (%s) is too long", shape);
  header[10 + n] = ' ';
  memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
  header[127] = '\n';
  fwrite(header, 1, 128, file);
}

static parity_matrix parity_open_matrix(const char* directory, const char* name) {
  parity_matrix m = {NULL, parity_join(directory, name), 0, 0};
  m.file = parity_create(m.path);
  parity_npy_header(m.file, "0, 0");
  return m;
}

static void parity_add_row(parity_matrix* m, const float* row, int cols) {
  if (m->cols != 0 && m->cols != cols) parity_fail("%s: %d logits, the row before has %d", m->path, cols, m->cols);
  m->cols = cols;
  ++m->rows;
  fwrite(row, sizeof(float), (size_t)cols, m->file);
}

static void parity_close_matrix(parity_matrix* m, int cols) {
  char shape[64];
  snprintf(shape, sizeof shape, "%d, %d", m->rows, cols);
  if (m->cols != 0 && m->cols != cols)
    parity_fail("%s: %d logits a row, the engine's n_vocab is %d", m->path, m->cols, cols);
  rewind(m->file);
  parity_npy_header(m->file, shape);
  parity_close(m->file, m->path);
  free(m->path);
}

parity_capture* parity_begin(const parity_request* request, const char* directory) {
  parity_capture* c = (parity_capture*)parity_more(NULL, sizeof *c);
  memset(c, 0, sizeof *c);
  c->request = request;
  c->trace = parity_parse_trace(request->trace);
  c->directory = parity_join(directory, "");
  for (size_t n = strlen(c->directory); n > 1 && c->directory[n - 1] == '/'; --n) c->directory[n - 1] = '\0';
  char suffix[32];
  snprintf(suffix, sizeof suffix, ".part-%ld", (long)getpid());
  c->temporary = parity_join(c->directory, suffix);
  char* tensors = parity_join(c->temporary, "/tensors");
  if (mkdir(c->temporary, 0777) != 0 || mkdir(tensors, 0777) != 0) {
    parity_fail("%s: cannot make a directory: %s", c->temporary, strerror(errno));
  }
  free(tensors);
  char* records = parity_join(c->temporary, "/all.trace");
  c->records = parity_create(records);
  free(records);
  c->logits = parity_open_matrix(c->temporary, "/logits.npy");
  c->decode_logits = parity_open_matrix(c->temporary, "/decode_logits.npy");
  parity_append(&c->notes, "", 0);
  return c;
}

static void parity_check_stage(const char* stage) {
  static const char stages[] =
      " embeddings attn_norm q_norm_in k_norm_in v_norm_in q_proj k_proj v_proj q_norm k_norm q_rope k_rope "
      "attn_scores attn_scores_softmax attn_out attn_sub_norm o_norm_in attn_o_proj attn_post_norm ffn_inp "
      "ffn_norm gate_norm_in up_norm_in ffn_gate ffn_up ffn_act ffn_sub_norm down_norm_in ffn_down "
      "ffn_post_norm layer_out output_norm logits ";
  const char* at = stages;
  const size_t size = strlen(stage);
  while ((at = strstr(at + 1, stage)) != NULL && (at[-1] != ' ' || at[size] != ' ')) {
  }
  if (at == NULL || size == 0) parity_fail("stage: found '%s', expected one of%s", stage, stages);
}

bool parity_wants(const parity_capture* c, int position, int layer, const char* stage) {
  const parity_trace* t = &c->trace;
  parity_check_stage(stage);
  char place[128];
  snprintf(place, sizeof place, "blk%d/%s", layer, stage);
  return (c->request->positions == 0 || position < c->request->positions) &&
         (t->seq == NULL || parity_in_ranges(t->seq, position)) &&
         (t->layer == NULL || parity_in_ranges(t->layer, layer)) &&
         (t->stage == NULL || parity_glob(t->stage, stage, place)) && parity_glob(t->globs, stage, place);
}

static void parity_record(parity_capture* c, int position, int layer, const char* stage, const float* data, size_t n,
                          const char* json_shape, const char* npy_shape) {
  char name[128], file[160], hash[65];
  const int size = layer >= 0 ? snprintf(name, sizeof name, "t%d/blk%d/%s", position, layer, stage)
                              : snprintf(name, sizeof name, "t%d/%s", position, stage);
  if (size < 0 || (size_t)size >= sizeof name) parity_fail("stage '%s' is too long", stage);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += (double)data[i] * data[i];
  const double rms = n > 0 ? sqrt(sum / (double)n) : 0;
  parity_hash(data, n * sizeof(float), hash);
  fprintf(c->records,
          "{\"name\": \"%s\", \"seq\": %d, \"layer\": %d, \"stage\": \"%s\", \"shape\": [%s], \"dtype\": \"F32\", "
          "\"num_elements\": %zu, \"blake3\": \"%s\", \"rms\": ",
          name, position, layer, stage, json_shape, n, hash);
  if (isfinite(rms)) {
    fprintf(c->records, "%.17g", rms);
  } else {
    fputs("null", c->records);
  }
  if (c->request->raw_tensors) {
    snprintf(file, sizeof file, "/tensors/%s.npy", name);
    for (char* slash = file + 9; (slash = strchr(slash, '/')) != NULL;) *slash = '_';
    fprintf(c->records, ", \"tensor_file\": \"%s\"", file + 1);
    char* path = parity_join(c->temporary, file);
    FILE* tensor = parity_create(path);
    parity_npy_header(tensor, npy_shape);
    fwrite(data, sizeof(float), n, tensor);
    parity_close(tensor, path);
    free(path);
  }
  fputs("}\n", c->records);
}

void parity_tensor(parity_capture* c, int position, int layer, const char* stage, const float* data, size_t n) {
  if (!parity_wants(c, position, layer, stage)) return;
  char json_shape[32], npy_shape[32];
  snprintf(json_shape, sizeof json_shape, "%zu", n);
  snprintf(npy_shape, sizeof npy_shape, "%zu,", n);
  parity_record(c, position, layer, stage, data, n, json_shape, npy_shape);
}

void parity_heads(parity_capture* c, int position, int layer, const char* stage, const float* data, size_t n_head,
                  size_t keys, size_t stride) {
  if (!parity_wants(c, position, layer, stage)) return;
  float* whole = (float*)parity_more(NULL, n_head * keys * sizeof(float));
  for (size_t h = 0; h < n_head; ++h) memcpy(whole + h * keys, data + h * stride, keys * sizeof(float));
  char shape[64];
  snprintf(shape, sizeof shape, "%zu, %zu", n_head, keys);
  parity_record(c, position, layer, stage, whole, n_head * keys, shape, shape);
  free(whole);
}

static bool parity_is_utf8(const char* text, size_t size) {
  const unsigned char* p = (const unsigned char*)text;
  for (size_t i = 0; i < size;) {
    const unsigned lead = p[i];
    const size_t more = lead < 0x80 ? 0 : lead >= 0xc2 && lead < 0xe0 ? 1 : (lead & 0xf0) == 0xe0 ? 2 : 3;
    if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4)) return false;
    if (more >= size - i) return false;
    for (size_t k = 1; k <= more; ++k) {
      if ((p[i + k] & 0xc0) != 0x80) return false;
    }
    const unsigned second = more > 0 ? p[i + 1] : 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

/* A text as JSON, behind a comma where the list has something. */
static void parity_add_text(parity_text* list, const char* text, size_t size) {
  if (list->size > 0) parity_print(list, ", ");
  if (!parity_is_utf8(text, size)) {
    parity_print(list, "{\"bytes_hex\": \"");
    for (size_t i = 0; i < size; ++i) parity_print(list, "%02x", (unsigned char)text[i]);
    parity_print(list, "\"}");
    return;
  }
  parity_print(list, "\"");
  for (size_t i = 0; i < size; ++i) {
    const unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') parity_print(list, "\\");
    if (c < 0x20) {
      parity_print(list, "\\u%04x", c);
    } else {
      parity_append(list, text + i, 1);
    }
  }
  parity_print(list, "\"");
}

static void parity_add_id(parity_text* list, int32_t id) { parity_print(list, list->size > 0 ? ", %d" : "%d", id); }

void parity_prompt_token(parity_capture* c, int32_t id, const char* piece, size_t piece_size, const float* logits,
                         int n_vocab) {
  parity_add_id(&c->tokens, id);
  parity_add_text(&c->pieces, piece, piece_size);
  if (c->request->positions == 0 || c->n_tokens < c->request->positions) parity_add_row(&c->logits, logits, n_vocab);
  ++c->n_tokens;
}

void parity_generated_token(parity_capture* c, int32_t id, const char* piece, size_t piece_size, const float* logits,
                            int n_vocab) {
  parity_add_id(&c->generated, id);
  parity_add_text(&c->generated_pieces, piece, piece_size);
  parity_add_row(&c->decode_logits, logits, n_vocab);
  ++c->n_generated;
}

void parity_note(parity_capture* c, const char* note) { parity_add_text(&c->notes, note, strlen(note)); }

static const char* parity_string(const parity_text* text) { return text->data != NULL ? text->data : ""; }

static void parity_write_json(FILE* file, const parity_capture* c, const parity_engine* e) {
  parity_text names = {NULL, 0, 0};
  const char* const backend[] = {e->name, e->version, e->build, e->simd, c->request->model, e->architecture};
  const char* quoted[6];
  size_t starts[6];
  for (int i = 0; i < 6; ++i) {
    parity_text one = {NULL, 0, 0};
    parity_add_text(&one, backend[i] != NULL ? backend[i] : "", backend[i] != NULL ? strlen(backend[i]) : 0);
    starts[i] = names.size;
    parity_append(&names, one.data, one.size + 1);
    free(one.data);
  }
  for (int i = 0; i < 6; ++i) quoted[i] = names.data + starts[i];
  fprintf(file, "{\"schema\": \"bitnet-parity/capture/1\",\n");
  fprintf(file, "\"backend\": {\"name\": %s, \"version\": %s, \"build\": %s, \"simd\": %s, \"threads\": %d},\n",
          quoted[0], quoted[1], quoted[2], quoted[3], c->request->threads);
  fprintf(file, "\"model\": {\"path\": %s, \"blake3\": \"%s\", \"architecture\": %s, \"hyperparameters\": {", quoted[4],
          e->model_blake3 != NULL ? e->model_blake3 : "", quoted[5]);
  fprintf(file,
          "\"n_vocab\": %d, \"n_embd\": %d, \"n_layer\": %d, \"n_head\": %d, \"n_head_kv\": %d, \"n_embd_head\": %d, "
          "\"n_ff\": %d, \"n_rot\": %d, \"n_ctx_train\": %d, \"file_type\": %d, \"rope_freq_base\": %.17g, "
          "\"rms_norm_eps\": %.17g}},\n",
          e->n_vocab, e->n_embd, e->n_layer, e->n_head, e->n_head_kv, e->n_embd_head, e->n_ff, e->n_rot, e->n_ctx_train,
          e->file_type, e->rope_freq_base, e->rms_norm_eps);
  fprintf(file, "\"request\": %s,\n\"tokens\": [%s],\n\"pieces\": [%s],\n", c->request->json, parity_string(&c->tokens),
          parity_string(&c->pieces));
  fprintf(file, "\"generated\": [%s],\n\"generated_pieces\": [%s],\n\"notes\": [%s],\n", parity_string(&c->generated),
          parity_string(&c->generated_pieces), parity_string(&c->notes));
  fprintf(file, "\"shapes\": {\"n_ctx\": %d, \"n_ubatch\": %d, \"kv_cells\": %d, \"n_embd_k\": %d, \"n_embd_v\": %d, ",
          e->n_ctx, e->n_ubatch, e->kv_cells, e->n_head_kv * e->n_embd_head, e->n_head_kv * e->n_embd_head);
  fprintf(file, "\"logits\": [%d, %d], \"attends\": [", c->logits.rows, e->n_vocab);
  for (int i = 0; i < c->n_tokens; ++i) fprintf(file, "%s[[0, %d]]", i > 0 ? ", " : "", i);
  fprintf(file, "]},\n\"timings\": {\"load_ms\": %.3f, \"prompt_ms\": %.3f, \"decode_ms\": %.3f},\n", e->load_ms,
          e->prompt_ms, e->decode_ms);
  fprintf(file,
          "\"files\": {\"logits\": \"logits.npy\", \"decode_logits\": \"decode_logits.npy\", \"traces\": "
          "[\"all.trace\"]}}\n");
  free(names.data);
}

void parity_finish(parity_capture* c, const parity_engine* engine) {
  parity_close_matrix(&c->logits, engine->n_vocab);
  parity_close_matrix(&c->decode_logits, engine->n_vocab);
  char* path = parity_join(c->temporary, "/all.trace");
  parity_close(c->records, path);
  free(path);
  path = parity_join(c->temporary, "/capture.json");
  FILE* file = parity_create(path);
  parity_write_json(file, c, engine);
  parity_close(file, path);
  free(path);
  if (rename(c->temporary, c->directory) != 0) {
    parity_fail("%s: cannot rename to %s: %s", c->temporary, c->directory, strerror(errno));
  }
  char* const owned[] = {c->tokens.data, c->pieces.data, c->generated.data, c->generated_pieces.data,
                         c->notes.data,  c->directory,   c->temporary,      c->trace.copy};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; ++i) free(owned[i]);
  free(c);
}

#endif /* BITNET_PARITY_CAPTURE_IMPLEMENTATION */
