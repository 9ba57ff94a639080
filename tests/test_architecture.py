"""The drawing and the code are the same: rooms, names, sizes, import contracts."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labeling.runs.models import Run
from labeling.settings import APPS
from training.configs import CONFIGS
from training.contracts import NEEDS, Kind

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path for half in ("labeling", "training") for path in (ROOT / half).rglob("*.py") if "migrations" not in path.parts
)
LIMITS = {"ppo.py": 400, "settings.py": 400}


def test_run_kinds_are_the_stage_scripts_of_training() -> None:
    assert {kind.value for kind in Run.Kind} == {kind.value for kind in Kind} == {kind.value for kind in CONFIGS}
    assert set(NEEDS) == set(Kind)
    for kind in Kind:
        assert importlib.util.find_spec(f"training.{kind.value}"), f"training/{kind.value}.py is missing"


def test_every_app_is_a_row_of_the_map() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "labeling" / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == APPS
    assert {path.name for path in (ROOT / "labeling").iterdir() if (path / "apps.py").exists()} == set(APPS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_outgrows_its_limit(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = LIMITS.get(path.name, 300)
    assert lines <= limit, f"{lines} lines: split it by verb"


def test_no_module_is_called_utils() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [path for path in SOURCES if path.stem in vague]


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_web_server_starts_without_numpy() -> None:
    """A tenth of a second at every start, for figures that only the sweep computes."""
    code = (
        "import django, sys; django.setup(); import labeling.urls; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "labeling.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_nothing_unpickles() -> None:
    """reliability.md T11: weights are safetensors; no pickle, no torch.load without weights_only."""
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                module = (getattr(node, "module", None) or "").split(".")[0]
                assert not ({"pickle", "dill", "joblib", "cloudpickle"} & {*names, module}), path
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"torch.load", "th.load"}:
                flags = {word.arg: word.value for word in node.keywords}
                assert isinstance(flags.get("weights_only"), ast.Constant) and flags["weights_only"].value is True, path


def test_user_input_is_never_spread_into_a_query() -> None:
    """reliability.md T13."""
    bad = re.compile(r"\*\*\s*(self\.)?request\.(GET|POST|data|query_params)|order_by\(\s*request\.")
    assert not [path for path in SOURCES if bad.search(path.read_text(encoding="utf-8"))]


def test_templates_hold_no_inline_script_or_style() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"<style\b|\sstyle=|\son[a-z]+=\"|<script(?![^>]*\bsrc=)(?![^>]*application/json)", text
        ), path
        assert not re.search(r"\|safe\b|autoescape off", text), path
        assert len(text.splitlines()) <= 120, f"{path}: over 120 lines"
