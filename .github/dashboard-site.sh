#!/usr/bin/env bash
# Makes the page that .github/workflows/dashboard.yml publishes: measures finished workspaces here, predicts boards, writes one HTML file. You can run
# it, too:
#
#   make demo && .github/dashboard-site.sh
#
#   WORKSPACES   finished workspaces, separated by white space (default: runs/default)
#   BOARDS       simulated boards to predict times of (default: sim-pi4 sim-pi5; empty: none). They need qemu-user, gcc and llvm (edgeproof doctor)
#   SITE         folder that index.html goes into (default: site)
#   EDGEPROOF    the command (default: .venv/bin/edgeproof)
set -euo pipefail

read -ra edgeproof <<< "${EDGEPROOF:-.venv/bin/edgeproof}"
read -ra workspaces <<< "${WORKSPACES:-runs/default}"
site=${SITE:-site}

for workspace in "${workspaces[@]}"; do
    for board in ${BOARDS-sim-pi4 sim-pi5}; do
        "${edgeproof[@]}" bench -w "$workspace" --on "$board"
    done
done
"${edgeproof[@]}" dashboard "${workspaces[@]}" --out "$site/index.html"
