"""Time and memory of scoring questions in five ways, in one process, on the same questions.

    python benchmarks/scoring.py --shape small --options 4 --questions 24 --json rows.json

official      one question at a time, its options as a batch with the picture in each, logits of every position
per_option    one forward per option, logits of every position
independent   the engine's reference: one forward per option, batched, logits where they are needed
shared        the engine: a prompt once, its cache spread to the options
with_prior    the same, and every question also without its picture (prior=blind); no prompt and no option repeats here
floor         pictures and prompts once in the same batches, nothing else: no way can be faster

Weights are random and questions are made up, so nothing is downloaded; both are equal for all ways. Pictures count as
decoded. Ways take turns, and a way's time is the median over the rounds.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.flop_counter import FlopCounterMode

from radar_tasks.questions import Question
from radar_tasks.scoring import EncodedQuestion, Scorer
from radar_tasks.scoring.checkpoints import CheckpointOptions
from radar_tasks.scoring.engine.batching import next_batch

IMAGE, START, END, VIDEO = 10, 11, 12, 13
FIRST_WORD = 20
QUESTION_TOKENS = (16, 32)
OPTION_TOKENS = (2, 6)


@dataclass(frozen=True)
class Shape:
    """Size of a model of Qwen2-VL's architecture, and of the pictures that go with it."""

    layers: int
    width: int
    inner: int
    heads: int
    key_heads: int
    vocabulary: int
    vision_layers: int
    vision_width: int
    vision_heads: int
    visual_tokens: int


SHAPES = {
    "tiny": Shape(2, 64, 128, 4, 2, 1000, 2, 32, 2, 48),
    "small": Shape(8, 512, 1408, 8, 4, 32_000, 4, 256, 4, 192),
    "qwen2_vl_2b": Shape(28, 1536, 8960, 12, 2, 151_936, 32, 1280, 16, 192),
}


@dataclass
class Made:
    """What `Scorer` wants of a checkpoint, around questions that are encoded already."""

    model: Any
    encoded: Sequence[EncodedQuestion]
    model_type: str = "qwen2_vl"
    options: CheckpointOptions = field(default_factory=lambda: CheckpointOptions(pretrained="made"))

    def encode(self, question: Question) -> EncodedQuestion:
        return self.encoded[int(question.q_id)]

    def encode_with_prior(self, question: Question, _: str) -> EncodedQuestion:
        encoded = self.encode(question)
        return replace(encoded, prior=blind(encoded))


