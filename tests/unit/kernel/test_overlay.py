"""Names of an overlay's layers in mount options, and the layer in which a file is found.

The layers are plain directories with the attributes that an overlay mounted with `userxattr` writes.
"""

import os
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.kernel.local import CachedState, state_behind
from containerlab_probes.kernel.mounts import overlay_options, read_mounts
from containerlab_probes.kernel.overlay import InLayer, LayerNames, Layers, layer_names
from tests.support.kernel import running

USER = "user.overlay."
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([("lowerdir", "/a:/b"), ("upperdir", "/u"), ("workdir", "/w")], LayerNames("/u", ("/a", "/b"))),
        ([("lowerdir", "l/A:l/B"), ("upperdir", "id/diff")], LayerNames("id/diff", ("l/A", "l/B"))),
        ([("lowerdir", "/a"), ("ro", "")], LayerNames("", ("/a",))),
        ([("lowerdir", r"/a\:b:/c\\"), ("userxattr", "")], LayerNames("", ("/a:b", "/c\\"), xattrs=USER)),
        ([("lowerdir", "/a"), ("upperdir", r"/u\:b\\c\,d")], LayerNames("/u:b\\c,d", ("/a",))),
        ([("lowerdir", "/a:/b::/c::/d")], LayerNames("", ("/a", "/b"), ("/c", "/d"))),
        ([("lowerdir", "/a::/c")], LayerNames("", ("/a",), ("/c",))),
        ([("lowerdir+", "/a:b\\"), ("lowerdir+", "/c"), ("datadir+", "/d:e")],
         LayerNames("", ("/a:b\\", "/c"), ("/d:e",))),
        ([], LayerNames("", ())),
    ],
)  # fmt: skip
def test_names_of_layers(options: list[tuple[str, str]], names: LayerNames) -> None:
    assert layer_names(options) == names


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_any_names_are_read_back(names: list[str]) -> None:
    escaped = ":".join(name.replace("\\", "\\\\").replace(":", "\\:") for name in names)
    assert layer_names([("lowerdir", escaped)]).lowers == tuple(names)
    assert layer_names([("lowerdir+", name) for name in names]).lowers == tuple(names)


Tree = dict[str, str]
Find = Callable[[str], InLayer | None]


def write(layer: Path, tree: Tree) -> None:
    """Makes files with their text; `!` makes a whiteout, `>` a symbolic link, `#` a directory with that attribute."""
    layer.mkdir()
    for name, text in tree.items():
        path = layer / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text == "!":
            os.mknod(path, stat.S_IFCHR | 0o600, 0)
        elif text.startswith(">"):
            path.symlink_to(text[1:])
        elif text.startswith("#"):
            path.mkdir(exist_ok=True)
            attribute, _, value = text[1:].partition("=")
            os.setxattr(path, USER + attribute, value.encode())
        else:
            path.write_text(text)


@pytest.fixture
def layers(tmp_path: Path) -> Callable[..., list[str]]:
    def make(*trees: Tree) -> list[str]:
        for number, tree in enumerate(trees):
            write(tmp_path / str(number), tree)
        return [str(tmp_path / str(number)) for number in range(len(trees))]

    return make


def state(path: str) -> CachedState:
    """Returns the state of a file as an overlay shows it: of another device."""
    found = state_behind(path)
    assert found is not None
    return replace(found, on_device=7)


def found_in(made: list[str], path: str, data: int = 0, shown: CachedState | None = None) -> str | None:
    """Returns `LAYER PATH` of the file that is found, with the upper layer as 0."""
    upper, *lowers = made
    plain = len(lowers) - data
    names = LayerNames(upper, tuple(lowers[:plain]), tuple(lowers[plain:]), USER)
    with closing(Layers(names, (), lambda _: True)) as opened:
        assert opened.missing == ""
        place = opened.find(path, shown)
    if place is None:
        return None
    [number] = [number for number, layer in enumerate(made) if place.host_path.startswith(f"{layer}/")]
    assert place.is_upper == (number == 0)
    return f"{number} {place.host_path.removeprefix(made[number])}"


