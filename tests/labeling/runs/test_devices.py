"""What a trainer sees of the host's devices, and how it is started on several."""

from pathlib import Path

import pytest

from labeling.runs import devices, trainer

RUN = Path("/runs/r1")


@pytest.mark.parametrize(
    ("device", "visible", "processes"),
    [
        ("cpu:0", "", 1),
        ("cuda:1", "1", 1),
        ("cuda:0+1", "0,1", 2),
        ("gpu-a/cuda:4+5+6", "4,5,6", 3),
        ("cpu:0+1", "", 2),
    ],
)
def test_a_device_of_several_numbers_is_that_many_processes(device, visible, processes, settings):
    settings.TRAINING_PYTHON, settings.TORCHRUN_OPTIONS = "python", []
    assert devices.visible_to(device) == {"CUDA_VISIBLE_DEVICES": visible}
    assert devices.kind_of(device) in ("cpu", "cuda")
    many = ["python", "-m", "training.launch", "--nproc-per-node", str(processes), "ppo", "/runs/r1"]
    alone = ["python", "-m", "training.ppo", "/runs/r1"]
    assert trainer.command(RUN, kind="ppo", device=device) == (alone if processes == 1 else many)


def test_several_hosts_meet_where_the_settings_say(settings):
    settings.TRAINING_PYTHON = "python"
    settings.TORCHRUN_OPTIONS = ["--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "h:29500"]
    command = trainer.command(RUN, kind="sft", device="cuda:0")
    assert command[:5] == ["python", "-m", "training.launch", "--nproc-per-node", "1"]
    assert command[5:] == [*settings.TORCHRUN_OPTIONS, "sft", "/runs/r1"]
