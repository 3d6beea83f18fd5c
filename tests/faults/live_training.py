"""Ranks that train and measure together, in every way of wrapping; what came out is written to FOLDER/<rank>.json.

torchrun --nproc_per_node N live_training.py FOLDER SCENARIO [ARGUMENTS]
"""

import json
import random
import sys
import time
from collections import Counter
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch
from torch import distributed
from torch.distributed.fsdp import FullyShardedDataParallel, _flat_param, fully_shard
from torch.distributed.fsdp._fully_shard import _fsdp_collectives
from torch.distributed.fsdp._fully_shard._fsdp_param import FSDPParam
from torch.distributed.fsdp.wrap import CustomPolicy, ModuleWrapPolicy
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_models import make, picture, question

from radar_tasks.errors import RadarError
from radar_tasks.live import LiveEvaluator
from radar_tasks.results import load_run
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.scoring.checkpoints.checkpoint import Checkpoint
from radar_tasks.scoring.engine import collectives, scorer, self_check, shared_prefix
from radar_tasks.scoring.engine.model_runner import RunningModel
from radar_tasks.store import open_source
from radar_tasks.store.document_order import document_order
from radar_tasks.training import RadarCallback

SOURCE = "mini_sum"


def blocks_of(model):
    """The layers of language model and vision tower, as trainers wrap them."""
    names = [name.split(".") for name, _ in model.named_modules()]
    listed = {".".join(name) for name in names if name[-1].isdigit() and name[-2] in ("layers", "blocks", "block")}
    return [module for name, module in model.named_modules() if name in listed]


def bare(family):
    torch.manual_seed(5)
    return make(family)


def wrapped(way, family, folder):
    """(the model as a loop would call it, processor)"""
    model, processor = bare(family)
    return wrap(way, model, folder / family), processor


def wrap(way, model, place):  # noqa: PLR0911, PLR0912
    """The model as a loop would call it; `place` is for its weights, where a way reads it from the disk."""
    blocks = blocks_of(model)
    if way == "ddp":
        return DistributedDataParallel(model, find_unused_parameters=True)
    if way == "fsdp1":
        policy = ModuleWrapPolicy({type(block) for block in blocks})
        cpu = torch.device("cpu")
        return FullyShardedDataParallel(model, auto_wrap_policy=policy, use_orig_params=True, device_id=cpu)
    if way == "fsdp2":
        for block in blocks:
            fully_shard(block)
        return fully_shard(model)
    if way == "fsdp2_prefetch":  # gathers ahead, holds on to the last layers, and shards the inner model, too
        for block in blocks:
            fully_shard(block, reshard_after_forward=block is not blocks[-1])
        for block, following in pairwise(blocks):
            block.set_modules_to_forward_prefetch([following])
        if not model.config.tie_word_embeddings:
            fully_shard(model.model)
        return fully_shard(model)
    if way in ("fsdp1_leaves", "fsdp2_leaves"):  # nothing is left for the root
        inside = {module for block in blocks for module in block.modules()}
        leaves = [m for m in model.modules() if m not in inside and list(m.parameters(recurse=False))]
        if way == "fsdp1_leaves":
            cpu = torch.device("cpu")
            policy = CustomPolicy(lambda module: module in blocks or module in leaves)
            return FullyShardedDataParallel(model, auto_wrap_policy=policy, use_orig_params=True, device_id=cpu)
        for module in [*blocks, *leaves]:
            fully_shard(module)
        return fully_shard(model)
    if way == "fsdp2_compiled":
        for block in blocks:
            block.compile(backend="eager")
            fully_shard(block)
        return torch.compile(fully_shard(model), backend="eager")
    if way == "fsdp2_peft":
        import peft

        model = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=True))
        for block in blocks_of(model):
            fully_shard(block)
        return fully_shard(model)
    if way.startswith("zero"):
        return by_deepspeed(int(way[-1]), model)
    return by_transformers(way, model, place)


def by_deepspeed(stage, model):
    """The engine of DeepSpeed, where it is installed; it builds a kernel for shared memory that is not needed."""
    import deepspeed

    sys.modules["deepspeed.comm.torch"].build_shm_op = lambda: None
    settings = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 2,
        "zero_optimization": {"stage": stage, "stage3_param_persistence_threshold": 100},
        "zero_allow_untested_optimizer": True,
    }
    return deepspeed.initialize(model=model, config=settings, optimizer=torch.optim.AdamW(model.parameters(), lr=0.01))[
        0
    ]


