"""The codes of what is not kept."""

from domain.errors import Reason


def test_a_code_is_of_a_message_that_was_rejected_or_of_one_that_was_accepted() -> None:
    of_accepted = {reason for reason in Reason if reason.of_accepted}

    assert of_accepted == {"other_redis_type", "not_permitted", "too_many_keys", "too_many_bytes", "poison"}
