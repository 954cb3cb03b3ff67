"""What each kind of number on the page is: said on hover and focus, once a column."""

from __future__ import annotations

from benchmarks.page.cells import Column

FORMAT = Column("format", number=False)
RUNTIME = Column("runtime", number=False)
TARGET = Column("target", number=False)
VERDICT = Column(
    "verdict",
    "PASS: the drop's upper bound is within the margin. FAIL: its lower bound is beyond, or the logits are not as large as the baseline's. "
    "Else INCONCLUSIVE. Non-inferiority.",
    number=False,
)
ACCURACY = Column("accuracy", "Share of the validation images answered right.")
DROP = Column(
    "drop, pp (95\N{NO-BREAK SPACE}%)",
    "Percentage points lost to the baseline: share of images that it has right and the export wrong, minus the reverse. "
    "In brackets the one-sided 95 % upper bound, Tango's score interval for paired answers.",
)
AT_MOST = Column(
    "drop at most", "One-sided 95 % upper bound of the drop in percentage points, Tango's score interval, the largest of all rows that count."
)
SIZE = Column("size", "Bytes of the file; 1 KB is 1,000.")
MEASURED = Column("measured, median", "Measured: encode pixels, run, take the label, batch 1, real images; half of all runs took less.")
P99 = Column("measured, p99", "Measured: 99 of 100 runs took less.")
RATIO = Column(
    "ratio to float32",
    "Measured time by that of the float32 file on the same runtime, median of paired rounds; in brackets its 99 % bootstrap interval. "
    "Below 1 is faster.",
)
PREDICTED = Column(
    "predicted (interval)",
    "Predicted, not measured: cycles of the code that ran on the simulated board, by LLVM's model of the core, and the board's published times. "
    "In brackets the interval that the errors of known networks leave open.",
)
PREDICTED_INVOKE = Column("predicted, interpreter alone", PREDICTED.about + " Without encoding the pixels and taking the label.")
_COUNT = "Instructions of one inference, counted on the simulated board; the same every time. "
_NO_RANK = (
    "Compare only within one format, runtime, kernels and core: fewer instructions of another kind are not less time. So this column does not sort."
)
INSTRUCTIONS = Column("instructions", _COUNT + "Encode pixels, run, take the label. " + _NO_RANK, sortable=False)
INSTRUCTIONS_INVOKE = Column("instructions, interpreter alone", _COUNT + _NO_RANK, sortable=False)
WHY = Column("why", number=False, sortable=False)
