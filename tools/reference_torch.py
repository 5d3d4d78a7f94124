#!/usr/bin/env python3
"""Makes tests/golden/gpt2_tiny: what PyTorch and Hugging Face transformers compute for a very small GPT-2.

    python3 tools/reference_torch.py            writes the files anew
    python3 tools/reference_torch.py --check    computes again and compares with the files that are there

Not part of the build or of the tests; needs torch, transformers, safetensors and numpy. The model is
transformers' GPT2LMHeadModel with eager attention and without dropout; the optimizer is torch.optim.AdamW. Everything is
computed in float64 from weights that are exact in float32, so the reference's own rounding is far below that of a float32
run; results are stored as float32 (losses and norms as decimal numbers).

tests/golden/gpt2_tiny/
  config.json            GPT-2 of 2 layers, 32 channels, 4 heads, width 128, 16 positions, vocabulary 67
  model.safetensors      the weights at the start: Hugging Face names, c_attn, c_fc and c_proj as (in, out)
  reference.safetensors
    tokens         I32 (1921)    a stream; sample k of step n has inputs tokens[i..i+15] and targets tokens[i+1..i+16], i = 16 (12 n + k)
    logits         F32 (3, 16, 67)    of the first 3 samples of step 0, before any update
    grad.NAME      F32, shape of NAME in model.safetensors: gradient of step 0, before clipping
    final.NAME     F32, shape of NAME: the weight after 10 steps
  reference.json
    losses         [10] mean cross-entropy over the step's 12 * 16 targets, before its update
    grad_norms     [10] global L2 norm before clipping; the tied matrix counts once
    losses_f32     [10] the same by a float32 run of PyTorch; its distance from `losses` is what rounding does
    grad_deviation, final_deviation   {NAME: largest |float32 run - reference|}: a measure for bounds; the keys' part
                   of each c_attn.bias is told apart as "NAME (keys)"
    settings       the numbers of the optimizer

A step: mean loss over all 12 samples, backward, clip the global norm to 1.0 (factor 1 / (norm + 1e-6) where below 1:
step 5 is not clipped, the others are), AdamW with lr 1e-3, betas 0.9 and 0.95, eps 1e-8; decay 0.1 on every matrix,
that is on wte and wpe too, and none on vectors.

The gradient of the keys' bias (elements 32..63 of c_attn.bias) is zero in exact arithmetic: the softmax does not see a
constant. In float32 it is rounding, which Adam scales up to steps of up to lr in any direction. Compare that part of
final.*.attn.c_attn.bias with a bound of 10 * lr, or not at all; no other output depends on it.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import safetensors.numpy
import torch
import transformers

VOCAB, POSITIONS, CHANNELS, LAYERS, HEADS = 67, 16, 32, 2, 4
STEPS, SAMPLES, SHOWN = 10, 12, 3
SETTINGS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "clip_grad": 1.0}


def make_stream():
    """Tokens of which each mostly decides the next, so that there is something to learn."""
    random = np.random.default_rng(20240520)
    stream = np.zeros(STEPS * SAMPLES * POSITIONS + 1, np.int32)
    for i in range(1, len(stream)):
        follows = random.random() < 0.75
        stream[i] = (stream[i - 1] * 5 + 7) % VOCAB if follows else random.integers(0, VOCAB)
    return stream


def cut(stream):
    """(STEPS, SAMPLES, POSITIONS + 1): a sample's last token is the next one's first."""
    starts = np.arange(STEPS * SAMPLES).reshape(STEPS, SAMPLES, 1) * POSITIONS
    return stream[starts + np.arange(POSITIONS + 1)]


def make_config():
    return transformers.GPT2Config(
        vocab_size=VOCAB, n_positions=POSITIONS, n_embd=CHANNELS, n_layer=LAYERS, n_head=HEADS, n_inner=4 * CHANNELS,
        activation_function="gelu_new", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, layer_norm_epsilon=1e-5,
        bos_token_id=VOCAB - 1, eos_token_id=VOCAB - 1, attn_implementation="eager")


def plain(name):
    return name.removeprefix("transformer.")


def make_weights(config):
    """Nothing is zero or one, so that every term of every gradient counts."""
    random = np.random.default_rng(1234)
    weights = {}
    for name, parameter in transformers.GPT2LMHeadModel(config).named_parameters():
        values = random.standard_normal(tuple(parameter.shape)) * (0.08 if parameter.dim() == 2 else 0.1)
        if "ln_" in name and name.endswith("weight"):
            values += 1.0
        weights[plain(name)] = values.astype(np.float32)
    return weights


def make_model(config, weights, dtype):
    model = transformers.GPT2LMHeadModel(config).to(dtype)
    assert model.lm_head.weight is model.transformer.wte.weight
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[plain(name)]))
    return model.train()


def make_optimizer(model):
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": SETTINGS["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=SETTINGS["lr"], betas=(SETTINGS["beta1"], SETTINGS["beta2"]), eps=SETTINGS["eps"])


def run(config, weights, tokens, dtype):
    model = make_model(config, weights, dtype)
    optimizer = make_optimizer(model)
    result = {"losses": [], "norms": []}
    for step in range(STEPS):
        batch = torch.from_numpy(tokens[step].astype(np.int64))
        logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCAB), batch[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            result["logits"] = logits[:SHOWN].detach().double().numpy()
            result["grad"] = {plain(n): p.grad.detach().double().numpy().copy() for n, p in model.named_parameters()}
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS["clip_grad"])
        optimizer.step()
        result["losses"].append(loss.item())
        result["norms"].append(norm.item())
    result["final"] = {plain(n): p.detach().double().numpy().copy() for n, p in model.named_parameters()}
    return result


def deviation(a, b):
    """The keys' part of a c_attn.bias apart, see above."""
    result = {}
    for name in a:
        difference = np.abs(a[name] - b[name])
        if name.endswith("c_attn.bias"):
            result[name + " (keys)"] = difference[CHANNELS:2 * CHANNELS].max()
            difference = np.delete(difference, range(CHANNELS, 2 * CHANNELS))
        result[name] = difference.max()
    return {name: float(f"{value:.3g}") for name, value in result.items()}


