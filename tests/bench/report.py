"""Results as tables: on the terminal, and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Text:
    """A titled table of ready text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def show(self) -> None:
        table = Table(*self.columns, title=self.title, title_justify="left", box=None)
        for row in self.rows:
            table.add_row(*row)
        Console(width=170).print(table)

    def markdown(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return f"### {self.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def training(results: list[dict[str, Any]]) -> Text:
    columns = (
        "rows|columns|link|line|train s|spread|lbfgs s|x lbfgs|SGD s|x SGD|MB peer|MB dealt|rounds|peak MiB|log-loss|pooled"
    )
    return Text(
        "Training: seconds of the stage, beside plaintext fits of the same rows",
        columns.split("|"),
        [_training(r) for r in results],
    )


def _training(r: dict[str, Any]) -> list[str]:
    (low, high), seconds, line = r["spread"]["train"], r["seconds"], r.get("line")
    links = megabytes(r)
    return [
        f"{r['rows']:,}", f"{r['grid']}+{r['bank']}", r["link"],
        f"{line['mbit']:.0f} Mbit/s {line['rtt_ms']:.0f} ms {line['congestion_control']}" if line else "loopback",
        f"{seconds['train']:.2f}", f"{low:.2f}-{high:.2f}", f"{seconds['plaintext_lbfgs']:.3f}", f"{r['ratio_to_lbfgs']:.1f}",
        f"{seconds['plaintext_sgd']:.3f}", f"{r['ratio_to_sgd']:.1f}", f"{links['peer']:.0f}", f"{links['dealt']:.0f}",
        str(r["rounds"]), f"{max(r['peak_mib'].values()):.0f}", f"{r['logloss']['joint']:.5f}", f"{r['logloss']['pooled']:.5f}",
    ]  # fmt: skip


def megabytes(r: dict[str, Any]) -> dict[str, float]:
    """Of a result: between the parties, and of the dealer."""
    links = {name: sum(ways.values()) / 1e6 for name, ways in r["bytes"].items()}
    return {"peer": links["grid_bank"], "dealt": links["coordinator_grid"] + links["coordinator_bank"]}


def profile(title: str, found: dict[str, Any]) -> Text:
    """Core-seconds and shares of each kind of work, a column a process; then waiting in seconds."""
    kinds = sorted({kind for one in found.values() for kind in one["work"]}, key=lambda kind: -_sum(found, "work", kind))
    waits = sorted({cause for one in found.values() for cause in one["waiting"]})
    rows = [[kind, *(_share(one, kind) for one in found.values())] for kind in kinds]
    rows.append(["all, core-seconds", *(f"{one['core_seconds']:.2f}" for one in found.values())])
    rows.append(["of which encryption (estimate)", *(f"{one['encryption_estimate']:.2f}" for one in found.values())])
    rows.append(["stage, seconds", *(f"{one['seconds']:.2f}" for one in found.values())])
    rows += [
        [f"waiting for {cause}, seconds", *(f"{one['waiting'].get(cause, 0.0):.2f}" for one in found.values())]
        for cause in waits
    ]
    return Text(title, ["core-seconds (share)", *found], rows)


def _sum(found: dict[str, Any], what: str, name: str) -> float:
    return float(sum(one[what].get(name, 0.0) for one in found.values()))


def _share(one: dict[str, Any], kind: str) -> str:
    return f"{one['work'][kind]:.2f} ({one['share'][kind]:.0%})" if kind in one["work"] else ""


def spu_matching(results: list[dict[str, Any]]) -> Text | None:
    """Every matching by SPU in the results, None if there was none."""
    rows = [
        [f"{r['rows']:,}", run["protocol"], *([f"failed: {run['error']}", "", ""] if "error" in run else [
            f"{run['seconds']:.2f}", f"{r['seconds']['align']:.2f}", f"{run['ratio_to_ours']:.1f}"])]
        for r in results for run in r.get("spu", [])
    ]  # fmt: skip
    columns = "ids|SPU|seconds|our align s|SPU / ours"
    return Text("SPU on the same ids, two processes over loopback without TLS", columns.split("|"), rows) if rows else None


def spu(results: list[dict[str, Any]]) -> Text | None:
    """Every run of SPU in the results, None if there was none."""
    rows = [
        [
            f"{r['rows']:,}", f"{r['grid']}+{r['bank']}", f"{run['protocol']}, {run['sigmoid']}",
            *_cost(run), f"{r['seconds']['train']:.2f}", f"{megabytes(r)['peer']:.0f}",
            *([""] * 2 if "error" in run else [f"{run['ratio_to_ours']:.1f}", f"{run['logloss']:.5f}"]),
            f"{r['logloss']['joint']:.5f}",
        ]
        for r in results for run in r.get("spu", [])
    ]  # fmt: skip
    columns = "rows|columns|SPU, sigmoid|train s|whole s|CPU s|MB|our train s|our MB peer|SPU / ours|SPU log-loss|our log-loss"
    return (
        Text("SPU on the same rows, 5 epochs of SGD, two processes over loopback without TLS", columns.split("|"), rows)
        if rows
        else None
    )


def perceptron(found: dict[str, Any]) -> Text:
    """One network of ours, then each peer's."""
    columns = "network|train s|whole s|CPU s|MB|peer / ours|AUC|log-loss"
    seconds, sent = found["seconds"], sum(sum(ways.values()) for ways in found["bytes"].values()) / 1e6
    stage, quality = statistics.median(found["stages"]), f"{found['auc']:.4f}|{found['logloss']:.5f}"
    cost = f"{stage:.2f}|{seconds['total']:.1f}|{sum(found['processor'].values()):.1f}|{sent:.0f}"
    section = found["section"]
    rows = [f"ours, {section['activation']}|{cost}|1.0|{quality}".split("|")]
    for run in found["peers"]:
        name = f"{'CrypTen' if run['protocol'].isupper() else 'SPU'}: {run['protocol']}, sigmoid {run.get('sigmoid', 'exact')}"
        told = [""] * 3 if "error" in run else [f"{run['ratio_to_ours']:.1f}", f"{run['auc']:.4f}", f"{run['logloss']:.5f}"]
        rows.append([name, *_cost(run), *told])
    title = f"{found['train_rows']:,} rows x {found['grid']} + {found['bank']}"
    title += f", {section['hidden']} units, {section['epochs']} epochs"
    return Text(title, columns.split("|"), rows)


def _cost(run: dict[str, Any]) -> list[str]:
    if "error" in run:
        return [f"failed: {run['error']}", "", "", ""]
    return [f"{run['train']:.2f}", f"{run['whole']:.1f}", f"{run['processor']:.1f}", f"{run['megabytes']:.0f}"]


def growth(found: dict[str, Any]) -> Text:
    rows = [
        [
            axis,
            what,
            f"{fit['slope']:.2f}",
            f"{fit['fixed']:.3g}",
            f"{fit['per_unit']:.3g}",
            ", ".join(f"{n:,}" for n in series["sizes"]),
        ]
        for axis, series in found.items()
        for what, fit in series["fit"].items()
    ]
    return Text("Growth: value = fixed + c size^slope", ["against", "value", "slope", "fixed", "c", "sizes"], rows)


def stage(title: str, results: list[dict[str, Any]], name: str) -> Text:
    """A workload of one stage: score, align."""
    columns = ["rows", "seconds", "spread", "plaintext s", "x plaintext", "MB peer", "peak MiB"]
    rows = [
        [
            f"{r['rows']:,}", f"{r['seconds'][name]:.2f}", "{:.2f}-{:.2f}".format(*r["spread"][name]),
            f"{r['seconds']['plaintext']:.3f}", f"{r['ratio_to_plaintext']:.1f}", f"{r['megabytes']:.0f}",
            f"{max(r['peak_mib'].values()):.0f}",
        ]
        for r in results
    ]  # fmt: skip
    return Text(title, columns, rows)


def alone(found: dict[str, Any]) -> Text:
    columns = ["rows", "columns", *found["seconds"], "MB, both ways", "beside the formula"]
    sizes = [f"{found['rows']:,}", f"{found['grid']}+{found['bank']}"]
    rows = [[*sizes, *(f"{value:.1f}" for value in found["seconds"].values()), f"{found['megabytes']:.0f}"]]
    rows[0].append(f"{found['off_formula']:+.2%}")
    return Text("Scored from a stock without the coordinator, seconds at the bank", columns, rows)


def one_row(found: dict[str, Any]) -> Text:
    columns = ["requests", "columns", "median ms", "p90", "p99", "largest", "grid's CPU ms", "bank's", "bytes, both ways"]
    times = [*found["milliseconds"].values(), *found["cpu_milliseconds"].values()]
    sizes = [f"{found['requests']:,}", f"{found['grid']}+{found['bank']}"]
    rows = [[*sizes, *(f"{value:.1f}" for value in times), f"{found['bytes']:,}"]]
    by = f", {found['trees']} trees" if found["trees"] else ""
    return Text(f"One row from a stock{by}", columns, rows)


def online(found: dict[str, Any]) -> Text:
    times, spent, many = found["milliseconds"], found["cpu_milliseconds"], found["thousand"]
    alone = [f"{w['median']:.1f}, p99 {w['p99']:.1f}; {w['grid']:.1f} + {w['bank']:.1f}" for w in found["alone"].values()]
    columns = [
        "requests", "a second", "columns", "model", "line", *times, *(f"{side}'s CPU ms" for side in spent),
        *(f"{side}'s MiB; descriptors" for side in found["held"]),
        *(f"{way} alone: ms; CPU ms of both" for way in found["alone"]), "1,000 rows: ms", "largest",
    ]  # fmt: skip
    what = [f"{found['grid']}+{found['bank']}", found["model"], found["line"]]
    rows = [[f"{found['requests']:,}", f"{found['rate']:g}", *what]]
    rows[0] += [f"{value:.1f}" for value in (*times.values(), *spent.values())]
    rows[0] += ["; ".join(f"{of[0]} to {of[-1]}" for of in side.values()) for side in found["held"].values()] + alone
    rows[0] += [f"{value:.1f}" for value in many.values()]
    return Text(f"On request over {found['way']}, milliseconds from when each was due", columns, rows)


def features(found: dict[str, Any]) -> Text:
    columns = ["party", "from", "records", "samples", "features", "seconds", "CPU s", "peak MiB", "workers' CPU s", "peak MiB"]
    rows = [
        [
            r["party"], r["source"], f"{r['rows_read']:,}", f"{r['samples']:,}", str(r["features"]), f"{r['seconds']:.1f}",
            f"{r['processor_seconds']:.1f}", f"{r['peak_mib']:.0f}",
            f"{r['workers_processor_seconds']:.1f}", f"{r['workers_peak_mib']:.0f}",
        ]
        for r in found["runs"]
    ]  # fmt: skip
    return Text("Features from monthly records, default recipes, quality report included", columns, rows)


def codings(found: list[dict[str, Any]]) -> Text:
    names = [name for name in found[0] if name != "world"]
    rows = [[row["world"], *(f"{row[n]['auc']:.4f} / {row[n]['logloss']:.4f}" for n in names)] for row in found]
    return Text("held-out AUC and log-loss of the pooled optimum", ["world", *names], rows)


def rare(found: dict[str, Any]) -> Text:
    best = found["exact"]
    columns = ["iterations", "seconds", "AUC", "less exact", "log-loss", "less exact", "calibration error", "warned"]
    rows = [
        [
            str(r["iterations"]), f"{r['seconds']:.1f}", f"{r['auc']:.4f}", f"{r['auc'] - best['auc']:+.4f}",
            f"{r['logloss']:.5f}", f"{r['logloss'] - best['logloss']:+.5f}", f"{r['calibration_error']:.4f}",
            "yes" if r["warnings"] else "no",
        ]
        for r in found["jobs"]
    ]  # fmt: skip
    made = found["jobs"][0]
    title = f"{found['overdue']:.1%} overdue, {made['rows']:,} rows, of which {made['test_rows']:,} of the last months held out"
    title += f"; step {found['step'] or 'default'}"
    return Text(f"{title}; exact AUC {best['auc']:.4f}, log-loss {best['logloss']:.5f}", columns, rows)


def worlds(found: dict[str, Any]) -> Text:
    """By size and correlation: the largest excess and loss of AUC of all labels, rates and tails."""
    groups: dict[tuple[int, int, float], list[dict[str, Any]]] = {}
    for one in found["each"]:
        groups.setdefault((one["rows"], one["columns"] + 2 * one["rare"], one["correlation"]), []).append(one)
    rows = [
        [
            f"{size:,}", str(columns), f"{correlation:.2f}", str(len(group)), f"{max(o['excess'] for o in group):.1e}",
            f"{max(o['auc_lost'] for o in group):.5f}", f"{sum(o['seconds'] for o in group) / len(group):.1f}",
        ]
        for (size, columns, correlation), group in groups.items()
    ]  # fmt: skip
    title = f"{found['near']} of {found['worlds']} worlds within 1e-4 of the optimum and 0.0005 of its AUC"
    title += f", {found['warned']} warned of"
    if further := [(one["held_lost"], one["held_lost_anew"]) for one in found["each"] if "held_lost" in one]:
        lost, anew = zip(*further, strict=True)
        title += f"; on further rows {sum(lost) / len(lost):.5f} of AUC lost in the mean, {max(lost):.5f} at most, and by the"
        title += f" optimum of the training rows drawn anew {sum(anew) / len(anew):.5f}, {min(anew):.5f} at least"
    columns = ["rows", "columns", "correlation", "worlds", "largest excess log-loss", "largest loss of AUC", "seconds, mean"]
    return Text(title, columns, rows)


def forest(found: dict[str, Any]) -> Text:
    """One training of trees: processor seconds of each process, beside XGBoost's."""
    spent, sizes = found["processor"], found["bytes"]["grid_bank"]
    rows = [[name, f"{seconds:.1f}", f"{found['peak_mib'][name]:.0f}"] for name, seconds in spent.items()]
    rows.append(["all", f"{sum(spent.values()):.1f}", ""])
    if "xgboost" in found:
        rows.append(["XGBoost's hist, one thread", f"{found['xgboost']['seconds']['processor']:.2f}", ""])
        rows += [[f"{what} / XGBoost", f"{ratio:.1f}", ""] for what, ratio in found["ratio"].items()]
    section = found["section"]
    title = f"{found['train_rows']:,} rows x {found['grid']} + {found['bank']}, {section['trees']} trees of depth"
    title += f" {section['depth']}: training stage {found['seconds']['train']:.1f} s, {found['rounds']:,} rounds,"
    title += f" {sum(sizes.values()) / 1e6:.0f} MB, AUC {found['auc']:.4f}"
    title += f" (XGBoost {found['xgboost']['auc']:.4f})" if "xgboost" in found else ""
    return Text(title, ["training", "processor seconds", "peak MiB"], rows)


def trees(found: dict[str, Any]) -> Text:
    """Means over splits of held-out quality and processor seconds."""
    names = {
        "secure": "trees on shares",
        "twin": "their float twin",
        "scikit_learn": "scikit-learn's boosting",
        "xgboost": "XGBoost",
    }
    rows = [
        [names[name], f"{one['auc']:.4f}", f"{one['logloss']:.4f}", f"{one['seconds']:.2f}"]
        for name, one in found["means"].items()
    ]
    title = f"{found['rows']['train']:,} rows train, {found['rows']['test']:,} are held out, {len(found['each'])} splits,"
    title += f" {found['label_bits']:,.0f} bits of labels told: {found['label_bits'] / found['rows']['train']:.3f} of each row"
    return Text(title, ["model", "AUC", "log-loss", "processor seconds"], rows)
