"""Reads requests and writes captures from Python: what an adapter for `exec:` needs. Standard library alone.

    import sys, bitnet_parity_capture as parity

    request = parity.Request(sys.argv[1])
    capture = parity.Capture(request, sys.argv[2])
    capture.tensor(position, layer, "q_proj", q)         # where the engine computes it; kept if the request asks for it
    capture.prompt_token(id, piece, logits)              # for each position of the prompt
    capture.generated_token(id, piece, logits)           # ... and the logits from which it was taken
    capture.finish(backend={"name": "mine"}, architecture="bitnet", hyperparameters={...}, n_ctx=256)

Numbers may be lists, array.array, or anything with `astype` (NumPy, torch through .numpy()). Where the package `blake3`
is there records carry hashes; without it they leave the hash out and keep the raw tensor, from which the harness makes it.
docs/bring-your-own-engine.md and docs/capture-format.md say what the stages and fields mean.
"""
import array, fnmatch, json, math, os, re, struct, sys

try:
    from blake3 import blake3
except ImportError:
    blake3 = None

STAGES = ("embeddings attn_norm q_norm_in k_norm_in v_norm_in q_proj k_proj v_proj q_norm k_norm q_rope k_rope "
          "attn_scores attn_scores_softmax attn_out attn_sub_norm o_norm_in attn_o_proj attn_post_norm ffn_inp "
          "ffn_norm gate_norm_in up_norm_in ffn_gate ffn_up ffn_act ffn_sub_norm down_norm_in ffn_down "
          "ffn_post_norm layer_out output_norm logits").split()
CORE = "embeddings,attn_norm,q_proj,attn_scores_softmax,logits"
DEFAULTS = {"tokenizer": "", "prompt": "", "add_special": True, "parse_special": True, "positions": 0, "max_tokens": 0,
            "ignore_eos": True, "schedule": "batch", "n_ctx": 0, "n_ubatch": 512, "threads": 2, "seed": 42, "trace": "none",
            "raw_tensors": False, "cpu_variant": "", "i2s_layout": "", "override_kv": []}


def floats(values):
    """The bytes of float32 numbers, little-endian."""
    if hasattr(values, "astype"):
        return values.astype("<f4").tobytes()
    if not (isinstance(values, array.array) and values.typecode == "f"):
        values = array.array("f", values)
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def npy_header(shape):
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }" % "".join("%d, " % n for n in shape)
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def text_to_json(text):
    """A str, or bytes that may be no UTF-8 (a token can be half a character)."""
    if isinstance(text, bytes):
        try:
            return text.decode()
        except UnicodeDecodeError:
            return {"bytes_hex": text.hex()}
    return text


