"""Functions that PPO can be told to maximise: right ones, and ones that break in every way."""


def shorter(prompts, texts):
    assert all(messages[-1]["role"] == "user" for messages in prompts)
    return [-len(text) / 100 for text in texts]


def too_few(prompts, texts):
    return [1.0]


def not_numbers(prompts, texts):
    return ["good"] * len(texts)


def infinite(prompts, texts):
    return [float("inf")] * len(texts)


def raising(prompts, texts):
    raise RuntimeError("no such oracle")


NUMBER = 3
