#!/usr/bin/env python3
"""Fits the constants of Cuboid's planner to published step times, through the program itself:
`cuboid plan --validate TABLE --constants candidate.json --rows out.csv` says what the model predicts.

    tools/fit_planner.py build/release/cuboid TABLE.csv [--start FILE.json] [--out FILE.json] [--report]

Least squares on log(predicted/measured) with a soft-L1 loss; a table's rows weigh together as the power WEIGHT of their
number, so that a long table does not drown the others; every constant is drawn a little to its prior, a value
that is known without these tables. --report adds five-fold cross-validation, groups of shapes held out, each table
held out, and which constants one table alone informs. numpy only."""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

try:
    import numpy as np
except ModuleNotFoundError:
    np = None  # --help works without it; see main

# What is known of a constant without these tables: measured alone, published, or counted. A constant that few rows inform
# stays near it. MAMF: best matrix products measured on the device (stas00/ml-engineering), times 0.92 for what a step's
# clocks and shapes leave of them. Others: see docs/planner.md.
PRIORS = {
    "gemm_volta": 0.70, "gemm_ampere": 0.80, "gemm_hopper": 0.72, "gemm_blackwell": 0.68,
    "gemm_blackwell_ultra": 0.72, "gemm_cdna": 0.47, "gemm_processor": 0.8, "gemm_fp8": 0.92, "gemm_fp8_rows": 0.7,
    "gemm_fp4": 0.8, "tile_half": 4, "depth_half": 100, "misaligned": 0.6, "memory_share": 0.7, "kernel_s": 4e-6,
    "elementwise": 0.9, "elementwise_compiled": 0.5, "cast_fp8": 1, "loss_bytes": 16, "loss_bytes_split": 16,
    "flash_ampere": 0.5, "flash_hopper": 0.33, "flash_blackwell": 0.3, "flash_vendor": 1.7,
    "flash_backward": 1.4, "flash_rows_half": 80, "scores_gemm": 0.7, "scores_bytes": 0.5,
    "launch_forward_s": 0.8e-3, "launch_backward_s": 1e-3, "launch_unfused_softmax_s": 0.3e-3, "launch_crowded_s": 0.1e-3,
    "launch_compiled_s": 0.2e-3, "host_norm": 4, "micro_batch_s": 1e-3, "engine_micro_batch_s": 10e-3, "step_s": 5e-3,
    "step_other_s": 10e-3, "link_share": 0.78, "link_latency_s": 35e-6, "link_hop_s": 6e-6, "network_hop_s": 25e-6,
    "network_infiniband": 0.7, "network_ethernet": 0.65, "network_efa": 0.5, "network_omni_path": 0.2,
    "tp_overlap_gradient": 0.1, "tp_overlap_all": 0.6, "dp_overlap": 0.5, "fsdp_interference": 0.5,
    "fsdp_prefetched": 0.3, "pp_exposed": 0.4, "pp_latency_s": 60e-6, "optimizer_bytes": 24,
}

WEIGHT = 0.6  # a table of n rows weighs n ** WEIGHT
NOISY = {"bigscience_v100.csv": 0.15}  # its authors state 40% of noise
SOFT = 0.08   # residuals beyond this count linearly


class Program:
    def __init__(self, cuboid, table):
        self.cuboid, self.table = cuboid, table
        self.dir = tempfile.mkdtemp()
        with open(table, newline="") as f:
            self.rows = list(csv.DictReader(f))
        self.constants = json.loads(subprocess.run([cuboid, "plan", "--show-constants", "--json"], check=True,
                                                   capture_output=True, text=True).stdout)
        self.names = [c["name"] for c in self.constants]

    def predict(self, values):
        """log(predicted / measured) of every row of the table; nan where it was skipped."""
        key = hash(tuple(values.values()))
        path, out = os.path.join(self.dir, f"{key}.json"), os.path.join(self.dir, f"{key}.csv")
        with open(path, "w") as f:
            json.dump(values, f)
        subprocess.run([self.cuboid, "plan", "--validate", self.table, "--constants", path, "--rows", out],
                       check=True, stdout=subprocess.DEVNULL)
        result = np.full(len(self.rows), np.nan)
        with open(out, newline="") as f:
            for i, row in enumerate(csv.DictReader(f)):
                if not row["skipped"]:
                    result[i] = np.log(float(row["predicted_s"]) / float(row["measured_s"]))
        os.remove(path)
        os.remove(out)
        return result


