"""The examples of training/README.md are run as they stand there."""

import importlib
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from training.contracts import Kind, Result, verify_manifest

ROOT = Path(__file__).parents[2]
README = (ROOT / "training" / "README.md").read_text(encoding="utf-8")


STAGE = re.compile(r"^(?:PYTHONPATH=(\S+) )?python -m training\.(\w+) (.+)$", re.M)


def shell(text, folder):
    """Run what stands between the stages; returns what it printed."""
    environment = os.environ | {"TRY": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", "-euo", "pipefail", "-c", text]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@contextmanager
def on_the_path(folder):
    """What PYTHONPATH=folder does for a process."""
    before = list(sys.path)
    sys.path[:0] = [folder] if folder else []
    yield
    sys.path[:] = before


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """The folder in which every example was run, and what the shell printed. Stages run in this process: it saves a minute."""
    folder = tmp_path_factory.mktemp("try")
    printed = ""
    for block in re.findall(r"```bash\n(.*?)```", README, re.S):
        at = 0
        for found in STAGE.finditer(block):
            printed += shell(block[at : found.start()], folder)
            arguments = found[3].replace("$TRY", str(folder)).split()
            stage = importlib.import_module(f"training.{found[2]}")
            with on_the_path(found[1].replace("$TRY", str(folder)) if found[1] else ""):
                assert (
                    stage.main(arguments) if found[2] == "default_model" else stage.main(stage.train, arguments)
                ) == 0
            at = found.end()
        printed += shell(block[at:], folder)
    return folder, printed


@pytest.mark.parametrize("kind", list(Kind))
def test_the_example_of_a_stage_succeeds(tried, kind):
    folder = tried[0] / kind
    assert Result.read(folder).state == "succeeded"
    verify_manifest(folder / "output")


def test_the_examples_print_settings_and_a_report(tried):
    folder, printed = tried
    assert "kl_coef" in printed
    assert Result.read(folder / "best").metrics["score"] >= Result.read(folder / "best").metrics["score_candidates"]
    assert {"gold_a", "gold_b", "gold_peak_kl"} <= set(Result.read(folder / "best").metrics)
    assert '"sample/gold_score"' in printed
    mixed = Result.read(folder / "ptx").metrics
    assert mixed["ptx_loss_after"] != mixed["ptx_loss_before"]
    assert mixed["gold_score_before"] != mixed["score_before"]
    report = json.loads((folder / "evaluate" / "output" / "report.json").read_text())
    assert report["comparison"]["prompts"] == 2
    assert report["reward"]["rows"] == 3


def test_the_example_of_several_heads_shows_a_curve_and_keeps_features(tried):
    folder, printed = tried
    assert "3 labels, accuracy" in printed and "5 labels, accuracy" in printed
    assert (folder / "heads" / "output" / "members.safetensors").is_file()
    assert len(list((folder / "features").glob("*.safetensors"))) == 1


def test_every_module_is_in_the_table_of_files():
    named = set(re.findall(r"`(\w+)\.py`", README))
    present = {path.stem for path in (ROOT / "training").glob("*.py")} - {"__init__"}
    assert named == present
