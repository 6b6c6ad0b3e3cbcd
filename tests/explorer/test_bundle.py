"""The one-file script keeps what its parts say."""

import shutil
import subprocess

import pytest

from fwrnn_core.errors import ConfigError
from fwrnn_core.explorer import bundle as module
from fwrnn_core.explorer.bundle import STATIC, bundle


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STATIC", tmp_path)
    bundle.cache_clear()
    yield lambda **files: [(tmp_path / f"{k}.js").write_text(v) for k, v in files.items()]
    bundle.cache_clear()


def _node(source, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    path = tmp_path / "bundle.mjs"
    path.write_text(source)
    return subprocess.run([node, path], capture_output=True, text=True, timeout=60, check=False)


def test_names_of_different_scripts_do_not_clash(scripts, tmp_path):
    scripts(
        a="const secret = 1;\nexport function get() {\n  return secret;\n}\n",
        b='import { get as other } from "./a.js";\nconst secret = 2;\n'
        "export const both = () => [secret, other()];\n",
        main='import {\n  both,\n} from "./b.js";\nimport { get } from "./a.js";\n'
        "const secret = 3;\nconsole.log(JSON.stringify([secret, both(), get()]));\n",
    )
    done = _node(bundle("main"), tmp_path)
    assert (done.stdout.strip(), done.stderr) == ("[3,[2,1],1]", "")


def test_a_missing_script_and_a_circle_are_named(scripts):
    scripts(
        a='import { y } from "./b.js";\nexport const x = 1;\n',
        b='import { x } from "./a.js";\nexport const y = 1;\n',
        c='import { z } from "./d.js";\n',
    )
    with pytest.raises(ConfigError, match="circular import: a → b → a"):
        bundle("a")
    with pytest.raises(ConfigError, match="d.js"):
        bundle("c")


@pytest.mark.parametrize("entry", ["explorer"])
def test_the_real_bundles_are_valid_and_self_contained(entry, tmp_path):
    source = bundle(entry)
    assert "import " not in source.replace("important", "")
    assert source.count("export ") == 1
    assert source.rstrip().endswith("export default { render };")
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    path = tmp_path / "bundle.mjs"
    path.write_text(source)
    done = subprocess.run([node, "--check", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sources_stay_small_enough_to_read():
    for path in STATIC.iterdir():
        assert len(path.read_text("utf-8").splitlines()) <= 400, path.name
