"""Needs the extra ``lm-eval``: pip install "expert-kit[lm-eval]". Its own model classes are the reference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("lm_eval")

from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from expert_kit.errors import DataError, TransferError, UnknownNameError, UsageError
from expert_kit.evaluation.harness import EngineLM, HarnessTasks, harness_table
from expert_kit.evaluation.harness_answers import windows
from expert_kit.inference import ExpertEngine
from tests.support.tiny_model import write_adapter

COMMON = ("--base", "tiny-llama", "--dtype", "float32", "--device", "cpu", "--batch-size", "4")
TASKS = {
    "tiny_choice": """output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}, {metric: acc_norm, aggregation: mean, higher_is_better: true}]
""",
    "tiny_text": """output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}}"
metric_list: [{metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}]
""",
    "tiny_answer": """output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{choices[label]}}"
generation_kwargs: {until: ["."], max_gen_toks: 6, do_sample: false}
metric_list: [{metric: bleu, aggregation: bleu, higher_is_better: true}]
""",
}


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder with three tasks on one file of six rows."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [{"question": f"How much is {n} and {n}?", "choices": [f" {n}", f" {2 * n}", " none"], "label": 1} for n in range(2, 8)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in TASKS.items():
        head = f"task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder / 'rows.jsonl'}}}}}\ntest_split: test\n"
        (folder / f"{name}.yaml").write_text(head + text)
    return folder


@pytest.fixture(autouse=True)
def data_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("DISABLE_MULTIPROC", "1")


def reference(folder: Path, adapter: Path | None = None) -> HFLM:
    model = AutoModelForCausalLM.from_pretrained(folder)
    loaded = PeftModel.from_pretrained(model, adapter) if adapter else model
    return HFLM(pretrained=loaded, tokenizer=AutoTokenizer.from_pretrained(folder), batch_size=2, device="cpu")


def requests(kind: str, *arguments: tuple) -> list[Instance]:
    return [Instance(request_type=kind, doc={}, arguments=one, idx=at) for at, one in enumerate(arguments)]


@pytest.mark.parametrize("with_expert", [False, True])
def test_requests_are_answered_as_by_the_harness_own_model(tiny, tiny_folder, tmp_path, with_expert):
    adapter = write_adapter(tmp_path / "adapter", tiny_folder) if with_expert else None
    ours, theirs = EngineLM(ExpertEngine(tiny), adapter), reference(tiny_folder, adapter)
    pairs = [("Two and two are", " four"), ("Two and two are ", "five"), ("", "A text alone"), ("x" * 300, "abc"), ("<|im_start|>", "y")]
    asked = requests("loglikelihood", *pairs)
    found, expected = ours.loglikelihood(asked), theirs.loglikelihood(asked)
    assert [score for score, _ in found] == pytest.approx([score for score, _ in expected], rel=1e-4)
    assert [likeliest for _, likeliest in found] == [likeliest for _, likeliest in expected]
    texts = requests("loglikelihood_rolling", ("A short text.",), ("A text beyond the window. " * 12,))
    assert ours.loglikelihood_rolling(texts) == pytest.approx(theirs.loglikelihood_rolling(texts), rel=1e-4)


def test_answers_are_those_of_the_harness_own_model_with_the_chat_template(tiny, tiny_folder):
    theirs = reference(tiny_folder)
    arguments = {"until": ["Q"], "max_gen_toks": 12, "do_sample": False}
    question = theirs.apply_chat_template([{"role": "user", "content": "How much is two and two?"}])
    found = EngineLM(ExpertEngine(tiny)).generate_until(requests("generate_until", ("How much is two and two?", arguments)))
    assert found == theirs.generate_until(requests("generate_until", (question, arguments)))


@pytest.mark.parametrize("count", [1, 4, 9, 17])
def test_windows_are_those_of_the_harness(count):
    ids = list(range(100, 100 + count))
    theirs = [make_disjoint_window(pair) for pair in get_rolling_token_windows(ids, 1, 4, 1)]
    assert [(list(row.given), list(row.ids)) for row in windows(ids, 1, 4)] == theirs


def test_a_task_has_the_figures_of_the_harness_own_model(tiny, tiny_folder, tasks):
    names = ["tiny_choice", "tiny_text"]
    rows = {row.metric: row for row in HarnessTasks(names, tasks).run(ExpertEngine(tiny), {"base": None}, num_fewshot=1)}
    manager = TaskManager(include_path=tasks, include_defaults=False)
    theirs = simple_evaluate(model=reference(tiny_folder), tasks=names, task_manager=manager, num_fewshot=1, bootstrap_iters=10)["results"]
    for metric in ("acc", "acc_norm"):
        assert rows[metric].choices["base"].value == theirs["tiny_choice"][f"{metric},none"]
        assert rows[metric].choices["base"].stderr == theirs["tiny_choice"][f"{metric}_stderr,none"]
    assert rows["bits_per_byte"].choices["base"].value == pytest.approx(theirs["tiny_text"]["bits_per_byte,none"], rel=1e-5)
    assert (rows["acc"].n, rows["acc"].num_fewshot, rows["acc"].higher_is_better) == (6, 1, True)


def test_the_command_shows_base_and_expert_side_by_side(run, adapter, tasks):
    words = ("eval", adapter, "--lm-eval", ",".join(TASKS), "--lm-eval-tasks", tasks, *COMMON)
    done = run(*words, "--limit", "1", "--json")
    assert done.code == 0, done.err
    assert {row["task"] for row in done.json["rows"]} == TASKS.keys()
    assert all(row["n"] == 1 and list(row["choices"]) == ["base", str(adapter)] for row in done.json["rows"])
    assert all(row["choices"]["base"]["stderr"] is None for row in done.json["rows"])
    assert done.json["lm_eval"]
    table = run(*words[:2], "--lm-eval", "tiny_choice", *words[4:], "--num-fewshot", "2")
    assert table.code == 0, table.err
    assert table.out.splitlines()[0] == f"| task | metric | n | shots | base | {adapter} |"
    assert table.out.splitlines()[2].startswith("| tiny_choice | acc | 6 | 2 | ")
    assert "±" in table.out


def test_a_metric_that_is_better_when_lower_says_so(tiny, tasks):
    table = harness_table(HarnessTasks(["tiny_text"], tasks).run(ExpertEngine(tiny), {"base": None}, limit=2))
    assert "| tiny_text | bits_per_byte (lower is better) | 2 | 0 | " in table


def test_a_task_whose_data_is_on_the_hub_is_a_typed_error_without_a_network(tasks, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    (tasks / "far.yaml").write_text("task: far\ndataset_path: allenai/ai2_arc\noutput_type: multiple_choice\ntest_split: test\n")
    with pytest.raises(TransferError) as caught:
        HarnessTasks(["far"], tasks)
    assert caught.value.code == "lm_eval_data_missing"
    assert "--lm-eval-tasks" in caught.value.hint


def test_tasks_that_cannot_be_run_are_typed_errors(tiny, tasks):
    (tasks / "rows.jsonl").rename(tasks / "gone.jsonl")
    with pytest.raises(DataError, match=r"rows\.jsonl") as caught:
        HarnessTasks(["tiny_choice"], tasks)
    assert caught.value.code == "lm_eval_task_broken"
    (tasks / "gone.jsonl").rename(tasks / "rows.jsonl")
    with (tasks / "tiny_choice.yaml").open("a") as file:
        file.write("unsafe_code: true\n")
    with pytest.raises(UsageError) as unsafe:
        HarnessTasks(["tiny_choice"], tasks)
    assert unsafe.value.code == "lm_eval_unsafe"
    text = tasks / "tiny_text.yaml"
    text.write_text(text.read_text().replace("{{question}}", "{{question[}}"))
    with pytest.raises(DataError) as template:
        HarnessTasks(["tiny_text"], tasks).run(ExpertEngine(tiny), {"base": None})
    assert template.value.code == "lm_eval_task_broken"
    with pytest.raises(UsageError) as folder:
        HarnessTasks(["tiny_text"], tasks / "gone")
    assert folder.value.code == "lm_eval_folder"


def test_a_task_that_nobody_knows_is_a_typed_error(tasks, monkeypatch):
    monkeypatch.setattr("lm_eval.tasks.manager.__file__", str(tasks / "manager.py"))  # the harness's own thousands take long to read
    with pytest.raises(UnknownNameError, match=r"no task tiny_nothing$") as caught:
        HarnessTasks(["tiny_choice", "tiny_nothing"], tasks)
    assert caught.value.code == "lm_eval_task_unknown"