def by_transformers(way, model, place):
    """Tensor parallelism, alone or inside FSDP, by transformers' own plans."""
    from transformers import AutoModelForImageTextToText
    from transformers.distributed import DistributedConfig

    if distributed.get_rank() == 0:
        model.save_pretrained(place)
    distributed.barrier()
    size = distributed.get_world_size()
    sizes = {"tp": (size, 1), "hybrid": (2, size // 2), "hf_fsdp": (1, size)}[way]
    config = DistributedConfig(tp_size=sizes[0], fsdp_size=sizes[1])
    return AutoModelForImageTextToText.from_pretrained(place, distributed_config=config, dtype=torch.float32)


def asked(number):
    table = open_source(SOURCE)
    return [table[k] for k in document_order(table.headers())[:number]]


def logprobs_of(folder):
    run = load_run(folder)
    samples = run.sources[SOURCE]
    return {str(q): list(map(float, row)) for q, row in zip(samples.q_id, samples.logprob, strict=True)}


def alone(family, number):
    """The log-probabilities by one process, one question at a time."""
    model, processor = bare(family)
    questions = asked(number)
    scored = dict(Scorer(from_model(model, processor), batch_size=1, scoring="independent").score(questions))
    return {q.q_id: [score.logprob for score in scored[k]] for k, q in enumerate(questions)}


def bytes_of_weights(model):
    """Of the parameters as they lie in this rank's memory, each storage once."""
    storages = [local(parameter).untyped_storage() for parameter in model.parameters()]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@contextmanager
def greatest_share_of(whole, model):
    """Before every module that runs: the weights that this rank holds then, as a share of all."""
    size, shares = bytes_of_weights(whole), []

    def look(*_):
        shares.append(bytes_of_weights(model) / size)

    hooks = [module.register_forward_pre_hook(look) for module in model.modules()]
    try:
        yield shares
    finally:
        for hook in hooks:
            hook.remove()


def scores(folder, cases):
    """`way/family/number` -> the largest difference from one process, and the numbers of this rank."""
    told = {}
    for case in cases:
        way, family, number = case.split("/")
        model, processor = wrapped(way, family, folder)
        radar = LiveEvaluator(model, processor, [SOURCE], questions=int(number), output=folder / case, patience=60)
        with greatest_share_of(bare(family)[0], model) as held:
            numbers = radar.measure(1)
        again = radar.measure(2)
        reference = alone(family, int(number))
        found = logprobs_of(folder / case / "step-000002")
        assert found.keys() == reference.keys()
        worst = max(abs(a - b) for q in reference for a, b in zip(found[q], reference[q], strict=True))
        told[case] = {"worst": worst, "numbers": without_time(numbers), "shares": radar._lockstep.shares}
        assert again[f"radar/{SOURCE}_sds"] == numbers[f"radar/{SOURCE}_sds"]
        assert again[f"radar/{SOURCE}_sds_change"] == 0
        told[case]["way"] = radar._scorer.describe()["scoring"]
        told[case]["held"] = max(held, default=0)  # a rank without questions runs nothing
    return told


def without_time(numbers):
    return {name: value for name, value in numbers.items() if name != "radar/seconds"}


def batch_of(encoder, step):
    """One question with a picture and its first option; another one at every rank and step."""
    shown = picture(100 * distributed.get_rank() + step)
    encoded = encoder.encode(question(images=(shown,)))
    ids = torch.cat([encoded.prefix_ids, encoded.continuations[0]])[None]
    longer = len(encoded.continuations[0])
    types = {name: torch.cat([row, row.new_zeros(longer)])[None] for name, row in encoded.token_inputs.items()}
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids, **types, **encoded.vision}


class Training:
    """A plain loop with dropout, AdamW and two batches a step."""

    def __init__(self, way, family, folder):
        self.model, processor = wrapped(way, family, folder)
        for module in self.model.modules():
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = 0.2
        self.encoder = from_model(self.model, processor)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        self.processor = processor
        for state in (random.seed, np.random.seed, torch.manual_seed):
            state(distributed.get_rank())

    def step(self, number, between=lambda: None):
        self.model.train()
        for half in range(2):
            self.model(**batch_of(self.encoder, 2 * number + half)).loss.backward()
            between()  # also while gradients are in flight
        self.optimizer.step()
        self.optimizer.zero_grad()

    def state(self):
        """Every bit of this rank that training depends on."""
        held = [local(p) for p in self.model.parameters()]
        for values in self.optimizer.state.values():
            held += [local(value) for value in values.values()]
        drawn = [random.random(), float(np.random.rand()), float(torch.rand(()))]  # noqa: NPY002
        return [tensor.double().sum().item() for tensor in held], [bits(tensor) for tensor in held], drawn


def local(tensor):
    tensor = tensor.detach()
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def bits(tensor):
    return hash(tensor.reshape(-1).view(torch.uint8).numpy().tobytes()) if tensor.numel() else 0


def untouched(folder, cases):
    """Whether twenty steps with measurements end at the same bits as without, by `way/family`."""
    told = {}
    for case in cases:
        way, family = case.split("/")
        ends = []
        for measured in (False, True):
            training = Training(way, family, folder)
            if measured:
                radar = LiveEvaluator(training.model, training.processor, [SOURCE], questions=5, patience=60)
            for step in range(20):
                if measured and step % 5 == 0:
                    modes = [module.training for module in training.model.modules()]
                    radar.measure(step)
                    assert [module.training for module in training.model.modules()] == modes
                in_flight = partial(radar.measure, 1) if measured and step == 7 else lambda: None
                training.step(step, in_flight)
            ends.append(training.state())
        told[case] = ends[0] == ends[1]
    return told


class Fault:
    """Raises in a layer of the language model of one rank, when a batch has more rows than it allows."""

    def __init__(self, model, rank, error, rows=0, layer=1):
        self.error, self.rows, self.seen = error, rows, 0
        layers = [m for name, m in model.named_modules() if name.endswith(f"layers.{layer}") and "vis" not in name]
        self.handle = (
            layers[0].register_forward_pre_hook(self, with_kwargs=True) if distributed.get_rank() == rank else None
        )

    def __call__(self, module, given, named):
        hidden = given[0] if given else named["hidden_states"]
        if hidden.shape[0] > self.rows:
            self.seen += 1
            raise self.error

    def close(self):
        if self.handle is not None:
            self.handle.remove()


def reason_of(measure):
    try:
        measure()
    except RadarError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def faults(folder, cases):
    """What comes of faults in the last rank, by `way/family`."""
    told = {}
    last = distributed.get_world_size() - 1
    for case in cases:
        way, family = case.split("/")
        training = Training(way, family, folder)
        radar = LiveEvaluator(training.model, training.processor, [SOURCE], questions=13, patience=60, batch_size=8)
        good = without_time(radar.measure(0))
        fault = Fault(training.model, last, torch.OutOfMemoryError("CUDA out of memory"), rows=4)
        short = without_time(radar.measure(1))
        fault.close()
        out_of_memory = {"seen": fault.seen, "batch_size": radar._scorer.describe()["batch_size"]}
        fault = Fault(training.model, last, RuntimeError("a broken kernel"))
        broken = reason_of(partial(radar.measure, 2))
        fault.close()
        training.step(0)
        encode = Checkpoint.encode

        def refusing(self, asked_question, encode=encode):
            if distributed.get_rank() == last and asked_question.q_id == asked(13)[last].q_id:
                raise ValueError("absolute aspect ratio must be smaller than 200")
            return encode(self, asked_question)

        Checkpoint.encode = refusing
        fewer = LiveEvaluator(training.model, training.processor, [SOURCE], questions=13, patience=60)
        Checkpoint.encode = encode
        after = fewer.measure(3)
        told[case] = {
            "changed": max(abs(short[name] - good[name]) for name in good),
            "out_of_memory": out_of_memory,
            "broken": broken,
            "refused": fewer.refused[SOURCE],
            "left": len(fewer),
            "after": without_time(after),
        }
    return told


def out_of_memory_in(own, too_large):
    """`own`, which runs out of memory where its arguments are too large."""

    def function(*given, **named):
        if too_large(*given):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own(*given, **named)

    return function


def raising(error):
    def function(*given, **named):
        raise error

    return function


def lone_faults(radar):
    """What a rank may meet alone: by name the things of which another one stands in for it."""
    width = radar._lockstep.model.config.get_text_config().hidden_size

    def is_share(given, *_):  # of a product whose results a group adds up
        return given.shape[-1] == width // 2 and len(given) > 4

    def is_end_of_prompts(logits, _, *rows):
        return rows and len(logits) > 1

    linear, token_scores = functional.linear, shared_prefix.token_scores
    encode, last = Checkpoint.encode, asked(5)[4].q_id

    def refusing(self, question):
        if question.q_id == last:
            raise ValueError("it cannot be read")
        return encode(self, question)

    return {
        "memory before a sum": (functional, "linear", out_of_memory_in(linear, is_share)),
        "memory after the last sum": (shared_prefix, "token_scores", out_of_memory_in(token_scores, is_end_of_prompts)),
        "features": (RunningModel, "image_features", raising(ValueError("other pictures than expected"))),
        "a way that fails": (shared_prefix, "spread", raising(NotImplementedError("no cache here"))),
        "other numbers": (scorer, "disagreement", lambda *_: "other numbers"),
        "an unreadable question": (Checkpoint, "encode", refusing),
    }


def lone(folder, cases):
    """What comes of something that the last rank of a tensor-parallel group meets or decides alone."""
    model, processor = wrapped("tp", cases[0], folder)

    def evaluator():
        return LiveEvaluator(model, processor, [SOURCE], questions=5, patience=60, batch_size=8)

    is_last = distributed.get_rank() == distributed.get_world_size() - 1
    good = without_time(evaluator().measure(0))
    told = {}

    def tell(name, radar):
        numbers = {}
        reason = reason_of(lambda: numbers.update(without_time(radar.measure(1))))
        changed = max((abs(numbers[key] - good[key]) for key in numbers.keys() & good.keys()), default=0)
        told[name] = {"reason": reason, "changed": changed, **radar._scorer.describe()}

    for name, (where, attribute, other) in lone_faults(evaluator()).items():
        radar = evaluator()
        with patch.object(where, attribute, other) if is_last else nullcontext():
            tell(name, radar)
        radar.measure(2)
    radar = evaluator()
    radar.measure(1)
    if is_last:  # a rank that stopped elsewhere than the others, some time ago
        radar._scorer._limit, radar._scorer._running.places_images = 2, None
        radar._scorer._check._random.seed(7)
    with patch.object(self_check, "LATER_SHARE", 0.5):
        tell("another past", radar)
    return told


class Broken(TorchDispatchMode):
    """The tenth operation that the model's ranks have begun together fails here."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        own = func.namespace in ("_c10d_functional", "c10d")
        shown = [value for value in tree_leaves(args) if isinstance(value, torch.Tensor)]
        if own and func._opname != "wait_tensor" and shown[0].is_floating_point() and not shown[0].is_meta:
            self.seen += 1
            if self.seen == 10:
                raise RuntimeError("the network is gone")
        return func(*args, **(kwargs or {}))


class AtOneCall:
    """A function that raises at one of its calls, counted from 0; `calls` says how many there were."""

    def __init__(self, own, at=None, error=None):
        self.own, self.at, self.error, self.calls = own, at, error, 0

    def __get__(self, instance, owner):  # it may stand for a method
        return self if instance is None else partial(self, instance)

    def __call__(self, *given, **named):
        self.calls += 1
        if self.calls - 1 == self.at:
            raise self.error
        return self.own(*given, **named)


def memory_of_ranks(way):
    """Where a rank takes memory for what ranks put together or add up: before the operation among them, and after."""
    if way == "tp":
        return [(collectives, "_make_room")]
    if way.startswith("fsdp1"):
        return [(_flat_param, "_alloc_storage")]
    if way == "zero3":  # of DeepSpeed's alone: ranks that speak with each other take memory by `torch.empty`, too
        from deepspeed.runtime.zero import partition_parameters

        partition_parameters.torch = ModuleType("torch")
        partition_parameters.torch.__dict__.update(torch.__dict__)
        return [(partition_parameters.torch, "empty")]
    if way == "ddp":
        return []
    both = [(_fsdp_collectives.DefaultAllocMixin, "allocate"), (FSDPParam, "alloc_all_gather_outputs")]
    return [*both, (collectives, "_make_room")] if way == "hybrid" else both


@contextmanager
def failing_call(where, name, rank, at=None, error=None):
    """One call of a function of one rank."""
    faulty = AtOneCall(getattr(where, name), at, error)
    with patch.object(where, name, faulty) if distributed.get_rank() == rank else nullcontext():
        yield faulty


def gathering(folder, cases):
    """What comes of memory that is short, or an error, on the last rank when ranks put a part together or add up.

    By `way/family`, at some calls from the first to the last, where the rank may enter the part, or lend it, or stand
    inside it itself.
    """
    told = {}
    last = distributed.get_world_size() - 1
    for case in cases:
        way, family = case.split("/")
        training = Training(way, family, folder)

        def evaluator(training=training):
            return LiveEvaluator(training.model, training.processor, [SOURCE], questions=13, patience=60, batch_size=8)

        good = without_time(evaluator().measure(0))
        told[case] = []
        for where, name in memory_of_ranks(way):
            radar = evaluator()
            with failing_call(where, name, last) as counting:
                radar.measure(0)
            calls = radar._lockstep.gathered(counting.calls)[last]
            for at in sorted({calls * k // 5 for k in range(5)} | {calls - 1}):
                memory = torch.OutOfMemoryError("CUDA out of memory")
                for error in (memory, RuntimeError("a broken kernel")) if at == calls * 4 // 5 else (memory,):
                    radar = evaluator()
                    numbers = {}
                    with failing_call(where, name, last, at, error):
                        reason = reason_of(lambda: numbers.update(without_time(radar.measure(1))))  # noqa: B023
                    again = without_time(radar.measure(2))
                    told[case].append(
                        {
                            "fault": f"{type(error).__name__} in {name}, call {at} of {calls}",
                            "reason": reason,
                            "changed": max((abs(numbers[key] - good[key]) for key in numbers), default=0),
                            "again": max(abs(again[key] - good[key]) for key in good),
                        }
                    )
        training.step(0)
    return told


def apart(folder, cases):
    """Rank 1 does not come to a measurement, never leaves a layer, fails in an operation that has begun, or is slow."""
    where, seconds, way = cases[0], float(cases[1]), cases[2]
    model, processor = wrapped(way, "qwen2_vl", folder)
    number, batch = (12, 1) if where == "slowly" else (4, 16)
    radar = LiveEvaluator(model, processor, [SOURCE], questions=number, patience=seconds, batch_size=batch)
    radar.measure(0)
    if distributed.get_rank() == 1 and where == "elsewhere":
        time.sleep(4 * seconds)
        return {}
    if distributed.get_rank() == 1 and where == "inside":
        layer = blocks_of(model)[-1]
        layer.register_forward_pre_hook(lambda *_: time.sleep(1000))
    if distributed.get_rank() == 1 and where == "slowly":
        blocks_of(model)[-1].register_forward_pre_hook(lambda *_: time.sleep(0.12 * seconds))
    started = time.monotonic()
    with Broken() if distributed.get_rank() == 1 and where == "operation" else nullcontext():
        reason = reason_of(partial(radar.measure, 1))
    return {"reason": reason, "seconds": time.monotonic() - started}


class AcceleratedLoop:
    """What `RadarCallback` needs of a Trainer, around accelerate's own FSDP: the Trainer itself refuses it on a CPU."""

    def __init__(self, version, family):
        from accelerate import Accelerator
        from accelerate.utils import FullyShardedDataParallelPlugin

        model, self.processing_class = bare(family)
        self.model = model
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=version, auto_wrap_policy="transformer_based_wrap", use_orig_params=True,
            transformer_cls_names_to_wrap=sorted({type(block).__name__ for block in blocks_of(model)}),
        )  # fmt: skip
        self.accelerator = Accelerator(cpu=True, fsdp_plugin=plugin)
        self.model_wrapped, self.optimizer = self.accelerator.prepare(
            model, torch.optim.AdamW(model.parameters(), lr=0.01)
        )
        self.control = SimpleNamespace(should_log=True)
        self.logged = []

    def log(self, numbers):
        self.logged.append(without_time(numbers))

    def train(self, steps, callback):
        encoder = from_model(self.model_wrapped, self.processing_class)
        state = SimpleNamespace(global_step=0, is_world_process_zero=False)
        callback.on_train_begin(None, state, self.control)
        for step in range(steps):
            self.model_wrapped.train()
            self.accelerator.backward(self.model_wrapped(**batch_of(encoder, step)).loss)
            self.optimizer.step()
            self.optimizer.zero_grad()
            state.global_step = step + 1
            callback.on_step_end(None, state, self.control)


