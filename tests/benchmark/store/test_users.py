"""Users, tokens, roles, and names that look like attacks or like other names."""

from pathlib import Path

import pytest
from boards import claimed, participant, registered, submitted, success

from collidekit.benchmark.store import Role, Store
from collidekit.errors import CollidekitError


def test_a_token_is_stored_as_its_hash(store: Store) -> None:
    token = store.add_user("Ann", "participant")
    user = store.user_of(token)
    assert user is not None
    assert (user.name, user.role) == ("Ann", Role.PARTICIPANT)
    assert token.startswith("ckb_")
    assert len(token) > 40
    with store.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT hash FROM tokens").all()
    assert token not in str(rows)
    assert len(rows[0][0]) == 64
    assert token not in str(store.audit())


def test_tokens_are_rotated_and_revoked(store: Store) -> None:
    first = store.add_user("Ann", "owner")
    user = store.user_named("ann")
    second = store.add_token(user, "laptop", "Ann")
    assert [token.label for token in store.tokens(user)] == ["first", "laptop"]
    assert store.revoke_tokens(user, "Ann", only=store.tokens(user)[1].id) == 1
    assert store.user_of(second) is None
    assert store.user_of(first) == user
    third = store.rotate_token(user, "Ann")
    assert store.user_of(first) is None
    assert store.user_of(third) == user
    assert store.revoke_tokens(user) == 1
    assert store.revoke_tokens(user) == 0
    assert store.user_of(third) is None
    assert [event.action for event in store.audit(f"user {user.id}")].count("revoke token") == 3


@pytest.mark.parametrize("token", ["", "ckb_", "x" * 10_000, "' OR 1=1 --", "\x00", "\ud800", "ü"])
def test_a_wrong_token_is_nobodys(token: str, store: Store) -> None:
    store.add_user("Ann", "owner")
    assert store.user_of(token) is None


def test_a_disabled_user_has_no_access_and_keeps_its_runs(store: Store, tmp_path: object) -> None:
    token = store.add_user("Ann", "participant")
    user = store.user_named("Ann")
    assert store.set_disabled(user, True, "boss").disabled_at is not None
    assert store.user_of(token) is None
    store.set_disabled(user, False, "boss")
    assert store.user_of(token) == user


def test_roles(store: Store) -> None:
    user = participant(store, role="reader")
    assert store.set_role(user, "owner", "boss").role is Role.OWNER
    assert store.audit(f"user {user.id}")[-1].details == {"role": "owner", "before": "reader"}
    for change in (lambda: store.set_role(user, "king"), lambda: store.add_user("Bob", "")):
        with pytest.raises(CollidekitError, match="is not a role; roles are owner, participant, reader"):
            change()


@pytest.mark.parametrize("same", ["ann", "ANN", " Ann ", "Ａｎｎ", "Änn", "A\u0301nn"])
def test_names_that_look_the_same_are_the_same(same: str, store: Store) -> None:
    store.add_user("Ann", "participant")
    with pytest.raises(CollidekitError, match="there is a user with this name already"):
        store.add_user(same, "participant")


@pytest.mark.parametrize(
    ("name", "same"),
    [("cope", "соре"), ("COPE", "СОРЕ"), ("Hope", "\u041dоре"), ("NIKO", "ΝΙΚΟ"), ("a-b", "a\u2010b"), ("a b", "a  b")],
)
def test_names_in_other_letters_that_look_the_same_are_the_same(name: str, same: str, store: Store) -> None:
    store.add_user(name, "participant")
    with pytest.raises(CollidekitError, match="or one that looks like it"):
        store.add_user(same, "participant")


def test_a_name_that_looks_like_that_of_others_belongs_to_them(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    submitted(store, participant(store), tmp_path, name="cope")
    with pytest.raises(CollidekitError, match=r"looks like theirs \('cope'\)"):
        submitted(store, participant(store, "Bob"), tmp_path, name="соре")


@pytest.mark.parametrize(
    "name",
    ["ΔR net", "τ21", "Иван Петров", "Nguyễn Thị", "東京タワー", "νBDT 한국어".partition(" ")[2], "ParT-β", "पुस्तक"],
)
def test_names_of_all_scripts_are_taken(name: str, store: Store) -> None:
    assert store.user_of(store.add_user(name, "participant")).name == name  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("оlga", "mixes letters that look alike in Cyrillic and Latin; write it in one script"),
        ("my αlpha", "the word 'αlpha' mixes letters that look alike in Greek and Latin"),
        ("Z\u0300\u0301\u0302lgo", "more than 2 accents on one letter"),
        ("\u3164", "shows nothing"),
        ("", "the name is empty"),
        (" \t", "the name is empty"),
        ("a" * 81, "has 81 characters; at most 80"),
        ("a\nb", "cannot be printed"),
        ("a\x00b", "cannot be printed"),
        ("Ann\u200b", "cannot be printed"),
        ("\u202eAnn", "cannot be printed"),
        ("\ud800", "cannot be printed"),
    ],
)
def test_names_that_nobody_can_read_are_refused(name: str, said: str, store: Store) -> None:
    with pytest.raises(CollidekitError, match=said) as error:
        store.add_user(name, "participant")
    str(error.value).encode()


ODD = [
    "'; DROP TABLE runs; --",
    '"',
    "Robert'); DELETE FROM users;--",
    "%",
    "_",
    "\\",
    "Zoë 🦄",
    "李四",
    "صديق",
    "<script>",
    "{}",
    "%s",
    ":name",
    "?",
]


def test_odd_names_are_kept_as_they_are(store: Store, tmp_path: object) -> None:
    for name in ODD:
        assert store.user_of(store.add_user(name, "participant")).name == name  # type: ignore[union-attr]
        assert store.user_named(name).name == name
    assert [user.name for user in store.users()] == ODD


def test_odd_texts_reach_no_other_row(store: Store, tmp_path: pytest.TempPathFactory) -> None:
    folder = tmp_path  # type: ignore[assignment]
    registered(store, folder / "toy")  # type: ignore[operator]
    user = participant(store)
    for name in ODD:
        submitted(store, user, folder, name=name)  # type: ignore[arg-type]
        assert store.finish(claimed(store), "w1", success())
    assert [group.name for group in store.groups("toy")] == ODD
    assert [row.run.group for row in store.board_rows("toy", "public")] == ODD
    for text in [*ODD, "\x00", "\ud800", "toy\x00"]:
        for ask in (store.user_named, store.benchmark, store.versions, store.audit):
            try:
                found = ask(text)  # type: ignore[operator]
            except CollidekitError:
                continue
            assert found == [] or text in ODD
        assert store.runs(benchmark="toy", phase="public", user=user)


@pytest.mark.parametrize("number", [0, -1, 2**31, 2**63, 2**70])
def test_numbers_beyond_the_database(number: int, store: Store) -> None:
    for ask in (store.run, store.queue_place, store.group, store.version):
        with pytest.raises(CollidekitError):
            ask(number)  # type: ignore[operator]
