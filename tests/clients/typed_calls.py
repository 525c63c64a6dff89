"""A program typed by openapi-python-client, against the running server."""

import os
import unittest
from http import HTTPStatus

from ashlar_client import AuthenticatedClient, Client
from ashlar_client.api.auth import login, logout, signup, token
from ashlar_client.api.installation import get_config
from ashlar_client.api.users import get_me, update_me
from ashlar_client.models import GrantType, Login, Problem, Signup, TokenForm, Transport, UpdateMe
from ashlar_client.types import UNSET

URL = os.environ["ASHLAR_TEST_URL"]
PASSWORD = os.environ["ASHLAR_TEST_PASSWORD"]


class Calls(unittest.TestCase):
    def setUp(self):
        self.public = Client(base_url=URL)

    def signed_in(self, identifier):
        session = login.sync(client=self.public, body=Login(identifier=identifier, password=PASSWORD))
        return AuthenticatedClient(base_url=URL, token=session.access_token), session

    def test_sign_up_log_in_change_and_list(self):
        body = Signup(email="python@example.org", password=PASSWORD, name="Ada", transport=Transport.COOKIE)
        made = signup.sync_detailed(client=self.public, body=body)
        self.assertEqual(made.status_code, HTTPStatus.CREATED)
        self.assertIs(made.parsed.refresh_token, UNSET)

        client, session = self.signed_in("python@example.org")
        self.assertIsInstance(session.refresh_token, str)
        read = get_me.sync_detailed(client=client)
        self.assertEqual((read.parsed.email, read.parsed.username), ("python@example.org", None))
        tag = read.headers["etag"]
        self.assertEqual(get_me.sync_detailed(client=client, if_none_match=tag).status_code, HTTPStatus.NOT_MODIFIED)

        changed = update_me.sync(client=client, body=UpdateMe(name="Ada King"))
        self.assertEqual(changed.name, "Ada King")
        changed = update_me.sync(client=client, body=UpdateMe(username="ada.king"), if_match=UNSET)
        self.assertEqual(changed.username, "ada.king")
        stale = update_me.sync_detailed(client=client, body=UpdateMe(phone=None), if_match=tag)
        self.assertEqual(stale.status_code, HTTPStatus.PRECONDITION_FAILED)
        self.assertIsInstance(stale.parsed, Problem)

        self.assertTrue(get_config.sync(client=self.public).signup)
        self.assertEqual(logout.sync_detailed(client=client).status_code, HTTPStatus.NO_CONTENT)

    def test_the_token_endpoint_takes_a_form(self):
        form = TokenForm(
            grant_type=GrantType.PASSWORD,
            username=os.environ["ASHLAR_TEST_EMAIL"],
            password=PASSWORD,
            client_id="web",
        )
        self.assertEqual(token.sync(client=self.public, body=form).token_type, "Bearer")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
