#!/usr/bin/python3.11
"""The first and only program of an emulated computer: runs windows of inferences, with the clock for marks, and switches off.

Started as /init by `evidence/full_system.py`. The emulator's clock advances by one nanosecond an instruction, so that nanoseconds are
instructions. Started with a runtime's name, it runs the models of /models on that and prints what each window took.
"""

import ctypes
import json
import os
import subprocess
import sys
import time

RUNTIMES = ("ai-edge-litert", "tflite-runtime")
SWITCH_OFF = 0x4321FEDC  # reboot(2): LINUX_REBOOT_CMD_POWER_OFF


def start_computer() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for kind, place in ((b"proc", b"/proc"), (b"sysfs", b"/sys"), (b"devtmpfs", b"/dev")):
        os.makedirs(place, exist_ok=True)
        libc.mount(kind, place, kind, 0, None)
    try:
        for runtime in RUNTIMES:
            environment = {"PYTHONPATH": f"/packages/{runtime}", "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
            subprocess.run(["/usr/bin/python3.11", "-P", "/init", runtime], env=environment, check=False)
    finally:
        libc.reboot(SWITCH_OFF)


def count(runtime: str) -> None:
    import numpy as np

    from edge_runtime.classifier import Classifier
    from edge_runtime.counting import RUNS, SCOPES, count_windows

    images = np.load("/models/images.npy")
    for name in sorted(os.listdir("/models")):
        if name.endswith(".tflite"):
            clock: dict[int, int] = {}

            def mark(window: int, clock: dict[int, int] = clock) -> None:
                clock[window] = time.perf_counter_ns() - clock.get(0, 0)
                clock[0] = time.perf_counter_ns()

            windows = count_windows(Classifier.load(f"/models/{name}", runtime), images, 1, RUNS, mark)
            took = {scope: clock[windows[scope]] for scope in SCOPES}
            print(json.dumps({"artifact": name, "runtime": runtime, "runs": RUNS, **took}), flush=True)


if __name__ == "__main__":
    if os.getpid() == 1:
        start_computer()
    else:
        count(sys.argv[1])
