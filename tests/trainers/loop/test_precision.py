"""In which type products are computed, and what a GPU is told while they are."""

import subprocess
import sys

import pytest

from tests.helpers.training_runs import begin, digits_data, run


def test_the_type_of_products_is_what_was_asked_for() -> None:
    for precision in ("float32", "bfloat16"):
        training = begin("cnn", digits_data(), 1, batch_size=24, precision=precision)
        assert training.capabilities.precision == precision
    coarse = begin("cnn", digits_data(), 1, batch_size=24, precision="bfloat16").epoch()
    fine = begin("cnn", digits_data(), 1, batch_size=24, precision="float32").epoch()
    assert coarse.batch_losses != fine.batch_losses
    assert coarse.train_loss == pytest.approx(fine.train_loss, rel=0.05)


def test_small_images_are_trained_in_float32_whatever_the_device() -> None:
    training = begin("cnn", digits_data(), 1)
    assert training.capabilities.precision == "float32"


SAID = [
    "",
    "torch.backends.fp32_precision = 'tf32'",
    "torch.backends.fp32_precision = 'ieee'",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "torch.set_float32_matmul_precision('high')",
    "torch.backends.cudnn.allow_tf32 = False",
    "torch.backends.cudnn.benchmark = True",
]


@pytest.mark.slow
def test_a_gpu_computes_exactly_inside_and_as_the_user_has_it_outside() -> None:
    """In processes of their own: torch's older and newer switches do not mix. The switches need no GPU."""
    program = f"""
import os, torch
from trainers.loop.precision import exact_arithmetic

def switches():
    cudnn = torch.backends.cudnn
    types = [products.fp32_precision for products in (cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul)]
    return types, cudnn.benchmark, cudnn.deterministic

def check():
    before = switches()
    for _ in range(2):
        with exact_arithmetic(torch.device("cuda")):
            assert switches() == (["ieee"] * 3, False, True), switches()
        assert switches() == before, (switches(), before)
    with exact_arithmetic(torch.device("cpu")):
        assert switches() == before

failed = []
for said in {SAID!r}:
    if not (child := os.fork()):
        exec(said)
        check()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(said)
assert not failed, failed
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_type_of_products_is_that_of_the_state_whatever_is_measured_now() -> None:
    coarse = begin("cnn", digits_data(), 2, batch_size=24, precision="bfloat16")
    coarse.epoch()
    state = coarse.state_dict()
    expected = run(coarse, 1)
    other = begin("cnn", digits_data(), 2, batch_size=24)  # where auto comes to float32
    other.load_state_dict(state)
    assert other.capabilities.precision == "bfloat16"
    assert run(other, 1) == expected