def make_model(shape: Shape, device: str, dtype: torch.dtype) -> Any:
    """A model with random weights, made where it will run."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    section = shape.width // shape.heads // 2
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": shape.vocabulary, "hidden_size": shape.width, "intermediate_size": shape.inner,
            "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.key_heads, "bos_token_id": 1, "eos_token_id": 2,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 1e6,
                "mrope_section": [section - 2 * (3 * section // 8), 3 * section // 8, 3 * section // 8],
            },
        },
        vision_config={
            "depth": shape.vision_layers, "embed_dim": shape.vision_width, "hidden_size": shape.width,
            "num_heads": shape.vision_heads, "mlp_ratio": 4, "patch_size": 14,
        },
        image_token_id=IMAGE, vision_start_token_id=START, vision_end_token_id=END, video_token_id=VIDEO,
        tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(device):
        model: Any = Qwen2VLForConditionalGeneration(config)
        return model.to(dtype).eval().requires_grad_(False)


def make_questions(shape: Shape, visual_tokens: int, count: int, options: int) -> list[EncodedQuestion]:
    """Questions with one picture each, seeded; text and options vary in length."""
    generator = torch.Generator().manual_seed(0)

    def words(span: tuple[int, int]) -> torch.Tensor:
        length = int(torch.randint(span[0], span[1] + 1, (), generator=generator))
        return torch.randint(FIRST_WORD, shape.vocabulary, (length,), generator=generator)

    rows = max(k for k in range(1, int(visual_tokens**0.5) + 1) if visual_tokens % k == 0)
    grid = torch.tensor([[1, 2 * rows, 2 * visual_tokens // rows]])
    made = []
    for index in range(count):
        prefix = torch.cat([torch.tensor([START] + [IMAGE] * visual_tokens + [END]), words(QUESTION_TOKENS)])
        continuations = tuple(words(OPTION_TOKENS) for _ in range(options))
        lengths = tuple(map(len, continuations))
        pixels = torch.randn(4 * visual_tokens, 3 * 2 * 14 * 14, generator=generator)
        made.append(
            EncodedQuestion(
                str(index),
                prefix,
                continuations,
                lengths,
                lengths,
                token_inputs={"mm_token_type_ids": (prefix == IMAGE).long()},
                vision={"pixel_values": pixels, "image_grid_thw": grid},
                vision_axes={"pixel_values": 0, "image_grid_thw": 0},
                vision_key=str(index),
                visual_tokens=visual_tokens,
            )
        )
    return made


def blind(question: EncodedQuestion) -> EncodedQuestion:
    """The question without its picture and the marks around it."""
    text = question.prefix_ids[question.visual_tokens + 2 :]
    return EncodedQuestion(question.q_id, text, question.continuations, question.scored, question.option_bytes)


def stand_ins(made: Sequence[EncodedQuestion]) -> list[Question]:
    """Questions that `Made.encode` knows by their number."""
    return [
        Question(q.q_id, ("?",), (), tuple(map(str, range(len(q.scored)))), 0, "perception", "", "made", "", q.q_id)
        for q in made
    ]


def forward(model: Any, questions: Sequence[EncodedQuestion], rows: Sequence[torch.Tensor], **settings: Any) -> Any:
    """A plain batch: whole sequences padded on the right, a picture for each."""
    device = model.device
    ids = pad_sequence(list(rows), batch_first=True).to(device)
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).to(device)
    pictures = torch.cat([q.vision["pixel_values"] for q in questions]).to(device, model.dtype)
    grid = torch.cat([q.vision["image_grid_thw"] for q in questions]).to(device)
    return model(
        input_ids=ids, attention_mask=mask, mm_token_type_ids=(ids == IMAGE).long(), pixel_values=pictures,
        image_grid_thw=grid, use_cache=False, **settings,
    )  # fmt: skip


def mean_logprobs(logits: Iterable[torch.Tensor], question: EncodedQuestion) -> list[float]:
    """Mean log-probability of each option under the logits of all positions."""
    start, means = len(question.prefix_ids), []
    for row, tokens in zip(logits, question.continuations, strict=True):
        logprobs = row[start - 1 : start - 1 + len(tokens)].float().log_softmax(-1)
        means.append(float(logprobs.gather(1, tokens[:, None].to(row.device)).mean()))
    return means


def official(made: Made) -> None:
    for question in made.encoded:
        rows = [torch.cat([question.prefix_ids, tokens]) for tokens in question.continuations]
        mean_logprobs(forward(made.model, [question] * len(rows), rows).logits, question)


def per_option(made: Made) -> None:
    for question in made.encoded:
        rows = [torch.cat([question.prefix_ids, tokens]) for tokens in question.continuations]
        mean_logprobs((forward(made.model, [question], [row]).logits[0] for row in rows), question)


def engine(scoring: str, prior: Literal["blind"] | None = None) -> Callable[[Made, int], None]:
    def run(made: Made, batch_size: int) -> None:
        scorer = Scorer(made, scoring=scoring, batch_size=batch_size, workers=1, prior=prior)  # type: ignore[arg-type]
        assert len(list(scorer.score(stand_ins(made.encoded)))) == len(made.encoded)
        assert scorer.describe()["batch_size"] == batch_size, "did not fit: the times would not compare"

    return run


def floor(made: Made, batch_size: int) -> None:
    waiting = list(made.encoded)
    while waiting:
        chosen = next_batch(waiting, batch_size)
        batch = [waiting.pop(k) for k in reversed(chosen)]
        forward(made.model, batch, [question.prefix_ids for question in batch], logits_to_keep=1)


WAYS: dict[str, Callable[[Made, int], None]] = {
    "official": lambda made, _: official(made),
    "per_option": lambda made, _: per_option(made),
    "independent": engine("independent"),
    "shared": engine("shared"),
    "with_prior": engine("shared", prior="blind"),
    "floor": floor,
}


def release_memory() -> None:
    """Gives freed memory back to the system, or a way would seem to need none after one that needed much."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@contextmanager
def peak_memory(device: str) -> Iterator[list[float]]:
    """MB above what was there before: allocated on a GPU, resident on a CPU (sampled every 5 ms)."""
    release_memory()
    found = [0.0]
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        found[0] = (torch.cuda.max_memory_allocated() - before) / 1e6
        return
    process, done = psutil.Process(), threading.Event()
    before, peak = process.memory_info().rss, [0]

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()
    found[0] = peak[0] / 1e6


