import threading
from contextlib import ExitStack

import pytest
import torch

from expert_kit.errors import ExpertKitError, NotComposableError
from expert_kit.inference import ExpertEngine, SamplingOptions, parse_selection
from tests.support.encoders import FakeEncoder
from tests.support.kinds import write_dora
from tests.support.tiny_model import write_adapter

MESSAGES = [{"role": "user", "content": "some text"}]


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny, encoder=FakeEncoder())


@pytest.fixture
def lora(tmp_path, tiny_folder):
    return write_adapter(tmp_path / "lora", tiny_folder, seed=1)


def test_threads_that_merge_leave_the_very_weights_behind(engine, lora, tmp_path, tiny_folder):
    other = write_adapter(tmp_path / "other", tiny_folder, seed=2)
    before = {name: tensor.clone() for name, tensor in engine.base.model.state_dict().items()}
    meet, codes = threading.Barrier(2), []

    def merge(adapter):
        for _ in range(40):
            meet.wait(30)
            try:
                with engine.merged(adapter):
                    pass
            except ExpertKitError as error:
                codes.append(error.code)

    threads = [threading.Thread(target=merge, args=(one,)) for one in (lora, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(codes) <= {"base_merged"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in engine.base.model.state_dict().items())


def test_what_was_selected_before_a_merge_is_not_merged_over_it(engine, lora):
    compose = engine._composer.compose

    def slow(*args, **kwargs):
        composition = compose(*args, **kwargs)
        engine._composer.compose = compose
        engine._late = engine.merged(lora)
        engine._late.__enter__()
        return composition

    engine._composer.compose = slow
    with pytest.raises(NotComposableError) as caught, engine.merged(lora):
        pass
    assert caught.value.code == "base_merged"
    engine._late.__exit__(None, None, None)


def test_dora_is_not_read_from_changed_weights(engine, lora, tmp_path, tiny_folder):
    dora = write_dora(tmp_path / "dora", tiny_folder)
    with engine.merged(lora), pytest.raises(NotComposableError) as caught:
        engine._source.acquire(dora)
    assert caught.value.code == "base_merged"
    with ExpertEngine(engine.base, encoder=FakeEncoder()) as fresh:
        assert engine.likelihood("some text", dora) == fresh.likelihood("some text", dora)


def test_rows_of_the_bare_base_are_not_answered_by_what_was_merged_meanwhile(engine, lora):
    composition = engine._composer.compose(parse_selection(None), MESSAGES, False, held=ExitStack())
    request = engine._request(0, MESSAGES, engine._prompt_ids(MESSAGES), composition, SamplingOptions(max_new_tokens=4))
    engine._scheduler.submit(request)
    with engine.merged(lora), pytest.raises(NotComposableError) as caught:
        engine._scheduler.finish([request])
    assert caught.value.code == "base_merged"


def test_rows_of_a_merged_mix_are_not_answered_by_the_bare_base(engine, lora):
    with engine.merged(lora):
        composition = engine._composer.compose(parse_selection(None), MESSAGES, False, held=ExitStack())
    request = engine._request(0, MESSAGES, engine._prompt_ids(MESSAGES), composition, SamplingOptions(max_new_tokens=4))
    engine._scheduler.submit(request)
    with pytest.raises(NotComposableError) as caught:
        engine._scheduler.finish([request])
    assert caught.value.code == "weights_changed"


def test_an_answer_that_outlives_a_merge_says_so(engine, lora):
    with engine.merged(lora):
        stream = engine.stream("some text", None, max_new_tokens=30)
        next(stream)
    with pytest.raises(NotComposableError) as caught:
        list(stream)
    assert caught.value.code == "weights_changed"


def test_nothing_is_merged_while_another_engine_of_the_base_answers(engine, lora):
    other = ExpertEngine(engine.base, encoder=FakeEncoder())
    stream = other.stream("some text", None, max_new_tokens=30)
    next(stream)
    with pytest.raises(ExpertKitError) as caught, engine.merged(lora):
        pass
    assert caught.value.code == "batch_running"
    stream.close()


def test_experts_that_were_named_before_a_merge_are_not_replaced_by_it(engine, lora, tmp_path, tiny_folder):
    other = write_adapter(tmp_path / "other", tiny_folder, seed=2)
    choice = engine._composer.choose(parse_selection(other), MESSAGES, False, ExitStack())
    with engine.merged(lora), pytest.raises(NotComposableError) as caught:
        engine._composer.take(choice, ExitStack())
    assert caught.value.code == "base_merged"
