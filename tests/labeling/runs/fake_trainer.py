"""Stands in for `python -m training.KIND DIR` where only the process matters. What it does is the run's name in spec.json.

Called as `fake_trainer.py -m training.KIND DIR`. It writes the files of a run directory as a stage does, starts one
child (as a data loader would), and holds a file open-exclusive while it works, so that two at once would be seen.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, os.environ["PYTHONPATH"])

from training.contracts import NEEDS, Kind, Result, canonical_json, sha256_of, write_manifest

STOPPED = []


def main(module: str, folder: Path) -> int:
    spec = json.loads((folder / "spec.json").read_text())
    name, _, rest = spec["name"].partition(" ")
    signal.signal(signal.SIGTERM, lambda *_: STOPPED.append(1))
    witness = folder / "witness"
    if witness.exists():
        pid = int(witness.read_text())
        if Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
            (folder / "two-at-once").touch()
    witness.write_text(str(os.getpid()))
    starts = folder / "starts"
    starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    (folder / "pids").write_text(f"{os.getpid()} {child.pid}")
    if name == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if name == "environment":
        (folder / "environment.json").write_text(json.dumps(dict(os.environ)))
        (folder / "descriptors.json").write_text(json.dumps(sorted(os.listdir("/proc/self/fd"))))
    if name == "fails":
        print("loading the weights", flush=True)
        print("RuntimeError: the moon is in the wrong phase", flush=True)
        return 70
    if name == "refuses":
        Result(state="failed", error="data.prompts[0]: row 3: field 'messages' is missing").write(folder)
        return 64
    if name == "dies" and len(starts.read_text()) <= int(rest or 1):
        os.kill(os.getpid(), signal.SIGKILL)
    steps = int(rest) if name in {"works", "slow"} and rest else 3
    with (folder / "metrics.jsonl").open("w") as metrics:
        for step in range(1, steps + 1):
            row = {
                "step": step,
                "time": time.time(),
                "split": "train",
                "loss": 1.0 / step,
                "progress/fraction": step / steps,
            }
            metrics.write(canonical_json(row) + "\n")
            metrics.flush()
            while name in {"waits", "deaf"} or (name == "once" and len(starts.read_text()) == 1):
                if STOPPED:
                    return 75
                time.sleep(0.02)
            if name == "slow":
                time.sleep(0.1)
            if STOPPED:
                return 75
    publish(spec, folder, broken=name == "broken")
    return 0


def publish(spec, folder: Path, *, broken: bool) -> None:
    output = folder / "output"
    output.mkdir(exist_ok=True)
    writes = NEEDS[Kind(spec["kind"])].writes
    if writes == "completions":
        policy = spec["inputs"]["policy"][0]["name"]
        prompts = [json.loads(line) for ref in spec["data"]["prompts"] for line in (folder / ref["path"]).open()]
        with (output / "completions.jsonl").open("w") as file:
            for prompt in prompts:
                row = {"id": f"{prompt['id']}-0", "prompt_id": prompt["id"], "policy": policy, "text": "An answer."}
                sampling = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 16}
                row |= {"token_count": 3, "finish_reason": "stop", "logprob": -4.5, "sampling": sampling}
                file.write(canonical_json(row) + "\n")
    elif writes == "report":
        (output / "report.json").write_text(json.dumps({"reward": {"accuracy": 0.75}}))
    else:
        (output / "weights.txt").write_text("weights")
    write_manifest(output, kind=writes)
    if broken:
        (output / "weights.txt").write_text("other weights")
    Result(
        state="succeeded", metrics={"loss": 0.25}, manifest_sha256=sha256_of(output / "manifest.json"), seconds=1.0
    ).write(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[2], Path(sys.argv[3])))