def seconds(run: Callable[[], object], device: str) -> tuple[float, float]:
    """Wall time of a call with the device done, and the processor time of all threads."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor


def measure(made: Made, ways: Sequence[str], batch_size: int, rounds: int, device: str) -> list[dict[str, Any]]:
    """One row a way; ways take turns so that a busy machine is busy for all of them."""
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    memory, flops = {}, {}
    for way in ways:  # the first turn warms up and takes memory and operations
        with peak_memory(device) as peak, FlopCounterMode(display=False) as counter:
            WAYS[way](made, batch_size)
        memory[way], flops[way] = peak[0], counter.get_total_flops()
    for _ in range(rounds):
        for way in ways:
            times[way].append(seconds(lambda way=way: WAYS[way](made, batch_size), device))  # type: ignore[misc]
    count = len(made.encoded)
    return [
        {
            "way": way,
            "options": len(made.encoded[0].continuations),
            "questions_per_second": count / statistics.median(wall for wall, _ in times[way]),
            "peak_memory_mb": round(memory[way], 1),
            "questions": count,
            "visual_tokens": made.encoded[0].visual_tokens,
            "gflop_per_question": flops[way] / count / 1e9,
            "seconds": [wall for wall, _ in times[way]],
            "processor_seconds": [processor for _, processor in times[way]],
        }
        for way in ways
    ]


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product: what the machine can do at best."""
    size = 8192 if device.startswith("cuda") else 1024
    a = torch.randn(size, size, device=device, dtype=dtype)
    times = [seconds(lambda: a @ a, device)[0] for _ in range(12)]
    return float(2 * size**3 / min(times))


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Speed against the official way, and cost against the floor by wall time, processor time and operations."""
    by_way = {row["way"]: row for row in rows}
    print(f"{'':<12}{'':>8}{'':>13}{'speed of':>12}{'------ cost of floor ------':>30}")
    heads = f"{'way':<12}{'options':>8}{'questions/s':>13}{'official':>12}{'wall':>10}{'processor':>11}"
    print(f"{heads}{'FLOP':>9}{'peak MB':>9}")
    for way, row in by_way.items():
        speed = row["questions_per_second"] / by_way.get("official", row)["questions_per_second"]
        floor_row = by_way.get("floor", row)
        wall, processor, flop = (
            median_ratio(row["seconds"], floor_row["seconds"]),
            median_ratio(row["processor_seconds"], floor_row["processor_seconds"]),
            row["gflop_per_question"] / floor_row["gflop_per_question"],
        )
        print(
            f"{way:<12}{row['options']:>8}{row['questions_per_second']:>13.2f}{speed:>12.2f}{wall:>10.2f}"
            f"{processor:>11.2f}{flop:>9.2f}{row['peak_memory_mb']:>9.0f}"
        )


def median_ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """Median over the rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(times, others, strict=True))


def print_growth(model: Any, shape: Shape, tokens: int, args: argparse.Namespace) -> None:
    """Time of the shared way as questions, options and pictures grow."""
    steps = {
        "questions": [(n, args.options, tokens) for n in (args.questions // 2, args.questions, 2 * args.questions)],
        "options": [(args.questions, options, tokens) for options in (2, 4, 8)],
        "visual tokens": [(args.questions, args.options, size) for size in (tokens // 2, tokens, 2 * tokens)],
    }  # fmt: skip
    for what, settings in steps.items():
        print(f"\nshared, as {what} grow")
        for count, options, size in settings:
            made = Made(model, make_questions(shape, size, count, options))
            [row] = measure(made, ["shared"], args.batch_size, args.rounds, args.device)
            taken = statistics.median(row["seconds"])
            print(f"{count:>6} questions {options:>3} options {size:>5} visual tokens {taken:>9.2f} s "
                  f"{1000 * taken / count:>8.1f} ms a question")  # fmt: skip


def print_rate(rows: Sequence[dict[str, Any]], device: str, dtype: torch.dtype) -> None:
    """The floor against the machine's matrix rate."""
    row = next(row for row in rows if row["way"] == "floor")
    rate, best = row["gflop_per_question"] * 1e9 * row["questions_per_second"], matrix_rate(device, dtype)
    print(f"\nfloor: {row['gflop_per_question']:.1f} GFLOP a question at {rate / best:.0%} of the rate of a large")
    print(f"matrix product, {best / 1e12:.2f} TFLOP/s")


def print_profile(made: Made, args: argparse.Namespace) -> None:
    activities = [torch.profiler.ProfilerActivity.CPU]
    if args.device.startswith("cuda"):
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        WAYS["shared"](made, args.batch_size)
    column = "self_cuda_time_total" if args.device.startswith("cuda") else "self_cpu_time_total"
    print(profile.key_averages().table(sort_by=column, row_limit=20, max_name_column_width=50))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--options", type=int, default=4)
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--visual-tokens", type=int, help="by default the shape's")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--growth", action="store_true", help="also time of `shared` over questions, options, pictures")
    parser.add_argument("--profile", action="store_true", help="also where the time of `shared` goes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    shape, dtype = SHAPES[args.shape], getattr(torch, args.dtype)
    tokens = args.visual_tokens or shape.visual_tokens
    model = make_model(shape, args.device, dtype)
    made = Made(model, make_questions(shape, tokens, args.questions, args.options))
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    print(f"{args.shape}: {parameters:.0f}M parameters, {tokens} visual tokens, {args.questions} questions")
    print(f"batches of {args.batch_size}, {args.dtype} on {args.device}, {torch.get_num_threads()} threads\n")
    with torch.inference_mode():
        rows = measure(made, args.ways, args.batch_size, args.rounds, args.device)
        print_table(rows)
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1) + "\n")
        if "floor" in args.ways:
            print_rate(rows, args.device, dtype)
        if args.growth:
            print_growth(model, shape, tokens, args)
        if args.profile:
            print_profile(made, args)


if __name__ == "__main__":
    main()
