"""The slow reference: one question, one option, one plain full forward, nothing shared, nothing batched.

Written from the definition (radar_facts, Eq. 3) and on purpose without any code of the engine.

    position    0   1  ...  P-1   P    P+1  ...          the joined sequence: prompt, then option
    logits at  P-1  score the token at P;  logits at P  score the token at P+1; and so on
"""

import torch

SUFFIX_TYPE = {("paligemma", "token_type_ids"): 1}


def reference_scores(model, model_type, question):
    """[(mean log-probability, mean logit), ...], one pair an option, in float64."""
    return [reference_score(model, model_type, question, option) for option in range(len(question.continuations))]


def reference_score(model, model_type, question, option):
    continuation = question.continuations[option]
    joined = torch.cat([question.prefix_ids, continuation])[None]
    inputs = {"input_ids": joined, "attention_mask": torch.ones_like(joined), **question.vision}
    for name, values in question.token_inputs.items():
        suffix = [SUFFIX_TYPE.get((model_type, name), 0)] * len(continuation)
        inputs[name] = torch.tensor([values.tolist() + suffix])
    for module in model.modules():
        if hasattr(module, "rope_deltas"):
            module.rope_deltas = None
    with torch.no_grad():
        logits = model(**inputs, use_cache=False).logits[0]
    logprobs, raw = [], []
    for position in range(joined.shape[1] - question.scored[option], joined.shape[1]):
        before = logits[position - 1].to(torch.float32)
        token = int(joined[0, position])
        logprobs.append(float(before[token] - before.max() - (before - before.max()).exp().sum().log()))
        raw.append(float(before[token]))
    return sum(logprobs) / len(logprobs), sum(raw) / len(raw)
