#!/usr/bin/env python3
"""Holds Cuboid's weights, losses and logits against Hugging Face transformers.

    check_transformers.py init --cuboid build/cuboid     weights from save_pretrained into cuboid: equal loss and logits?
    check_transformers.py train --cuboid build/cuboid    weights from `cuboid train --save` into transformers: equal loss?
    check_transformers.py saved --dir DIR --data FILE --log RUN.jsonl      the same for a run that has been
    check_transformers.py make DIR                       only writes a small GPT-2 directory with random weights

Not part of the build or of the tests; needs torch, transformers and numpy. transformers computes in float64 with
eager attention, so what differs is Cuboid's float32 arithmetic. The losses are means over the validation samples: the part of
the tokens after the training share, cut into samples of T + 1 tokens that overlap by one, in order. Exit code 1 where
something differs by more than --bound.
"""

import argparse
import json
import math
import pathlib
import shlex
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers

LAYOUTS = [(1, 1, 1), (2, 2, 2)]  # dp, tp, pp
transformers.utils.logging.disable_progress_bar()


def read_tokens(path, form):
    raw = np.memmap(path, np.uint8, "r")
    magic = int(raw[:4].view("<i4")[0]) if raw.size >= 1024 else 0
    if form == "auto":
        form = "llmc" if magic in (20240520, 20240801) else "nanogpt" if str(path).endswith(".bin") else "bytes"
    if form == "bytes":
        return raw
    if form == "nanogpt":
        return raw.view("<u2")
    return raw[1024:].view("<u2" if magic == 20240520 else "<u4")


def nearest(x):
    return math.floor(x + 0.5)


def validation_samples(tokens, split, length, count):
    """(count, length + 1) tokens."""
    shares = [float(s) for s in split.split(",")] + [0.0, 0.0]
    begin = nearest(shares[0] / sum(shares) * tokens.size)
    end = nearest((shares[0] + shares[1]) / sum(shares) * tokens.size)
    part = np.asarray(tokens[begin:end]).astype(np.int64)
    there = (part.size - 1) // length
    if there < count:
        sys.exit(f"the validation part has {there} samples of {length} tokens, the run used {count}")
    return np.stack([part[k * length:k * length + length + 1] for k in range(count)])


def load(folder):
    """The model in float64. Nothing in the file may be missing, left over or of another shape."""
    model, info = transformers.GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32,
                                                               output_loading_info=True)
    problems = {key: sorted(map(str, value)) for key, value in info.items() if value}
    if problems:
        sys.exit(f"transformers does not load {folder} cleanly: {problems}")
    return model.double().eval()


