"""The main job on the real base model and the shipped experts."""

import hashlib
import json

import pytest
import torch

from tests.support.shipped import ROOT, SHIPPED, command, must

pytestmark = pytest.mark.slow

QUESTION = "Find the derivative of f(x) = 3x^2 + 2x - 5"


@pytest.fixture(scope="module")
def engine(shipped_home):
    from expert_kit.adapters import load_base
    from expert_kit.base_models import BaseStore
    from expert_kit.inference import ExpertEngine
    from expert_kit.registry import Registry

    entry = BaseStore(shipped_home / "bases").get("smollm2-135m")
    return ExpertEngine(load_base(entry.folder, entry.record, device="cpu"), Registry(shipped_home / "registry"))


def test_the_list_shows_both_experts(shipped_home):
    rows = json.loads(must("list", "--json", home=shipped_home))
    assert {row["name"] for row in rows} == {f"expert-kit/{name}" for name in SHIPPED}


def test_a_derivative_is_routed_and_right_where_the_base_is_wrong(engine):
    from expert_kit.evaluation import task

    row = {"expression": "3*x**2 + 2*x - 5", "variable": "x"}
    routed = engine.generate(QUESTION, "auto", max_new_tokens=48)
    assert [one.name for one in routed.experts] == ["expert-kit/calculus"]
    assert task("derivative")(routed.text, row).ok
    assert not task("derivative")(engine.generate(QUESTION, None, max_new_tokens=48).text, row).ok


def test_a_general_question_is_left_to_the_base(engine):
    routed = engine.generate("What is the capital of France?", "auto", max_new_tokens=16)
    assert routed.abstained
    assert "Paris" in routed.text
    assert routed.text == engine.generate("What is the capital of France?", None, max_new_tokens=16).text


@pytest.mark.parametrize(("name", "check", "floor"), [("calculus", "derivative", 0.75), ("sql", "sql", 0.4)])
def test_a_shipped_expert_is_better_than_the_base_on_its_hand_written_prompts(engine, name, check, floor):
    from expert_kit.evaluation import Suite, run_suite

    suite = Suite("handwritten", ROOT / "recipes" / name / "handwritten.jsonl", check, 96)
    expert = run_suite(engine, suite, f"expert-kit/{name}", limit=16)
    base = run_suite(engine, suite, None, limit=16)
    assert expert.accuracy >= floor
    assert expert.accuracy > base.accuracy + 0.3


def test_logits_equal_peft_for_a_shipped_expert_and_for_a_mix(real_bases):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from expert_kit.adapters import RowPlan, install_slots, load_base, read_lora
    from expert_kit.archive import spec_of_config
    from expert_kit.base_models import BaseStore
    from expert_kit.composition import cat_adapters

    entry = BaseStore(real_bases).get("smollm2-135m")
    base = load_base(entry.folder, entry.record, device="cpu", dtype="float32")
    folders = [ROOT / "experts" / name / "adapter" for name in ("calculus", "sql")]
    ids = base.tokenizer("Find the derivative of 3x^2. CREATE TABLE t (a INT);", return_tensors="pt")["input_ids"]
    ours = []
    for folder in folders:
        weights = (folder / "adapter_model.safetensors").read_bytes()
        spec = spec_of_config((folder / "adapter_config.json").read_bytes(), "BF16")
        ours.append(read_lora(weights, spec, base.record.linears, device=base.device, dtype=torch.float32))
    install_slots(base.model, base.record.linears)
    peft_model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(entry.folder, dtype=torch.float32, local_files_only=True), folders[0], adapter_name="a"
    )
    peft_model.load_adapter(folders[1], adapter_name="b")
    peft_model.add_weighted_adapter(["a", "b"], [0.6, 0.4], "mix", combination_type="cat")
    for name, adapter in (("a", ours[0]), ("b", ours[1]), ("mix", cat_adapters(ours, [0.6, 0.4]))):
        peft_model.set_adapter(name)
        with torch.inference_mode():
            expected = peft_model.eval()(ids).logits
            with RowPlan.of([adapter]).active():
                found = base.model(ids).logits
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_a_flipped_byte_of_an_installed_blob_stops_the_load(own_shipped_home):
    before = must("list", "--json", home=own_shipped_home)
    digest = hashlib.sha256((ROOT / "experts" / "calculus" / "adapter" / "adapter_model.safetensors").read_bytes()).hexdigest()
    (blob,) = (own_shipped_home / "registry").glob(f"cas/sha256/*/*{digest[2:]}")
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    ask = ("generate", QUESTION, "--max-new-tokens", 2, "--json", "--expert")
    done = command(*ask, "expert-kit/calculus", home=own_shipped_home)
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "registry_blob_digest"
    assert must("list", "--json", home=own_shipped_home) == before
    must(*ask, "expert-kit/sql", home=own_shipped_home)


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_quantized_bases_still_answer(shipped_home, quantization):
    args = ("generate", QUESTION, "--expert", "expert-kit/calculus", "--max-new-tokens", 16, "--quantization", quantization, "--json")
    answer = json.loads(must(*args, home=shipped_home))
    if quantization == "int8":
        assert answer["text"].startswith("6x + 2")
    assert answer["experts"][0]["name"] == "expert-kit/calculus"


def test_chat_works_when_piped(shipped_home):
    said = must("chat", home=shipped_home, stdin="/experts\nd/dx 4x^3\n/route What is the capital of France?\n/quit\n")
    assert "expert-kit/calculus" in said
    assert "12x^2" in said
