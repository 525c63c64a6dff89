"""A program that uploads files, typed by openapi-python-client, against the running server."""

import os
import unittest

from ashlar_client import AuthenticatedClient, Client
from ashlar_client.api.auth import login
from ashlar_client.api.installation import get_config
from ashlar_client.api.uploads import create_upload, list_uploads
from ashlar_client.models import CreateUpload, Login
from ashlar_client.types import UNSET

URL = os.environ["ASHLAR_TEST_URL"]


class Uploads(unittest.TestCase):
    def test_a_file_is_announced_and_listed(self):
        public = Client(base_url=URL)
        body = Login(identifier=os.environ["ASHLAR_TEST_EMAIL"], password=os.environ["ASHLAR_TEST_PASSWORD"])
        session = login.sync(client=public, body=body)
        client = AuthenticatedClient(base_url=URL, token=session.access_token)
        rules = get_config.sync(client=public).uploads
        body = CreateUpload.from_dict({"filename": "a.txt", "content_type": "text/plain", "size": 4})
        self.assertIn(body.content_type, rules.types)
        self.assertLess(body.size, rules.max_size)
        upload = create_upload.sync(client=client, body=body).upload
        page = list_uploads.sync(client=client, limit=10)
        self.assertEqual([one.id for one in page.items], [upload.id])
        self.assertEqual((page.next_cursor, page.total), (None, UNSET))


if __name__ == "__main__":
    unittest.main(warnings="ignore")