def evaluate(model, samples):
    """Mean loss, and logits (samples, T, V)."""
    batch, losses, logits = torch.from_numpy(samples), [], []
    with torch.no_grad():
        for rows in batch.split(8):
            out = model(input_ids=rows[:, :-1], use_cache=False).logits
            losses.append(torch.nn.functional.cross_entropy(out.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum"))
            logits.append(out)
    return float(sum(losses)) / batch[:, 1:].numel(), torch.cat(logits).numpy()


def summary_of(log):
    last = pathlib.Path(log).read_text().splitlines()[-1]
    return json.loads(last)["summary"]


def report(what, difference, bound):
    good = difference <= bound
    print(f"{'ok  ' if good else 'FAIL'} {what}: difference {difference:.3g}, bound {bound:g}", flush=True)
    return good


def check_saved(folder, data, log, options):
    model, summary = load(folder), summary_of(log)
    length = options.seq_length or model.config.n_positions
    samples = validation_samples(read_tokens(data, options.format), options.split, length, summary["val_samples"])
    loss, _ = evaluate(model, samples)
    print(f"     transformers {loss:.6f}, cuboid {summary['val_loss']:.6f}, {len(samples)} samples of {length} tokens")
    return report(f"validation loss of {folder}", abs(loss - summary["val_loss"]), options.bound)


def make(folder, options, dtype=torch.float32, shard="5GB"):
    """Random weights large enough that every part of the model shows in the logits; biases and norms too."""
    torch.manual_seed(options.seed)
    config = transformers.GPT2Config(
        vocab_size=options.vocab, n_positions=options.positions, n_embd=options.channels, n_layer=options.layers,
        n_head=options.heads, bos_token_id=options.vocab - 1, eos_token_id=options.vocab - 1,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if "ln_" in name and name.endswith("weight") else 0.0
            parameter.normal_(centre, 0.1)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)


def run_cuboid(options, layout, arguments):
    command = [options.cuboid, "train", *arguments]
    for name, size in zip(("dp", "tp", "pp"), layout):
        command += [f"--{name}", str(size)]
    command += ["--micro-batch-size", "2", "--global-batch-size", "8", "--eval-iters", "2", "--split", options.split]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}\nended with {done.returncode}:\n{done.stderr or done.stdout}")


def make_text(path, vocab, count=20000):
    """Any tokens do: bytes below 256, else 16-bit ids as nanoGPT writes them."""
    ids = np.random.default_rng(7).integers(0, vocab, count)
    path.write_bytes(ids.astype(np.uint8 if vocab <= 256 else "<u2").tobytes())


def data_name(vocab):
    return "data.txt" if vocab <= 256 else "data.bin"


def check_init(work, options):
    """Every number format, one file and many, at every layout."""
    data, good = work / data_name(options.vocab), True
    make_text(data, options.vocab)
    for dtype, shard in ((torch.float32, "5GB"), (torch.float16, "5GB"), (torch.bfloat16, "5GB"), (torch.float32, "100KB")):
        name = f"{str(dtype).removeprefix('torch.')}, {'one file' if shard == '5GB' else 'many files'}"
        folder = work / name.replace(", ", "-").replace(" ", "-")
        make(folder, options, dtype, shard)
        for layout in LAYOUTS:
            logits_path, log = work / "logits.bin", work / "run.jsonl"
            logits_path.unlink(missing_ok=True)
            run_cuboid(options, layout, ["--init", str(folder), "--data", str(data), "--steps", "0", "--log", str(log),
                                         "--seq-length", str(options.positions), "--logits", str(logits_path)])
            summary = summary_of(log)
            samples = validation_samples(read_tokens(data, "auto"), options.split, options.positions, summary["val_samples"])
            loss, logits = evaluate(load(folder), samples)
            found = np.fromfile(logits_path, "<f4")
            if found.size != logits.size:
                sys.exit(f"{logits_path} holds {found.size} logits, expected {logits.shape}")
            worst = float(np.abs(found.reshape(logits.shape) - logits).max())
            what = f"{name}, dp tp pp {layout}"
            good &= report(f"{what}: loss {loss:.6f}", abs(loss - summary["val_loss"]), options.bound)
            good &= report(f"{what}: logits up to {np.abs(logits).max():.3g}", worst, options.bound * np.abs(logits).max())
    return good


def check_train(work, options):
    """A few steps from random weights at each layout, saved, and read by transformers."""
    data, good = work / data_name(options.vocab), True
    make_text(data, options.vocab)
    make(work / "model", options)
    for layout in LAYOUTS:
        folder, log = work / f"saved{layout[0]}", work / f"run{layout[0]}.jsonl"
        run_cuboid(options, layout, ["--model", str(work / "model" / "config.json"), "--data", str(data), "--steps", "10",
                                     "--seq-length", str(options.positions), "--save", str(folder), "--log", str(log)])
        options.seq_length, options.format = options.positions, "auto"
        good &= check_saved(folder, data, log, options)
    return good


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("init", "train", "saved", "make"):
        command = commands.add_parser(name)
        command.add_argument("--bound", type=float, default=1e-4, help="largest difference of a loss (1e-4)")
        command.add_argument("--split", default="95,5", help="as given to cuboid (95,5)")
        if name == "saved":
            command.add_argument("--dir", required=True)
            command.add_argument("--data", required=True)
            command.add_argument("--log", required=True)
            command.add_argument("--format", default="auto", choices=("auto", "bytes", "nanogpt", "llmc"))
            command.add_argument("--seq-length", type=int, default=0, help="the model's positions where not given")
            continue
        for option, size in (("vocab", 256), ("positions", 32), ("channels", 64), ("layers", 4), ("heads", 4), ("seed", 1)):
            command.add_argument(f"--{option}", type=int, default=size)
        if name == "make":
            command.add_argument("folder")
        else:
            command.add_argument("--cuboid", required=True, help="the program")
    return parser.parse_args()


def main():
    options = parse()
    if options.command == "make":
        make(options.folder, options)
        return 0
    if options.command == "saved":
        return 0 if check_saved(options.dir, options.data, options.log, options) else 1
    with tempfile.TemporaryDirectory() as work:
        check = check_init if options.command == "init" else check_train
        return 0 if check(pathlib.Path(work), options) else 1


if __name__ == "__main__":
    sys.exit(main())