def compute():
    torch.set_num_threads(1)
    config, stream = make_config(), make_stream()
    tokens = cut(stream)
    weights = make_weights(config)
    exact = run(config, weights, tokens, torch.float64)
    single = run(config, weights, tokens, torch.float32)
    tensors = {"tokens": stream, "logits": exact["logits"].astype(np.float32)}
    for kind in ("grad", "final"):
        tensors.update({f"{kind}.{name}": value.astype(np.float32) for name, value in exact[kind].items()})
    summary = {
        "made_by": f"tools/reference_torch.py, torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}",
        "settings": SETTINGS, "losses": exact["losses"], "grad_norms": exact["norms"],
        "losses_f32": single["losses"], "grad_norms_f32": single["norms"],
        "grad_deviation": deviation(single["grad"], exact["grad"]),
        "final_deviation": deviation(single["final"], exact["final"]),
    }
    return config, weights, tensors, summary


def write(folder, config, weights, tensors, summary):
    folder.mkdir(parents=True, exist_ok=True)
    text = {key: value for key, value in config.to_dict().items() if value is not None}
    text["architectures"] = ["GPT2LMHeadModel"]
    (folder / "config.json").write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
    safetensors.numpy.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    safetensors.numpy.save_file(tensors, folder / "reference.safetensors")
    for name in ("model.safetensors", "reference.safetensors"):
        (folder / name).chmod(0o644)
    (folder / "reference.json").write_text(json.dumps(summary, indent=1) + "\n")


def check(folder, weights, tensors, summary):
    """Largest differences between what is computed now and the files."""
    kept = safetensors.numpy.load_file(folder / "reference.safetensors")
    start = safetensors.numpy.load_file(folder / "model.safetensors")
    old = json.loads((folder / "reference.json").read_text())
    same = kept.keys() == tensors.keys() and np.array_equal(kept["tokens"], tensors["tokens"])
    same = same and start.keys() == weights.keys() and all(np.array_equal(start[n], weights[n]) for n in weights)
    worst = max((float(np.abs(kept[n].astype(np.float64) - tensors[n]).max()), n) for n in tensors if n in kept)
    losses = max(abs(a - b) for a, b in zip(old["losses"], summary["losses"]))
    print(f"inputs equal: {same}; largest difference of a tensor {worst[0]:.3g} ({worst[1]}), of a loss {losses:.3g}")
    return same and worst[0] < 1e-6 and losses < 1e-9


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    options = parser.parse_args()
    folder = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "gpt2_tiny"
    config, weights, tensors, summary = compute()
    if options.check:
        return 0 if check(folder, weights, tensors, summary) else 1
    write(folder, config, weights, tensors, summary)
    for step in range(STEPS):
        print(f"step {step}: loss {summary['losses'][step]:.9f} (float32 {summary['losses_f32'][step]:.9f}), "
              f"norm {summary['grad_norms'][step]:.6f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