@pytest.mark.parametrize(
    ("trees", "path", "place"),
    [
        (({"a": "0"}, {"a": "1"}), "/a", "0 /a"),
        (({}, {"a": "1"}, {"a": "2"}), "/a", "1 /a"),
        (({}, {}, {"d/a": "2"}), "/d/a", "2 /d/a"),
        (({}, {"a": "1"}), "/b", None),
        (({"a": "!"}, {"a": "1"}), "/a", None),
        (({}, {"a": "!"}, {"a": "2"}), "/a", None),
        (({"d": "!"}, {"d/a": "1"}), "/d/a", None),
        # A directory in place of one that was deleted hides those below it.
        (({"d": "#opaque=y"}, {"d/a": "1"}), "/d/a", None),
        (({"d": "#opaque=y", "d/a": "0"}, {"d/a": "1"}), "/d/a", "0 /d/a"),
        (({}, {"d": "#opaque=y", "d/a": "1"}, {"d/b": "2"}), "/d/b", None),
        (({"d/x": "0"}, {"d": "#opaque=x", "d/a": "1"}, {"d/b": "2"}), "/d/b", "2 /d/b"),
        # A file or a link in place of a directory hides it as well.
        (({"d": "0"}, {"d/a": "1"}), "/d/a", None),
        (({"d": ">e"}, {"d/a": "1", "e/a": "1"}), "/d/a", None),
        (({"d/a": "0"}, {"d": ">/etc"}), "/d/a", "0 /d/a"),
        (({}, {"a": ">/etc/passwd"}), "/a", None),
        (({"e/x": "0"}, {"d": ">e", "e/a": "1"}), "/d/a", None),
        (({"a": "#opaque=n"}, {"a": "1"}), "/a", None),
        # A renamed directory (redirect_dir).
        (({"new": "#redirect=old"}, {"old/a": "1", "new/a": "another"}), "/new/a", "1 /old/a"),
        (({"p/new": "#redirect=old"}, {"p/old/a": "1"}, {"p/old/b": "2"}), "/p/new/b", "2 /p/old/b"),
        (({"q/new": "#redirect=/p/old"}, {"p/old/d/a": "1", "q/new/d/a": "another"}), "/q/new/d/a", "1 /p/old/d/a"),
        (({"q/new": "#redirect=/p/old"}, {"p/old": "#redirect=older"}, {"p/older/a": "2"}), "/q/new/a", "2 /p/older/a"),
        (({"new": "#redirect=/../../etc"}, {"x": "1"}), "/new/passwd", None),
        (({"new": "#redirect=../../../../../../etc"}, {"x": "1"}), "/new/passwd", None),
    ],
)
def test_the_layer_of_a_file(
    layers: Callable[..., list[str]], trees: tuple[Tree, ...], path: str, place: str | None
) -> None:
    assert found_in(layers(*trees), path) == place


def test_a_file_of_which_only_the_metadata_was_copied_up(layers: Callable[..., list[str]]) -> None:
    made = layers({"a": "", "moved": "", "cut": ""}, {"a": "1", "old": "1"}, {"blob/f": "2"})
    for name, redirect in (("a", ""), ("moved", "/old"), ("cut", "/blob/f")):
        os.setxattr(f"{made[0]}/{name}", USER + "metacopy", b"")
        if redirect:
            os.setxattr(f"{made[0]}/{name}", USER + "redirect", redirect.encode())
    assert found_in(made, "/a", data=1) == "1 /a"
    assert found_in(made, "/moved", data=1) == "1 /old"
    assert found_in(made, "/cut", data=1) == "2 /blob/f"
    assert found_in(made, "/blob/f", data=1) is None, "a data layer is not searched by name"


def test_a_regular_file_as_a_whiteout(layers: Callable[..., list[str]]) -> None:
    made = layers({}, {"a": ""}, {"a": "2"})
    os.setxattr(f"{made[1]}/a", USER + "whiteout", b"")
    assert found_in(made, "/a") is None


def test_what_is_found_is_compared_with_what_is_shown(layers: Callable[..., list[str]]) -> None:
    made = layers({"a": "same"}, {"a": "another", "b": "1"})
    shown = state(f"{made[0]}/a")
    assert found_in(made, "/a", shown=shown) == "0 /a"
    assert found_in(made, "/a", shown=replace(shown, inode=1)) == "0 /a", "a copied-up file keeps its number"
    assert found_in(made, "/a", shown=replace(shown, born=(1, 1))) is None
    assert found_in(made, "/a", shown=replace(shown, born=None)) == "0 /a"
    for other in (replace(shown, size=9), replace(shown, mode=0o100640), replace(shown, modified=(1, 1))):
        assert found_in(made, "/a", shown=replace(other, born=None)) is None
        assert found_in(made, "/a", shown=other) == "0 /a", "it changes; its birth doesn't"
    assert found_in(made, "/a", shown=replace(shown, mode=stat.S_IFDIR)) is None


def test_an_image_s_file_that_the_overlay_hides(layers: Callable[..., list[str]]) -> None:
    made = layers({"a": "!", "b": "0"}, {"a": "1"}, {"b": "2"})
    with closing(Layers(LayerNames(made[0], tuple(made[1:])), (), lambda _: True)) as opened:
        assert opened.image_has("/a", state(f"{made[1]}/a"))
        assert opened.image_has("/b", state(f"{made[2]}/b"))
        assert not opened.image_has("/b", state(f"{made[0]}/b"))
        assert not opened.image_has("/none", state(f"{made[0]}/b"))


