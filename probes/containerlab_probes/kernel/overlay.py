"""Finds in which layer of an overlay a file is stored, as the kernel itself looks it up (fs/overlayfs/namei.c).

The names of the layers are options of the mount: text, as whoever mounted it wrote it. They can be relative to a
directory that the kernel doesn't show, and belong to another mount namespace. So what is found is compared with the
file that the overlay shows (`CachedState.is_copy_of`). A path is looked up strictly below a layer's directory.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from containerlab_probes.kernel.local import CachedState, state_of
from containerlab_probes.kernel.rootfs import place_beneath

LAYERS_LIMIT = 512
"""The kernel's own limit of lower layers is 500 (OVL_MAX_STACK)."""
_XATTR_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LayerNames:
    """The directories of an overlay, as its options name them."""

    upper: str
    """Empty: the overlay is read-only."""
    lowers: tuple[str, ...]
    """The topmost first."""
    data: tuple[str, ...] = ()
    """Lower layers in which a file is found only by a redirection."""
    xattrs: str = "trusted.overlay."
    """How the names of its extended attributes begin."""


NO_LAYERS = LayerNames("", ())


def layer_names(options: Iterable[tuple[str, str]]) -> LayerNames:
    """Returns the layers that the options of an overlay name.

    `lowerdir` separates layers with a colon, data layers with two. In it and in `upperdir` a backslash escapes a
    character. Since Linux 6.5 each layer can have a separate option, `lowerdir+` or `datadir+`, without such escapes.
    """
    upper, lowers, data, xattrs = "", list[str](), list[str](), "trusted.overlay."
    for name, value in options:
        if name == "upperdir":
            upper = _plain(value)
        elif name == "lowerdir":
            plain, *more = _split(value, "::")
            lowers = [one for one in _split(plain, ":") if one]
            data = more
        elif name == "lowerdir+":
            lowers.append(_escape(value))
        elif name == "datadir+":
            data.append(_escape(value))
        elif name == "userxattr":
            xattrs = "user.overlay."
    return LayerNames(upper, tuple(map(_plain, lowers)), tuple(map(_plain, data)), xattrs)


def _split(text: str, separator: str) -> list[str]:
    """Splits at separators that no backslash escapes; the parts keep their escapes."""
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text.startswith(separator, at):
            parts.append(text[start:at])
            at = start = at + len(separator)
        else:
            at += 1
    return [*parts, text[start:]]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\")


def _plain(text: str) -> str:
    """Undoes the escapes of an overlay's own options (fs/overlayfs/params.c, ovl_unescape)."""
    plain, at = [], 0
    while at < len(text):
        at += text[at] == "\\"
        plain.append(text[at : at + 1])
        at += 1
    return "".join(plain)


@dataclass(frozen=True, slots=True)
class InLayer:
    """Where an overlay has a file."""

    is_upper: bool
    host_path: str
    """The path of the file in its layer."""


@dataclass(frozen=True, slots=True)
class _Layer:
    fd: int
    path: str
    is_upper: bool
    is_data: bool


@dataclass(slots=True)
class _Search:
    """Where the next layer is searched: a name in the parent's directories, or a path from the layer's root."""

    name: str
    path: str = ""

    def redirect(self, target: str) -> None:
        """Follows the redirection of a layer to those below it."""
        if target.startswith("/"):
            self.path = target.strip("/")
        elif target and self.path:
            self.path = os.path.join(os.path.dirname(self.path), target)
        elif target:
            self.name = target


_Stack = tuple[tuple[int, str], ...]
"""For a directory of the overlay: the number of each layer that has a part of it, and its path there."""


