"""One PPO rollout: sample, score, and what reference and critic say of every token. No weight changes here.

The frozen lower layers are run once per answer and kept: reference, critic and every inner epoch go on from there.
Axes: R answers of a rollout, b answers of a micro-batch, T answer tokens, N the micro-batch's answer tokens in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from training import distributed, sharding
from training.answers import answer_batch
from training.backbone import Backbone, Hidden, TokenLogprobs
from training.batches import RowBatch, micro_batches
from training.configs import PpoConfig
from training.critic import Critic
from training.judges import Judge
from training.optimization import epoch_order
from training.pretraining_mix import PretrainingMix
from training.records import PromptRow
from training.sampling import Decoding, Sampled, generate, row_seed

ROWS = 64  # answers decoded together


@dataclass
class Micro:
    """Some answers of a rollout as one forward pass, with what is computed once per update."""

    rows_b: Tensor
    batch: RowBatch
    hidden: Hidden
    value_hidden: Hidden | None
    counts: bool = True  # else it is here for the other ranks' sake (see `sharding.evened`)


@dataclass
class Rollout:
    """The answers of one update and all that is known of them before the first step. Padded [R, T] tensors, fp32."""

    prompts: list[PromptRow]
    answers: list[Sampled]
    minibatches: list[list[Micro]]
    scores_R: Tensor  # as the judge gives them
    mask_RT: Tensor
    learned_RT: Tensor  # the mask, less answers that were cut off when nothing is to be learned from them
    logprobs_RT: Tensor
    reference_RT: Tensor
    values_RT: Tensor
    final_values_R: Tensor  # V behind the last token of answers cut off, when they are to go on from it; else 0
    gold_R: Tensor | None = None
    score_scale: float | None = None  # what scores are divided by before they enter the reward, if by anything
    score_spread: float | None = None  # of an ensemble: standard deviation between members, mean over answers

    @property
    def truncated_R(self) -> Tensor:
        """Which answers have no end token."""
        return torch.tensor([not answer.finished for answer in self.answers], device=self.scores_R.device)

    @property
    def micros(self) -> list[Micro]:
        """All micro-batches of all minibatches."""
        return [micro for minibatch in self.minibatches for micro in minibatch]

    @property
    def kl_RT(self) -> Tensor:
        """log π/π_ref per token, 0 under the mask."""
        return torch.where(self.mask_RT, self.logprobs_RT - self.reference_RT, 0.0)


@dataclass
class Learner:
    """The models of PPO on as few trunks as can be, the optimiser and the names of all weights it trains."""

    policy: Backbone
    judge: Judge
    critic: Critic
    optimizer: torch.optim.Optimizer
    policy_weights: dict[str, nn.Parameter]
    critic_weights: dict[str, nn.Parameter]
    gold: Judge | None = None
    mix: PretrainingMix | None = None
    average: dict[str, Tensor] = field(default_factory=dict)  # of policy_weights, when it is to be exported

    @property
    def weights(self) -> dict[str, Tensor]:
        """Everything a resume checkpoint must hold."""
        averages = {f"average.{name}": weight for name, weight in self.average.items()}
        return {**self.policy_weights, **self.critic_weights, **averages}


def deal(prompts: Sequence[PromptRow], update: int, *, size: int, seed: int) -> list[tuple[PromptRow, int]]:
    """The prompts of one update, each with its sampling seed: shuffled passes over the data laid end to end."""
    dealt = []
    for at in range((update - 1) * size, update * size):
        epoch, place = divmod(at, len(prompts))
        prompt = prompts[epoch_order(len(prompts), seed=seed, epoch=epoch)[place]]
        dealt.append((prompt, row_seed(seed, "ppo", at)))
    return dealt


def collect(
    learner: Learner,
    dealt: Sequence[tuple[PromptRow, int]],
    config: PpoConfig,
    check: Callable[[], None] = lambda: None,
) -> Rollout:
    """Sample one answer per prompt; score it; add reference log-probabilities and the critic's values.

    `check` is called often and may raise; nothing has been changed then.
    """
    policy, critic = learner.policy, learner.critic
    prompts = [prompt for prompt, _ in dealt]

    def sample(own: list[tuple[PromptRow, int]]) -> list[Sampled]:
        return generate(
            policy,
            [prompt.ids for prompt, _ in own],
            Decoding(config.max_new_tokens, config.temperature, min_new_tokens=config.min_new_tokens),
            [seed for _, seed in own],
            batch_rows=ROWS,
            value_of=critic.values if critic.backbone is None else None,
            check=check,
            compile=config.compile,
        )

    with policy.merged():
        answers = distributed.in_shares(dealt, [len(prompt.ids) for prompt in prompts], sample)
    logprobs_RT = padded([answer.logprobs_T for answer in answers], policy.device)
    captured = [answer.values_T for answer in answers if answer.values_T is not None]
    mask_RT = padded([torch.ones(len(answer.ids)) for answer in answers], policy.device) > 0
    scores_R, score_spread = judged(learner.judge, prompts, answers)
    rollout = Rollout(
        prompts,
        answers,
        minibatches=split(learner, prompts, answers, config),
        scores_R=scores_R.to(policy.device),
        score_spread=score_spread,
        gold_R=judged(learner.gold, prompts, answers)[0] if learner.gold else None,
        mask_RT=mask_RT,
        learned_RT=mask_RT,
        logprobs_RT=logprobs_RT,
        reference_RT=torch.zeros_like(logprobs_RT),
        values_RT=padded(captured, policy.device) if captured else torch.zeros_like(logprobs_RT),
        final_values_R=torch.zeros_like(logprobs_RT[:, 0]),
    )
    check()
    add_reference(learner, rollout, config)
    if config.truncated == "mask":
        rollout.learned_RT = mask_RT & ~rollout.truncated_R[:, None]
    if config.truncated == "bootstrap":
        add_final_values(learner, rollout)
    return rollout


def judged(judge: Judge, prompts: Sequence[PromptRow], answers: Sequence[Sampled]) -> tuple[Tensor, float | None]:
    """The judge's scores [R] of all answers, fp32 on the CPU, and its spread; every rank has it read its share."""

    def score(own: list[tuple[PromptRow, Sampled]]) -> list[tuple[float, float | None]]:
        found: list[float] = judge.scores([prompt for prompt, _ in own], [answer for _, answer in own]).tolist()
        return [(one, judge.spread) for one in found]

    pairs = list(zip(prompts, answers, strict=True))
    with judge.at_hand():
        rows = distributed.in_shares(pairs, [len(prompt.ids) + len(answer.ids) for prompt, answer in pairs], score)
    spreads = [spread for _, spread in rows if spread is not None]  # each rank's mean, as often as it has answers
    return torch.tensor([one for one, _ in rows]), sum(spreads) / len(rows) if spreads else None


