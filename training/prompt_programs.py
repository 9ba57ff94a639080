"""What is put before a prompt when it is sampled: a system text, and demonstrations as earlier turns (few-shot)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from training.configs import ConfigError
from training.contracts import ContractError, DemonstrationRecord, PromptRecord


@dataclass(frozen=True)
class PromptProgram:
    """A system text and few-shot conversations, each ending with the assistant. Prompts are never changed, only preceded."""

    system: str = ""
    shots: tuple[DemonstrationRecord, ...] = ()

    def apply(self, record: PromptRecord) -> PromptRecord:
        """The prompt behind the program. Its own system message is joined to the program's, in front of the shots."""
        own = record.messages[0]["content"] if record.messages[0]["role"] == "system" else ""
        turns = record.messages[1:] if own else record.messages
        text = "\n\n".join(part for part in (self.system, own) if part)
        opening = [{"role": "system", "content": text}] if text else []
        return replace(record, messages=[*opening, *(turn for shot in self.shots for turn in shot.messages), *turns])


def build_program(system: str, shots: int, demonstrations: Sequence[DemonstrationRecord]) -> PromptProgram:
    """The program of the first `shots` demonstrations of split train.

    Raises ConfigError when there are fewer; ContractError for one that has a system message of its own, which could only
    stand in front of everything.
    """
    train = [record for record in demonstrations if record.split == "train"]
    if shots > len(train):
        raise ConfigError("shots", f"asks for {shots} demonstrations; data.demonstrations has {len(train)} to train on")
    chosen = tuple(train[:shots])
    for record in chosen:
        if record.messages[0]["role"] == "system":
            raise ContractError(
                f"demonstration {record.id} has a system message and cannot be a shot: put that text into 'system'"
            )
    return PromptProgram(system, chosen)
