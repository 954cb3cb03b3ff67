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
#   RUNTIMES       the only runtimes to judge on, separated by white space; each must load every export of its kind. Empty: all, as far as they can
#   REPORTS        folder for parity.json, parity.md, parity.junit.xml and dashboard.html (default: parity-report)
#   PYTHON         interpreter that has edgeproof (default: python3)
set -euo pipefail

: "${BASELINE:?name the baseline in BASELINE}" "${EXPORTS:?name the files to judge in EXPORTS, one a line}" "${DATA:?name the images in DATA}"
reports=${REPORTS:-parity-report}
reported=(parity.json parity.md parity.junit.xml dashboard.html)
summary=${GITHUB_STEP_SUMMARY:-/dev/null}
case ${INCONCLUSIVE:=fail} in
    fail | pass) ;;
    *) echo "error: INCONCLUSIVE is fail or pass, got $INCONCLUSIVE" >&2 && exit 2 ;;
esac

edgeproof() { "${PYTHON:-python3}" -P -m edgeproof "$@"; }

workspace=$(mktemp -d)
trap 'rm -rf "$workspace"' EXIT
arguments=(-w "$workspace" --baseline "$BASELINE" --data "$DATA")
while IFS= read -r file; do
    [ -z "$file" ] || arguments+=(--export "$file")
done <<< "$EXPORTS"
[ -z "${MAX_DROP:-}" ] || arguments+=(--max-drop "$MAX_DROP")
[ -z "${PREPROCESS:-}" ] || arguments+=(--preprocess "$PREPROCESS")
for runtime in ${RUNTIMES:-}; do
    arguments+=(--runtime "$runtime")
done

mkdir -p "$reports"
rm -f "${reported[@]/#/$reports/}" # a former run's must not pass for this one's
code=0
edgeproof parity "${arguments[@]}" || code=$?
if [ ! -f "$workspace/parity.md" ]; then # nothing was judged: a file cannot be read, an option is wrong
    printf '## Parity: not judged\n\nThe log of this step says why.\n' >> "$summary"
    exit "$code"
fi
cat "$workspace/parity.md" >> "$summary"
edgeproof dashboard -w "$workspace" || echo "warning: no dashboard; the verdict stands" >&2
for report in "${reported[@]}"; do
    [ ! -f "$workspace/$report" ] || cp "$workspace/$report" "$reports/"
done
echo "Kept: $reports/ (the folder named above is gone by now)"

if [ "$code" = 3 ] && [ "$INCONCLUSIVE" = pass ]; then
    echo "INCONCLUSIVE counts as passed here (INCONCLUSIVE=pass)."
    code=0
fi
exit "$code"
