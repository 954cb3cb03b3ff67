"""What a simulated board runs to have a network of ncnn's benchmark counted: `python ncnn_job.py NETWORK.param PIXELS FP16`.

Options, input and weights (none: all zero) are those of ncnn's own benchmark program, benchmark/benchncnn.cpp of Tencent/ncnn. Needs the
package ncnn alone; the marks are those of benchmarks/targets/blocks.c: window 1 holds nothing, window 2 one inference.
"""

from __future__ import annotations

import contextlib
import os
import sys

import ncnn

MARK = 0x65646765000000


def mark(window: int) -> None:
    with contextlib.suppress(OSError):
        os.lseek(-1, MARK | window, os.SEEK_SET)


def configure(net: ncnn.Net, half: bool) -> tuple[object, object]:
    """As benchncnn does, for one thread; the allocators, which must outlive the network."""
    blobs, workspace = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
    blobs.set_size_compare_ratio(0.0)
    workspace.set_size_compare_ratio(0.5)
    net.opt.blob_allocator, net.opt.workspace_allocator = blobs, workspace
    net.opt.num_threads = 1
    for name in ("lightmode", "use_winograd_convolution", "use_sgemm_convolution", "use_packing_layout"):
        setattr(net.opt, name, True)
    for name in ("use_int8_inference", "use_int8_storage", "use_int8_arithmetic"):
        setattr(net.opt, name, True)
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
        setattr(net.opt, name, half)
    ncnn.set_omp_dynamic(0)
    ncnn.set_omp_num_threads(1)
    return blobs, workspace


def count(net: ncnn.Net, param: str, pixels: int) -> str:
    """Count one inference; why that cannot be done, or nothing."""
    if net.load_param(param) or net.load_model(ncnn.DataReaderFromEmpty()):
        return f"ncnn {ncnn.__version__} cannot load it"
    image = ncnn.Mat(pixels, pixels, 3)
    image.fill(0.01)

    def infer() -> int:
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], image)
        return int(extractor.extract(net.output_names()[0])[0])

    if infer():
        return f"ncnn {ncnn.__version__} cannot run it"
    mark(0)
    infer()  # fills the caches
    mark(0)
    mark(1)
    mark(0)
    infer()
    mark(2)
    return ""


if __name__ == "__main__":
    network = ncnn.Net()
    allocators = configure(network, bool(int(sys.argv[3])))
    print(count(network, sys.argv[1], int(sys.argv[2])), flush=True)
    os._exit(0)  # allocators that go before the network does crash it, and Python cannot be told an order
