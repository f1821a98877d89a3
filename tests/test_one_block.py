"""The page that follows one block is what the program writes today."""

from tools import one_block

from bellwire.lab.follow_figure import figures


def test_the_page_is_what_the_code_writes_at_its_seeds() -> None:
    blocks = one_block.run()
    written = one_block.PAGE.read_text()
    assert written == one_block.page(blocks), "run .venv/bin/python tools/one_block.py"
    pictures = {f"one-block-{name}" for name in figures(blocks["bb84"])} | {"one-block-e91-bits"}
    for name in pictures:
        assert f"../images/{name}.svg" in written
        assert (one_block.IMAGES / f"{name}.svg").exists()
    assert all(block.keys_match for block in blocks.values())