def callback(folder, cases):
    """`RadarCallback` on a model that accelerate has sharded; in the middle one rank has an error."""
    told = {}
    for case in cases:
        version, family = case.split("/")
        loop = AcceleratedLoop(int(version), family)
        radar = RadarCallback(loop, [SOURCE], 2, questions=5, patience=60)
        measure, broken = radar._measure, []

        def measure_with_fault(step, measure=measure, broken=broken, loop=loop):
            fault = Fault(loop.model_wrapped, 1, RuntimeError("a broken kernel")) if step == 4 else None
            reason = measure(step)
            if fault is not None:
                fault.close()
                broken.append(reason)
            return reason

        radar._measure = measure_with_fault
        loop.train(6, radar)
        reference = alone(family, 5)
        loss = -np.mean([reference[q.q_id][q.answer] for q in asked(5)])
        told[case] = {
            "measured": len(loop.logged),
            "first": abs(loop.logged[0][f"radar/{SOURCE}_nll"] - loss),
            "broken": broken,
            "logged": loop.logged,
        }
    return told


def random_fault(drawn, kind, way, model):
    """While it is entered one rank has a fault, of its own computing or of what ranks do together."""
    rank = drawn.randrange(distributed.get_world_size())
    error = torch.OutOfMemoryError("CUDA out of memory") if "memory" in kind else RuntimeError("a broken kernel")
    if kind in ("memory", "error"):
        rows = drawn.randint(4, 8) if kind == "memory" else 0  # one question has three rows
        return closing(Fault(model, rank, error, rows, layer=drawn.randrange(2)))
    taken = memory_of_ranks(way)
    if kind == "none" or not taken:
        return nullcontext()
    return failing_call(*drawn.choice(taken), rank, drawn.randrange(60), error)