def prior_of(program):
    """The priors; what step times say nothing of, as memory's constants, keeps the table's value."""
    return {**{c["name"]: c["value"] for c in program.constants}, **PRIORS}


class Space:
    """Constants as unbounded coordinates: the logistic of x places a value between min and max (in logs where min > 0)."""

    def __init__(self, constants):
        self.c = constants

    def value(self, i, x):
        lo, hi = self.c[i]["min"], self.c[i]["max"]
        s = 1 / (1 + np.exp(-x))
        return lo * (hi / lo) ** s if lo > 0 else lo + (hi - lo) * s

    def coordinate(self, i, value):
        lo, hi = self.c[i]["min"], self.c[i]["max"]
        s = np.log(value / lo) / np.log(hi / lo) if lo > 0 else (value - lo) / (hi - lo)
        s = min(max(s, 0.002), 0.998)
        return np.log(s / (1 - s))

    def values(self, x):
        return {self.c[i]["name"]: float(self.value(i, x[i])) for i in range(len(self.c))}


class Fit:
    def __init__(self, program, prior, pull, free):
        self.p, self.space = program, Space(program.constants)
        self.prior = np.array([self.space.coordinate(i, prior[n]) for i, n in enumerate(program.names)])
        self.pull = pull
        self.free = [i for i, n in enumerate(program.names) if n in free]
        self.files = np.array([r["file"] for r in program.rows])
        self.cache = {}

    def residuals(self, x):
        key = x.tobytes()
        if key not in self.cache:
            self.cache[key] = self.p.predict(self.space.values(x))
        return self.cache[key]

    def jacobian(self, x):
        key = b"J" + x.tobytes()
        if key not in self.cache:
            base = self.residuals(x)

            def column(i):
                y = x.copy()
                y[i] += 0.02
                return (self.p.predict(self.space.values(y)) - base) / 0.02

            with ThreadPoolExecutor(2) as pool:
                self.cache[key] = np.array(list(pool.map(column, self.free))).T
        return self.cache[key]

    def weights(self, rows):
        w = np.zeros(len(self.files))
        for f in set(self.files[rows]):
            at = rows & (self.files == f)
            w[at] = at.sum() ** (WEIGHT - 1) * NOISY.get(f, 1)
        return w / w.sum() * np.count_nonzero(w)

    def cost(self, x, rows, w):
        r = self.residuals(x)[rows]
        soft = 2 * SOFT**2 * (np.sqrt(1 + (r / SOFT) ** 2) - 1)
        pull = self.pull * np.sum((x - self.prior)[self.free] ** 2)
        return np.sum(w[rows] * soft) + pull

    def run(self, x, rows, steps=15, log=False):
        """Levenberg-Marquardt with iterated weights for the soft-L1 loss."""
        rows = rows & ~np.isnan(self.residuals(x))
        w = self.weights(rows)
        damp, cost = 1e-2, self.cost(x, rows, w)
        for step in range(steps):
            r, J = self.residuals(x)[rows], self.jacobian(x)[rows]
            v = w[rows] / np.sqrt(1 + (r / SOFT) ** 2)
            A = (J * v[:, None]).T @ J + self.pull * np.eye(len(self.free))
            g = (J * v[:, None]).T @ r + self.pull * (x - self.prior)[self.free]
            better = False
            for _ in range(6):
                y = x.copy()
                move = np.linalg.solve(A + damp * np.diag(np.diag(A)), -g)
                y[self.free] += np.clip(move, -1.5, 1.5)
                new = self.cost(y, rows, w)
                if new < cost:
                    better = True
                    break
                damp *= 4
            if not better:
                break
            gain, x, cost, damp = cost - new, y, new, damp / 5
            if log:
                print(f"  step {step}: cost {cost:.5f}", flush=True)
            if gain < 2e-4 * cost:
                break
        return x


def errors(residuals):
    return 100 * np.abs(np.exp(residuals) - 1)


def table(fit, residuals, title):
    e = errors(residuals)
    print(f"\n{title}\n{'file':44s} rows   mean median  worst   bias")
    for f in list(dict.fromkeys(fit.files)) + [None]:
        at = ~np.isnan(e) & ((fit.files == f) if f else True)
        if at.any():
            b = 100 * (np.exp(residuals[at]) - 1)
            print(f"{f or 'all':44s} {at.sum():4d} {e[at].mean():6.2f} {np.median(e[at]):6.2f} {e[at].max():6.1f} {b.mean():6.2f}")


