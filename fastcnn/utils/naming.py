"""Names: Keras's snake case, look-ups that know the nearest name, objects from configurations."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from fastcnn.utils import custom_objects

T = TypeVar("T")
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that have what follows shown from right to left: "gnp.exe" as "exe.png"."""


class Configured(Protocol):
    """What plain data describes."""

    def get_config(self) -> dict[str, object]: ...


@lru_cache(1 << 10)
def snake_case(name: str) -> str:
    """Keras's snake case of a class name: "MaxPooling2D" -> "max_pooling2d"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def printable(text: str) -> str:
    """A text without surrogates, which no file in UTF-8 and no JSON reader takes.

    Python makes surrogates of a file's name, or of a command's argument, whose bytes it cannot
    decode: those that are UTF-8, as under LC_ALL=C, are decoded, and others are shown escaped.
    """
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # other ones, as Windows and JSON may have
        encoded = text.encode("utf-8", "backslashreplace")
    return encoded.decode("utf-8", "backslashreplace")


def shown(text: str, keep: str = "") -> str:
    """A text of the user's as it stands on one line of a terminal or in a sentence: `printable`,
    with escapes for line breaks and for what a terminal obeys.

    Args:
        text: Names of files and classes, and what is made of them.
        keep: Such characters that stay.
    """
    text = printable(text)
    if text.isprintable():
        return text
    return "".join(_escaped(letter) if letter not in keep else letter for letter in text)


def _escaped(letter: str) -> str:
    obeyed = unicodedata.category(letter) in ("Cc", "Zl", "Zp") or letter in TURNING
    return letter.encode("unicode_escape").decode() if obeyed else letter


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of names that looks most like name, or None when none does."""
    plain = {_plain(candidate): candidate for candidate in reversed(list(names))}
    word = _plain(name)
    matches = difflib.get_close_matches(word, plain, n=1, cutoff=0.6)
    if not matches:
        matches = [candidate for candidate in plain if _is_like(word, candidate)]
    return plain[matches[-1]] if matches else None


def _is_like(word: str, name: str) -> bool:
    """Whether a name that is short, or shortened, is meant: 'l3' for 'l1', 'acc' for 'accuracy'."""
    shortened = len(word) > 1 and name.startswith(word)
    return shortened or (len(word) == len(name) and sum(map(str.__ne__, word, name)) == 1)


def unknown(kind: str, name: str, names: Iterable[str]) -> str:
    """The sentence for a name that is not known, with the nearest known one and all of them; of
    classes by name, with that of the class where it is another one."""
    hint = nearest(name, names)
    guess = f" Did you mean '{hint}'?" if hint else ""
    return f"Unknown {kind} '{name}'.{guess} Known: {', '.join(_spelled(names))}."


def _spelled(names: Iterable[str]) -> list[str]:
    table = names if isinstance(names, Mapping) else {}
    spelled = []
    for name in names:
        entry = table.get(name)
        other = entry.__name__ if isinstance(entry, type) else name
        spelled.append(name if other == name else f"{name} ({other})")
    return spelled


def lookup(kind: str, name: str, table: Mapping[str, T]) -> T:
    """table[name]; case, "_" and "-" do not matter. ValueError naming the nearest known name."""
    if not isinstance(name, str):
        raise TypeError(f"Expected the name of {_with_article(kind)}. Received {name!r}.")
    key = _key(name, table)
    if key is None:
        raise ValueError(unknown(kind, name, table))
    return table[key]


def _key(name: str, table: Mapping[str, object]) -> str | None:
    """Return under which key of a table a name stands, or None."""
    if name in table:
        return name
    return next((key for key in table if _plain(key) == _plain(name)), None)


def entry(owner: str, kind: str, name: object, table: Mapping[str, T]) -> T:
    """Return table[name]; ValueError in the name of ``owner``, with what is known, where there is
    none."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{owner}: {unknown(kind, str(name), table)}")
    return table[name]


def serialize(value: Configured) -> dict[str, object]:
    """{"class_name", "config"} of an object with get_config()."""
    return {"class_name": custom_objects.name_of(type(value)), "config": value.get_config()}


def class_of(kind: str, name: object, base: type[T], table: Mapping[str, type[T]]) -> type[T]:
    """Return the class of a name: fastcnn's own, or one that the user passed or registered.

    Args:
        kind: What it is, for errors.
        name: The name, as `serialize` has it.
        base: The class that all of its kind derive from.
        table: fastcnn's own classes by name.

    Raises:
        ValueError: The name is unknown, or stands for two classes or for another kind.
        TypeError: It is no text.
    """
    own = custom_objects.find(name) if isinstance(name, str) else None
    if isinstance(name, str) and own is not None:
        if _key(name, table) is not None:
            raise ValueError(
                f"'{name}' is the name of fastcnn's own {kind} and of {own!r}. Give that one "
                "another: @fastcnn.register_serializable(name=...)."
            )
        if not isinstance(own, type) or not issubclass(own, base):
            raise ValueError(
                f"'{name}' stands for {own!r}. Expected {_with_article(kind)}, a class derived "
                f"from {base.__name__}."
            )
        return own
    try:
        return lookup(kind, name, table)  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(f"{error} {custom_objects.how_to_name(str(name))}") from None


def resolve(kind: str, identifier: object, base: type[T], table: Mapping[str, type[T]]) -> T:
    """Return the object that an identifier stands for.

    Args:
        kind: What it is, for errors.
        identifier: A name, a class, a {"class_name", "config"} or the object itself.
        base: The class that all of its kind derive from.
        table: Their classes by name.

    Returns:
        The object, made with its defaults where a name or a class is passed.

    Raises:
        ValueError: The name is unknown; the message has the nearest.
        TypeError: It is none of these.
    """
    if isinstance(identifier, base):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, base):
        return _build(kind, identifier, {})
    if isinstance(identifier, str):
        return _build(kind, lookup(kind, identifier, table), {})
    if isinstance(identifier, Mapping):
        return _from_config(kind, identifier, base, table)
    raise TypeError(
        f"Expected {_with_article(kind)}: an object, a name or a configuration. "
        f"Received {identifier!r} of type {type(identifier).__name__}."
    )


def _from_config(
    kind: str, config: Mapping[str, Any], base: type[T], table: Mapping[str, type[T]]
) -> T:
    check_configuration(kind, config)
    return _build(kind, class_of(kind, config["class_name"], base, table), dict(config["config"]))


def check_configuration(kind: str, config: object) -> None:
    """ValueError unless a configuration is a {"class_name": str, "config": dict}."""
    entry = config if isinstance(config, Mapping) else {}
    if not isinstance(entry.get("class_name"), str) or not isinstance(entry.get("config"), Mapping):
        raise ValueError(
            f"Expected the configuration of {_with_article(kind)} as "
            f"{{'class_name': str, 'config': dict}}. Received {config!r}."
        )


def _build(kind: str, cls: type[T], options: dict[str, object]) -> T:
    try:
        return cls.from_config(options) if options else cls()  # type: ignore[attr-defined]
    except TypeError as error:
        raise ValueError(f"{cls.__name__} cannot be made from {options!r}: {error}.") from error
