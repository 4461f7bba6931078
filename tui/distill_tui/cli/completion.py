"""What a shell may complete: `distill-tui completion`, and the values that arguments can take."""

from __future__ import annotations

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem, get_completion_class

from distill_core.errors import DistillError
from distill_core.runs import RunStore

_VARIABLE = "_DISTILL_TUI_COMPLETE"
"""Click reads it to find out that a shell is asking."""

Completed = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options, their values, and the names of runs.

    \b
    bash   eval "$(distill-tui completion bash)"      in ~/.bashrc
    zsh    eval "$(distill-tui completion zsh)"       in ~/.zshrc
    fish   distill-tui completion fish | source       in ~/.config/fish/config.fish
    """  # noqa: D301 - click wants the character itself
    from distill_tui.cli import commands

    makes = get_completion_class(shell)
    assert makes is not None  # these three are click's own
    click.echo(makes(commands, {}, "distill-tui", _VARIABLE).source())


def one_of(choices: tuple[str, ...]) -> Completed:
    """Return what completes one of some values."""
    return lambda _ctx, _param, typed: [
        CompletionItem(choice) for choice in choices if choice.startswith(typed)
    ]


def runs_that_begin(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the name or the short id of a run; says nothing of a folder that cannot be listed."""
    del param
    try:
        store = RunStore(ctx.params.get("runs_dir"))
    except DistillError:
        return []
    names = ((run.id, run.name) for run in store.list())
    return [
        CompletionItem(found, help=name)
        for short, name in names
        for found in dict.fromkeys((short, name))
        if found.startswith(typed)
    ]
