"""The notebooks run, every cell of them, and are kept without what they print."""

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own event loop and sockets
def test_every_cell_of_a_notebook_runs(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    inherited = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, inherited)))
    content = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]  # theirs
    done = NotebookClient(
        content,
        timeout=int(PATIENCE_S),
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    shown = [output for cell in code for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown), "it draws"
    assert not [each for each in shown if each.get("name") == "stderr"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_output_and_is_in_the_index(notebook: Path) -> None:
    cells = json.loads(notebook.read_text())["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert f"(notebooks/{notebook.name})" in (ROOT / "docs" / "index.md").read_text()


def test_there_are_the_three_that_the_index_promises() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["decoy-states", "e91", "finite-keys"]
