"""The manual: its commands run on the samples; it names every verb, signal, relation, rule and setting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from documents import MANUAL, README, broken_links, check_commands, check_names, make_workplace, verbs

from cvsim.cli.help import topics, verbs_of
from cvsim.errors import SettingsError

TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in MANUAL}
ALL = "\n".join([README.read_text(encoding="utf-8"), *TEXTS.values()])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all topics, so that no topic reads again what another one has in the cache."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("document", MANUAL, ids=lambda document: document.stem)
def test_the_commands_and_programs_run_on_the_samples(tmp_path: Path, home: Path, document: Path) -> None:
    check_commands(make_workplace(tmp_path), document, home)


@pytest.mark.parametrize("document", MANUAL, ids=lambda document: document.stem)
def test_what_is_shown_has_the_names_of_the_program(document: Path) -> None:
    check_names(document)


@pytest.mark.parametrize("document", MANUAL, ids=lambda document: document.stem)
def test_links_lead_somewhere(document: Path) -> None:
    assert broken_links(document) == []


@pytest.mark.parametrize("topic", topics())
def test_a_topic_has_one_title_and_is_in_the_contents(topic: str) -> None:
    text = re.sub(r"^```.*?^```$", "", TEXTS[topic], flags=re.DOTALL | re.MULTILINE)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert f"[{topic}]({topic}.md): " in TEXTS["README"]


def test_every_verb_is_explained_by_one_topic() -> None:
    explained = [verb for topic in topics() for verb in verbs_of(topic)]
    assert sorted(explained) == sorted({name.split()[0] for name in verbs()} - {"help"})
    for topic in topics():
        assert [verb for verb in verbs_of(topic) if f"cvsim {verb}" not in TEXTS[topic]] == []


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_verb_is_named(verb: str) -> None:
    assert f"cvsim {verb}" in ALL


def test_every_signal_is_explained() -> None:
    from cvsim.features import FEATURES, make_features

    names = {name for key in FEATURES for name in (key, *make_features([key])[0].signals)}
    assert sorted(name for name in names if f"`{name}`" not in TEXTS["signals"]) == []


def test_every_relation_is_explained() -> None:
    from cvsim.types import Relation

    assert [name for name in get_args(Relation) if f"| `{name}` |" not in TEXTS["reading-results"]] == []


def test_every_keep_rule_is_explained() -> None:
    from cvsim.groups.keep import KeepRules

    with pytest.raises(SettingsError) as refused:
        KeepRules.parse("no such rule")
    rules = {rule.partition(":")[0] for rule in str(refused.value).partition("choose from: ")[2].split(", ")}
    assert [rule for rule in rules if not re.search(rf"`{rule}[`:]", TEXTS["keep-rules"])] == []


def test_every_public_name_that_is_shown_exists() -> None:
    import cvsim

    shown = set(re.findall(r"\bcvsim\.([A-Za-z]\w*)", TEXTS["python-api"]))
    assert [name for name in sorted(shown) if not hasattr(cvsim, name)] == []
    functions = {name for name in dir(cvsim) if name.islower() and callable(getattr(cvsim, name))}
    assert functions - shown == set()


def test_every_setting_is_explained() -> None:
    from cvsim.settings import WANTED

    assert [name for name in WANTED if f"| `{name}` |" not in TEXTS["settings-and-config"]] == []


def test_nothing_in_it_says_can_not() -> None:
    assert "can not" not in ALL
