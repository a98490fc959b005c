#!/usr/bin/env bash
# One soak as a gate: reports into soak-reports/, markdown into the job's summary, the verdict's exit code.
set -uo pipefail

reports=soak-reports
mkdir -p "$reports"
# what an earlier soak of the same job left is not told as this one's
rm -f "$reports"/junit.xml "$reports"/report.html "$reports"/summary.md "$reports"/verdict.json
arguments=("$SOAK_SCENARIO")
[ -n "${SOAK_BUDGET:-}" ] && arguments+=(--budget "$SOAK_BUDGET")
[ -n "${SOAK_ON:-}" ] && arguments+=(--on "$SOAK_ON")
[ -n "${SOAK_REQUEST_KEY:-}" ] && arguments+=(--request-key "$SOAK_REQUEST_KEY")
for host in ${SOAK_ALLOW_HOST:-}; do arguments+=(--allow-host "$host"); done
if [ "${SOAK_DETACH:-false}" = true ]; then
  arguments+=(--detach)
else
  arguments+=(--report "junit=$reports/junit.xml" --report "html=$reports/report.html")
  arguments+=(--report "markdown=$reports/summary.md" --report "json=$reports/verdict.json")
fi

# a job that is cancelled or runs out of time leaves the run to itself: the same key finds it again
[ -n "${SOAK_ON:-}" ] && [ -n "${SOAK_REQUEST_KEY:-}" ] && trap '' INT

code=0
soak run "${arguments[@]}" || code=$?

if [ -s "$reports/summary.md" ]; then
  cat "$reports/summary.md" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
elif [ "$code" -ne 0 ]; then
  echo "The soak did not come to a verdict (exit code $code): see the log of this step." >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
fi
echo "exit-code=$code" >>"${GITHUB_OUTPUT:-/dev/null}"
exit "$code"