def padded(rows: Sequence[Tensor], device: torch.device) -> Tensor:
    """Rows of different length as one [R, T] tensor, zeros at their ends."""
    return pad_sequence(list(rows), batch_first=True).to(device)


def split(
    learner: Learner, prompts: Sequence[PromptRow], answers: Sequence[Sampled], config: PpoConfig
) -> list[list[Micro]]:
    """Minibatches (one optimiser step each) of micro-batches (one forward each), with the frozen layers already run.

    Of several ranks each has micro-batches of its share of every minibatch; all else of a rollout is whole on all of them.
    """
    rows = range(len(answers))
    lengths = [len(prompt.ids) + len(answer.ids) for prompt, answer in zip(prompts, answers, strict=True)]
    groups = [list(rows[start :: config.minibatches]) for start in range(config.minibatches)]
    own = [[group[at] for at in distributed.share([lengths[row] for row in group])] for group in groups]
    return [
        list(micros_of(learner, prompts, answers, part, config, filler=group[0]))
        for group, part in zip(groups, own, strict=True)
    ]


def micros_of(
    learner: Learner,
    prompts: Sequence[PromptRow],
    answers: Sequence[Sampled],
    rows: Sequence[int],
    config: PpoConfig,
    *,
    filler: int = 0,
) -> Iterator[Micro]:
    """The micro-batches of these answers; where weights are spread, as many on every rank: `filler` is an answer to fill up with."""
    policy = learner.policy
    lengths = [len(prompts[row].ids) + len(answers[row].ids) for row in rows]
    batches = ([rows[at] for at in group] for group in micro_batches(lengths, config.micro_tokens))
    for chosen, weight in sharding.evened(batches, lambda: [filler], policy.model):
        batch = answer_batch([prompts[row].ids for row in chosen], [answers[row].ids for row in chosen], policy)
        hidden = policy.run_bottom(batch.ids_BT, layer=config.first_adapted_layer)
        rows_b = torch.tensor(chosen, device=policy.device)
        yield Micro(rows_b, batch, hidden, learner.critic.run_bottom(batch), counts=weight > 0)


