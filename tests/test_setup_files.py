"""The files a new installation starts from agree with each other: lock, environment variables, images, CI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yml").read_text())
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
ENTRYPOINT = (ROOT / "docker" / "entrypoint.sh").read_text()


def canonical(name: str) -> str:
    """A package name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    """The lock: canonical name to version."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    wanted = [line.split(";")[0].strip() for line in lines if line.strip() and not line.startswith("#")]
    assert all("==" in line for line in wanted), "the lock pins every package with =="
    return {canonical(name): version for name, version in (line.split("==") for line in wanted)}


ON_REQUEST = {"quantized", "writers"}  # extras that nothing here installs: pinned where they are named, not in the lock


def test_every_requirement_of_the_project_is_pinned() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert all("==" in line for extra in ON_REQUEST for line in extras[extra])
    locked = [line for extra, lines in extras.items() if extra not in ON_REQUEST for line in lines]
    names = {canonical(re.split(r"[\[<>=~! ]", line)[0]) for line in locked}
    assert names - pinned().keys() == set()
    assert pinned()["torch"] == "2.13.0"


def test_the_web_extra_does_not_ask_for_torch() -> None:
    done = subprocess.run(
        [sys.executable, "docker/extras.py", "web"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "granian" in done
    assert not any(line.startswith(("torch", "transformers", "peft")) for line in done)


def test_the_environment_example_lists_every_variable_of_the_settings() -> None:
    settings = (ROOT / "labeling" / "settings.py").read_text()
    read = set(re.findall(r"""\benv(?:_flag|_list)?\(["']([A-Z_]+)["']""", settings))
    shown = set(re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE))
    assert len(read) > 15
    assert read - shown == set()


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_every_service_can_be_built_or_pulled(name: str) -> None:
    service = COMPOSE["services"][name]
    assert ("image" in service) != ("build" in service)
    if "build" in service:
        targets = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
        assert service["build"]["target"] in targets
        assert (ROOT / "docker" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert re.search(rf"^  {service['command'][0]}\)", ENTRYPOINT, flags=re.MULTILINE)


def test_compose_has_the_services_of_the_product_and_their_dependencies_exist() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"postgres", "valkey", "migrate", "web", "worker", "long", "beat", "trainer"}
    assert services["trainer"]["build"]["target"] == "trainer" and services["web"]["build"]["target"] == "web"
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for mount in service["volumes"]:
            assert mount.split(":")[0] in COMPOSE["volumes"]


def test_the_images_copy_what_exists() -> None:
    copied = [part for line in re.findall(r"^COPY (.+)$", DOCKERFILE, flags=re.MULTILINE) for part in line.split()[:-1]]
    assert copied and all((ROOT / part).exists() for part in copied)


@pytest.mark.parametrize("script", [".ci/run", "docker/entrypoint.sh", "tests/install_chromium.sh"])
def test_scripts_are_executable_and_parse(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)


def test_make_help_names_the_two_commands() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "make demo" in done.stdout and "make test" in done.stdout
