#!/usr/bin/env python3
"""The tables of docs/memory.md: what schedules and recomputation hold (from `cuboid train --dry-run`, nothing is
allocated), and what recomputation costs in time (`cuboid bench step`, measured on this machine).

Usage: bench/memory_table.py build/release/cuboid [memory|time]
"""
import json
import subprocess
import sys

STAGES, MICRO_BATCHES, TIMED = 4, 32, ["--micro-batch-size", "1", "--seq-length", "1024"]
POLICIES = ["none", "selective", "full"]
SCHEDULES = ["gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2", "zb-v", "dualpipe-v"]


def cuboid(*args):
    run = subprocess.run([sys.argv[1], *args], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def most(plan, what):
    return max(stage[what] for stage in plan["stages"]) / 2**20


def memory():
    """Activations on the first and the last stage, which has the head's logits too; all memory of the fullest; MiB."""
    print(f"gpt2-124m, {STAGES} stages, {MICRO_BATCHES} microbatches of 1 x 1024 tokens, layers spread evenly\n")
    print("| schedule | " + " | ".join(f"`{policy}`" for policy in POLICIES) + " | all memory, `none` | `full` |")
    print("|---|" + "--:|" * (len(POLICIES) + 2))
    for schedule in SCHEDULES:
        plans = [cuboid("train", "--model", "gpt2-124m", "--dry-run", "--json", "--peak-flops", "1e11", "--pp", str(STAGES),
                        "--schedule", schedule, "--micro-batch-size", "1", "--global-batch-size", str(MICRO_BATCHES),
                        "--layers-per-stage", "even", "--recompute", policy) for policy in POLICIES]
        cells = [" / ".join(f"{plan['stages'][i]['activations'] / 2**20:.0f}" for i in (0, -1)) for plan in plans]
        print(f"| {schedule} | " + " | ".join(cells) + f" | {most(plans[0], 'bytes'):.0f} | {most(plans[-1], 'bytes'):.0f} |")


def time():
    """One rank and one microbatch: all of the price, and nothing of pipelines."""
    print("| policy | time of a step, s | more than `none` | activations, MiB |\n|---|--:|--:|--:|")
    first = None
    for policy in POLICIES:
        step_s = cuboid("bench", "step", "--layouts", "none", "--no-shards", "--micro-batches", "1", "--json", *TIMED,
                        "--recompute", policy)["step_s"]
        plan = cuboid("train", "--model", "gpt2-124m", "--dry-run", "--json", "--peak-flops", "1e11", *TIMED,
                      "--recompute", policy)
        first = first or step_s
        print(f"| `{policy}` | {step_s:.2f} | {100 * (step_s / first - 1):.0f}% | {most(plan, 'activations'):.0f} |")


if __name__ == "__main__":
    parts = {"memory": memory, "time": time}
    for part in sys.argv[2:] or parts:
        parts[part]()
        print()