def test_relative_names_are_below_a_base(tmp_path: Path, layers: Callable[..., list[str]]) -> None:
    """Docker and Podman enter their directory and name `l/ID`, a link, where the options would be too long."""
    layers({"a": "0"}, {"b": "1"})
    (tmp_path / "l").mkdir()
    (tmp_path / "l/SHORT").symlink_to("../1")
    names = LayerNames("0", ("l/SHORT",))
    with closing(Layers(names, (str(tmp_path / "l"), str(tmp_path)), lambda _: True)) as opened:
        assert opened.find("/b", None) == InLayer(False, f"{tmp_path}/1/b")
        assert opened.find("/a", None) == InLayer(True, f"{tmp_path}/0/a")
    with closing(Layers(names, (), lambda _: True)) as opened:
        assert opened.missing == "0"


def test_layers_that_must_not_be_opened(layers: Callable[..., list[str]]) -> None:
    made = layers({}, {})
    with closing(Layers(LayerNames(made[0], (made[1],)), (), lambda path: path != made[1])) as opened:
        assert opened.missing == made[1]
    with closing(Layers(LayerNames("l/x\0", ()), ("/",), lambda _: True)) as opened:
        assert opened.missing == "l/x\0"


def test_descriptors_are_closed(layers: Callable[..., list[str]]) -> None:
    made = layers({"d/a": "0"}, {"d/b": "1"})
    before = len(os.listdir("/proc/self/fd"))
    for path in ("/d/a", "/d/b", "/d/none"):
        found_in(made, path)
    assert len(os.listdir("/proc/self/fd")) == before


MOUNT = r"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def done(result):
    assert result >= 0, os.strerror(ctypes.get_errno())
    return result
done(libc.unshare(0x20000))
done(libc.mount(b"none", b"/", None, 0x44000, None))
os.chdir(sys.argv[1])
if sys.argv[2:]:
    fd = done(libc.syscall(430, b"overlay", 0))
    for key, value in [a.split("=", 1) for a in sys.argv[2:]]:
        done(libc.syscall(431, fd, 1, key.encode(), value.encode(), 0))
    done(libc.syscall(431, fd, 6, None, None, 0))
    done(libc.syscall(429, done(libc.syscall(432, fd, 0, 0)), b"", -100, b"merged", 4))
else:
    options = rb"lowerdir=l\:1\\:l 2,upperdir=u\,p\:\\" + b"\n=,workdir=work"
    done(libc.mount(b"overlay", b"merged", b"overlay", 0, options))
open("merged/copied", "a").write("more")
open("merged/new", "w").write("new")
if "metacopy=on" in sys.argv:
    os.chmod("merged/meta", 0o600)
    os.rename("merged/dir", "merged/renamed")
"""
"""Mounts an overlay in another mount namespace: with fsconfig(2) if there are options, else with mount(2)."""
LOWERS, UPPER = ("l:1\\", "l 2"), "u,p:\\\n="


EACH = ("lowerdir+=l:1\\", "lowerdir+=l 2", "upperdir=u,p:\\\\\n=", "workdir=work")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts an overlay")
@pytest.mark.parametrize("options", [(), EACH, (*EACH, "redirect_dir=on", "metacopy=on")])
def test_a_real_overlay_with_odd_names(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The names are relative: as for engines with many layers, only their directory is a base."""
    for name in (*LOWERS, UPPER, "work", "merged", f"{LOWERS[1]}/dir"):
        (tmp_path / name).mkdir()
    for name in ("one", "two", "copied", "meta", "dir/in"):
        (tmp_path / LOWERS[name != "one"] / name).write_text(name)
    places = {"one": f"{LOWERS[0]}/one", "two": f"{LOWERS[1]}/two", "copied": f"{UPPER}/copied", "new": f"{UPPER}/new"}
    if "metacopy=on" in options:
        places |= {"meta": f"{LOWERS[1]}/meta", "renamed/in": f"{LOWERS[1]}/dir/in"}
    with running(MOUNT, str(tmp_path), *options) as process:
        [mount] = [one for one in read_mounts(process.pid) if one.point == f"{tmp_path}/merged"]
        names = layer_names(overlay_options(mount))
        with closing(Layers(names, (str(tmp_path),), lambda _: True)) as opened:
            for name, place in places.items():
                shown = state_behind(f"/proc/{process.pid}/root{tmp_path}/merged/{name}")
                assert opened.find(name, shown) == InLayer(place.startswith(UPPER), f"{tmp_path}/{place}")
