#!/usr/bin/env bash
# A gate on a pull request: judges exported models by a baseline and exits with the verdict. Needs edgeproof[check], and no TensorFlow when
# the baseline is frozen. .github/workflows/parity.yml runs it, and so can you:
#
#   BASELINE=models/frozen.npz DATA=data/held-out.npz EXPORTS=models/digits.tflite .github/parity-gate.sh
#
#   BASELINE       frozen .npz (from `edgeproof parity --freeze`), .tflite, .onnx, .keras or .h5
#   EXPORTS        files to judge, one a line
#   DATA           held-out images: a folder of class folders, or an .npz with images and labels
#   MAX_DROP       margin in percentage points; empty: what was frozen, or 0.25
#   PREPROCESS     unit, signed or raw, for files that do not say themselves; empty: as the baseline
#   INCONCLUSIVE   what too few images to decide mean: fail (default) or pass
#   REPORTS        folder for parity.json, parity.md, parity.junit.xml, dashboard.html and what they were made from (default: parity-report)
#   PYTHON         interpreter that has edgeproof (default: python3)
set -euo pipefail

: "${BASELINE:?name the baseline in BASELINE}" "${EXPORTS:?name the files to judge in EXPORTS, one a line}" "${DATA:?name the images in DATA}"
reports=${REPORTS:-parity-report}
summary=${GITHUB_STEP_SUMMARY:-/dev/null}
case ${INCONCLUSIVE:=fail} in
    fail | pass) ;;
    *) echo "error: INCONCLUSIVE is fail or pass, got $INCONCLUSIVE" >&2 && exit 2 ;;
esac

edgeproof() { "${PYTHON:-python3}" -P -m edgeproof "$@"; }

arguments=(-w "$reports" --baseline "$BASELINE" --data "$DATA")
while IFS= read -r file; do
    [ -z "$file" ] || arguments+=(--export "$file")
done <<< "$EXPORTS"
[ -z "${MAX_DROP:-}" ] || arguments+=(--max-drop "$MAX_DROP")
[ -z "${PREPROCESS:-}" ] || arguments+=(--preprocess "$PREPROCESS")

rm -f "$reports"/{parity.json,parity.md,parity.junit.xml,dashboard.html} # a former run's must not pass for this one's
code=0
edgeproof parity "${arguments[@]}" || code=$?
if [ ! -f "$reports/parity.md" ]; then # nothing was judged: a file cannot be read, an option is wrong
    printf '## Parity: not judged\n\nThe log of this step says why.\n' >> "$summary"
    exit "$code"
fi
cat "$reports/parity.md" >> "$summary"
edgeproof dashboard -w "$reports" || echo "warning: no dashboard; the verdict stands" >&2

if [ "$code" = 3 ] && [ "$INCONCLUSIVE" = pass ]; then
    echo "INCONCLUSIVE counts as passed here (INCONCLUSIVE=pass)."
    code=0
fi
exit "$code"