class Layers:
    """The opened layers of one overlay. `close` closes them."""

    def __init__(self, names: LayerNames, bases: Iterable[str], may_open: Callable[[str], bool]) -> None:
        """Opens the layers. Relative names are below one of `bases`; `may_open` says whether a path may be opened.

        `missing` names a layer that can't be opened; then `find` must not be called.
        """
        self._xattrs = names.xattrs
        self._layers: list[_Layer] = []
        self.missing = ""
        wanted = [(names.upper, False)] if names.upper else []
        wanted += [(name, False) for name in names.lowers] + [(name, True) for name in names.data]
        relative = [name for name, _ in wanted if not name.startswith("/")]
        base = next((one for one in bases if may_open(one) and _has(one, relative)), "/") if relative else "/"
        for number, (name, is_data) in enumerate(wanted[:LAYERS_LIMIT]):
            path = os.path.join(base, name)
            fd = _directory(path) if may_open(path) else -1
            if fd < 0:
                self.missing = name
                break
            self._layers.append(_Layer(fd, _real_path(fd), bool(names.upper) and not number, is_data))
        plain = tuple((number, "") for number, layer in enumerate(self._layers) if not layer.is_data)
        self._directories: dict[str, _Stack] = {"": plain}

    def close(self) -> None:
        for layer in self._layers:
            os.close(layer.fd)
        self._layers.clear()

    def find(self, path: str, shown: CachedState | None) -> InLayer | None:
        """Returns where the overlay has a regular file, by its path below the overlay's root.

        `shown` is the state that the overlay shows of it. Returns None if no layer has the file, or another one.
        """
        directory, _, name = path.strip("/").rpartition("/")
        top: CachedState | None = None
        for number, fd, inside, search in self._entries(self._directory(directory), name):
            state = state_of(fd)
            if state is None or not stat.S_ISREG(state.mode) or self._is_whiteout(fd, state):
                return None
            top = top or state
            if shown is not None and not shown.is_copy_of(top):
                return None
            if self._attribute(fd, "metacopy") is None:
                layer = self._layers[number]
                return InLayer(layer.is_upper, f"{layer.path.rstrip('/')}/{inside}")
            search.redirect(os.fsdecode(self._attribute(fd, "redirect") or b""))
        return None

    def image_has(self, path: str, shown: CachedState) -> bool:
        """Returns whether a lower layer has the file that the overlay showed at a path, deleted there or not."""
        return any(self._has(layer, path, shown) for layer in self._layers if not (layer.is_upper or layer.is_data))

    @staticmethod
    def _has(layer: _Layer, path: str, shown: CachedState) -> bool:
        fd = place_beneath(layer.fd, path.strip("/"))
        if fd < 0:
            return False
        try:
            state = state_of(fd)
            return state is not None and shown.is_copy_of(state)
        finally:
            os.close(fd)

    def _directory(self, path: str) -> _Stack:
        """Returns the parts of a directory of the overlay, the topmost first."""
        if path not in self._directories:
            parent, _, name = path.rpartition("/")
            self._directories[path] = tuple(self._parts(self._directory(parent), name))
        return self._directories[path]

    def _parts(self, parents: _Stack, name: str) -> Iterator[tuple[int, str]]:
        for number, fd, inside, search in self._entries(parents, name):
            state = state_of(fd)
            if state is None or not stat.S_ISDIR(state.mode):
                return
            yield number, inside
            if self._attribute(fd, "opaque") == b"y":
                return
            search.redirect(os.fsdecode(self._attribute(fd, "redirect") or b""))

    def _entries(self, parents: _Stack, name: str) -> Iterator[tuple[int, int, str, _Search]]:
        """Yields what the layers have under a name: the layer, a descriptor for this round, and the path in it."""
        search, places = _Search(name), dict(parents)
        for number, layer in enumerate(self._layers):
            if search.path:
                inside = search.path
            elif number in places:
                inside = f"{places[number]}/{search.name}".lstrip("/")
            else:
                continue
            fd = place_beneath(layer.fd, inside)
            if fd < 0:
                continue
            try:
                yield number, fd, inside, search
            finally:
                os.close(fd)

    def _is_whiteout(self, fd: int, state: CachedState) -> bool:
        """Returns whether a regular file stands for a deleted one, as in images of composefs."""
        return state.size == 0 and self._attribute(fd, "whiteout") is not None

    def _attribute(self, fd: int, name: str) -> bytes | None:
        """Returns an extended attribute of an overlay's layer; None: the file has none of that name."""
        try:
            return os.getxattr(f"/proc/self/fd/{fd}", self._xattrs + name)[:_XATTR_BYTES]
        except OSError:
            return None


def _has(base: str, names: Iterable[str]) -> bool:
    return all(os.path.isdir(os.path.join(base, name)) for name in names)


def _directory(path: str) -> int:
    """Opens a directory of the host (O_PATH); -1 if that fails."""
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return -1


def _real_path(fd: int) -> str:
    """Returns the path of an open directory without symbolic links."""
    return os.readlink(f"/proc/self/fd/{fd}")
