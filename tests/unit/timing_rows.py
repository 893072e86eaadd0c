"""Rows and timings as `04_cpu_vs_gpu` measures them."""

FROZEN, TUNED, TOY = "training, backbone frozen", "fine-tuning, last 4 layers", "toy convolution"


def row(work=FROZEN, device="cpu", host="laptop", total=10.0, **changes) -> dict:
    """One work on one device."""
    return {
        "work": work,
        "device": device,
        "devices": [device],
        "host": host,
        "threads": 4,
        "data_fingerprint": "one",
        "weights": "random",
        "seconds_epoch": None if work == TOY else total / 2,
        "seconds_step": total / 20,
        "seconds_total": total,
    } | changes


def measurement(*rows: dict, **order) -> dict:
    """What was measured on one machine."""
    order = {"task": "task1", "epochs": 2, "data_kind": "class", "data_root": "/pictures"} | order
    return {"order": order, "rows": list(rows), "nvidia_smi": None, "note": ""}


def timing(*rows: dict, **order) -> dict:
    """A timing with one measurement."""
    return {"schema": 2, "measurements": [measurement(*rows, **order)]}


def gpu_timing(host="scc-213", **about) -> dict:
    """A timing of a GPU, with what nvidia-smi said."""
    usage = {"gpu_busy_percent": 97.0, "gpu_memory_mib": 3210.0, "gpu_samples": 9}
    device = "NVIDIA A100-SXM4-80GB"
    rows = [row(FROZEN, device, host, 1.0, **usage), row(TUNED, device, host, 1.5, **usage)]
    found = timing(*rows, row(TOY, device, host, 0.2))
    smi = {"name": device, "memory_mib": 81920.0, "driver": "535.104.05", "page": "| A100 |\n"}
    found["measurements"][0] |= {"nvidia_smi": smi, "processor": "Xeon", "run": "gpu-run"} | about
    return found


def old_timing(*rows: dict, **order) -> dict:
    """A timing of schema 1: one training, whatever of the network it changed."""
    rows = [r | {"work": "training" if r["work"] != TOY else TOY} for r in rows]
    return {"schema": 1, "order": {"task": "task1", "epochs": 2} | order, "rows": rows}