class Request:
    """What an engine is asked. Each key of the file is an attribute; `token_ids` is None where there is a text."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.json = json.load(file)
        if self.json.get("schema") != "bitnet-parity/request/1":
            raise SystemExit("%s: schema: found %r, expected 'bitnet-parity/request/1'" % (path, self.json.get("schema")))
        if "model" not in self.json or not ("text" in self.json or "token_ids" in self.json):
            raise SystemExit("%s: model, text: missing key (a request gives a model, and text or token_ids)" % path)
        for key, value in {**DEFAULTS, "token_ids": None, "text": "", **self.json}.items():
            is_bytes = isinstance(value, dict) and set(value) == {"bytes_hex"}
            setattr(self, key, bytes.fromhex(value["bytes_hex"]) if is_bytes else value)

    def context_size(self, n_prompt_tokens):
        """Positions that the context must hold."""
        needed = n_prompt_tokens + self.max_tokens
        if self.n_ctx and needed > self.n_ctx:
            raise SystemExit("request: n_ctx: found %d, but prompt and tokens need %d" % (self.n_ctx, needed))
        return self.n_ctx or (max(needed, 1) + 255) // 256 * 256


class Matrix:
    """Rows of logits that go to a file as they come."""

    def __init__(self, path):
        self.path, self.rows, self.cols, self.data = path, 0, None, bytearray()

    def add(self, row):
        data = floats(row)
        if self.cols not in (None, len(data) // 4):
            raise SystemExit("%s: row %d has %d numbers, the rows before have %d" % (self.path, self.rows, len(data) // 4, self.cols))
        self.rows, self.cols = self.rows + 1, len(data) // 4
        self.data += data

    def write(self, n_vocab):
        with open(self.path, "wb") as file:
            file.write(npy_header((self.rows, n_vocab if self.cols is None else self.cols)) + self.data)


class Capture:
    """What an engine leaves behind. Everything goes to a directory beside `directory`, until `finish` renames it."""

    def __init__(self, request, directory):
        self.request, self.directory = request, directory.rstrip("/")
        self.temporary = "%s.part-%d" % (self.directory, os.getpid())
        os.makedirs(self.temporary + "/tensors")
        self.tokens, self.pieces, self.generated, self.generated_pieces, self.notes, self.records = [], [], [], [], [], []
        self.logits, self.decode_logits = (Matrix("%s/%s.npy" % (self.temporary, n)) for n in ("logits", "decode_logits"))
        what, *filters = request.trace.split(";")
        if "=" in what:
            what, filters = "full", [what] + filters
        self.globs = [g for part in what.split(",") if part not in ("none", "")
                      for g in (CORE.split(",") if part == "core" else ["*" if part == "full" else part])]
        self.filters = dict(f.split("=", 1) for f in filters)

    def _within(self, key, number):
        ranges = re.findall(r"(-?\d+)(?:-(\d+))?", self.filters.get(key, "%d" % number))
        return any(int(first) <= number <= int(last or first) for first, last in ranges)

    def wants(self, position, layer, stage):
        """Where a tensor is costly to get at. `layer` is -1 outside the layers."""
        if stage not in STAGES:
            raise SystemExit("stage: found %r, expected one of %s" % (stage, " ".join(STAGES)))
        place = "blk%d/%s" % (layer, stage)
        return (not 0 < self.request.positions <= position
                and any(fnmatch.fnmatchcase(place if "/" in glob else stage, glob) for glob in self.globs)
                and self._within("seq", position) and self._within("layer", layer)
                and any(fnmatch.fnmatchcase(stage, glob) for glob in self.filters.get("stage", "*").split(",")))

    def tensor(self, position, layer, stage, values, heads=1):
        """One position's tensor, flat. Scores and probabilities: one head behind the other. Does nothing unless asked for.

        Returns `values`, so that it can stand around an expression.
        """
        if not self.wants(position, layer, stage):
            return values
        data = floats(values)
        n = len(data) // 4
        shape = [heads, n // heads] if stage.startswith("attn_scores") else [n]
        name = "t%d/%s%s" % (position, "blk%d/" % layer if layer >= 0 else "", stage)
        record = {"name": name, "seq": position, "layer": layer, "stage": stage, "shape": shape, "dtype": "F32", "num_elements": n}
        if blake3:
            rms = math.sqrt(math.fsum(x * x for (x,) in struct.iter_unpack("<f", data)) / n) if n else 0.0
            record.update(blake3=blake3(data).hexdigest(), rms=rms if math.isfinite(rms) else None)
        if self.request.raw_tensors or not blake3:
            record["tensor_file"] = "tensors/%s.npy" % name.replace("/", "_")
            with open("%s/%s" % (self.temporary, record["tensor_file"]), "wb") as file:
                file.write(npy_header(shape) + data)
        self.records.append(json.dumps(record))
        return values

    def prompt_token(self, token, piece, logits):
        """The next prompt token, its text or bytes, and the logits behind it."""
        if not 0 < self.request.positions <= len(self.tokens):
            self.logits.add(logits)
        self.tokens.append(int(token))
        self.pieces.append(text_to_json(piece))

    def generated_token(self, token, piece, logits):
        self.generated.append(int(token))
        self.generated_pieces.append(text_to_json(piece))
        self.decode_logits.add(logits)

    def finish(self, backend, architecture, hyperparameters, n_ctx, n_ubatch=None, model_blake3="", timings=None):
        """`backend`: name, version, build, simd, threads. `hyperparameters`: as docs/capture-format.md lists them."""
        kv = int(hyperparameters.get("n_head_kv", 0) * hyperparameters.get("n_embd_head", 0))
        n_vocab = hyperparameters["n_vocab"]
        document = {
            "schema": "bitnet-parity/capture/1",
            "backend": dict({"name": "", "version": "", "build": "", "simd": "", "threads": self.request.threads}, **backend),
            "model": {"path": self.request.json["model"], "blake3": model_blake3, "architecture": architecture,
                      "hyperparameters": hyperparameters},
            "request": self.request.json, "tokens": self.tokens, "pieces": self.pieces, "generated": self.generated,
            "generated_pieces": self.generated_pieces, "notes": self.notes, "timings": timings or {},
            "shapes": {"n_ctx": n_ctx, "n_ubatch": min(n_ubatch or self.request.n_ubatch, n_ctx), "kv_cells": n_ctx,
                       "n_embd_k": kv, "n_embd_v": kv, "logits": [self.logits.rows, n_vocab],
                       "attends": [[[0, i]] for i in range(len(self.tokens))]},
            "files": {"logits": "logits.npy", "decode_logits": "decode_logits.npy", "traces": ["all.trace"]}}
        self.logits.write(n_vocab)
        self.decode_logits.write(n_vocab)
        with open(self.temporary + "/all.trace", "w") as file:
            file.writelines(record + "\n" for record in self.records)
        with open(self.temporary + "/capture.json", "w") as file:
            json.dump(document, file)
        os.rename(self.temporary, self.directory)
