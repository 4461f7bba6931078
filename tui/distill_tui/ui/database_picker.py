"""The dialog that asks for a database: recent ones, a path, a tree of files and folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree, Input, Label, OptionList
from textual.widgets._directory_tree import DirEntry
from textual.widgets.option_list import Option
from textual.widgets.tree import TreeNode
from textual_autocomplete import DropdownItem, PathAutoComplete, TargetState

from distill_core.database import demo_database_path, is_vector_folder
from distill_core.foreign_text import visible
from distill_tui.places import is_folder, is_there, read_recent, typed_path
from distill_tui.ui.screen import KeyFooter

_SQLITE_SUFFIXES = {".db", ".sqlite", ".sqlite3", ".db3"}
_SQLITE_MAGIC = b"SQLite format 3\x00"


class DatabaseTree(DirectoryTree):
    """A tree of folders and SQLite files; hidden ones and everything else stay out.

    A folder of vectors says so, and opens at enter as a file does.
    """

    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "
    ICON_FILE = "  "

    def __init__(self, path: Path, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter
        super().__init__(path, id=id)
        self._vector_folders: set[Path] = set()

    def process_label(self, label: str | Text) -> Text:
        """Return a file's name as it may be drawn; its base would read markup in it."""
        return Text(visible(str(label)))

    def render_label(self, node: TreeNode[DirEntry], base_style: Style, style: Style) -> Text:
        """Return the label as it is drawn, with a word on what opens of the folders."""
        label = super().render_label(node, base_style, style)
        if node.data is not None and node.data.path in self._vector_folders:
            label.append("  vectors", base_style + Style(dim=True))
        return label

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Keep folders and SQLite files; called in a thread of its own."""
        kept = [
            path for path in paths if not path.name.startswith(".") and (is_folder(path) or _is_sqlite(path))
        ]
        self._vector_folders |= {path for path in kept if is_vector_folder(path)}
        return kept


DATABASE_NAME = "lda.db"
"""What a database is called that a folder stands for."""


class PathCompletion(PathAutoComplete):
    """Completes absolute paths from the root and `~` from home, which its base looks for where we are."""

    def get_candidates(self, target_state: TargetState) -> list[DropdownItem]:
        """Return what is in the folder that is typed so far."""
        folder, slash, name = target_state.text[: target_state.cursor_position].rpartition("/")
        if folder.startswith("~"):
            folder = str(typed_path(folder))
        self.path = Path(slash) if slash and not folder else Path()
        typed = f"{folder}{slash}{name}"
        try:
            found = super().get_candidates(TargetState(typed, len(typed)))
        except OSError:  # a link to itself, say
            return []
        here = typed_path(folder or ".") if folder or not slash else Path("/")
        return [item for item in found if is_folder(here / item.value) or _is_sqlite(here / item.value)]

    def should_show_dropdown(self, search_string: str) -> bool:
        """Offer nothing once the whole path of a database is typed: enter then opens it."""
        path = typed_path(self.target.value)
        has_database = is_there(path / DATABASE_NAME) and not self.target.value.endswith("/")
        is_whole = has_database or is_vector_folder(path) or (is_there(path) and not is_folder(path))
        return super().should_show_dropdown(search_string) and not is_whole


class DatabasePicker(ModalScreen[Path | None]):
    """Ends with the path chosen, or None."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "Back", id="picker.back"),
    ]
    AUTO_FOCUS = "#path"

    def compose(self) -> ComposeResult:
        """Lay out the three ways to name a database."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Open a database"
            yield Label("Type a path; an empty one is the first below", classes="caption")
            path = Input(placeholder="path/to/lda.db, or a folder with it", id="path", compact=True)
            yield path
            yield Label("", id="path-error", classes="error", markup=False)
            yield Label("Recent, tab goes there", classes="caption")
            yield OptionList(*self._recent_options(), id="recent", compact=True, markup=False)
            yield Label(visible(f"Or choose one below {Path.cwd()}"), classes="caption", markup=False)
            yield DatabaseTree(Path.cwd(), id="files")
        yield PathCompletion(
            path, show_dotfiles=False, folder_prefix=Content("▸ "), file_prefix=Content("  ")
        )
        yield KeyFooter()

    @on(OptionList.OptionSelected, "#recent")
    def _choose_recent(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(Path(event.option.id or ""))

    @on(Input.Submitted, "#path")
    def _choose_typed(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            self.dismiss(Path(self.query_one("#recent", OptionList).get_option_at_index(0).id or ""))
            return
        path, error = typed_path(event.value), ""
        if is_folder(path) and is_there(path / DATABASE_NAME):
            path /= DATABASE_NAME
        if is_folder(path) and not is_vector_folder(path):
            error = f"{path} is a folder with neither an {DATABASE_NAME} nor a centroids.npy in it."
        elif not is_there(path):
            error = f"There is no file or folder {path}."
        if error:
            self._show_error(error)
        else:
            self.dismiss(path)

    @on(Input.Changed, "#path")
    def _forget_error(self) -> None:
        self._show_error("")

    @on(DirectoryTree.FileSelected)
    def _choose_file(self, event: DirectoryTree.FileSelected) -> None:
        self.dismiss(event.path)

    @on(DirectoryTree.DirectorySelected)
    def _choose_folder(self, event: DirectoryTree.DirectorySelected) -> None:
        if is_vector_folder(event.path):
            self.dismiss(event.path)

    def _show_error(self, error: str) -> None:
        label = self.query_one("#path-error", Label)
        label.update(visible(error))
        label.set_class(bool(error), "-shown")

    def _recent_options(self) -> list[Option]:
        demo = demo_database_path()
        paths = [path for path in read_recent() if path != demo]
        return [
            *(Option(visible(str(path)), id=str(path)) for path in paths),
            Option("the bundled demo: 36 topics, 432 questions", id=str(demo)),
        ]


def _is_sqlite(path: Path) -> bool:
    """Tell by the name and by the first bytes, so that no other file is offered."""
    if path.suffix.lower() not in _SQLITE_SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError:
        return False
