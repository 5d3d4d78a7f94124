#!/usr/bin/env python3
"""Holds the planner's memory against measured ranks: a table with the columns model, layers, seq, dp, tp, pp, cp,
num_microbatches, pp_stage, max_allocated_mib, max_reserved_mib, as SimuMax's runs of Llama 3 on eight B200 give.

usage: tools/check_memory.py TABLE.csv [--cuboid build/release/cuboid]

The runs are Megatron-Core's with a distributed optimizer, sequence parallelism and microbatches of one sequence. Prints
predicted and measured bytes of each case and stage, and the mean error over all ranks. Rows of other models (with
experts) are left out and counted."""
import argparse, csv, json, os, subprocess, sys, tempfile

MODELS = {"llama3-8b": (4096, 14336, 32, 8), "llama3-70b": (8192, 28672, 64, 8), "llama3-405b": (16384, 53248, 128, 8)}
MIB = 2.0**20


def predict(cuboid, row, folder):
    hidden, ffn, heads, kv_heads = MODELS[row["model"]]
    path = os.path.join(folder, "model.json")
    with open(path, "w") as f:
        json.dump({"model_type": "llama", "hidden_size": hidden, "intermediate_size": ffn, "num_attention_heads": heads,
                   "num_key_value_heads": kv_heads, "num_hidden_layers": int(row["layers"]),
                   "max_position_embeddings": 1 << 20, "vocab_size": 128256}, f)
    dp, tp, pp, cp = (int(row[k] or 1) for k in ("dp", "tp", "pp", "cp"))
    command = [cuboid, "plan", "--model", path, "--cluster", "b200-180g:%d" % (dp * tp * pp * cp), "--seq-length", row["seq"],
               "--global-batch-size", str(dp * int(row["num_microbatches"])), "--dp", str(dp), "--tp", str(tp), "--pp",
               str(pp), "--cp", str(cp), "--micro-batch-size", "1", "--recompute", "none", "--layers-per-stage", "even",
               "--zero", "1" if dp * cp > 1 else "0", "--json"]
    command += ["--schedule", "1f1b"] if pp > 1 else []
    command += ["--sequence-parallel"] if tp > 1 else []
    answer = subprocess.run(command, capture_output=True, text=True)
    if not answer.stdout:
        sys.exit("%s: %s" % (row["case"], answer.stderr))
    stages = json.loads(answer.stdout)["explained"]["stages"]
    stage = next(s for s in stages if s["stage"] == int(row["pp_stage"]))
    return stage["allocated"], stage["all"] - stage["outside"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--cuboid", default="build/release/cuboid")
    arguments = parser.parse_args()
    errors, left_out, known = [], 0, {}
    with open(arguments.table) as table, tempfile.TemporaryDirectory() as folder:
        for row in csv.DictReader(table):
            if row["model"] not in MODELS:
                left_out += 1
                continue
            key = (row["case"], row["pp_stage"])
            fresh = key not in known
            if fresh:
                known[key] = predict(arguments.cuboid, row, folder)
            measured = float(row["max_allocated_mib"]) * MIB, float(row["max_reserved_mib"]) * MIB
            errors.append([100 * (p / m - 1) for p, m in zip(known[key], measured)])
            if fresh:
                print("%-52s stage %s  %7.2f GB measured, %7.2f predicted, %+5.1f%%; reserved %+5.1f%%" % (
                    row["case"], row["pp_stage"], measured[0] / 1e9, known[key][0] / 1e9, *errors[-1]))
    allocated, reserved = (sum(abs(e[i]) for e in errors) / len(errors) for i in (0, 1))
    print("%d ranks: mean error %.2f%% of allocated, %.2f%% of reserved bytes, worst %.1f%%; %d rows left out" % (
        len(errors), allocated, reserved, max(abs(e[0]) for e in errors), left_out))


if __name__ == "__main__":
    main()