def held_out(fit, x, groups, steps):
    """Residuals of every row with its group held out of the fit."""
    out = np.full(len(fit.files), np.nan)
    for g in sorted(set(groups)):
        inside = groups != g
        y = fit.run(x.copy(), inside, steps)
        at = groups == g
        out[at] = fit.residuals(y)[at]
        fit.cache = {k: v for k, v in fit.cache.items() if k in (x.tobytes(), b"J" + x.tobytes())}
    return out


def shapes(program):
    keys = [(r["hidden"], r["tp"], r["micro_batch"]) for r in program.rows]
    order = {k: i for i, k in enumerate(sorted(set(keys)))}
    shuffled = np.random.default_rng(1).permutation(len(order)) % 5
    return np.array([shuffled[order[k]] for k in keys])


def informed(fit, x):
    """For each constant, the share of each table in what the rows say of it."""
    r = fit.residuals(x)
    J = np.nan_to_num(fit.jacobian(x))
    w = fit.weights(~np.isnan(r))
    print("\nconstants and the tables that inform them (share of the squared, weighted sensitivity)")
    for k, i in enumerate(fit.free):
        total = (w * J[:, k] ** 2).sum()
        shares = sorted(((w * J[:, k] ** 2)[fit.files == f].sum() / total if total > 0 else 0, f) for f in set(fit.files))[::-1]
        alone = " <- one table alone" if shares[0][0] > 0.95 else ""
        print(f"{fit.p.names[i]:26s} {total:9.3g}  {shares[0][1][:30]:30s} {shares[0][0]:.2f}  {shares[1][1][:30]:30s} {shares[1][0]:.2f}{alone}")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("cuboid", help="the program, build/release/cuboid")
    a.add_argument("table", help="CSV of measured steps, as plan --validate reads it")
    a.add_argument("--start", help="JSON of constants to begin with (the priors)")
    a.add_argument("--out", help="write the fitted constants to this JSON file")
    a.add_argument("--pull", type=float, default=0.01, help="weight of the priors (%(default)s)")
    a.add_argument("--steps", type=int, default=15, help="of the fit (%(default)s)")
    a.add_argument("--fixed", default="", help="constants, comma-separated, that keep their prior")
    a.add_argument("--report", action="store_true", help="cross-validation and what informs each constant")
    a.add_argument("--loto", action="store_true", help="leave out one table at a time")
    o = a.parse_args()
    if np is None:
        sys.exit("fit_planner.py needs numpy: python3 -m pip install numpy, or apt-get install python3-numpy")
    program = Program(o.cuboid, o.table)
    fixed = set(o.fixed.split(","))
    fit = Fit(program, prior_of(program), o.pull, [n for n in program.names if n in PRIORS and n not in fixed])
    start = prior_of(program)
    if o.start:
        start.update(json.load(open(o.start)))
    x = np.array([fit.space.coordinate(i, start[n]) for i, n in enumerate(program.names)])
    everything = np.ones(len(program.rows), bool)
    x = fit.run(x, everything, o.steps, log=True)
    table(fit, fit.residuals(x), "fitted on all rows")
    values, start_of = fit.space.values(x), prior_of(program)
    print("\nconstants")
    for c in program.constants:
        print(f"  {c['name']:26s} {values[c['name']]:10.4g} {c['unit']:12s} prior {start_of[c['name']]:.4g}  [{c['min']:g}, {c['max']:g}]")
    if o.out:
        json.dump(values, open(o.out, "w"), indent=1)
    informed(fit, x)
    if o.report:
        rows = len(program.rows)
        folds = np.random.default_rng(0).permutation(rows) % 5
        table(fit, held_out(fit, x, folds, 6), "five folds: each row predicted by a fit without its fold")
        table(fit, held_out(fit, x, shapes(program), 6), "unseen shapes: groups of (hidden, tp, microbatch) held out")
    if o.report or o.loto:
        out = held_out(fit, x, fit.files, 10)
        table(fit, out, "each table predicted by a fit without it")
        e = errors(out)
        means = [np.nanmean(e[fit.files == f]) for f in sorted(set(fit.files)) if f not in ("vtrain_single_node_a100.csv", "bigscience_v100.csv")]
        print(f"mean over tables without vtrain_single_node and bigscience_v100: {np.mean(means):.2f}")


main()
