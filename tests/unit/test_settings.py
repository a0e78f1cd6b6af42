"""Settings: where they come from, which source wins, and what a person is told when one is wrong."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from entrypoints.settings import Settings, SettingsError, load_settings, mask_url, options

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
PASSWORD = "hunter2"
URL = f"redis://user:{PASSWORD}@cache:6380/1"
ONE_OF_MANY = "redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://"
SCHEMES = f"redis://, rediss://, unix://, {ONE_OF_MANY}, memory://"


@pytest.fixture(autouse=True)
def _nothing_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("KV_UPDATER_")]:
        monkeypatch.delenv(name)


def in_file(text: str, name: str = "config.yaml") -> Path:
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


def in_secrets(monkeypatch: pytest.MonkeyPatch, **secrets: str) -> None:
    Path("secrets").mkdir()
    for name, text in secrets.items():
        Path("secrets", name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("KV_UPDATER_SECRETS_DIR", "secrets")


def error_of(flags: Mapping[str, Any], config: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, config=config)
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


def test_without_any_source_every_setting_has_its_default() -> None:
    loaded = load_settings({})

    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.settings.redis_url.get_secret_value() == "redis://localhost:6379/0"
    assert loaded.settings.channel == ("update",)
    assert loaded.settings.max_backlog_bytes == 256 * 1024 * 1024
    assert loaded.settings.max_clock_skew == 300.0


def test_the_example_file_holds_every_key_with_its_default() -> None:
    loaded = load_settings({}, config=EXAMPLE)

    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {f"file {EXAMPLE}"}


class TestSources:
    """Sources from the lowest to the highest; `validate` is in each of them, for it is an alias."""

    def test_a_yaml_file(self) -> None:
        config = in_file("channel: [a, b*]\nvalidate: true\nmax_batch: 5\nstore_url: unix:///run/redis.sock\n")

        loaded = load_settings({}, config=config)

        assert loaded.settings.channel == ("a", "b*")
        assert loaded.settings.validate_commits is True
        assert loaded.settings.max_batch == 5
        assert loaded.origins["validate"] == "file config.yaml"
        assert loaded.origins["ordering"] == "default"

    def test_an_empty_yaml_file(self) -> None:
        assert load_settings({}, config=in_file("# nothing yet\n")).settings == Settings()

    def test_a_python_file_as_of_the_first_version(self) -> None:
        config = in_file(f'config = {{"redis_url": "{URL}", "channel": "c", "validate": True}}\n', "config.py")

        loaded = load_settings({}, config=config)

        assert loaded.settings.redis_url.get_secret_value() == URL
        assert loaded.settings.channel == ("c",)
        assert loaded.settings.validate_commits is True
        assert loaded.origins["channel"] == "file config.py"

    def test_a_file_named_by_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KV_UPDATER_CONFIG", str(in_file("max_batch: 5")))

        assert load_settings({}).settings.max_batch == 5

    def test_a_file_named_by_dotenv(self) -> None:
        in_file("max_batch: 5")
        in_file("KV_UPDATER_CONFIG=config.yaml", ".env")

        assert load_settings({}).settings.max_batch == 5

    def test_a_file_named_as_argument_replaces_the_one_of_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KV_UPDATER_CONFIG", str(in_file("max_batch: 5\nvalidate: true", "other.yaml")))

        loaded = load_settings({}, config=in_file("max_batch: 6"))

        assert loaded.settings.max_batch == 6
        assert loaded.settings.validate_commits is False

    def test_the_secrets_directory_ranks_above_the_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        in_secrets(monkeypatch, redis_url=URL + "\n", unrelated="x")

        loaded = load_settings({}, config=in_file("redis_url: redis://file\nstore_url: redis://file"))

        assert loaded.settings.redis_url.get_secret_value() == URL
        assert loaded.origins["redis_url"] == "secrets directory"
        assert loaded.origins["store_url"] == "file config.yaml"

    @pytest.mark.parametrize("name", ["redis-url", "http-token", "http_tokn", "REDIS_URL"])
    def test_a_secret_whose_name_is_nearly_right_is_told(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        in_secrets(monkeypatch, **{name: "secret"})

        with pytest.raises(SettingsError, match=f"secrets directory: {name} is unknown, perhaps it is ") as error:
            load_settings({})
        assert "secret " not in str(error.value)

    def test_an_empty_token_is_told_for_it_would_open_to_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KV_UPDATER_HTTP_TOKEN", "")

        with pytest.raises(SettingsError, match=r"http_token \(environment KV_UPDATER_HTTP_TOKEN\): "):
            load_settings({})

    def test_dotenv_ranks_above_the_secrets_directory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        in_secrets(monkeypatch, redis_url=URL, store_url=URL)
        in_file("OTHER=1\nKV_UPDATER_REDIS_URL=redis://dotenv\nKV_UPDATER_VALIDATE=true", ".env")

        loaded = load_settings({})

        assert loaded.settings.redis_url.get_secret_value() == "redis://dotenv"
        assert loaded.settings.validate_commits is True
        assert loaded.origins["redis_url"] == ".env"
        assert loaded.origins["store_url"] == "secrets directory"

    def test_the_environment_ranks_above_dotenv(self, monkeypatch: pytest.MonkeyPatch) -> None:
        in_file("KV_UPDATER_VALIDATE=false\nKV_UPDATER_MAX_BATCH=5", ".env")
        monkeypatch.setenv("KV_UPDATER_VALIDATE", "true")

        loaded = load_settings({})

        assert loaded.settings.validate_commits is True
        assert loaded.origins["validate"] == "environment KV_UPDATER_VALIDATE"
        assert loaded.origins["max_batch"] == ".env"

    def test_a_flag_ranks_above_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KV_UPDATER_VALIDATE", "true")
        monkeypatch.setenv("KV_UPDATER_MAX_BATCH", "5")

        loaded = load_settings({"validate": False})

        assert loaded.settings.validate_commits is False
        assert loaded.origins["validate"] == "flag"
        assert loaded.origins["max_batch"] == "environment KV_UPDATER_MAX_BATCH"

    def test_an_empty_variable_counts_as_not_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        in_file("KV_UPDATER_MAX_BATCH=", ".env")
        monkeypatch.setenv("KV_UPDATER_MAX_BATCH", "")

        assert load_settings({}, config=in_file("max_batch: 5")).settings.max_batch == 5

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("KV_UPDATER_SERVICE_HOST", "10.0.0.1"),
            ("KV_UPDATER_SERVICE_PORT_HTTP", "80"),
            ("KV_UPDATER_METRICS_SERVICE_PORT", "80"),
            ("KV_UPDATER_PORT", "tcp://10.0.0.1:80"),
            ("KV_UPDATER_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("KV_UPDATER_PORT_80_TCP_ADDR", "10.0.0.1"),
        ],
    )
    def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_setting(
        self, name: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, value)

        assert load_settings({}).settings == Settings()


class TestValues:
    @pytest.mark.parametrize(
        ("text", "channels"),
        [
            ("update", ("update",)),
            ("a, b", ("a", "b")),
            ('["a,b", "c"]', ("a,b", "c")),
            ("[ab]*", ("[ab]*",)),
            ("news.?", ("news.?",)),
        ],
    )
    def test_channels_in_a_variable_are_one_text_a_comma_list_or_a_json_list(
        self, text: str, channels: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KV_UPDATER_CHANNEL", text)
        monkeypatch.setenv("KV_UPDATER_ALLOWED_TYPES", text)

        settings = load_settings({}).settings

        assert settings.channel == channels
        assert settings.allowed_types == channels

    @pytest.mark.parametrize("text", ["%b %d, %Y", '["%b %d, %Y"]'])
    def test_a_timestamp_format_keeps_its_comma(self, text: str) -> None:
        assert load_settings({"timestamp_formats": text}).settings.timestamp_formats == ("%b %d, %Y",)

    @pytest.mark.parametrize(
        ("given", "seconds"),
        [(7, 7.0), (0.5, 0.5), ("7", 7.0), ("250ms", 0.25), ("5s", 5.0), ("1.5 m", 90.0), ("1h", 3600.0)],
    )
    def test_durations_become_seconds(self, given: object, seconds: float) -> None:
        assert load_settings({"max_clock_skew": given}).settings.max_clock_skew == seconds

    @pytest.mark.parametrize(
        ("given", "size"),
        [(70_000, 70_000), ("70000", 70_000), ("64KiB", 65_536), ("1.5 MiB", 1_572_864), ("1GiB", 1_073_741_824)],
    )
    def test_sizes_become_bytes(self, given: object, size: int) -> None:
        assert load_settings({"max_backlog_bytes": given}).settings.max_backlog_bytes == size

    def test_a_log_level_may_be_written_in_any_case(self) -> None:
        assert load_settings({"log_level": "debug"}).settings.log_level == "DEBUG"

    @pytest.mark.parametrize(
        "url",
        [
            "redis://cache",
            "redis://user:p%23w@cache:6380/1",
            "rediss://[::1]:6379/0?ssl_cert_reqs=none",
            "unix:///run/redis.sock?db=1",
            "unix://user:pw@/run/redis.sock",
            "memory://",
            "embedded://",
        ],
    )
    def test_redis_urls_are_kept_as_they_are(self, url: str) -> None:
        assert load_settings({"redis_url": url}).settings.redis_url.get_secret_value() == url

    def test_messages_and_records_may_both_be_in_memory(self) -> None:
        settings = load_settings({"redis_url": "memory://", "store_url": "memory://"}).settings

        assert settings.store_url == settings.redis_url

    def test_settings_do_not_change(self) -> None:
        with pytest.raises(ValidationError):
            load_settings({}).settings.max_batch = 5  # type: ignore[misc]


class TestErrors:
    @pytest.mark.parametrize(
        ("key", "value", "problem"),
        [
            ("max_batch", "many", "must be a whole number, found 'many'"),
            ("max_batch", True, "must be a whole number, found True"),
            ("max_batch", None, "must be a whole number, found None"),
            ("max_batch", [], "must be a whole number, found a list"),
            ("max_batch", 0, "must be greater than or equal to 1, found 0"),
            ("max_batch", 3001, "must be less than or equal to 3000, found 3001"),
            (
                "max_clock_skew",
                "5 minutes",
                "must be a duration in seconds or such as 250ms, 5s, 5m, 1h, 1d, found '5 minutes'",
            ),
            ("max_clock_skew", -1, "must be greater than or equal to 0, found -1"),
            ("expiry_grace", "9999d", "must be less than or equal to 315360000, found '9999d'"),
            ("shutdown_timeout", "0s", "must be greater than 0, found '0s'"),
            ("max_message_bytes", "1MB", "must be a size in bytes or such as 64KiB, 1MiB, 1GiB, found '1MB'"),
            ("max_message_bytes", "1GiB", "must be less than or equal to 536870912, found '1GiB'"),
            ("validate", "maybe", "must be true or false, found 'maybe'"),
            ("validate", [1], "must be true or false, found a list"),
            ("channel", 5, "must be a text or a list of texts, found 5"),
            ("channel", [5], "must be a text, found 5"),
            ("channel", [], "must not be empty, found a list"),
            ("channel", "a,,b", "must not be empty, found ''"),
            ("channel", '["a"', "must be a text or a JSON list of texts, found '[\"a\"'"),
            ("ordering", "oldest", "must be 'newest' or 'arrival', found 'oldest'"),
            ("transport", "queue", "must be 'pubsub', 'sharded_pubsub' or 'stream', found 'queue'"),
            ("log_level", "loud", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', found 'loud'"),
            ("log_level", 5, "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', found 5"),
            ("key_prefix", 5, "must be a text, found 5"),
            ("dead_letter_stream", "", "must not be empty, found ''"),
            (
                "timestamp_formats",
                "dd.mm.yyyy",
                "must be a format with % and letters in it, such as %d.%m.%Y, found 'dd.mm.yyyy'",
            ),
            ("timestamp_formats", ["%Y", "%Q"], "must be a format that strptime can read, found '%Q'"),
            (
                "persisted_channel",
                "update",
                "must not be read by channel, for that is a loop, found 'update'",
            ),
            (
                "ordering",
                f"user:{PASSWORD}@cache",
                "must be 'newest' or 'arrival', found what looks like a URL",
            ),
            ("channel", [[URL]], "must be a text, found a list"),
        ],
    )
    def test_a_wrong_value_is_told_with_its_key_its_source_and_what_is_expected(
        self, key: str, value: object, problem: str
    ) -> None:
        assert error_of({key: value}) == f"{key} (flag): {problem}"

    def test_a_wrong_value_is_told_with_the_source_it_came_from(self, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = "must be true or false, found 'maybe'"
        config = in_file("validate: maybe")
        assert error_of({}, config) == f"validate (file config.yaml): {expected}"
        in_file("KV_UPDATER_VALIDATE=maybe", ".env")
        assert error_of({}, config) == f"validate (.env): {expected}"
        monkeypatch.setenv("KV_UPDATER_VALIDATE", "maybe")
        assert error_of({}, config) == f"validate (environment KV_UPDATER_VALIDATE): {expected}"

    @pytest.mark.parametrize("transport", ["sharded_pubsub", "stream"])
    @pytest.mark.parametrize("pattern", ["up*", "upd?te", "[u]pdate"])
    def test_only_pubsub_has_patterns(self, transport: str, pattern: str) -> None:
        assert error_of({"transport": transport, "channel": ["update", pattern]}).startswith(
            f"channel (flag): must not be a pattern where transport is {transport}"
        )
        load_settings({"transport": transport, "channel": "update,price"})

    @pytest.mark.parametrize("pattern", ["done.*", "done.?", "done.[^b]", "*"])
    def test_the_persisted_channel_may_not_match_a_pattern_that_is_read(self, pattern: str) -> None:
        assert error_of({"channel": ["update", pattern], "persisted_channel": "done.a"}) == (
            "persisted_channel (flag): must not be read by channel, for that is a loop, found 'done.a'"
        )

    def test_the_persisted_channel_may_be_one_that_no_pattern_matches(self) -> None:
        settings = load_settings({"channel": "done.[^b],a*", "persisted_channel": "done.b"}).settings

        assert settings.persisted_channel == "done.b"

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            (f"http://user:{PASSWORD}@cache", f"must start with {SCHEMES}, embedded://"),
            (PASSWORD, f"must start with {SCHEMES}, embedded://"),
            ("", f"must start with {SCHEMES}, embedded://"),
            (5, "must be a text"),
            (f"redis://:{PASSWORD}#@cache", "must not hold a bare '#': percent-encode it as %23"),
            (f"redis://:a#{PASSWORD}@cache", "must not hold a bare '#': percent-encode it as %23"),
            (
                f"redis://:a/{PASSWORD}@cache",
                "must have '/' and '?' in its password percent-encoded, as %2F and %3F",
            ),
            (
                f"redis://:a?{PASSWORD}@cache",
                "must have '/' and '?' in its password percent-encoded, as %2F and %3F",
            ),
            (
                f"redis://:[{PASSWORD}@cache",
                "must be a well-formed URL: percent-encode signs such as '[' in a password",
            ),
            (
                f"redis://:{PASSWORD}\u2100@cache",
                "must be a well-formed URL: percent-encode signs such as '[' in a password",
            ),
            (f"redis://:a {PASSWORD}@cache", "must not hold spaces or control characters"),
            (f"redis://:a\n{PASSWORD}@cache", "must not hold spaces or control characters"),
            (f"redis://user:{PASSWORD}", "must have a port from 1 to 65535"),
            (f"redis://:{PASSWORD}@cache:70000", "must have a port from 1 to 65535"),
            (f"redis://:{PASSWORD}@cache:0", "must have a port from 1 to 65535"),
            (f"redis://:{PASSWORD}@", "must name a host, as in redis://localhost:6379/0"),
            ("redis://", "must name a host, as in redis://localhost:6379/0"),
            (
                f"redis://:{PASSWORD}@cache/one",
                "must end in the number of a database, as in redis://localhost:6379/0",
            ),
            ("unix://run/redis.sock", "must name a socket's whole path, as in unix:///run/redis.sock"),
            (f"unix://user:{PASSWORD}@", "must name a socket's whole path, as in unix:///run/redis.sock"),
            (f"memory://{PASSWORD}", "must be memory:// and nothing more"),
            ("embedded:///data", "must be embedded:// and no more than a port, as in embedded://:7000"),
        ],
    )
    def test_a_wrong_url_is_told_without_any_part_of_it(self, url: object, problem: str) -> None:
        assert error_of({"redis_url": url}) == f"redis_url (flag): {problem}"

    def test_records_are_not_kept_on_an_embedded_server_of_their_own(self) -> None:
        assert error_of({"store_url": "embedded://"}) == f"store_url (flag): must start with {SCHEMES}"

    @pytest.mark.parametrize(("redis_url", "store_url"), [("memory://", URL), (URL, "memory://")])
    def test_messages_and_records_are_both_in_memory_or_neither(self, redis_url: str, store_url: str) -> None:
        assert error_of({"redis_url": redis_url, "store_url": store_url}) == (
            "store_url (flag): must be memory:// if redis_url is, and only then"
        )

    def test_in_memory_there_are_no_streams(self) -> None:
        assert error_of({"redis_url": "memory://", "transport": "stream"}) == (
            "transport (flag): must be pubsub where redis_url is memory://, found 'stream'"
        )

    def test_where_times_are_strict_there_are_no_other_formats(self) -> None:
        assert error_of({"strict_timestamps": True, "timestamp_formats": "%d.%m.%Y"}) == (
            "timestamp_formats (flag): must be empty where strict_timestamps is on, which takes RFC 3339 alone,"
            " found '%d.%m.%Y'"
        )

    def test_an_unknown_key_that_is_like_none_is_told_alone(self) -> None:
        assert error_of({"zzz": "a"}) == "zzz (flag): unknown key"

    def test_an_unknown_key_is_told_with_the_nearest_known_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = "unknown key, the nearest known one is channel"
        assert error_of({"chanel": "a"}) == f"chanel (flag): {expected}"
        config = in_file("Channel: a")
        assert error_of({}, config) == f"Channel (file config.yaml): {expected}"
        in_file("KV_UPDATER_CHANEL=a", ".env")
        assert error_of({}) == f"chanel (.env): {expected}"
        monkeypatch.setenv("KV_UPDATER_CHANNELS", "a")
        Path(".env").unlink()
        assert error_of({}) == f"channels (environment KV_UPDATER_CHANNELS): {expected}"

    def test_the_name_of_the_attribute_is_no_key(self) -> None:
        assert error_of({"validate_commits": True}) == (
            "validate_commits (flag): unknown key, the nearest known one is validate"
        )

    def test_a_key_that_swallowed_its_value_is_told_without_it(self) -> None:
        assert error_of({}, in_file(f"{{redis_url:{URL}}}")) == (
            "redis_url (file config.yaml): unknown key, the nearest known one is redis_url"
        )

    def test_of_several_problems_the_first_is_told_and_the_others_are_counted(self) -> None:
        config = in_file("max_batch: many\nvalidate: maybe\nchanel: a")

        assert error_of({}, config) == (
            "chanel (file config.yaml): unknown key, the nearest known one is channel ... and 2 more"
        )

    @pytest.mark.parametrize(
        ("name", "text", "problem"),
        [
            ("c.yaml", f"a: b\nredis_url: {URL}: x", "not valid YAML at line 2, column 45"),
            ("c.yaml", f"redis_url: *{PASSWORD}", "not valid YAML at line 1, column 12"),
            ("c.yaml", "a: 2001-99-99", "not valid YAML"),
            ("c.yaml", "a: \0", "not valid YAML"),
            ("c.yaml", "channel: a\nchannel: b", "channel is given twice"),
            ("c.yaml", f"? {URL}\n: 1\n? {URL}\n: 1", "what looks like a URL is given twice"),
            ("c.yml", f"redis_url:{URL}", "must be a mapping of setting names to values"),
            ("c.yml", f"- {URL}", "must be a mapping of setting names to values"),
            ("c.toml", "channel = 'a'", "must end in .yaml, .yml or .py"),
            ("c.py", "channel = 'a'", "must hold a dict named config"),
            ("c.py", f"config = '{URL}'", "must hold a dict named config"),
            ("c.py", f"\nraise KeyError('{URL}')", "KeyError at line 2"),
            ("c.py", "exit(0)", "SystemExit at line 1"),
            ("c.py", f"config = {{'redis_url': '{URL}'", "SyntaxError at line 1"),
            ("c.py", "import json\njson.loads('{')", "JSONDecodeError at line 2"),
        ],
    )
    def test_a_bad_file_is_told_with_its_path_and_none_of_its_text(self, name: str, text: str, problem: str) -> None:
        assert error_of({}, in_file(text, name)) == f"file {name}: {problem}"

    def test_a_file_or_directory_that_cannot_be_read_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("folder.yaml").mkdir()
        assert error_of({}, Path("folder.yaml")) == "file folder.yaml: Is a directory"
        assert error_of({}, Path("none.yaml")) == "file none.yaml: No such file or directory"
        monkeypatch.setenv("KV_UPDATER_SECRETS_DIR", "none")
        assert error_of({}) == "secrets directory none: No such file or directory"
        monkeypatch.setenv("KV_UPDATER_SECRETS_DIR", ".")
        Path("redis_url").write_bytes(b"\xff")
        assert error_of({}) == "secrets directory .: not UTF-8 text"
        Path(".env").write_bytes(b"\xff")
        assert error_of({}) == ".env: not UTF-8 text"

    def test_a_url_in_place_of_a_path_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KV_UPDATER_CONFIG", URL)

        assert error_of({}) == "file what looks like a URL: No such file or directory"


class TestSecrets:
    @pytest.mark.parametrize("text", [repr, str, lambda settings: settings.model_dump_json()])
    def test_no_text_of_the_settings_shows_a_password(self, text: Any) -> None:
        loaded = load_settings({"redis_url": URL, "store_url": URL})

        assert PASSWORD not in text(loaded.settings)
        assert PASSWORD not in repr(loaded)

    def test_no_validation_error_of_pydantic_shows_a_password(self) -> None:
        with pytest.raises(ValidationError) as caught:
            Settings(redis_url=URL + "#", channel=[[URL]])  # type: ignore[arg-type]

        assert PASSWORD not in str(caught.value)
        assert PASSWORD not in repr(caught.value)

    def test_rows_hold_every_setting_with_its_password_masked_and_its_origin(self) -> None:
        rows = {key: (value, origin) for key, value, origin in load_settings({"redis_url": URL}).rows()}

        assert rows["redis_url"] == ("redis://user:***@cache:6380/1", "flag")
        assert rows["store_url"] == (None, "default")
        assert rows["validate"] == (False, "default")
        assert list(rows) == [option.key for option in options()]

    @pytest.mark.parametrize(
        ("url", "masked"),
        [
            ("redis://cache:6379/0", "redis://cache:6379/0"),
            (URL, "redis://user:***@cache:6380/1"),
            (f"redis://{PASSWORD}@cache/1", "redis://***@cache/1"),
            (f"rediss://:{PASSWORD}@cache?password={PASSWORD}&db=2", "rediss://:***@cache?password=***&db=2"),
            (f"redis://:a@{PASSWORD}@cache", "redis://:***@cache"),
            (f"unix://user:{PASSWORD}@/run/redis.sock?db=2", "unix://user:***@/run/redis.sock?db=2"),
            (f"unix:///run/redis.sock?p%61ssword={PASSWORD}", "unix:///run/redis.sock?p%61ssword=***"),
            ("memory://", "memory://"),
            ("embedded://", "embedded://"),
            (f"redis://:a#{PASSWORD}@cache", "redis://***"),
            (f"redis://:a/{PASSWORD}@cache", "redis://***"),
            (f"redis://user:{PASSWORD}", "redis://***"),
            (f"redis://:[{PASSWORD}@cache", "redis://***"),
            (f"http://:{PASSWORD}@cache", "***"),
            (f"{PASSWORD}://cache", "***"),
            (f"user:{PASSWORD}@cache", "***"),
            ("", "***"),
        ],
    )
    def test_a_masked_url_keeps_what_is_no_secret(self, url: str, masked: str) -> None:
        assert mask_url(url) == masked


class TestOptions:
    def test_every_setting_is_a_flag_with_a_sentence_of_help(self) -> None:
        by_key = {option.key: option for option in options()}

        assert list(by_key) == list(load_settings({}).origins)
        assert all(option.help.endswith(".") and "%" not in option.help for option in by_key.values())
        assert by_key["max_batch"].flag == "--max-batch"
        assert by_key["max_batch"].shown == "1000"
        assert not by_key["max_batch"].switch

    def test_defaults_are_shown_as_they_may_be_written(self) -> None:
        shown = {option.key: option.shown for option in options()}

        given = {key: json.loads(text) if text[0] in '"[ntf' else text for key, text in shown.items()}
        assert load_settings(given).settings == Settings()
        assert (shown["max_clock_skew"], shown["expiry_grace"], shown["max_message_bytes"]) == ("5m", "0s", "1MiB")
        assert (shown["max_pending_keys"], shown["redis_url"]) == ("1000000", '"redis://localhost:6379/0"')

    def test_settings_that_are_true_or_false_are_switches(self) -> None:
        switches = [option.flag for option in options() if option.switch]

        assert switches == ["--validate", "--expire-at-valid", "--strict-timestamps", "--tracing"]
