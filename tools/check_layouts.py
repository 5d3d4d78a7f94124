#!/usr/bin/env python3
"""Where the planner's search places layouts that others found to be the best: rows of a table in the schema of
`cuboid plan --validate` whose file is named, each the fastest of its model and number of devices.

usage: tools/check_layouts.py TABLE.csv [--file nanotron_best_configs.csv] [--cluster h100-80g:8 --network efa-400]
                              [--stack nanotron] [--cuboid build/release/cuboid]

Prints per row the layout's number among all that fit, and how much slower it is predicted than the fastest."""
import argparse, csv, json, os, subprocess, tempfile


def tied(row):
    """Whether the head is the embedding: what comes nearer to the number of parameters."""
    hidden, ffn, vocab, kv = (int(row[k]) for k in ("hidden", "ffn", "vocab", "kv_heads"))
    layers = int(row["layers"]) * hidden * (2 * hidden + 2 * hidden * kv / int(row["heads"]) + 3 * ffn)
    once, twice = (abs(layers + n * vocab * hidden - float(row["params_b"]) * 1e9) for n in (1, 2))
    return once <= twice


def plan(arguments, row, folder):
    model = os.path.join(folder, "model.json")
    with open(model, "w") as f:
        json.dump({"model_type": "llama", "hidden_size": int(row["hidden"]), "intermediate_size": int(row["ffn"]),
                   "num_attention_heads": int(row["heads"]), "num_key_value_heads": int(row["kv_heads"]),
                   "num_hidden_layers": int(row["layers"]), "max_position_embeddings": int(row["seq"]),
                   "vocab_size": int(row["vocab"]), "tie_word_embeddings": tied(row)}, f)
    node = int(arguments.cluster.split(":")[1])
    command = [arguments.cuboid, "plan", "--json", "--model", model, "--stack", arguments.stack, "--cluster",
               "%sx%d:%s" % (arguments.cluster, int(row["gpus"]) // node, arguments.network), "--global-batch-size",
               row["global_batch"], "--seq-length", row["seq"], "--micro-batch-size", row["micro_batch"], "--recompute",
               row["recompute"] or "none", "--zero", row["zero"] if int(row["dp"]) > 1 else "0"]
    for size in ("dp", "tp", "pp"):
        command += ["--" + size, row[size]]
    command += ["--sequence-parallel"] if int(row["tp"]) > 1 else []
    return subprocess.run(command, capture_output=True, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--file", default="nanotron_best_configs.csv")
    parser.add_argument("--cluster", default="h100-80g:8")
    parser.add_argument("--network", default="efa-400")
    parser.add_argument("--stack", default="nanotron")
    parser.add_argument("--cuboid", default="build/release/cuboid")
    arguments = parser.parse_args()
    shares, slower = [], []
    with open(arguments.table) as table, tempfile.TemporaryDirectory() as folder:
        for row in csv.DictReader(table):
            if row["file"] != arguments.file:
                continue
            name = "%-18s %4s devices, dp %3s tp %s pp %2s, microbatch %s" % (
                row["model"], row["gpus"], row["dp"], row["tp"], row["pp"], row["micro_batch"])
            answer = plan(arguments, row, folder)
            one = json.loads(answer.stdout)["explained"] if answer.stdout else {}
            if "rank" not in one:
                print("%s: %s" % (name, answer.stderr.strip()))
                continue
            shares.append(100 * one["rank"] / one["rank_of"])
            slower.append(100 * (one["time"]["step_s"] / one["fastest_step_s"] - 1))
            print("%s: number %d of %d (%.1f%%), %.1f%% slower than the fastest; %.3g s predicted, %s measured" % (
                name, one["rank"], one["rank_of"], shares[-1], slower[-1], one["time"]["step_s"], row["iteration_s"]))
    if shares:
        print("%d rows: worst place within the first %.1f%%; at most %.1f%% slower than the fastest, %d of them within 10%%"
              % (len(shares), max(shares), max(slower), sum(s <= 10 for s in slower)))


if __name__ == "__main__":
    main()