WAYS_OF_SOAK = {2: ("fsdp1", "fsdp2", "fsdp2_prefetch", "ddp", "tp"), 4: ("fsdp1", "fsdp2", "ddp", "hybrid")}


def soak(folder, cases):
    """Random ways, numbers of questions and faults, one after another: a run for each seed from the first to the last.

    A long soak is run in pieces, by hand: torchrun --nproc_per_node 2 live_training.py FOLDER soak 0 20, then 20 40, …
    """
    came, families = Counter(), ["qwen2_vl", "llava_onevision", "gemma3"]
    known = {family: alone(family, 9) for family in families}
    for seed in range(*map(int, cases)):
        drawn = random.Random(seed)  # the same on every rank
        way = drawn.choice(WAYS_OF_SOAK[distributed.get_world_size()])
        family = drawn.choice(families)
        kind = drawn.choice(["none", "memory", "error", "memory of ranks", "error of ranks"])
        number = drawn.randint(1, 9)
        training = Training(way, family, folder)
        radar = LiveEvaluator(training.model, training.processor, [SOURCE], questions=number, patience=60, batch_size=8)
        numbers = {}
        with random_fault(drawn, kind, way, training.model):
            reason = reason_of(lambda: numbers.update(radar.measure(0)))  # noqa: B023
        run = f"seed {seed}: {way}, {family}, {number} questions, {kind}: {reason}"
        assert "RanksApart" not in reason, run
        # A rank whose memory runs out can take a smaller batch, unless it has one question only or none.
        at_its_least = kind == "memory of ranks" and ("does not fit" in reason or "OutOfMemoryError" in reason)
        assert not reason or "error" in kind or at_its_least, run
        if numbers:
            expected = -np.mean([known[family][q.q_id][q.answer] for q in asked(number)])
            assert abs(numbers[f"radar/{SOURCE}_nll"] - expected) < 1e-5, run
        training.step(0)
        radar.measure(1)
        came[f"{way}: {'stopped' if reason else 'measured'}"] += 1
        if distributed.get_rank() == 0:
            print(f"{time.process_time():.0f} s, {run or 'measured'}", flush=True)
    return came


def main(folder, scenario, *cases):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    told = globals()[scenario](folder, cases)
    (folder / f"{distributed.get_rank()}.json").write_text(json.dumps(told))
    if scenario != "apart":  # there one rank may have gone
        distributed.destroy_process_group()
    elif cases[0] == "operation":
        time.sleep(200)  # the end of this process would wake the other


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
