"""A real kernel: what is in the notebook after a run."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

RUN = """
import jax, jax.numpy as jnp, jaxlog
updates = 300
sink = {"kind": "console", "refresh_per_second": 60.0, "live": True}
logger = jaxlog.Logger({"batched_logging_enabled": True, "sinks": [sink]}, total_updates=updates)

def update(x, step):
    # Some work, so that there are many pictures of it.
    x = jax.lax.fori_loop(0, 20, lambda _, x: jnp.tanh(x @ x), x)
    returns = jnp.arange(4.0) + step
    jaxlog.batch_step(logger, step, {"episode_returns": returns, "<b>&": x.mean()})
    return x, None

with logger.open(name="first"):
    x = jax.random.normal(jax.random.key(0), (96, 96))
    jax.block_until_ready(jax.jit(lambda x: jax.lax.scan(update, x, jnp.arange(updates)))(x))
"""


# What asyncio and zmq do when a kernel ends is no matter of ours.
@pytest.mark.filterwarnings("default")
def test_a_notebook_has_one_output_with_the_last_table() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(RUN)])
    messages = []

    class Counting(NotebookClient):
        def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
            messages.append(msg["msg_type"])
            return super().process_message(msg, cell, cell_index)

    Counting(notebook, timeout=60, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs  # nothing on standard error either
    assert messages.count("update_display_data") > 3  # it was drawn anew, in place
    assert output.output_type == "display_data"
    html, text = output.data["text/html"], output.data["text/plain"]
    for shown in (html, text):
        assert "batch · step 299" in shown
        assert "episode_return" in shown
        assert "300/300" in shown
        assert "finished" in shown
        assert "first" in shown
        assert "\x1b" not in shown
    assert "&lt;b&gt;&amp;" in html
    assert html.startswith("<pre style=")
    assert html.endswith("</pre>")
    assert text.splitlines()[0] == "batch · step 299"


STOPPED = (
    RUN.replace("updates = 300", "updates = 10**7")
    .replace("jnp.arange(updates)))(x)", "jnp.arange(updates))[0].mean())(x)")
    .replace("jax.block_until_ready", "float")
)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.filterwarnings("default")
def test_a_cell_that_is_interrupted_ends_with_one_error_and_the_table_says_so() -> None:
    cells = [nbformat.v4.new_code_cell(code) for code in (STOPPED, "print('the kernel goes on')")]
    notebook = nbformat.v4.new_notebook(cells=cells)

    class Interrupting(NotebookClient):
        interrupted = False

        def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
            shown = msg["content"].get("data", {}).get("text/plain", "")
            if "batch · step" in shown and not self.interrupted:
                self.interrupted = True
                kernel: Any = self.km
                os.kill(kernel.provisioner.pid, signal.SIGINT)  # as the button of Jupyter does
            return super().process_message(msg, cell, cell_index)

    client = Interrupting(notebook, timeout=60, kernel_name="python3", allow_errors=True)
    client.execute()
    table, error = notebook.cells[0].outputs
    assert "interrupted after" in table.data["text/plain"]
    assert error.output_type == "error"
    assert error.ename == "KeyboardInterrupt"
    said = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    assert said.count("Traceback (most recent call last)") == 1
    assert "JaxRuntimeError" not in said
    assert "engine.py" not in said
    assert [output.text for output in notebook.cells[1].outputs] == ["the kernel goes on\n"]
