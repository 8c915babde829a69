"""Check a bundle where it is used, with only numpy and onnxruntime: ``python verify.py [folder] [threads]`` exits with 0 or 1."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

# fmt: off
FORMAT, ROWS, NEAR, AUC_LOSS = 1, ("golden.npz", "calls.npz", "rows.npz"), 1e-6, 0.05
NOT_TRIED = "0 rows at once" if tuple(map(int, ort.__version__.split(".")[:2])) < (1, 21) else ""  # fails there, or ends the process
LEVELS = ("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_ALL")
LIMITS = {"float32": (1e-5, 1e-5), "float16": (0.1, 5e-3), "int8": (np.inf, 0.5)}  # largest and mean |difference| / max(scale, |value|)

def read(path):  # arrays, and the name, inputs and outputs by graph of each case; outputs of the layout if it is not generic
    arrays = dict(np.load(path).items())
    found = [{"in": {"": {}}, "out": {}, "raw": {}} for _ in arrays["cases"]]
    for case, kind, name in (key.split(".", 2) for key in arrays if "." in key):
        graph, output = ("", name) if kind == "in" else name.split(".", 1)
        found[int(case)][kind].setdefault(graph, {})[output] = arrays[f"{case}.{kind}.{name}"]
    return arrays, [(n, one["in"][""], one["raw"] or one["out"]) for n, one in zip(arrays["cases"], found, strict=True)]
def load(path, level="ENABLE_ALL", threads=1):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.graph_optimization_level = threads, getattr(ort.GraphOptimizationLevel, f"ORT_{level}")
    options.log_severity_level = 4  # errors are raised, so they need not be logged
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
def triples(session, cases, graph):  # (name, expected outputs, found outputs) of each case for a graph
    for case, given, wanted in (one for one in cases if str(graph) in one[2]):
        yield case, wanted[str(graph)], dict(zip((t.name for t in session.get_outputs()), session.run(None, given), strict=True))

@np.errstate(all="ignore")
def numbers(path, cases, graph, limits, scales, *how):  # found outputs may be longer than expected, except along the first axis
    worst, total, count = (0.0, ""), 0.0, 0
    for where, wanted, found in triples(load(path, *how), cases, graph):
        for name, a in wanted.items():
            b = found[name][tuple(slice(n if k else None) for k, n in enumerate(a.shape))]
            assert a.shape == b.shape, f"{name} of {where} has shape {found[name].shape}, expected {a.shape}"
            apart = np.nan_to_num(np.abs(a - b.astype(float)) / np.maximum(np.abs(a.astype(float)), scales.get(name, 1)), nan=np.inf)
            apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, apart)
            worst = max(worst, (float(apart.max(initial=0)), f" in {name} of {where}"))
            total, count = total + apart.sum(), count + apart.size
    held = bool(worst[0] <= limits[0] and total <= limits[1] * count)
    return held, f"{count} numbers, largest difference {worst[0]:.1e}{worst[1]}, mean {total / max(count, 1):.1e}"
def checksums(folder):
    wanted = json.loads((folder / "checksums.json").read_text())
    found = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() if (folder / n).is_file() else "" for n in wanted}
    wrong = [f"{n} is {'changed' if found[n] else 'missing'}" for n in wanted if found[n] != wanted[n]]
    wrong += [f"{n} is not listed" for n in ("schema.json", *ROWS, *(p.relative_to(folder).as_posix() for p in folder.rglob("*.onnx"))) if n not in wanted]
    return not wrong, "; ".join(wrong) or f"{len(wanted)} files"
def tensors(path, schema):  # compares names, types, ranks, and the sizes of fixed axes
    session, kinds = load(path), {"float": "float32", "double": "float64"}
    found = [(t.name, kinds.get(t.type[7:-1], t.type[7:-1]), t.shape) for t in (*session.get_inputs(), *session.get_outputs())]
    wanted = [(t["name"], t["dtype"], t["shape"]) for t in (*schema["graph_inputs"], *schema["graph_outputs"])]
    found, wanted = ([(*t, [n if isinstance(n, int) and n else "free" for n in s]) for *t, s in part] for part in (found, wanted))
    return found == wanted, f"{len(found)} tensors" if found == wanted else f"are {found}, expected {wanted}"
def auc(scores, right, wrong):  # from weights (N,) of signal and background: fraction of pairs in the right order, ties count half
    right, wrong = (np.bincount(np.unique(scores, return_inverse=True)[1], weights) for weights in (right, wrong))
    return (right * (wrong.cumsum() - wrong / 2)).sum() / max(right.sum() * wrong.sum(), 1e-300)
def discriminator(name, columns, folder, schema, arrays, rows):  # AUC before and after, and rows that change sides at working points
    graphs, classes = [load(folder / entry["file"]) for entry in schema["graphs"]], list(schema["analysis"]["classes"])
    entry, found = schema["working_points"][name], [one for row in rows for g, graph in enumerate(graphs) for one in triples(graph, [row], g)]
    at = {c: np.array([[float(np.ravel(one[k][out])[place]) for one in found] for k in (1, 2)]) for c, (out, place) in columns.items()}
    signal, background = (sum(at.get(f"prob_{c}", 0) for c in entry[k]) for k in ("signal", "background"))
    before, after = at[name] if name in at else signal / np.maximum(signal + background, 1e-300)  # if it is not an output
    parts = [arrays["weights"] * np.isin(arrays["labels"], [classes.index(c) for c in entry[k]]) for k in ("signal", "background")]
    areas, text = [auc(scores, *parts) for scores in (before, after)], "" if all(map(np.any, parts)) else " (rows of one class: no AUC)"
    for threshold in (point["threshold"] for point in entry["points"] if point["threshold"] is not None):
        moved = (before >= threshold) != (after >= threshold)
        near = np.abs([before - threshold, after - threshold]).max(axis=0) < NEAR
        text += f"; {moved.sum()} rows change sides at {threshold:.6g}, {(moved & near).sum()} of them within {NEAR:g}"
    return bool(areas[1] >= areas[0] - AUC_LOSS), f"AUC {areas[0]:.6f} before, {areas[1]:.6f} after, largest accepted decrease {AUC_LOSS}{text}"
def plan(folder, threads):  # title, function and arguments of each check of the contents
    schema = json.loads((folder / "schema.json").read_text())
    assert schema["format"] <= FORMAT, f"schema.json has format {schema['format']}; this verifier reads format {FORMAT}: use a newer one"
    (_, golden), (arrays, calls), (real, rows) = (read(folder / name) for name in ROWS)
    sorts = {kind: [c for c, k in zip(calls, arrays["kinds"], strict=True) if k == kind and c[0] != NOT_TRIED] for kind in np.unique(arrays["kinds"])}
    found = [(NOT_TRIED, lambda: (True, f"not tried: onnxruntime {ort.__version__} fails there"))] * bool(NOT_TRIED)
    for g, path in enumerate(folder / entry["file"] for entry in schema["graphs"]):
        runs = [(f"golden rows, {level}", golden, level) for level in LEVELS] + [(f"{threads} threads", golden, LEVELS[-1], threads)]
        runs, found = [*runs, *sorts.items(), ("real rows", rows)], [*found, (f"{path.name}: tensors", tensors, path, schema)]
        found += [(f"{path.name}: {title}", numbers, path, some, g, LIMITS[schema["precision"]], schema["scales"], *how) for title, some, *how in runs]
    points, columns = schema["working_points"], schema["columns"]
    needed = {n: [n] if n in columns else [f"prob_{c}" for c in (*points[n]["signal"], *points[n]["background"])] for n in points}
    places = {n: {c: columns[c] for c in some} for n, some in needed.items() if set(some) <= set(columns)}
    return found + [(n, discriminator, n, places[n], folder, schema, real, rows) for n in places]
def outcome(title, function, *given):  # title, result and text of a check; a failed check does not stop the others
    try:
        return title, *function(*given)
    except Exception as error:  # noqa: BLE001
        return title, False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
def checks(folder, threads=4):  # yields title, result and text of each check
    yield outcome("checksums", checksums, Path(folder))
    title, found, text = outcome("contents", lambda: (plan(Path(folder), int(threads)), ""))
    yield from (outcome(*one) for one in found) if found else [(title, False, text)]
if __name__ == "__main__":
    held = [print("FAILED" if not ok else "ok    ", title, "-", text) or ok for title, ok, text in checks(*(sys.argv[1:] or [str(Path(__file__).parent)]))]
    sys.exit(0 if all(held) else f"{held.count(False)} of {len(held)} checks failed")