def said(policy: Backbone, micro: Micro, config: PpoConfig) -> TokenLogprobs:
    """Log-probability, entropy and state of each answer token under the policy as it is set, over what sampling drew from."""
    batch = micro.batch
    return policy.token_logprobs(
        policy.run_top(micro.hidden),
        batch.ids_BT,
        batch.response_BT,
        temperature=config.temperature,
        least=config.min_new_tokens,
    )


@torch.no_grad()
def add_reference(learner: Learner, rollout: Rollout, config: PpoConfig) -> None:
    """Fill in log π_ref of every token and, for a critic with its own adapter, the values."""
    policy, critic = learner.policy, learner.critic
    for micro in rollout.micros:
        with policy.using(None):
            found = said(policy, micro, config)
        place(rollout.reference_RT, rollout, micro, found.logprobs_N)
        if critic.backbone is not None:
            values_N = critic.read(micro.batch, micro.value_hidden, found.states_ND)
            place(rollout.values_RT, rollout, micro, values_N)
    rollout.reference_RT = distributed.total(rollout.reference_RT)
    if critic.backbone is not None:
        rollout.values_RT = distributed.total(rollout.values_RT)


@torch.no_grad()
def add_final_values(learner: Learner, rollout: Rollout) -> None:
    """Fill in the critic's value behind the last token of every answer that was cut off."""
    truncated_R = rollout.truncated_R
    together = sharding.is_sharded(learner.policy.model)  # no rank may leave out a pass
    for micro in rollout.micros:
        if together or bool(truncated_R[micro.rows_b].any()):
            states_bTD = learner.policy.run_top(micro.hidden)
            values_b = learner.critic.read_final(micro.batch, micro.value_hidden, states_bTD)
            if micro.counts:
                rollout.final_values_R[micro.rows_b] = torch.where(truncated_R[micro.rows_b], values_b, 0.0)
    rollout.final_values_R = distributed.total(rollout.final_values_R)


def take(x_RT: Tensor, rollout: Rollout, micro: Micro) -> Tensor:
    """The micro-batch's tokens of a rollout tensor, flat, in the order of `token_logprobs`."""
    return x_RT[micro.rows_b][rollout.mask_RT[micro.rows_b]]


def place(x_RT: Tensor, rollout: Rollout, micro: Micro, values_N: Tensor) -> None:
    """The inverse of `take`, for micro-batches that count."""
    if not micro.counts:
        return
    part_bT = torch.zeros_like(x_RT[micro.rows_b])
    part_bT[rollout.mask_RT[micro.rows_b]] = values_N
    x_RT[micro.rows_b] = part_bT


@torch.no_grad()
def mean_entropy(learner: Learner, rollout: Rollout, config: PpoConfig) -> float:
    """Entropy of the policy in nats per answer token."""
    total = torch.zeros((), dtype=torch.float64)  # on the CPU: mps has no such numbers
    for micro in rollout.micros:
        total += said(learner.policy, micro, config).entropy_N.sum().cpu() * micro.counts
    return float(distributed.total(total)) / int(rollout.mask_RT.sum())
